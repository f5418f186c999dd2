//! The ordering thread: rounds, and the commit of each.

use std::sync::Arc;

use super::cycle::{too_many_casts, too_many_hops};
use super::delivery::{Deliveries, Delivery, Kind, Member, Plan};
use super::quarantine::quarantine;
use super::summary::SpellSummary;
use super::worker::{Blobs, Crew};
use super::{Failure, INTAKE_BYTES, INTAKE_EVENTS, Intake, Options, Sink, Summary, Unopened, clock};
use crate::event::{EventRef, Events};
use crate::log::{Conflict, Log, MemoryLog};
use crate::runeset::diagnostic::Severity;
use crate::runeset::{Diagnostic, Fault as FaultPolicy};
use crate::spell::{Cast, Clocks, Fault, Outcome, Round, Spell, report};

/// A run: spells over a log in memory.
pub struct Engine {
    spells: Arc<[Arc<Spell>]>,
    /// The spell of each lane.
    lanes: Vec<u32>,
    crew: Crew,
    /// What `prepare` did, until the run begins.
    opened: Vec<(usize, Round)>,
    deliveries: Deliveries,
    log: MemoryLog,
    cursor: u64,
    /// The position of the next energy that the sink has not seen.
    unseen: u64,
    /// Casts since the last chunk of seeds: what has not settled yet.
    unsettled_casts: u64,
    summary: Summary,
    options: Options,
    plan: Plan,
    used: Vec<(usize, Round)>,
}

/// Where the commit stands in what one lane did.
struct LaneResult {
    round: Round,
    next: usize,
    outputs: usize,
    prints: usize,
    notes: usize,
}

impl LaneResult {
    fn new(round: Round) -> Self {
        Self { round, next: 0, outputs: 0, prints: 0, notes: 0 }
    }
}

impl Engine {
    /// Opens the spells: makes their VMs and calls `prepare`. All that fail are listed.
    pub fn open(spells: Vec<Arc<Spell>>, options: Options) -> Result<Self, Unopened> {
        let mut lanes = Vec::new();
        let mut of_lane = Vec::new();
        for (index, spell) in spells.iter().enumerate() {
            for _ in 0..spell.lanes {
                lanes.push(index as u32);
                of_lane.push(spell.clone());
            }
        }
        let clocks = Clocks {
            steady_ms: clock::steady_ms,
            timer_ns: options.timed.then_some(clock::steady_ns),
            exact: options.exact,
        };
        let workers = match options.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let (crew, opened) = Crew::open(&of_lane, workers, clocks);
        if !opened.failed.is_empty() {
            return Err(Unopened::new(&spells, &lanes, opened));
        }
        let summary = Summary {
            spells: spells.iter().map(|spell| SpellSummary::new(&spell.name)).collect(),
            ..Summary::default()
        };
        Ok(Self {
            deliveries: Deliveries::new(&spells),
            spells: spells.into(),
            lanes,
            crew,
            opened: opened.rounds,
            log: if options.keep { MemoryLog::new() } else { MemoryLog::transient() },
            cursor: 0,
            unseen: 0,
            unsettled_casts: 0,
            summary,
            options,
            plan: Plan::default(),
            used: Vec::new(),
        })
    }

    /// What the run did so far.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The log of the run.
    #[must_use]
    pub fn log(&self) -> &MemoryLog {
        &self.log
    }

    /// Runs until the seeds are used up and everything has settled.
    pub fn run(&mut self, intake: &mut dyn Intake, sink: &mut dyn Sink) -> Result<(), Failure> {
        let result = self.run_all(intake, sink);
        if let Err(Failure::Diagnostic(_)) = &result {
            self.pass_on_unseen(sink)?;
        }
        let text = match self.summary.big_uints {
            0 => return result,
            1 => "1 integer beyond 64 bits became a float".to_owned(),
            count => format!("{count} integers beyond 64 bits became floats"),
        };
        sink.warn(&Diagnostic::warning(text).help("write them as strings where every digit counts"))?;
        result
    }

