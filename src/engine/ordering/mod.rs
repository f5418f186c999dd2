//! The ordering thread: chunks of seeds and rounds of casts in turn, until everything has settled.
//!
//! What comes of a round is settled in `settlement`, one task after the other; `progress` says how far that
//! has come, so that a run that fails leaves the log at the boundary between two casts.

mod amnesia;
mod following;
mod passing;
mod progress;
mod settlement;
mod shadow;

use std::sync::Arc;

use super::delivery::{Deliveries, Plan};
use super::recall;
use super::release::{self, Release};
use super::resume::{Restored, Standing};
use super::summary::{self, SpellSummary};
use super::worker::Crew;
use super::{Failure, Forgets, INTAKE_BYTES, INTAKE_EVENTS, Intake, Options, Sink, Summary, Unopened, clock};
use crate::blob::Contents;
use crate::event::{EventRef, Events};
use crate::log::{self, Changes, Conflict, Log, MemoryLog};
use crate::runeset::Diagnostic;
use crate::spell::{Clocks, Memory, Round, Spell, Usage, report};
use crate::state::Address;
use progress::Progress;
use settlement::{LaneResult, Outgoing};
use shadow::Shadows;

/// A run: spells over a log.
pub struct Engine {
    spells: Arc<[Arc<Spell>]>,
    /// The spell of each lane.
    lanes: Vec<u32>,
    crew: Crew,
    /// What `prepare` did, until the run begins.
    opened: Vec<(usize, Round)>,
    deliveries: Deliveries,
    log: Arc<dyn Log>,
    contents: Contents,
    cursor: u64,
    /// The end of the log before the run: what lies before it, earlier runs produced.
    begun: u64,
    /// The position of the next energy that the sink has not seen.
    unseen: u64,
    /// Casts since the last chunk of seeds: what has not settled yet.
    unsettled_casts: u64,
    summary: Summary,
    options: Options,
    plan: Plan,
    used: Vec<(usize, Round)>,
    progress: Progress,
    /// Where spells stood before the round, in a log that remembers it.
    before: Vec<Standing>,
    /// Spells that are new to a log that has energies already.
    late: Vec<usize>,
    /// What the log is to be told before anything else.
    first: Changes,
    /// What each lane takes.
    usages: Vec<Usage>,
    /// The quarantined energy that is being cast again.
    released: Option<Release>,
    shadows: Shadows,
    /// Whether an energy is being cast that is not in the log.
    is_passing: bool,
}

impl Engine {
    /// Opens the spells over a log in memory: makes their VMs and calls `prepare`. All that fail are listed.
    pub fn open(spells: Vec<Arc<Spell>>, options: Options) -> Result<Self, Unopened> {
        let log = if options.keep { MemoryLog::new() } else { MemoryLog::transient() };
        Self::over(Arc::new(log.keeping_ephemeral()), spells, options)
    }

    /// Opens the spells over a log. With [`Options::resume`] they go on where they stood in it.
    pub fn over(log: Arc<dyn Log>, spells: Vec<Arc<Spell>>, options: Options) -> Result<Self, Unopened> {
        let mut deliveries = Deliveries::new(&spells);
        let mut restored = Restored::default();
        if options.resume {
            restored = Restored::read(&log, &spells, &mut deliveries).map_err(Unopened::of_log)?;
        }
        let shadows = Shadows::of(&*log, &spells).map_err(Unopened::of_log)?;
        let begun = log.head();
        let contents = options.store.clone().map_or_else(Contents::default, Contents::stored);
        let mut of_lane = Vec::new();
        let mut lanes = Vec::new();
        for (index, spell) in spells.iter().enumerate() {
            for _ in 0..spell.lanes {
                let memory = restored.memories.next().unwrap_or_default();
                let memory = Memory { contents: contents.clone(), ..memory };
                lanes.push(index as u32);
                of_lane.push((spell.clone(), memory));
            }
        }
        let clocks = Clocks {
            steady_ms: clock::steady_ms,
            timer_ns: (options.timed || summary::is_traced()).then_some(clock::steady_ns),
            exact: options.exact,
        };
        let workers = match options.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let (crew, opened) = Crew::open(of_lane, workers, options.turns, clocks);
        if !opened.failed.is_empty() {
            return Err(Unopened::new(&spells, &lanes, opened));
        }
        let summary = Summary {
            spells: spells.iter().map(|spell| SpellSummary::new(&spell.name)).collect(),
            ..Summary::default()
        };
        Ok(Self {
            deliveries,
            usages: opened.rounds.iter().map(|(_, round)| round.usage).collect(),
            spells: spells.into(),
            lanes,
            crew,
            opened: opened.rounds,
            log,
            contents,
            cursor: restored.cursor,
            begun,
            unseen: restored.cursor,
            unsettled_casts: 0,
            summary,
            options,
            plan: Plan::default(),
            used: Vec::new(),
            progress: Progress::default(),
            before: Vec::new(),
            late: restored.late,
            first: restored.changes,
            released: None,
            shadows,
            is_passing: false,
        })
    }

