//! VMs that are made anew after a round, as if the run had been ended and begun again: `prepare` runs once more, and
//! the state is what the log holds.

use super::super::recall::memories_of;
use super::super::worker::Shut;
use super::super::{Failure, Unopened};
use super::Engine;
use crate::log::{self, Changes};
use crate::runeset::Diagnostic;
use crate::spell::Memory;

impl Engine {
    /// Forgets the VMs of those lanes whose spells do, and makes others. What `prepare` prints was printed before.
    pub(super) fn forget(&mut self, lanes: &[usize]) -> Result<(), Failure> {
        let mut shut = Vec::new();
        for &lane in lanes {
            let index = self.lanes[lane] as usize;
            if self.options.forgets.includes(index) {
                let memory = self.memory_of(lane, index)?;
                shut.push(Shut { index: lane, spell: self.spells[index].clone(), memory });
            }
        }
        let opened = self.crew.renew(shut);
        if !opened.failed.is_empty() {
            let problem = Unopened::new(&self.spells, &self.lanes, opened).problems.into_iter().next();
            return Err(problem
                .unwrap_or_else(|| Diagnostic::error("a spell cannot be opened again"))
                .into());
        }
        let mut changes = Changes::default();
        for (lane, round) in &opened.rounds {
            self.record_prepared(*lane, round, &mut changes);
        }
        if !changes.is_empty() {
            self.log.append_unsynced(log::Commit { changes, ..log::Commit::default() })?;
        }
        Ok(())
    }

    /// What the log remembers of a lane of a spell.
    fn memory_of(&self, lane: usize, spell: usize) -> Result<Memory, Failure> {
        let lane_of = |key: &[u8]| self.deliveries.lane_of(spell, key);
        let epoch = self.deliveries.epoch_of(spell);
        let memories = memories_of(&self.log, &self.spells[spell], &lane_of, epoch, false)?;
        let first = self.lanes.iter().position(|of| *of as usize == spell).unwrap_or(lane);
        let memory = memories.into_iter().nth(lane - first).unwrap_or_default();
        Ok(Memory { contents: self.contents.clone(), ..memory })
    }
}