    fn run_all(&mut self, intake: &mut dyn Intake, sink: &mut dyn Sink) -> Result<(), Failure> {
        for (lane, round) in std::mem::take(&mut self.opened) {
            // All lanes of a spell prepare alike; one speaks for them.
            if self.is_first_lane(lane) {
                sink.print(&round.prints)?;
                sink.note(&round.notes)?;
            }
        }
        let mut more = true;
        loop {
            if self.cursor < self.log.head() {
                self.round(sink)?;
                sink.progress(self.summary.seeds, self.summary.casts);
            } else if more {
                more = self.intake(intake, sink)?;
            } else if !self.flush(sink)? {
                break;
            }
        }
        self.close(sink)
    }

    /// Gives the sink what a run that stops has produced and not come to: an energy that a spell would have
    /// drawn on counts as consumed.
    fn pass_on_unseen(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        while let Some((events, first)) = self.log.read(self.unseen) {
            for index in first..events.len() {
                let event = events.get(index);
                if event.head().hops > 0 {
                    sink.output(event, self.deliveries.is_drawn_on(event))?;
                }
            }
            self.unseen += (events.len() - first) as u64;
        }
        Ok(())
    }

    fn is_first_lane(&self, lane: usize) -> bool {
        lane == 0 || self.lanes[lane - 1] != self.lanes[lane]
    }

    /// Appends the next chunk of seeds; false when there are no more.
    fn intake(&mut self, intake: &mut dyn Intake, sink: &mut dyn Sink) -> Result<bool, Failure> {
        let mut batch = Events::with_capacity(INTAKE_EVENTS, INTAKE_BYTES / 4);
        self.unsettled_casts = 0;
        intake.set_settled(self.log.head());
        let filled = intake.fill(&mut batch);
        self.summary.seeds += batch.len() as u64;
        self.summary.big_uints = intake.big_uints();
        let appended = self.log.append(batch);
        self.summary.seeds -= (appended.known.len() + appended.conflicts.len()) as u64;
        let conflict = appended.conflicts.into_iter().next();
        let refused = match (conflict, filled) {
            (Some((index, conflict)), _) => {
                let refused = Diagnostic::error(format!("a seed was refused: {conflict}"));
                Some(intake.locate(index, refused).help(advice(&conflict)))
            }
            (None, Err(error)) => Some(*error),
            (None, Ok(more)) => return Ok(more),
        };
        // What came before the bad seed is good: it runs first.
        while self.cursor < self.log.head() {
            self.round(sink)?;
        }
        match refused {
            Some(diagnostic) => Err(diagnostic.into()),
            None => Ok(false),
        }
    }

    /// Runs the next round: at most `round_events` energies of one stored batch.
    fn round(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        let Some((events, first)) = self.log.read(self.cursor) else {
            self.cursor = self.log.head();
            return Ok(());
        };
        let end = events.len().min(first + self.options.round_events);
        let mut plan = std::mem::take(&mut self.plan);
        plan.reset(self.lanes.len(), self.spells.len());
        for index in first..end {
            self.deliveries.deliver(&events, index as u32, &mut plan);
        }
        for (summary, filtered) in self.summary.spells.iter_mut().zip(&plan.filtered) {
            summary.filtered += filtered;
        }
        let result = self.execute(&events, first..end, &mut plan, sink);
        self.plan = plan;
        result?;
        self.cursor += (end - first) as u64;
        self.unseen = self.cursor;
        self.log.release(self.cursor);
        Ok(())
    }

    /// Casts the batches that are still open; false when there are none.
    fn flush(&mut self, sink: &mut dyn Sink) -> Result<bool, Failure> {
        let mut plan = std::mem::take(&mut self.plan);
        plan.reset(self.lanes.len(), self.spells.len());
        self.deliveries.flush(&mut plan);
        let any = !plan.deliveries.is_empty();
        let result = if any { self.execute(&Arc::default(), 0..0, &mut plan, sink) } else { Ok(()) };
        self.plan = plan;
        result.map(|()| any)
    }