    /// What the run did so far.
    #[must_use]
    pub fn summary(&mut self) -> &Summary {
        let head = self.log.head();
        for (index, spell) in self.summary.spells.iter_mut().enumerate() {
            let lanes = self.lanes.iter().zip(&self.usages);
            spell.usage =
                summary::total(lanes.filter(|(of, _)| **of as usize == index).map(|(_, usage)| usage));
            spell.lag = head.saturating_sub(self.deliveries.standing(index, self.cursor).next);
        }
        &self.summary
    }

    /// Traces what each spell did so far, on the target [`summary::TARGET`].
    pub fn trace(&mut self) {
        if summary::is_traced() {
            self.summary().spells.iter().for_each(SpellSummary::trace);
        }
    }

    /// Runs until the seeds are used up and everything has settled.
    pub fn run(&mut self, intake: &mut dyn Intake, sink: &mut dyn Sink) -> Result<(), Failure> {
        let result = self.run_all(intake, sink);
        self.trace();
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
        self.begin(sink)?;
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
        for warning in self.shadows.warnings() {
            sink.warn(&warning)?;
        }
        self.close(sink)
    }

    /// Does what comes before the first round: tells what `prepare` did, and casts what is released.
    fn begin(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        let mut changes = std::mem::take(&mut self.first);
        for (lane, round) in std::mem::take(&mut self.opened) {
            if self.is_first_lane(lane) {
                sink.print(&round.prints)?;
                sink.note(&round.notes)?;
            }
            self.record_prepared(lane, &round, &mut changes);
        }
        for index in std::mem::take(&mut self.late) {
            sink.warn(&begins_late(&self.spells[index], self.log.head()))?;
        }
        if !changes.is_empty() {
            self.log.append_unsynced(log::Commit { changes, ..log::Commit::default() })?;
        }
        if self.options.resume {
            self.cast_released(sink)?;
        }
        Ok(())
    }

