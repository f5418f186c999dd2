//! How far a round has been settled, and what of it is recorded where a cast ends the run.

use std::sync::Arc;

use super::super::delivery::{Deliveries, Plan};
use super::super::{Failure, recall, resume};
use super::{Engine, LaneResult, Outgoing};
use crate::event::Events;
use crate::log::Changes;

/// How far the casts of a round have come, where one may fail: nothing of a spell's tasks for one energy is kept
/// unless all are.
#[derive(Default)]
pub(super) struct Progress {
    /// The energy at hand, by index in the round.
    pub index: usize,
    /// Spells that are done with it.
    pub settled: Vec<u32>,
    /// The spell at hand.
    pub spell: Option<u32>,
    /// What the commit held before the spell at hand.
    pub outputs: (usize, usize),
    /// Its lanes that have done something, and the changes that stood before.
    pub touched: Vec<(u32, usize)>,
    /// The batch at hand, at the end of a run, and those that are done.
    pub members: Vec<u64>,
    pub flushed: Vec<(u32, u64)>,
}

impl Progress {
    /// The tasks for another energy begin. What was done for the one before stands, whatever fails now.
    pub(super) fn begin(&mut self, index: usize, commit: &Outgoing) {
        self.index = index;
        self.settled.clear();
        self.spell = None;
        self.outputs = (commit.out.len(), commit.out.byte_len());
        self.touched.clear();
    }

    /// The tasks of another spell begin.
    pub(super) fn turn_to(&mut self, spell: u32, commit: &Outgoing) {
        if self.spell != Some(spell) {
            self.settled.extend(self.spell.replace(spell));
            self.outputs = (commit.out.len(), commit.out.byte_len());
            self.touched.clear();
        }
    }
}

impl Engine {
    /// Remembers where spells stand before a round, in case it fails.
    pub(super) fn remember(&mut self) {
        if self.options.resume {
            let standing = |index| self.deliveries.standing(index, self.cursor);
            self.before = (0..self.spells.len()).map(standing).collect();
        }
    }

    /// A cast ended the run: nothing that its spell did for the same energy is kept.
    pub(super) fn step_back(&mut self, results: &mut [Option<LaneResult>], commit: &mut Outgoing) {
        let Progress { outputs: (len, bytes), touched, .. } = &mut self.progress;
        if commit.out.len() >= *len {
            commit.out.truncate(*len, *bytes);
        }
        for (lane, changes) in touched.drain(..).rev() {
            if let Some(result) = &mut results[lane as usize] {
                result.changes = changes;
            }
        }
    }

    /// Commits what was done for the energies before the one at hand, with where spells stand between the two: outputs that
    /// are too many for one commit must not be in the log without what goes with them.
    pub(super) fn commit_part(
        &mut self,
        events: &Arc<Events>,
        range: std::ops::Range<usize>,
        results: &[Option<LaneResult>],
        commit: &mut Outgoing,
    ) -> Result<(), Failure> {
        let mut changes = Changes::default();
        // All from the start of the round once more: the last change of a key counts.
        for result in results.iter().flatten() {
            changes.extend_from(&result.round.changes, result.changes);
        }
        self.record_sizes(results, false, &mut changes);
        self.record(events, range, false, &mut changes)?;
        self.append(commit, changes)?;
        self.progress.outputs = (0, 0);
        Ok(())
    }

    /// Adds to a commit how much state spells have whose state it changes; of a round that is not whole it is not known.
    pub(super) fn record_sizes(&self, results: &[Option<LaneResult>], is_whole: bool, changes: &mut Changes) {
        let mut done = None;
        for (lane, result) in results.iter().enumerate() {
            let of = self.lanes[lane];
            if done == Some(of) || result.as_ref().is_none_or(|result| result.changes == 0) {
                continue;
            }
            done = Some(of);
            let name = &self.spells[of as usize].name;
            if is_whole {
                let lanes = self.lanes.iter().zip(&self.usages).filter(|(spell, _)| **spell == of);
                recall::record_sizes(name, lanes.map(|(_, usage)| usage.state_bytes), changes);
            } else {
                recall::forget_sizes(name, changes);
            }
        }
    }

    /// Adds to a commit where spells stand: after the round, or where it failed.
    pub(super) fn record(
        &mut self,
        events: &Arc<Events>,
        range: std::ops::Range<usize>,
        is_whole: bool,
        changes: &mut Changes,
    ) -> Result<(), Failure> {
        self.shadows.record(changes);
        if is_whole {
            let next = match range.is_empty() || self.is_aside() {
                true => self.cursor,
                false => events.get(range.end - 1).head().position + 1,
            };
            resume::record(&self.spells, &self.deliveries, &|_| next, changes);
            if range.is_empty() {
                resume::record_flush(&self.spells, &self.before, next, changes);
            }
            return Ok(());
        }
        // The energies up to the one at hand are delivered once more, to find out what waits.
        let mut deliveries = Deliveries::new(&self.spells);
        for (index, standing) in self.before.iter_mut().enumerate() {
            let flushed = &self.progress.flushed;
            standing.waiting.retain(|position| !flushed.contains(&(index as u32, *position)));
            deliveries.resume(index, standing, &*self.log)?;
        }
        if self.is_aside() {
            resume::record(&self.spells, &deliveries, &|_| self.cursor, changes);
            return Ok(());
        }
        let Progress { index: failed, settled, .. } = &self.progress;
        let mut plan = Plan::default();
        plan.reset(self.lanes.len(), self.spells.len());
        for index in range.clone().filter(|index| index <= failed) {
            deliveries.deliver_to(events, index as u32, &mut plan, |spell| {
                index < *failed || settled.contains(&spell)
            });
        }
        let next = |spell: usize| match range.contains(failed) {
            true => events.get(*failed).head().position + u64::from(settled.contains(&(spell as u32))),
            false => self.cursor,
        };
        resume::record(&self.spells, &deliveries, &next, changes);
        Ok(())
    }
}
