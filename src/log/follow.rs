//! Readers that keep up with a log: first what is there, then a mark, then what comes.
//!
//! A [`Follower`] reads the log and nothing else, in one loop, so history and live join without a gap or a
//! duplicate whatever is appended meanwhile, and a slow reader loses nothing: it is just further behind. The mark
//! is the [`Threshold`](Heard::Threshold): up to where readers saw at the moment at which following began. Energies below it are
//! history, and all of them come before it; those at it or above are live, and all come after it. It is heard once.
//!
//! Memory is that of one page. What a reader makes of its place is its own affair: [`Follower::position`] is what
//! a [cursor](super::cursor) keeps.

use std::ops::Deref;
use std::time::Duration;

use super::pages::Pages;
use super::{Error, Log, Query};
use crate::event::Events;

/// What a follower hears next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Energies, which are in the batch.
    Events,
    /// History ends here: what follows is at this position or above.
    Threshold(u64),
    /// The time between two pulses has passed.
    Pulse,
    /// Nothing that matches, for now.
    Nothing,
    /// The limit is reached: nothing more will be heard.
    End,
}

/// Reads a log from a position on, and goes on as it grows.
#[derive(Debug)]
pub struct Follower<L> {
    log: L,
    query: Query,
    pages: Pages,
    threshold: u64,
    is_live: bool,
    pulse: Option<Pulse>,
}

/// A sign of life at a fixed interval, once live.
#[derive(Clone, Copy, Debug)]
struct Pulse {
    every_ms: u64,
    steady_ms: fn() -> u64,
    next_ms: u64,
}

impl Pulse {
    fn restart(&mut self) {
        self.next_ms = (self.steady_ms)().saturating_add(self.every_ms);
    }

    fn left_ms(&self) -> u64 {
        self.next_ms.saturating_sub((self.steady_ms)())
    }
}

impl<L: Deref<Target: Log>> Follower<L> {
    /// Follows energies that match, from the position `from` on. What the log holds now is history.
    #[must_use]
    pub fn new(log: L, query: Query, from: u64) -> Self {
        let threshold = log.visible();
        let pages = Pages::forward(from, threshold);
        Self { log, query, pages, threshold, is_live: false, pulse: None }
    }

    /// At most so many energies in all.
    #[must_use]
    pub fn limit(mut self, events: u64) -> Self {
        self.pages = self.pages.limit(events);
        self
    }

    /// Pages of about so many bytes.
    #[must_use]
    pub fn page_bytes(mut self, bytes: usize) -> Self {
        self.pages = self.pages.page_bytes(bytes);
        self
    }

    /// Says [`Heard::Pulse`] at least `every_ms` milliseconds (1 or more) after the threshold, and then after
    /// the last one, whether energies come or not. `steady_ms` is a clock that never goes back.
    #[must_use]
    pub fn pulse(mut self, every_ms: u64, steady_ms: fn() -> u64) -> Self {
        self.pulse = Some(Pulse { every_ms: every_ms.max(1), steady_ms, next_ms: u64::MAX });
        self
    }

    /// Where another reader would go on: everything below was heard, or does not match.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.pages.position()
    }

    /// Counts energies that came another way among those that are heard; returns whether more may come.
    pub fn spend(&mut self, events: u64) -> bool {
        self.pages.spend(events);
        self.pages.left() > 0
    }

    /// Whether the threshold is passed.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// What is heard next; replaces the batch. Waits for at most `timeout` when live; may return earlier with
    /// [`Heard::Nothing`].
    pub fn next(&mut self, batch: &mut Events, timeout: Duration) -> Result<Heard, Error> {
        batch.clear();
        if self.pages.left() == 0 {
            return Ok(Heard::End);
        }
        if !self.is_live {
            if self.pages.next(&*self.log, &self.query, batch)? {
                return Ok(Heard::Events);
            }
            self.is_live = true;
            if let Some(pulse) = &mut self.pulse {
                pulse.restart();
            }
            return Ok(Heard::Threshold(self.threshold));
        }
        let mut timeout = timeout;
        if let Some(pulse) = &mut self.pulse {
            if pulse.left_ms() == 0 {
                pulse.restart();
                return Ok(Heard::Pulse);
            }
            timeout = timeout.min(Duration::from_millis(pulse.left_ms()));
        }
        self.pages.extend(self.log.wait(self.pages.position(), timeout));
        if self.pages.next(&*self.log, &self.query, batch)? {
            return Ok(Heard::Events);
        }
        Ok(Heard::Nothing)
    }
}
