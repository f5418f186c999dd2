//! Reads what matches between two positions, page by page, in memory that does not grow with the log.
//!
//! A page is what is worth a copy at once: it begins small, so that a first match is there soon, and grows to
//! about a MiB of energies.

use super::{Direction, Error, Log, Query};
use crate::event::Events;

/// Bytes of energies after which pages grow no more.
const PAGE_BYTES: usize = 1 << 20;
/// Energies of the first page, and of the largest.
const PAGE_EVENTS: (usize, usize) = (64, 4_096);

/// Where a reader is, and how far it goes.
#[derive(Clone, Debug)]
pub struct Pages {
    direction: Direction,
    at: u64,
    end: u64,
    left: u64,
    page_events: usize,
    page_bytes: usize,
}

impl Pages {
    /// Those at `from` and above it, but below `to`.
    #[must_use]
    pub fn forward(from: u64, to: u64) -> Self {
        let (direction, page_events) = (Direction::Forward, PAGE_EVENTS.0);
        Self { direction, at: from, end: to.max(from), left: u64::MAX, page_events, page_bytes: PAGE_BYTES }
    }

    /// Those below `from`, newest first, down to `to` and with it.
    #[must_use]
    pub fn backward(from: u64, to: u64) -> Self {
        Self { direction: Direction::Backward, end: to.min(from), ..Self::forward(from, from) }
    }

    /// At most so many in all.
    #[must_use]
    pub fn limit(mut self, events: u64) -> Self {
        self.left = events;
        self
    }

    /// Pages of about so many bytes of energies, if there are as many in them.
    #[must_use]
    pub fn page_bytes(mut self, bytes: usize) -> Self {
        self.page_bytes = bytes.max(1);
        self
    }

    /// Where to go on: what lies before it, seen in the direction of reading, was given or did not match.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.at
    }

    /// How many may still be given.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Counts energies that came another way among those that are given.
    pub fn spend(&mut self, events: u64) {
        self.left = self.left.saturating_sub(events);
    }

    /// Goes on to `to`, forward.
    pub fn extend(&mut self, to: u64) {
        self.end = self.end.max(to);
    }

    /// Replaces the batch by the next matches; false, with an empty batch, when there are no more.
    pub fn next<L: Log + ?Sized>(
        &mut self,
        log: &L,
        query: &Query,
        batch: &mut Events,
    ) -> Result<bool, Error> {
        batch.clear();
        while self.left > 0 && self.at != self.end {
            let limit = self.page_events.min(usize::try_from(self.left).unwrap_or(usize::MAX));
            let next = log.scan(self.at, self.direction, query, limit, batch)?;
            let (beyond, at) = match self.direction {
                Direction::Forward => {
                    (self.first(batch, |position| position >= self.end), next.min(self.end))
                }
                Direction::Backward => {
                    (self.first(batch, |position| position < self.end), next.max(self.end))
                }
            };
            // A log that gives nothing more and does not say so must not hold a reader up for ever.
            self.at = if at == self.at && batch.is_empty() { self.end } else { at };
            batch.truncate(beyond, batch.byte_len());
            if !batch.is_empty() {
                self.left -= batch.len() as u64;
                self.size(batch.byte_len());
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The index of the first energy whose position is beyond the end.
    fn first(&self, batch: &Events, beyond: impl Fn(u64) -> bool) -> usize {
        let position = batch.iter().position(|event| beyond(event.head().position));
        position.unwrap_or(batch.len())
    }

    fn size(&mut self, bytes: usize) {
        let (min, max) = PAGE_EVENTS;
        if bytes < self.page_bytes {
            self.page_events = (2 * self.page_events).min(max);
        } else if bytes > 4 * self.page_bytes {
            self.page_events = (self.page_events / 2).max(min / 16);
        }
    }
}
