//! `.ndjson`, `.jsonl` and standard input: an object a line.
//!
//! Lines end in LF or CRLF, the last one may end in neither. Blank lines are skipped, as is a byte order
//! mark. What an id is derived from is the line without blanks around it, so that it does not depend on
//! how lines end.

use memchr::memchr;

use super::admission::{Admission, Record, Refusal};
use super::feed::Feed;
use super::place::{Cursor, point, refused};
use super::source::unreadable;
use super::{Diagnostic, Purpose};
use crate::event::Events;

/// UTF-8's byte order mark.
pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";

/// See the module.
#[derive(Default)]
pub(super) struct Lines {
    /// Lines that are done.
    done: usize,
    /// Bytes of the rest that are known to have no newline.
    scanned: usize,
}

impl Lines {
    /// Reads until the batch is full (true) or the source is at its end (false).
    pub fn read(
        &mut self,
        shown: &str,
        feed: &mut Feed,
        admission: &mut Admission,
        batch: &mut Events,
    ) -> Result<bool, Box<Diagnostic>> {
        while !admission.is_full(batch) {
            let rest = feed.rest();
            let len = match memchr(b'\n', &rest[self.scanned..]) {
                Some(at) => self.scanned + at,
                None if feed.is_overlong() => return Err(self.overlong(shown, feed)),
                None => {
                    self.scanned = rest.len();
                    if admission.is_enough(batch) {
                        return Ok(true);
                    }
                    match feed.more() {
                        Err(error) => return Err(Box::new(unreadable(shown, &error))),
                        Ok(true) => continue,
                        // The last line, without a newline; nothing after it.
                        Ok(false) if feed.rest().is_empty() => return Ok(false),
                        Ok(false) => feed.rest().len(),
                    }
                }
            };
            self.scanned = 0;
            if self.done == 0 && feed.offset() == 0 && feed.rest().starts_with(MARK) {
                feed.consume(MARK.len());
                continue;
            }
            let line = &feed.rest()[..len];
            let mut start = 0;
            // Most lines begin with what they hold.
            if line.first() != Some(&b'{') {
                start = line.iter().take_while(|byte| is_blank(**byte)).count();
            }
            admission.at = Record { number: self.done + 1, column: start + 1 };
            let end = line.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |last| last + 1);
            if start < end
                && let Err(refusal) = admission.json(&line[start..end], feed.reads(), batch)
            {
                let purpose = admission.purpose();
                return Err(self.refused(&refusal, shown, feed, start..end, purpose));
            }
            self.done += 1;
            let newline = usize::from(len < feed.rest().len());
            feed.consume(len + newline);
        }
        Ok(true)
    }

    fn cursor(&self) -> Cursor {
        Cursor { line: self.done + 1, column: 0 }
    }

    #[cold]
    fn refused(
        &self,
        refusal: &Refusal,
        shown: &str,
        feed: &Feed,
        range: std::ops::Range<usize>,
        purpose: Purpose,
    ) -> Box<Diagnostic> {
        let first = feed.rest()[range.start];
        let diagnostic = refused(refusal, shown, feed, self.cursor(), range);
        if purpose == Purpose::Append
            && matches!(refusal, Refusal::Json(_))
            && (first == b'[' || refusal.is_cut())
        {
            return Box::new(
                diagnostic.help("here every line is one whole object; `jq -c` makes such lines"),
            );
        }
        Box::new(match refusal {
            Refusal::Json(_) if refusal.is_cut() => diagnostic
                .help("here every line is one whole object; what goes over several lines is a .json file"),
            Refusal::Json(_) if first == b'[' => {
                diagnostic.help("here every line is one object; an array of objects is a .json file")
            }
            _ => diagnostic,
        })
    }

    #[cold]
    fn overlong(&self, shown: &str, feed: &Feed) -> Box<Diagnostic> {
        let message = format!("the line is longer than {} bytes", feed.record_bytes_max());
        let diagnostic = point(message, shown, feed, self.cursor(), 0, 1);
        Box::new(diagnostic.help("a line may be 8 times as long as `limits.event_bytes`, and 64 KiB more"))
    }
}

#[inline]
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
