//! Energies that are never stored, cast by the spells of a live run as they pass.
//!
//! They are not in the log, so nothing of them is done again: an energy that passes while nobody runs, or that a full
//! buffer drops, is missed, and none is cast twice. What a cast of one produces, and what it writes to state, is one
//! commit as always, beside which spells stand where they stood. That it happened then is not in the log, so no replay
//! can find it again.
//!
//! They move no clock, make no timer due and join no batch; a fault is reported, and recorded nowhere.

use std::sync::Arc;

use super::super::delivery::Plan;
use super::super::{Failure, Sink};
use super::Engine;
use crate::event::Events;
use crate::log::{Capacity, Query, Received, Subscription};
use crate::runeset::Diagnostic;

/// How many wait at most; beyond that the oldest are dropped.
const CAPACITY: Capacity = Capacity { events: 1_024, bytes: 1 << 20 };
/// How many are cast before the log has its turn.
const TURN: usize = 64;

impl Engine {
    /// Listens to those that any spell draws on, from now on.
    pub(super) fn listen(&self) -> Option<Subscription> {
        let mut drawing = self.spells.iter().filter(|spell| spell.batch.is_none()).peekable();
        drawing.peek()?;
        let mut query = Query::default();
        for spell in drawing {
            if spell.topics.is_empty() {
                query.topics.clear();
                break;
            }
            query.topics.extend(spell.topics.iter().cloned());
        }
        self.log.subscribe(query, CAPACITY)
    }

    /// Casts what has come.
    pub(super) fn cast_passing(
        &mut self,
        passing: Option<&Subscription>,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        for received in
            passing.into_iter().flat_map(|passing| std::iter::from_fn(|| passing.try_next()).take(TURN))
        {
            let live = match received {
                Received::Live(live) => live,
                Received::Dropped(count) => {
                    let text = format!("spells have missed {count} energies that are never stored");
                    sink.warn(&Diagnostic::warning(text).help("they came faster than they were cast"))?;
                    continue;
                }
            };
            let mut events = Events::default();
            events.push_copy(live.event());
            events.heads_mut().iter_mut().for_each(|head| head.settled = self.cursor);
            let mut plan = Plan::default();
            plan.reset(self.lanes.len(), self.spells.len());
            if live.event().head().hops == 0 {
                self.unsettled_casts = 0;
            }
            self.remember();
            let events = Arc::new(events);
            self.deliveries.deliver_passing(&events, 0, &mut plan);
            if plan.deliveries.is_empty() {
                continue;
            }
            self.is_passing = true;
            let result = self.execute(&events, 0..1, &mut plan, sink);
            self.is_passing = false;
            result?;
        }
        Ok(())
    }
}
