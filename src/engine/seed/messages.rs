//! `.msgpack`: maps, one after the other. Any MessagePack is taken, and made canonical.

use super::Diagnostic;
use super::admission::{Admission, Record};
use super::feed::Feed;
use super::place::advised;
use super::source::unreadable;
use crate::event::Events;
use crate::event::msgpack::{Error, canonicalize_prefix};

/// Bytes that a report shows.
const SHOWN_BYTES: u64 = 16;

/// See the module.
#[derive(Default)]
pub(super) struct Messages {
    /// Maps that are done.
    done: u64,
    canonical: Vec<u8>,
    /// Bytes that must be at hand before a map that was cut is tried again.
    needed: usize,
}

impl Messages {
    /// Reads until the batch is full (true) or the source is at its end (false).
    pub fn read(
        &mut self,
        shown: &str,
        feed: &mut Feed,
        admission: &mut Admission,
        batch: &mut Events,
    ) -> Result<bool, Box<Diagnostic>> {
        while !admission.is_full(batch) {
            while feed.rest().len() < self.needed.max(1) {
                match feed.more() {
                    Ok(true) => {}
                    Ok(false) if feed.rest().is_empty() => return Ok(false),
                    Ok(false) => break,
                    Err(error) => return Err(Box::new(unreadable(shown, &error))),
                }
            }
            let rest = feed.rest();
            if let Some(kind) = kind(rest[0]) {
                let message =
                    format!("map {} is {kind}; a .msgpack seed is one map after the other", self.done + 1);
                let diagnostic = *self.fault(message, 0, shown, feed);
                return Err(Box::new(match rest[0] {
                    b'{' => diagnostic.help("this may be JSON, which belongs in a .json or .ndjson file"),
                    _ => diagnostic,
                }));
            }
            self.canonical.clear();
            let (len, notes) = match canonicalize_prefix(rest, &mut self.canonical) {
                Ok(read) => read,
                Err(error) => match wanted(&error, rest.len()) {
                    Some(needed) if self.needed <= rest.len() && needed <= feed.record_bytes_max() => {
                        self.needed = needed;
                        continue;
                    }
                    _ => return Err(self.refused(error, shown, feed)),
                },
            };
            let raw = &rest[..len];
            admission.at = Record { number: self.done as usize + 1, column: 0 };
            if let Err(refusal) = admission.data(&self.canonical, notes, raw, feed.reads(), batch) {
                let message = format!("map {}: {refusal}", self.done + 1);
                return Err(Box::new(advised(*self.fault(message, 0, shown, feed), &refusal)));
            }
            self.needed = 0;
            self.done += 1;
            feed.consume(len);
        }
        Ok(true)
    }

    #[cold]
    fn refused(&self, error: Error, shown: &str, feed: &Feed) -> Box<Diagnostic> {
        let cut = wanted(&error, feed.rest().len()).is_some();
        let message = match wanted(&error, feed.rest().len()) {
            Some(needed) if needed > feed.record_bytes_max() => {
                format!("map {} is longer than {} bytes", self.done + 1, feed.record_bytes_max())
            }
            Some(_) => format!("the file ends within map {}", self.done + 1),
            None => format!("map {}: {}", self.done + 1, moved(error, feed.offset() as usize)),
        };
        self.fault(message, if cut { 0 } else { error.at() }, shown, feed)
    }

    /// An error at the byte `at` of the rest.
    #[cold]
    fn fault(&self, message: String, at: usize, shown: &str, feed: &Feed) -> Box<Diagnostic> {
        let offset = feed.offset() + at as u64;
        let bytes = &feed.rest()[at.min(feed.rest().len())..];
        let mut hex: Vec<String> =
            bytes.iter().take(SHOWN_BYTES as usize).map(|byte| format!("{byte:02x}")).collect();
        if bytes.len() as u64 > SHOWN_BYTES {
            hex.push("...".into());
        }
        Box::new(
            Diagnostic::error(message)
                .in_file(shown)
                .note(format!("byte {offset}: {}", hex.join(" ")))
                .field("offset", offset),
        )
    }
}

/// How many bytes to have before a map is tried again that `have` bytes cut; `None` where more would not
/// help.
fn wanted(error: &Error, have: usize) -> Option<usize> {
    match *error {
        // Doubling keeps the work linear.
        Error::Truncated { .. } => Some(have.saturating_mul(2)),
        Error::Length { at, len, .. } => {
            let known = at.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
            Some(known.max(have + 1))
        }
        _ => None,
    }
}

/// The error, its offset counted from the file's start.
fn moved(error: Error, base: usize) -> Error {
    match error {
        Error::Truncated { at } => Error::Truncated { at: at + base },
        Error::Trailing { at } => Error::Trailing { at: at + base },
        Error::Length { at, len, left } => Error::Length { at: at + base, len, left },
        Error::Reserved { at } => Error::Reserved { at: at + base },
        Error::TooDeep { at } => Error::TooDeep { at: at + base },
        Error::NanKey { at } => Error::NanKey { at: at + base },
        Error::Key { at, kind } => Error::Key { at: at + base, kind },
    }
}

/// What a value is that is no map, by its first byte.
fn kind(marker: u8) -> Option<&'static str> {
    Some(match marker {
        0x80..=0x8f | 0xde | 0xdf => return None,
        0x90..=0x9f | 0xdc | 0xdd => "an array",
        0xc0 => "nil",
        0xc1 => "no MessagePack",
        0xc2 | 0xc3 => "a boolean",
        0xa0..=0xbf | 0xc4..=0xc6 | 0xd9..=0xdb => "a string",
        0xc7..=0xc9 | 0xd4..=0xd8 => "an extension value",
        _ => "a number",
    })
}