    /// Adds to a commit what `prepare` kept. All lanes of a spell prepare alike, and the first one speaks for them; but
    /// `migrate` is called for the keys of each lane.
    fn record_prepared(&mut self, lane: usize, round: &Round, changes: &mut Changes) {
        self.usages[lane] = round.usage;
        if round.changes.is_empty() {
            return;
        }
        let is_first = self.is_first_lane(lane);
        let has_key = |change: &log::Change<'_>| {
            Address::read(change.key).is_some_and(|address| !address.scope.is_empty())
        };
        let own = round.changes.iter().filter(|change| is_first || has_key(change));
        own.for_each(|change| changes.push(change));
        recall::forget_sizes(&self.spells[self.lanes[lane] as usize].name, changes);
    }

    /// Gives the sink what a run that stops has produced and not come to: an energy that a spell would have
    /// drawn on counts as consumed.
    fn pass_on_unseen(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        while let Some((events, first)) = self.log.read(self.unseen)? {
            for index in first..events.len() {
                let event = events.get(index);
                if self.is_product(event) {
                    sink.output(event, self.deliveries.is_drawn_on(event))?;
                }
            }
            self.unseen += (events.len() - first) as u64;
        }
        Ok(())
    }

    /// Whether this run produced the energy.
    fn is_product(&self, event: EventRef<'_>) -> bool {
        event.head().hops > 0 && event.head().position >= self.begun
    }

    /// Whether what is cast lies beside the order of the log: where spells stand does not follow from it.
    fn is_aside(&self) -> bool {
        self.released.is_some() || self.is_passing
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
        let mut commit = log::Commit::of(batch);
        if self.options.resume {
            intake.record(&mut commit.changes);
        }
        self.summary.seeds += commit.events.len() as u64;
        self.summary.big_uints = intake.big_uints();
        let appended = self.log.append_unsynced(commit)?;
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
        let Some((events, first)) = self.log.read(self.cursor)? else {
            self.cursor = self.log.head();
            return Ok(());
        };
        self.round_over(&events, first, sink)
    }

    /// Runs a round over the energies from `first` on.
    fn round_over(&mut self, events: &Arc<Events>, first: usize, sink: &mut dyn Sink) -> Result<(), Failure> {
        let end = events.len().min(first + self.options.round_events);
        self.remember();
        let mut plan = std::mem::take(&mut self.plan);
        plan.reset(self.lanes.len(), self.spells.len());
        for index in first..end {
            self.deliveries.deliver(events, index as u32, &mut plan);
        }
        for (summary, filtered) in self.summary.spells.iter_mut().zip(&plan.filtered) {
            summary.filtered += filtered;
        }
        let span = match plan.deliveries.is_empty() {
            true => tracing::Span::none(),
            false => summary::round_span(&self.options.plane, events.get(first).head().position, end - first),
        };
        let casts = self.summary.casts;
        let result = span.in_scope(|| self.execute(events, first..end, &mut plan, sink));
        span.record("sanctum.casts", (self.summary.casts - casts) as i64);
        self.plan = plan;
        result?;
        self.cursor = events.get(end - 1).head().position + 1;
        self.unseen = self.cursor;
        self.log.release(self.cursor);
        Ok(())
    }

    /// Casts what was quarantined and is released, each energy for the spell that it failed.
    fn cast_released(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        for release in release::wanted(&*self.log, &self.spells)? {
            let Some((events, index)) = self.log.read(release.position)? else { continue };
            if events.get(index).head().position != release.position {
                continue;
            }
            self.remember();
            let mut plan = Plan::default();
            plan.reset(self.lanes.len(), self.spells.len());
            self.deliveries.deliver_again(&events, index as u32, release.spell, &mut plan);
            self.released = Some(release);
            let result = self.execute(&events, index..index + 1, &mut plan, sink);
            self.released = None;
            result?;
        }
        Ok(())
    }

    /// Casts the batches that are still open; false when there are none.
    fn flush(&mut self, sink: &mut dyn Sink) -> Result<bool, Failure> {
        let mut plan = std::mem::take(&mut self.plan);
        plan.reset(self.lanes.len(), self.spells.len());
        self.remember();
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
            self.receive(lane, &mut round)?;
            blobs.append(&mut round.blobs);
            count += round.outputs.len();
            bytes += round.outputs.byte_len();
            results[lane] = Some(LaneResult::new(round));
        }
        let mut commit = Outgoing { out: Events::with_capacity(count, bytes), batches: batches.into_iter() };
        self.progress.flushed.clear();
        // Before anything that names it is appended.
        self.contents.publish(&blobs)?;
        let outcome = self.commit(events, range.clone(), &plan.deliveries, &mut results, &mut commit, sink);
        match &outcome {
            // What the log took is not known: nothing more is said of this round, which is done again.
            Err(Failure::Log(_) | Failure::Outrun) => return outcome,
            // Batches at the end of a run go into the log together: what some of them led to would come before the others.
            Err(Failure::Sink(_)) if range.is_empty() => return outcome,
            _ => {}
        }
        if outcome.is_err() {
            self.step_back(&mut results, &mut commit);
        }
        let mut changes = Changes::default();
        if self.options.resume {
            for result in results.iter().flatten() {
                changes.extend_from(&result.round.changes, result.changes);
            }
            if let Some(release) = self.released.as_ref().filter(|_| outcome.is_ok()) {
                release.record(&mut changes);
            }
            // What only passed by, and led to nothing, leaves no trace.
            if !(self.is_passing && changes.is_empty() && commit.out.is_empty()) {
                self.record_sizes(&results, outcome.is_ok(), &mut changes);
                self.record(events, range, outcome.is_ok(), &mut changes)?;
            }
        }
        let appended = self.append(&mut commit, changes);
        if outcome.is_ok() && appended.is_ok() && self.options.forgets != Forgets::Nobody {
            let ran = |(lane, result): (usize, &Option<LaneResult>)| result.is_some().then_some(lane);
            let ran = results.iter().enumerate().filter_map(ran).collect::<Vec<_>>();
            return self.forget(&ran);
        }
        let finished = results.into_iter().enumerate();
        self.used = finished.filter_map(|(lane, result)| result.map(|result| (lane, result.round))).collect();
        outcome.and(appended)
    }

    /// Takes over what concerns the run as a whole of what a lane did, but for content.
    fn receive(&mut self, lane: usize, round: &mut Round) -> Result<(), Failure> {
        if let Some(failure) = round.failure.take() {
            return Err(failure.into());
        }
        self.usages[lane] = round.usage;
        self.summary.spells[self.lanes[lane] as usize].retries += std::mem::take(&mut round.retries);
        Ok(())
    }

    /// Calls `unprepare` in spell order.
    fn close(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        let mut failed = None;
        for closed in self.crew.close() {
            let index = self.lanes[closed.lane] as usize;
            self.usages[closed.lane] = closed.round.usage;
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

/// A spell that is new to a log with energies begins at its end, which may not be what was meant.
fn begins_late(spell: &Spell, head: u64) -> Diagnostic {
    let text = format!("spell `{}` is new to this log and begins at its end, position {head}", spell.name);
    Diagnostic::warning(text)
        .help("to draw on what is there, set `start` to \"oldest\", a position or a time")
}

fn advice(conflict: &Conflict) -> &'static str {
    match conflict {
        Conflict::Version { .. } => {
            "`$expect` is \"any\", \"none\" or the version of the stream's last energy"
        }
        Conflict::Query { .. } => "read what came in between, and decide anew",
        Conflict::Id { .. } => "leave `$id` out to have it derived, or send the same content again",
    }
}
