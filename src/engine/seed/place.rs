//! Points at a place in a text that is read as a stream, of which only a part is at hand.

use std::ops::Range;

use super::Purpose;
use super::admission::Refusal;
use super::feed::Feed;
use crate::runeset::Diagnostic;

/// Bytes of a line that are kept on each side of the place.
const EXCERPT_BYTES_MAX: usize = 1_000;

/// Where in its text the rest of a feed begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// From 1.
    pub line: usize,
    /// Characters of the line before it.
    pub column: usize,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { line: 1, column: 0 }
    }
}

impl Cursor {
    /// Passes over a text.
    #[inline]
    pub fn pass(&mut self, text: &[u8]) {
        let tail = match memchr::memrchr(b'\n', text) {
            None => text,
            Some(last) => {
                self.line += 1 + memchr::memchr_iter(b'\n', &text[..last]).count();
                self.column = 0;
                &text[last + 1..]
            }
        };
        // Every byte of UTF-8 but those that continue a character.
        self.column += tail.iter().filter(|byte| (**byte as i8) >= -0x40).count();
    }
}

/// An error at the byte `at` of a feed's rest; `length` bytes are marked.
#[cold]
pub(super) fn point(
    message: impl Into<String>,
    shown: &str,
    feed: &Feed,
    cursor: Cursor,
    at: usize,
    length: usize,
) -> Diagnostic {
    let (past, rest) = (feed.past(), feed.rest());
    let (before, after) = rest.split_at(at.min(rest.len()));
    let mut end = cursor;
    end.pass(before);

    // The line, as far as it is at hand.
    let mut head = [past, before].concat();
    let first = memchr::memrchr(b'\n', &head).map_or(0, |newline| newline + 1);
    let cut = head.len().saturating_sub(EXCERPT_BYTES_MAX);
    let above = (first > 0 && cut <= first).then(|| {
        let above = &head[..first - 1];
        let from = memchr::memrchr(b'\n', above).map_or(0, |newline| newline + 1);
        text_of(&above[from..above.len().min(from + EXCERPT_BYTES_MAX)])
    });
    head.drain(..first.max(cut));
    let tail = &after[..memchr::memchr(b'\n', after).unwrap_or(after.len()).min(EXCERPT_BYTES_MAX)];
    let (head, tail) = (text_of(&head), text_of(tail));
    let marked = text_of(&after[..length.min(tail.len())]).chars().count().max(1);

    let (excerpt, line) = match above {
        Some(above) => (format!("{above}\n{head}{tail}"), 2),
        None => (format!("{head}{tail}"), 1),
    };
    let mut diagnostic =
        Diagnostic::error(message).at(shown, &excerpt, line, head.chars().count() + 1, marked);
    if let Some(place) = &mut diagnostic.place {
        (place.line, place.column) = (end.line, end.column + 1);
    }
    diagnostic
}

/// Why the record of JSON at `range` of the rest was refused, pointed at.
#[cold]
pub(super) fn refused(
    refusal: &Refusal,
    shown: &str,
    feed: &Feed,
    cursor: Cursor,
    range: Range<usize>,
) -> Diagnostic {
    let text = &feed.rest()[range.clone()];
    let not_utf8 = std::str::from_utf8(text).err().map(|error| error.valid_up_to());
    if let (Refusal::Json(_), Some(at)) = (refusal, not_utf8) {
        if feed.offset() == 0 && matches!(text, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            return Diagnostic::error("the seed is UTF-16; seeds are UTF-8").in_file(shown);
        }
        let message = format!("invalid UTF-8: byte 0x{:02x}", text[at]);
        return point(message, shown, feed, cursor, range.start + at, 1);
    }
    if let (Refusal::Json(_), Some(at)) = (refusal, memchr::memchr(0, text)) {
        return point("a NUL byte is no JSON", shown, feed, cursor, range.start + at, 1);
    }
    let (at, length) = refusal.span(text);
    let message = match refusal {
        Refusal::Json(error) if is_malformed(text) => {
            let known = error.message.starts_with("invalid JSON") || error.message.starts_with("JSON ");
            if known { error.message.clone() } else { format!("invalid JSON: {}", error.message) }
        }
        refusal => refusal.to_string(),
    };
    let diagnostic = point(message, shown, feed, cursor, range.start + at, length);
    advised(diagnostic, refusal)
}

/// Adds what to do about it, where that is not plain.
pub(super) fn advised(diagnostic: Diagnostic, refusal: &Refusal) -> Diagnostic {
    match refusal {
        Refusal::TooLarge { purpose: Purpose::Run, .. } => {
            diagnostic.help("if that is meant, raise `limits.event_bytes` in the runeset")
        }
        Refusal::Changed { .. } => diagnostic.help("`--again` reads the file anew, as other energies"),
        Refusal::TooLarge { purpose: Purpose::Append, max, .. } => diagnostic
            .help(
                "what is that large goes to the content store (`sanctum blob put`), its digest to `$content`",
            )
            .field("limit", *max),
        Refusal::Json(_) | Refusal::Field(_) | Refusal::Time { .. } | Refusal::Id { .. } => diagnostic,
    }
}

fn is_malformed(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err()
}

/// Readable whatever the bytes, one character for each byte that is none.
fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        // A cut at either end, or a bad byte: `Cursor` counts what does not continue a character.
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}
