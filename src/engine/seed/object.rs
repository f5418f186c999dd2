//! One JSON object, and nothing else: an energy that was given as an argument. It may take several lines.

use std::ops::Range;

use super::Diagnostic;
use super::admission::{Admission, Record};
use super::feed::Feed;
use super::place::{Cursor, point, refused};
use super::source::unreadable;
use crate::event::Events;

/// See the module.
pub(super) struct Object;

impl Object {
    /// Reads it whole; there is never more.
    pub fn read(
        &mut self,
        shown: &str,
        feed: &mut Feed,
        admission: &mut Admission,
        batch: &mut Events,
    ) -> Result<bool, Box<Diagnostic>> {
        while !feed.is_overlong() && feed.more().map_err(|error| unreadable(shown, &error))? {}
        let cursor = Cursor::default();
        if feed.is_overlong() {
            let message = format!("the energy is longer than {} bytes", feed.record_bytes_max());
            return Err(Box::new(point(message, shown, feed, cursor, 0, 1)));
        }
        let range = inner(feed.rest());
        admission.at = Record { number: 1, column: range.start + 1 };
        if range.is_empty() {
            let message = "there is no energy; it is a JSON object";
            return Err(Box::new(Diagnostic::error(message).in_file(shown)));
        }
        let text = &feed.rest()[range.clone()];
        if let Err(refusal) = admission.json(text, feed.reads(), batch) {
            return Err(Box::new(refused(&refusal, shown, feed, cursor, range)));
        }
        feed.consume(feed.rest().len());
        Ok(false)
    }
}

/// The text without blanks around it.
fn inner(text: &[u8]) -> Range<usize> {
    let start = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let end = text.iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(start, |last| last + 1);
    start..end
}
