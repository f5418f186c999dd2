//! Recorded history, cast once more by one spell, beside the log: nothing is written.
//!
//! A [`Replay`] hands the energies of a log to a spell in their order, with the envelopes they have there, by the
//! same deliveries that a run makes, so that lanes, batches and timers are what they were. What the spell produces is
//! handed to an [`Audience`], and is not fed back: what is recorded of it is in the log anyway.
//!
//! Where earlier runs ended, and cast their open batches, and where they cast energies out of quarantine is in the
//! log too; the replay does the same there.
//!
//! With [`Replay::then`] other code goes on from a position, as where a server loaded a changed spell.
//!
//! Bounds: what the spell keeps is held in memory. What it cannot know: when a later run called `prepare` again, and
//! what was written to the state from outside.

pub mod comparison;
mod pause;
mod succession;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::delivery::{Deliveries, Delivery, Kind, Member, Plan};
use super::resume::{standing_in, start_of};
use super::worker::Opened;
use super::{Failure, ROUND_EVENTS, Unopened, clock};
use crate::blob::Contents;
use crate::event::{EventRef, Events};
use crate::log::{Error, Log};
use crate::runeset::{Fault as FaultPolicy, Start};
use crate::spell::{Cast, Clocks, Lane, Memory, Outcome, Prompt, Round, Spell, Task};
use crate::state::Address;
use pause::{Pause, What};

pub use comparison::{Comparison, Counts, Difference};

/// Which part of a log is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first position.
    pub from: u64,
    /// The position before which it ends.
    pub until: u64,
    /// How often the spell was rewound.
    pub epoch: u64,
    /// Whether the log knows a spell of that name.
    pub is_known: bool,
    /// Whether it is all that the spell has ever had, so that its state at the end is that in the log.
    pub is_whole: bool,
}

impl Extent {
    /// From where the spell begins, or what comes `after` a position, to where the spell stands, or before `until`. A
    /// spell that the log does not know is given all of it.
    pub fn of(log: &dyn Log, spell: &Spell, after: Option<u64>, until: Option<u64>) -> Result<Self, Error> {
        let standing = standing_in(log, &spell.name)?;
        let from = match (after, spell.start) {
            (Some(after), _) => after.saturating_add(1),
            (None, None | Some(Start::New)) => 0,
            (None, Some(_)) => start_of(log, spell)?.next,
        };
        let end = standing.as_ref().map_or(log.visible(), |standing| standing.next.min(log.visible()));
        let epoch = standing.as_ref().map_or(0, |standing| standing.epoch);
        Ok(Self {
            from,
            until: until.unwrap_or(end),
            epoch,
            is_known: standing.is_some(),
            is_whole: standing.is_some() && after.is_none() && until.is_none() && epoch == 0,
        })
    }
}

/// One cast of a replay.
pub struct Replayed<'a> {
    /// The energy that caused it; of a batch the last one.
    pub cause: EventRef<'a>,
    /// What was called.
    pub kind: Kind,
    /// Whether an energy was cast again that had been in quarantine.
    pub is_release: bool,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// What it printed.
    pub prints: &'a [u8],
    /// Its log lines.
    pub notes: &'a [u8],
    outputs: (&'a Events, Range<usize>),
}

impl<'a> Replayed<'a> {
    /// What it produced.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = EventRef<'a>> + use<'a> {
        let (events, range) = (self.outputs.0, self.outputs.1.clone());
        range.map(|at| events.get(at))
    }

    /// The hook that ran.
    #[must_use]
    pub fn hook(&self) -> &'static str {
        match (self.kind, self.outcome) {
            (Kind::Tick(_), _) => "tick",
            (_, Outcome::Fault(fault)) if fault.in_filter => "filter",
            _ => "cast",
        }
    }
}

