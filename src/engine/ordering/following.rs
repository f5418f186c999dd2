//! A run without an end, over a log that others append to meanwhile.
//!
//! It takes from the log alone, at its own pace, so a slow spell holds up nobody and takes no memory. It ends between
//! two rounds with everything recorded: batches stay open, and the next run goes on as if there had been no end.

use std::sync::Arc;
use std::time::Duration;

use super::super::delivery::TICK_TOPIC;
use super::super::live::Control;
use super::super::live::notice::Notice;
use super::super::{Clock, Failure, INTAKE_BYTES, Sink, clock, release};
use super::Engine;
use crate::event::Events;
use crate::log::{self, Direction, Query, Subscription};

/// How often an idle run looks whether it is to end, and what time makes due.
const LOOK_MS: u64 = 100;
/// Between two energies of the clock, at least.
const TICK_MS: u64 = 1_000;
/// Energies of a stored batch below which a round takes several.
const MERGED_EVENTS: usize = 64;
/// Rounds after which what was produced is made durable, where nobody else does it.
const ROUNDS_SYNCED: u32 = 64;

/// When the log is told the time.
#[derive(Default)]
struct Timer {
    next_ms: u64,
    /// The position after the energy told last.
    told: u64,
}

impl Engine {
    /// Runs until it is interrupted; see the module. With [`Options::resume`](super::Options::resume).
    ///
    /// # Errors
    /// As [`run`](Engine::run): of a fault [`at_hand`](Engine::at_hand) tells the spell; and [`Failure::Outrun`].
    pub fn follow(&mut self, control: &Control, clock: Clock, sink: &mut dyn Sink) -> Result<(), Failure> {
        self.progress.spell = None;
        self.begin(sink)?;
        let (mut timer, mut rounds) = (Timer::default(), 0);
        let passing = self.listen();
        while !control.is_interrupted() {
            self.progress.spell = None;
            self.cast_passing(passing.as_ref(), sink)?;
            if self.cursor < self.log.head() {
                self.round_live(sink)?;
                rounds += 1;
                if rounds % ROUNDS_SYNCED == 0 {
                    self.make_visible()?;
                }
            } else {
                self.unsettled_casts = 0;
                self.make_visible()?;
                self.rest(passing.as_ref());
            }
            self.tell_time(&mut timer, clock, sink)?;
        }
        self.make_visible()?;
        self.progress.spell = None;
        match self.close(sink) {
            // It ends anyway.
            Err(Failure::Diagnostic(diagnostic)) => Ok(sink.warn(&diagnostic)?),
            closed => closed,
        }
    }

    /// The spell whose cast ended the run, by index.
    #[must_use]
    pub fn at_hand(&self) -> Option<usize> {
        self.progress.spell.map(|spell| spell as usize)
    }

    /// A round, over several stored batches where they are small: each client's append is one.
    fn round_live(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        let Some((mut events, mut first)) = self.log.read(self.cursor)? else { return self.round(sink) };
        if events.len() - first < MERGED_EVENTS {
            let merged = self.merge()?;
            if merged.len() > events.len() - first {
                (events, first) = (Arc::new(merged), 0);
            }
        }
        // What others append settles nothing, but is no loop: casts are counted anew.
        if (first..events.len()).any(|index| events.get(index).head().hops == 0) {
            self.unsettled_casts = 0;
        }
        self.round_over(&events, first, sink)
    }

    /// A copy of what is to be seen from the cursor on, as far as one round takes it.
    fn merge(&self) -> Result<Events, Failure> {
        let (mut merged, mut at) = (Events::default(), self.cursor);
        let is_full = |merged: &Events| {
            merged.len() + MERGED_EVENTS > self.options.round_events || merged.byte_len() >= INTAKE_BYTES
        };
        while at < self.log.visible() && !is_full(&merged) {
            at = self.log.scan(at, Direction::Forward, &Query::default(), MERGED_EVENTS, &mut merged)?;
        }
        Ok(merged)
    }

    /// Outputs of a log that shows only what is durable.
    fn make_visible(&self) -> Result<(), Failure> {
        if self.log.visible() < self.log.head() {
            self.log.sync()?;
        }
        Ok(())
    }

    /// Waits for energies, a little.
    fn rest(&self, passing: Option<&Subscription>) {
        let (asked, timeout) = (clock::steady_ms(), Duration::from_millis(LOOK_MS));
        let has_any = || passing.is_some_and(Subscription::has_any);
        let seen = self.log.wait_unless(self.cursor, timeout, &has_any);
        if seen <= self.cursor && !has_any() && clock::steady_ms().saturating_sub(asked) < LOOK_MS / 2 {
            // A log that has failed does not make anybody wait.
            std::thread::sleep(Duration::from_millis(LOOK_MS));
        }
    }

    /// Appends the time where something is due, and casts what was released meanwhile.
    fn tell_time(&mut self, timer: &mut Timer, clock: Clock, sink: &mut dyn Sink) -> Result<(), Failure> {
        let steady_ms = clock::steady_ms();
        if steady_ms < timer.next_ms || self.cursor < timer.told {
            return Ok(());
        }
        timer.next_ms = steady_ms + LOOK_MS;
        let now_ms = clock.now_ms();
        if self.deliveries.due_ms().is_some_and(|due| due <= now_ms) {
            let events = Notice::new(TICK_TOPIC).into_events(now_ms);
            let appended = self.log.append_unsynced(log::Commit::of(events))?;
            timer.told = appended.receipts().last().map_or(timer.told, |(_, receipt)| receipt.position + 1);
            timer.next_ms = steady_ms + TICK_MS;
        }
        if self.options.resume && !release::wanted(&*self.log, &self.spells)?.is_empty() {
            self.cast_released(sink)?;
        }
        Ok(())
    }
}
