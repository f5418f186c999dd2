//! Settling a round: what its casts did, applied one task after the other, in the order of the log.
//!
//! Outputs are collected into one commit, or into several where it is full; effects go to the sink as they
//! come. A cast's outputs are appended all or none.

use std::sync::Arc;

use super::super::cycle::{too_many_casts, too_many_hops};
use super::super::delivery::{Delivery, Kind, Member};
use super::super::quarantine::quarantine;
use super::super::summary::SpellSummary;
use super::super::{Failure, Sink};
use super::shadow::Did;
use super::{Engine, advice};
use crate::event::{EventRef, Events};
use crate::log::{self, Changes};
use crate::runeset::diagnostic::Severity;
use crate::runeset::{Diagnostic, Fault as FaultPolicy};
use crate::spell::{Cast, Fault, FaultKind, Outcome, Round, Spell, report};

/// Where the commit stands in what one lane did.
pub(super) struct LaneResult {
    pub round: Round,
    next: usize,
    outputs: usize,
    prints: usize,
    notes: usize,
    /// Changes of state that stand.
    pub changes: usize,
}

impl LaneResult {
    pub fn new(round: Round) -> Self {
        Self { round, next: 0, outputs: 0, prints: 0, notes: 0, changes: 0 }
    }
}

/// What a round adds to the log.
pub(super) struct Outgoing {
    pub out: Events,
    /// The members of each batch, in the order of commit.
    pub batches: std::vec::IntoIter<Vec<Member>>,
}

impl Engine {
    /// Goes through the energies of the round, and for each through its tasks.
    pub(super) fn commit(
        &mut self,
        events: &Arc<Events>,
        range: std::ops::Range<usize>,
        deliveries: &[Delivery],
        results: &mut [Option<LaneResult>],
        commit: &mut Outgoing,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        let spells = self.spells.clone();
        let mut next = 0;
        for index in range.clone() {
            self.progress.begin(index, commit);
            self.shadows.begin();
            if self.options.resume && commit.out.byte_len() >= self.options.commit_bytes {
                self.commit_part(events, range.clone(), results, commit)?;
            }
            let event = events.get(index);
            let first = next;
            while deliveries.get(next).is_some_and(|delivery| delivery.event as usize == index) {
                next += 1;
            }
            let produced = self.is_product(event) && !self.is_aside();
            if next > first || produced {
                sink.dump(event)?;
            }
            let mut consumed = false;
            for delivery in &deliveries[first..next] {
                self.progress.turn_to(delivery.spell, commit);
                consumed |= self.settle(&spells, *delivery, Some(event), results, commit, sink)?;
            }
            if produced {
                sink.output(event, consumed)?;
            }
            if !self.is_aside() {
                let position = event.head().position;
                let before = &self.before;
                let begun = |spell: usize| before.get(spell).is_none_or(|standing| standing.next <= position);
                self.shadows.compare(event, results, begun);
                self.unseen = self.unseen.max(position + 1);
            }
        }
        for delivery in &deliveries[next..] {
            self.progress.spell = None;
            self.progress.turn_to(delivery.spell, commit);
            self.settle(&spells, *delivery, None, results, commit, sink)?;
            let done = self.progress.members.drain(..).map(|position| (delivery.spell, position));
            self.progress.flushed.extend(done);
        }
        Ok(())
    }