/// Who takes what a replay does.
pub trait Audience {
    /// A cast, in the order of the log.
    fn cast(&mut self, cast: &Replayed<'_>) -> Result<(), Failure>;

    /// An energy is past: the casts that it caused were given, but for those of batches that it waits in.
    fn passed(&mut self, _event: EventRef<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

/// Nobody.
impl Audience for () {
    fn cast(&mut self, _cast: &Replayed<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

/// A spell over recorded history.
pub struct Replay<'l> {
    log: &'l dyn Log,
    spell: Arc<Spell>,
    contents: Contents,
    lanes: Vec<Lane>,
    /// What `prepare` did in the first lane.
    prepared: Round,
    deliveries: Deliveries,
    extent: Extent,
    at: u64,
    pauses: VecDeque<Pause>,
    faulted: HashSet<u64>,
    is_halted: bool,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Other code of the spell, and the first position that it is given.
    successors: VecDeque<(u64, Arc<Spell>)>,
}

impl<'l> Replay<'l> {
    /// Opens the spell, with nothing in its state. `contents` are those of the log; what the spell puts is to stay in
    /// memory.
    pub fn open(
        log: &'l dyn Log,
        spell: Arc<Spell>,
        extent: Extent,
        contents: Contents,
    ) -> Result<Self, Unopened> {
        let clocks = Clocks { steady_ms: clock::steady_ms, timer_ns: None, exact: false };
        let memory = Memory {
            is_recorded: true,
            epoch: extent.epoch,
            contents: contents.clone(),
            ..Memory::default()
        };
        let (mut lanes, mut opened) = (Vec::new(), Opened::default());
        for index in 0..spell.lanes {
            match spell.open_with(clocks, &memory) {
                Ok(mut lane) => {
                    opened.rounds.push((index, lane.take_round()));
                    lanes.push(lane);
                }
                Err(error) => opened.failed.push((index, error)),
            }
        }
        let spells = [spell.clone()];
        if !opened.failed.is_empty() {
            return Err(Unopened::new(&spells, &vec![0; spell.lanes], opened));
        }
        let mut replay = Self {
            deliveries: Deliveries::new(&spells),
            pauses: pause::all(log, &spell, extent).map_err(Unopened::of_log)?,
            prepared: opened.rounds.into_iter().next().map(|(_, round)| round).unwrap_or_default(),
            log,
            spell,
            contents,
            lanes,
            at: extent.from,
            extent,
            faulted: HashSet::new(),
            is_halted: false,
            state: BTreeMap::new(),
            successors: VecDeque::new(),
        };
        let prepared = std::mem::take(&mut replay.prepared);
        replay.fold(&prepared);
        replay.prepared = prepared;
        Ok(replay)
    }

    /// What `prepare` did.
    #[must_use]
    pub fn prepared(&self) -> &Round {
        &self.prepared
    }

    /// The spell.
    #[must_use]
    pub fn spell(&self) -> &Arc<Spell> {
        &self.spell
    }

    /// What the spell keeps, by [`Address`].
    #[must_use]
    pub fn state(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.state
    }

    /// Whether a fault ended it before its time, as the spell's policy says.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.is_halted
    }

    /// The VMs, to profile them.
    pub fn lanes_mut(&mut self) -> &mut [Lane] {
        &mut self.lanes
    }

    /// Casts everything.
    pub fn run(&mut self, audience: &mut dyn Audience) -> Result<(), Failure> {
        self.run_to(self.extent.until, audience)?;
        if !self.extent.is_known && !self.is_halted {
            self.flush(audience)?;
        }
        Ok(())
    }

    /// Casts what comes before a position, then delivers the energy there up to its own cast, and stands there. `None`
    /// where the spell does not cast for it.
    pub fn stand(
        &mut self,
        position: u64,
        audience: &mut dyn Audience,
    ) -> Result<Option<Prompt<'_>>, Failure> {
        self.run_to(position, audience)?;
        if self.is_halted {
            return Ok(None);
        }
        let Some((events, index)) = self.log.read(position)? else { return Ok(None) };
        if events.get(index).head().position != position {
            return Ok(None);
        }
        let mut plan = self.plan();
        self.deliveries.deliver(&events, index as u32, &mut plan);
        // What the energy's time makes due comes before its own cast, which is the last.
        let last = plan.deliveries.pop_if(|last| matches!(last.kind, Kind::Cast | Kind::FullBatch(_)));
        let Some(last) = last else { return Ok(None) };
        let Some(task) = plan.tasks[last.lane as usize].pop() else { return Ok(None) };
        self.execute(&events, index..index + 1, plan, false, audience)?;
        Ok(if self.is_halted { None } else { self.lanes[last.lane as usize].stand(&events, task) })
    }

    fn run_to(&mut self, until: u64, audience: &mut dyn Audience) -> Result<(), Failure> {
        while !self.is_halted {
            if let Some(pause) = self.pauses.front().copied().filter(|pause| pause.at <= self.at) {
                self.pauses.pop_front();
                self.pause(pause.what, audience)?;
                continue;
            }
            if self.succeed()? {
                continue;
            }
            if self.at >= until {
                break;
            }
            let stops = self.pauses.front().map(|pause| pause.at).into_iter();
            let stops = stops.chain(self.successors.front().map(|(from, _)| *from));
            self.round(stops.fold(until, u64::min), audience)?;
        }
        Ok(())
    }

    /// Casts some energies before `until`, and goes on behind them.
    fn round(&mut self, until: u64, audience: &mut dyn Audience) -> Result<(), Failure> {
        let Some((events, first)) = self.log.read(self.at)? else {
            self.at = until;
            return Ok(());
        };
        let last = events.len().min(first + ROUND_EVENTS);
        let count = (first..last).take_while(|&at| events.get(at).head().position < until).count();
        if count == 0 {
            // What was there is no longer kept.
            self.at = until;
            return Ok(());
        }
        let mut plan = self.plan();
        for index in first..first + count {
            self.deliveries.deliver(&events, index as u32, &mut plan);
        }
        self.at = events.get(first + count - 1).head().position + 1;
        self.execute(&events, first..first + count, plan, false, audience)
    }

    fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        plan.reset(self.lanes.len(), 1);
        plan
    }

    /// Does what a run did at this place besides casting what was next.
    fn pause(&mut self, what: What, audience: &mut dyn Audience) -> Result<(), Failure> {
        match what {
            What::Flush => self.flush(audience),
            // What does not fail any more is not in quarantine.
            What::Release(position) if !self.faulted.remove(&position) => Ok(()),
            What::Release(position) => {
                let Some((events, index)) = self.log.read(position)? else { return Ok(()) };
                if events.get(index).head().position != position {
                    return Ok(());
                }
                let mut plan = self.plan();
                self.deliveries.deliver_again(&events, index as u32, 0, &mut plan);
                self.execute(&events, index..index + 1, plan, true, audience)
            }
        }
    }

    /// Casts the batches that are open.
    fn flush(&mut self, audience: &mut dyn Audience) -> Result<(), Failure> {
        let mut plan = self.plan();
        self.deliveries.flush(&mut plan);
        self.execute(&Arc::default(), 0..0, plan, false, audience)
    }

    /// Runs the tasks, lane by lane, and gives what came of them in order.
    fn execute(
        &mut self,
        events: &Arc<Events>,
        range: Range<usize>,
        mut plan: Plan,
        is_release: bool,
        audience: &mut dyn Audience,
    ) -> Result<(), Failure> {
        let mut batches = plan.batch_members().into_iter();
        let mut results: Vec<LaneResult> = self.lanes.iter().map(|_| LaneResult::default()).collect();
        for (lane, tasks) in plan.take_tasks() {
            self.run_lane(lane, events, tasks, &mut results[lane])?;
        }
        let mut deliveries = plan.deliveries.iter().peekable();
        for index in range {
            while let Some(delivery) = deliveries.next_if(|delivery| delivery.event as usize == index) {
                self.give(
                    delivery,
                    Some(events.get(index)),
                    &mut batches,
                    &mut results,
                    is_release,
                    audience,
                )?;
                if self.is_halted {
                    return Ok(());
                }
            }
            if !is_release {
                audience.passed(events.get(index))?;
            }
        }
        for delivery in deliveries {
            self.give(delivery, None, &mut batches, &mut results, is_release, audience)?;
        }
        Ok(())
    }

    fn run_lane(
        &mut self,
        lane: usize,
        events: &Arc<Events>,
        tasks: Vec<Task>,
        result: &mut LaneResult,
    ) -> Result<(), Failure> {
        let hands = &mut self.lanes[lane];
        hands.run(events, tasks);
        let mut round = hands.take_round();
        while round.is_held {
            let stands = was_taken(self.log, &round)?;
            hands.go_on(round, stands);
            round = hands.take_round();
        }
        self.contents.publish(&round.blobs)?;
        self.fold(&round);
        result.round = round;
        Ok(())
    }

    /// Takes up changes of the state.
    fn fold(&mut self, round: &Round) {
        self.fold_if(round, |_| true);
    }

    /// As [`fold`](Self::fold), of some lane keys.
    fn fold_if(&mut self, round: &Round, is_wanted: impl Fn(&[u8]) -> bool) {
        for change in round.changes.iter() {
            if !Address::read(change.key).is_none_or(|address| is_wanted(address.scope)) {
                continue;
            }
            match change.value {
                Some(value) => self.state.insert(change.key.to_owned(), value.to_owned()),
                None => self.state.remove(change.key),
            };
        }
    }

    /// Gives what came of one task.
    fn give(
        &mut self,
        delivery: &Delivery,
        event: Option<EventRef<'_>>,
        batches: &mut std::vec::IntoIter<Vec<Member>>,
        results: &mut [LaneResult],
        is_release: bool,
        audience: &mut dyn Audience,
    ) -> Result<(), Failure> {
        if delivery.kind == Kind::Joined {
            return Ok(());
        }
        let members = match delivery.kind {
            Kind::DueBatch(_) | Kind::FullBatch(_) => batches.next().unwrap_or_default(),
            _ => Vec::new(),
        };
        let cause = members.last().map(|(events, index)| events.get(*index as usize)).or(event);
        let LaneResult { round, next, last } = &mut results[delivery.lane as usize];
        let (Some(cause), Some(cast)) = (cause, round.casts.get(*next)) else { return Ok(()) };
        *next += 1;
        let before = std::mem::replace(last, Ends::of(cast));
        audience.cast(&Replayed {
            cause,
            kind: delivery.kind,
            is_release,
            outcome: &cast.outcome,
            prints: &round.prints[before.prints..last.prints],
            notes: &round.notes[before.notes..last.notes],
            outputs: (&round.outputs, before.outputs..last.outputs),
        })?;
        if matches!(cast.outcome, Outcome::Fault(_)) {
            self.is_halted = matches!(self.spell.fault, FaultPolicy::Stop | FaultPolicy::Retry);
            self.faulted.insert(cause.head().position);
            let members = members.iter().map(|(events, index)| events.get(*index as usize));
            self.faulted.extend(members.map(|event| event.head().position));
        }
        Ok(())
    }
}

/// Whether the log took what the last cast of a round produced: else it was refused then, and changed no state.
fn was_taken(log: &dyn Log, round: &Round) -> Result<bool, Failure> {
    let end = |cast: &Cast| cast.outputs_end as usize;
    let Some((last, before)) = round.casts.split_last() else { return Ok(true) };
    for at in before.last().map_or(0, end)..end(last) {
        if log.position_of(round.outputs.get(at).head().id)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What one lane did, and how much of it was given.
#[derive(Default)]
struct LaneResult {
    round: Round,
    next: usize,
    last: Ends,
}

/// Where what a cast did ends in its round.
#[derive(Clone, Copy, Default)]
struct Ends {
    outputs: usize,
    prints: usize,
    notes: usize,
}

impl Ends {
    fn of(cast: &Cast) -> Self {
        let (outputs, prints) = (cast.outputs_end as usize, cast.prints_end as usize);
        Self { outputs, prints, notes: cast.notes_end as usize }
    }
}