    /// Has the workers run the plan's tasks, then commits what they did, in order.
    fn execute(
        &mut self,
        events: &Arc<Events>,
        range: std::ops::Range<usize>,
        plan: &mut Plan,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        // The members of batches, for reports: the tasks themselves go to the workers.
        let batches = plan.batch_members();
        let tasks = plan.take_tasks();
        let rounds = self.crew.run(events, tasks, std::mem::take(&mut self.used));
        let mut results: Vec<Option<LaneResult>> = (0..self.lanes.len()).map(|_| None).collect();
        let mut blobs = Vec::new();
        let (mut count, mut bytes) = (0, 0);
        for (lane, mut round) in rounds {
            blobs.append(&mut round.blobs);
            count += round.outputs.len();
            bytes += round.outputs.byte_len();
            results[lane] = Some(LaneResult::new(round));
        }
        let mut commit = Commit { out: Events::with_capacity(count, bytes), batches: batches.into_iter() };
        let outcome = self.commit(events, range, &plan.deliveries, &mut results, &mut commit, sink);
        self.append(&mut commit);
        if !blobs.is_empty() {
            let blobs: Blobs = blobs.into();
            self.crew.publish(&blobs);
        }
        let finished = results.into_iter().enumerate();
        self.used = finished.filter_map(|(lane, result)| result.map(|result| (lane, result.round))).collect();
        outcome
    }