    /// Commits one task; true when the spell took the energy.
    fn settle(
        &mut self,
        spells: &[Arc<Spell>],
        delivery: Delivery,
        event: Option<EventRef<'_>>,
        results: &mut [Option<LaneResult>],
        commit: &mut Outgoing,
        sink: &mut dyn Sink,
    ) -> Result<bool, Failure> {
        if delivery.kind == Kind::Joined {
            return Ok(true);
        }
        let spell = &*spells[delivery.spell as usize];
        let summary = &mut self.summary.spells[delivery.spell as usize];
        let members = match delivery.kind {
            Kind::DueBatch(_) | Kind::FullBatch(_) => commit.batches.next().unwrap_or_default(),
            _ => Vec::new(),
        };
        if event.is_none() {
            self.progress.members =
                members.iter().map(|(events, at)| events.get(*at as usize).head().position).collect();
        }
        // In a batch the last member is the cause.
        let cause = members.last().map(|(events, index)| events.get(*index as usize)).or(event);
        let Some(result) = &mut results[delivery.lane as usize] else { return Ok(false) };
        self.progress.touched.push((delivery.lane, result.changes));
        let LaneResult { round, next, outputs, prints, notes, changes } = result;
        let Some(cast) = round.casts.get(*next) else { return Ok(false) };
        *next += 1;
        let first_output = std::mem::replace(outputs, cast.outputs_end as usize);
        let first_change = std::mem::replace(changes, cast.changes_end as usize);
        if self.shadows.includes(delivery.spell as usize) && !matches!(cast.outcome, Outcome::Filtered) {
            let fault = match &cast.outcome {
                Outcome::Fault(fault) => Some(fault.message.clone()),
                _ => None,
            };
            let (outputs, changes) = (first_output..*outputs, first_change..*changes);
            self.shadows.take(delivery.spell as usize, &Did { lane: delivery.lane, outputs, changes, fault });
        }
        let filtered = matches!(cast.outcome, Outcome::Filtered);
        if filtered {
            summary.filtered += 1;
        } else {
            count(summary, delivery.kind, cast);
            self.summary.casts += 1;
            self.unsettled_casts += 1;
            if self.unsettled_casts > self.options.max_casts {
                return Err(too_many_casts(&*self.log, spell, cause, self.options.max_casts).into());
            }
        }
        let (printed, noted) = (cast.prints_end as usize, cast.notes_end as usize);
        let is_shadow = spell.shadow.is_some();
        if printed > *prints && !is_shadow {
            sink.print(&round.prints[std::mem::replace(prints, printed)..printed])?;
        }
        if noted > *notes {
            sink.note(&round.notes[std::mem::replace(notes, noted)..noted])?;
        }
        if filtered {
            return Ok(false);
        }
        if let Outcome::Fault(fault) = &cast.outcome {
            self.summary.spells[delivery.spell as usize].faults += 1;
            let hook = match delivery.kind {
                Kind::Tick(_) => "tick",
                _ if fault.in_filter => "filter",
                _ => "cast",
            };
            let diagnostic = report::cast_fault(spell, hook, fault, cause);
            self.fault(delivery, fault, diagnostic, (cause, &members), commit, sink)?;
            return Ok(true);
        }
        let is_held = round.is_held && *next == round.casts.len();
        if is_shadow {
            if is_held {
                self.go_on(delivery.lane as usize, result, true)?;
            }
            return Ok(true);
        }
        let end = *outputs;
        for at in first_output..end {
            let output = round.outputs.get(at);
            if u64::from(output.head().hops) > spell.limits.hops {
                return Err(too_many_hops(&*self.log, spell, cause).into());
            }
        }
        if round.outputs.is_checked() && end > first_output {
            // Outputs with an id or a condition of their own: all of the cast's are appended, or none.
            let own = (first_output..end).map(|at| round.outputs.get(at));
            let pending = (0..commit.out.len()).map(|at| commit.out.get(at));
            if let Some(conflict) = self.log.check(&mut pending.chain(own))? {
                let fault = Fault::new(FaultKind::Output, &conflict.to_string(), Vec::new());
                self.summary.spells[delivery.spell as usize].faults += 1;
                let diagnostic = report::cast_fault(spell, "cast", &fault, cause).help(advice(&conflict));
                if is_held {
                    *changes = first_change;
                    self.shadows.refuse(delivery.spell as usize, &fault.message);
                    self.go_on(delivery.lane as usize, result, false)?;
                }
                self.fault(delivery, &fault, diagnostic, (cause, &members), commit, sink)?;
                return Ok(true);
            }
            commit.out.require_check();
        }
        for at in first_output..end {
            let output = round.outputs.get(at);
            summary_out(&mut self.summary.spells[delivery.spell as usize], output);
            if commit.out.is_full() {
                self.append(commit, Changes::default())?;
            }
            commit.out.push_copy(output);
        }
        if self.is_passing {
            // An energy that is not in the log may come again with its id, and so may what comes of it.
            commit.out.require_check();
            commit.out.heads_mut().iter_mut().for_each(|head| head.settled = self.cursor);
        }
        if is_held {
            self.go_on(delivery.lane as usize, result, true)?;
        }
        Ok(true)
    }

