//! A spell whose code changes within history: each part of it is cast by the code that was bound then.

use std::sync::Arc;

use super::{Failure, Replay};
use crate::engine::clock;
use crate::engine::delivery::Deliveries;
use crate::engine::unopened::Unopened;
use crate::engine::worker::Opened;
use crate::spell::{Clocks, Memory, Spell};
use crate::state::Address;

impl Replay<'_> {
    /// Has other code of the spell be given what comes from a position on. To be called in the order of positions.
    pub fn then(&mut self, from: u64, spell: Arc<Spell>) {
        self.successors.push_back((from, spell));
    }

    /// Turns to other code where the replay has come to it; whether it did.
    pub(super) fn succeed(&mut self) -> Result<bool, Failure> {
        if self.successors.front().is_none_or(|(from, _)| *from > self.at) {
            return Ok(false);
        }
        let Some((_, spell)) = self.successors.pop_front() else { return Ok(false) };
        let spells = [spell.clone()];
        let standing = self.deliveries.standing(0, self.at);
        let mut deliveries = Deliveries::new(&spells);
        deliveries.resume(0, &standing, self.log)?;
        let clocks = Clocks { steady_ms: clock::steady_ms, timer_ns: None, exact: false };
        let (mut lanes, mut opened) = (Vec::new(), Opened::default());
        for (index, memory) in self.memories(&spell, &deliveries).into_iter().enumerate() {
            match spell.open_with(clocks, &memory) {
                Ok(mut lane) => {
                    opened.rounds.push((index, lane.take_round()));
                    lanes.push(lane);
                }
                Err(error) => opened.failed.push((index, error)),
            }
        }
        if !opened.failed.is_empty() {
            let unopened = Unopened::new(&spells, &vec![0; spell.lanes], opened);
            let problem = unopened.problems.into_iter().next();
            return problem.map_or(Ok(true), |problem| Err(problem.into()));
        }
        for (index, round) in &opened.rounds {
            // What belongs to no lane key all lanes do alike.
            self.fold_if(round, |scope| *index == 0 || !scope.is_empty());
        }
        (self.spell, self.lanes, self.deliveries) = (spell, lanes, deliveries);
        Ok(true)
    }

    /// What each lane of a spell remembers.
    fn memories(&self, spell: &Spell, deliveries: &Deliveries) -> Vec<Memory> {
        let memory = Memory {
            is_recorded: true,
            epoch: self.extent.epoch,
            version: Some(self.spell.version),
            contents: self.contents.clone(),
            ..Memory::default()
        };
        let mut memories = vec![memory; spell.lanes];
        for (address, value) in &self.state {
            let entry = (address.clone(), value.clone());
            match Address::read(address).map(|address| address.scope) {
                Some([]) | None => memories.iter_mut().for_each(|memory| memory.entries.push(entry.clone())),
                Some(scope) => memories[deliveries.lane_of(0, scope)].entries.push(entry),
            }
        }
        memories
    }
}