    /// Goes through the energies of the round, and for each through its tasks.
    fn commit(
        &mut self,
        events: &Arc<Events>,
        range: std::ops::Range<usize>,
        deliveries: &[Delivery],
        results: &mut [Option<LaneResult>],
        commit: &mut Commit,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        let spells = self.spells.clone();
        let mut next = 0;
        for index in range {
            let event = events.get(index);
            let first = next;
            while deliveries.get(next).is_some_and(|delivery| delivery.event as usize == index) {
                next += 1;
            }
            let produced = event.head().hops > 0;
            if next > first || produced {
                sink.dump(event)?;
            }
            let mut consumed = false;
            for delivery in &deliveries[first..next] {
                consumed |= self.settle(&spells, *delivery, Some(event), results, commit, sink)?;
            }
            if produced {
                sink.output(event, consumed)?;
            }
            self.unseen = event.head().position + 1;
        }
        for delivery in &deliveries[next..] {
            self.settle(&spells, *delivery, None, results, commit, sink)?;
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
        commit: &mut Commit,
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
        // In a batch the last member is the cause.
        let cause = members.last().map(|(events, index)| events.get(*index as usize)).or(event);
        let Some(result) = &mut results[delivery.lane as usize] else { return Ok(false) };
        let LaneResult { round, next, outputs, prints, notes } = result;
        let Some(cast) = round.casts.get(*next) else { return Ok(false) };
        *next += 1;
        let first_output = std::mem::replace(outputs, cast.outputs_end as usize);
        let filtered = matches!(cast.outcome, Outcome::Filtered);
        if filtered {
            summary.filtered += 1;
        } else {
            count(summary, delivery.kind, cast);
            self.summary.casts += 1;
            self.unsettled_casts += 1;
            if self.unsettled_casts > self.options.max_casts {
                return Err(too_many_casts(&self.log, spell, cause, self.options.max_casts).into());
            }
        }
        let (printed, noted) = (cast.prints_end as usize, cast.notes_end as usize);
        if printed > *prints {
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
            self.fault(spell, fault, diagnostic, (delivery.kind, cause, &members), commit, sink)?;
            return Ok(true);
        }
        let end = *outputs;
        for at in first_output..end {
            let output = round.outputs.get(at);
            if u64::from(output.head().hops) > spell.limits.hops {
                return Err(too_many_hops(&self.log, spell, cause).into());
            }
        }
        if round.outputs.is_checked() && end > first_output {
            // Outputs with an id or a condition of their own: all of the cast's are appended, or none.
            self.append(commit);
            let own = || (first_output..end).map(|at| round.outputs.get(at));
            if let Some(conflict) = self.log.check(&mut own()) {
                let fault = Fault::new(crate::spell::FaultKind::Output, &conflict.to_string(), Vec::new());
                self.summary.spells[delivery.spell as usize].faults += 1;
                let diagnostic = report::cast_fault(spell, "cast", &fault, cause).help(advice(&conflict));
                self.fault(spell, &fault, diagnostic, (delivery.kind, cause, &members), commit, sink)?;
                return Ok(true);
            }
            commit.out.require_check();
        }
        for at in first_output..end {
            let output = round.outputs.get(at);
            summary_out(&mut self.summary.spells[delivery.spell as usize], output);
            if commit.out.is_full() {
                self.append(commit);
            }
            commit.out.push_copy(output);
        }
        Ok(true)
    }

    /// Does what the spell's policy says about a fault. `caused` by an energy, or by the members of a batch.
    fn fault(
        &mut self,
        spell: &Spell,
        fault: &Fault,
        diagnostic: Diagnostic,
        (kind, cause, members): (Kind, Option<EventRef<'_>>, &[Member]),
        commit: &mut Commit,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        let batch = || members.iter().map(|(events, index)| events.get(*index as usize));
        let diagnostic = report::of_batch(diagnostic, batch().map(|event| event.head().position));
        match spell.fault {
            FaultPolicy::Stop | FaultPolicy::Retry => return Err(diagnostic.into()),
            FaultPolicy::Skip => {}
            FaultPolicy::Quarantine if members.is_empty() => {
                cause
                    .into_iter()
                    .for_each(|event| quarantine(spell, fault, kind.salt(), event, &mut commit.out));
            }
            FaultPolicy::Quarantine => {
                batch().for_each(|event| quarantine(spell, fault, kind.salt(), event, &mut commit.out));
            }
        }
        // The run goes on: what the spell said it can do without is no error.
        sink.warn(&Diagnostic { severity: Severity::Warning, ..diagnostic })?;
        Ok(())
    }

    /// Appends the outputs collected so far; a conflict among them is returned.
    fn append(&mut self, commit: &mut Commit) -> Option<Conflict> {
        let out = std::mem::take(&mut commit.out);
        if out.is_empty() {
            return None;
        }
        let appended = self.log.append(out);
        self.summary.produced += appended.count as u64;
        appended.conflicts.into_iter().next().map(|(_, conflict)| conflict)
    }

    /// Calls `unprepare` in spell order.
    fn close(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        let mut failed = None;
        for closed in self.crew.close() {
            let index = self.lanes[closed.lane] as usize;
            let (used, peak) = &mut self.summary.spells[index].memory_bytes;
            *used += closed.memory_bytes.0;
            *peak = (*peak).max(closed.memory_bytes.1);
            if self.is_first_lane(closed.lane) {
                sink.print(&closed.round.prints)?;
                sink.note(&closed.round.notes)?;
                if let Some(fault) = closed.fault {
                    let diagnostic = report::hook_fault(&self.spells[index], "unprepare", &fault);
                    if failed.is_none() {
                        failed = Some(diagnostic);
                    } else {
                        sink.warn(&diagnostic)?;
                    }
                }
            }
        }
        failed.map_or(Ok(()), |diagnostic| Err(diagnostic.into()))
    }
}

/// What a round adds to the log.
struct Commit {
    out: Events,
    /// The members of each batch, in the order of commit.
    batches: std::vec::IntoIter<Vec<Member>>,
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

fn advice(conflict: &Conflict) -> &'static str {
    match conflict {
        Conflict::Version { .. } => {
            "`$expect` is \"any\", \"none\" or the version of the stream's last energy"
        }
        Conflict::Id { .. } => "leave `$id` out to have it derived, or send the same content again",
    }
}