    /// Has a lane go on that waits to be told whether its last cast stands.
    fn go_on(&mut self, lane: usize, result: &mut LaneResult, stands: bool) -> Result<(), Failure> {
        result.round = self.crew.go_on(lane, std::mem::take(&mut result.round), stands);
        self.receive(lane, &mut result.round)?;
        self.contents.publish(&std::mem::take(&mut result.round.blobs))?;
        Ok(())
    }

    /// Does what the spell's policy says about a fault. `caused` by an energy, or by the members of a batch.
    fn fault(
        &mut self,
        delivery: Delivery,
        fault: &Fault,
        diagnostic: Diagnostic,
        (cause, members): (Option<EventRef<'_>>, &[Member]),
        commit: &mut Outgoing,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        let spell = &*self.spells[delivery.spell as usize];
        let key = match &self.released {
            Some(release) => release.key(),
            None => self.deliveries.key_of(delivery.spell as usize),
        };
        let attempt = (&key, delivery.kind.salt());
        let batch = || members.iter().map(|(events, index)| events.get(*index as usize));
        let diagnostic = report::of_batch(diagnostic, batch().map(|event| event.head().position));
        match spell.fault {
            FaultPolicy::Stop | FaultPolicy::Retry => return Err(diagnostic.into()),
            FaultPolicy::Skip => {}
            // Nobody could release it: it is nowhere.
            FaultPolicy::Quarantine if self.is_passing => {}
            FaultPolicy::Quarantine if members.is_empty() => {
                cause.into_iter().for_each(|event| quarantine(spell, fault, attempt, event, &mut commit.out));
            }
            FaultPolicy::Quarantine => {
                batch().for_each(|event| quarantine(spell, fault, attempt, event, &mut commit.out));
            }
        }
        // The run goes on: what the spell said it can do without is no error.
        sink.warn(&Diagnostic { severity: Severity::Warning, ..diagnostic })?;
        Ok(())
    }

    /// Appends the outputs collected so far.
    pub(super) fn append(&mut self, commit: &mut Outgoing, changes: Changes) -> Result<(), Failure> {
        let events = std::mem::take(&mut commit.out);
        if events.is_empty() && changes.is_empty() {
            return Ok(());
        }
        // Nobody else writes to the log of a batch run; where somebody does, what was checked may hold no longer.
        let atomic = events.is_checked();
        let commit = log::Commit { events, changes, atomic, ..log::Commit::default() };
        let appended = self.log.append_unsynced(commit)?;
        if atomic && !appended.conflicts.is_empty() {
            return Err(Failure::Outrun);
        }
        self.summary.produced += appended.count() as u64;
        Ok(())
    }
}

fn count(summary: &mut SpellSummary, kind: Kind, cast: &Cast) {
    summary.casts += 1;
    summary.energies_in += match kind {
        Kind::DueBatch(count) | Kind::FullBatch(count) => u64::from(count),
        Kind::Cast => 1,
        Kind::Tick(_) | Kind::Joined => 0,
    };
    summary.instructions += cast.instructions;
    if cast.nanos > 0 {
        summary.cast_ns_total += cast.nanos;
        // Beyond the histogram's range a value is counted at its end.
        summary.cast_ns.saturating_record(cast.nanos);
    }
}

fn summary_out(summary: &mut SpellSummary, output: EventRef<'_>) {
    summary.energies_out += 1;
    summary.bytes_out += output.data().len() as u64;
}
