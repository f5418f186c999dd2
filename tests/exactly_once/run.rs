//! One run, from one seed: it is disturbed and begun again until it is done, and leaves what an undisturbed one leaves.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use sanctum::disk::{Disk, Faults, SimulatedDisk, When};
use sanctum::engine::{COMMIT_BYTES, Engine, Failure, Options, Turns};
use sanctum::log::file::{self, Compaction, Durability};
use sanctum::log::{FileLog, Log};

use crate::outcome::Outcome;
use crate::random::Random;
use crate::scenario::{CACHES, Scenario};
use crate::silence::Silence;

/// Scenarios; what an undisturbed run of each leaves is found out once.
const SCENARIOS: usize = 24;

/// Seeds of a scenario.
const EVENTS: u64 = 48;

/// How often a run is disturbed at most.
const DISTURBANCES_MAX: u64 = 5;

const FOLDER: &str = "plane";

/// What disturbs a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    /// The machine stops: any subset of what was not synced is lost.
    PowerCut,
    /// The process is killed: the system goes on, and nothing that was written is lost.
    Kill,
    /// A write, a sync or a rename fails, and the run with it.
    Fault,
    /// What takes the output goes away.
    Deafness,
}

/// How a run is made: nothing of it may show.
#[derive(Clone, Debug)]
struct Making {
    round_events: usize,
    workers: usize,
    /// The seed of the turns that lanes take, in the place of threads.
    turns: Option<u64>,
    commit_bytes: usize,
    segment_bytes: u32,
    checkpoint_bytes: usize,
    durability: Durability,
    background: bool,
    compacts: bool,
    /// One of [`CACHES`].
    cache: usize,
}

/// What runs did, for the record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub runs: u64,
    pub cuts: u64,
    pub kills: u64,
    pub faults: u64,
    pub deaf: u64,
    pub energies: u64,
    pub compacted: u64,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.cuts += other.cuts;
        self.kills += other.kills;
        self.faults += other.faults;
        self.deaf += other.deaf;
        self.energies += other.energies;
        self.compacted += other.compacted;
    }
}

/// See the module.
pub struct Run {
    dice: Random,
    disk: SimulatedDisk,
    scenario: &'static Whole,
    may_background: bool,
    pub tally: Tally,
    /// What happened, in words: the same seed tells the same story.
    pub story: Vec<String>,
}

impl Run {
    /// With a thread that does what need not be done at once, a run is no longer the same each time.
    pub fn new(seed: u64, may_background: bool) -> Self {
        let mut dice = Random::new(seed);
        let scenario = scenario(dice.below(SCENARIOS as u64) as usize);
        let disk = SimulatedDisk::new(dice.next());
        Self { dice, disk, scenario, may_background, tally: Tally::default(), story: Vec::new() }
    }

    /// Runs, and panics where it comes to something else.
    pub fn go(&mut self) {
        let wanted = 1 + self.dice.below(DISTURBANCES_MAX);
        let mut operations = self.scenario.operations * self.dice.pick(&[1, 1, 2, 4]);
        let mut number = 0;
        while number < wanted {
            let making = self.making();
            if !self.disturbed(&making, operations) {
                number += 1;
            } else if number == 0 {
                // It was over before: another one, that is disturbed earlier.
                self.disk = SimulatedDisk::new(self.dice.next());
            } else {
                break;
            }
            // What is left to do is less each time.
            operations = (operations * 2 / 3).max(20);
        }
        let making = self.making();
        let done = attempt(&self.disk, &making, &self.scenario.scenario, Silence(u64::MAX));
        self.tally.compacted += done.expect("nothing disturbs it");
        self.check("at the end");
        if self.dice.percent(20) {
            let making = self.making();
            attempt(&self.disk, &making, &self.scenario.scenario, Silence(u64::MAX))
                .expect("nothing disturbs it");
            self.check("begun once more");
        }
        self.tally.runs += 1;
        self.tally.energies += self.scenario.outcome.energies.len() as u64;
    }

    /// Runs the first scenario until what takes its output has had so many calls, then to the end; false where that was
    /// before.
    pub fn deafened(calls: u64) -> bool {
        let mut run = Self::new(calls, false);
        run.scenario = scenario(0);
        let making = Making { round_events: 7, ..Making::plain() };
        let done = attempt(&run.disk, &making, &run.scenario.scenario, Silence(calls));
        attempt(&run.disk, &making, &run.scenario.scenario, Silence(u64::MAX)).expect("nothing disturbs it");
        run.check(&format!("deaf after {calls} calls"));
        done.is_err()
    }

    fn making(&mut self) -> Making {
        let dice = &mut self.dice;
        Making {
            round_events: dice.pick(&[1, 2, 3, 7, 64, 512]),
            workers: 1 + dice.below(3) as usize,
            turns: dice.percent(50).then(|| dice.below(u64::MAX)),
            commit_bytes: dice.pick(&[1, 400, COMMIT_BYTES]),
            segment_bytes: dice.pick(&[2 << 10, 8 << 10, 32 << 10, 1 << 20]),
            checkpoint_bytes: dice.pick(&[256, 2 << 10, 16 << 10, 1 << 20]),
            durability: dice.pick(&[Durability::Commit, Durability::IntervalMs(1), Durability::Os]),
            background: self.may_background && dice.percent(50),
            compacts: dice.percent(25),
            cache: dice.below(CACHES.len() as u64) as usize,
        }
    }

    /// An attempt that is disturbed; true where it came to its end nevertheless.
    fn disturbed(&mut self, making: &Making, operations: u64) -> bool {
        let kinds = [
            Disturbance::PowerCut,
            Disturbance::PowerCut,
            Disturbance::Kill,
            Disturbance::Fault,
            Disturbance::Deafness,
        ];
        let kind = self.dice.pick(&kinds);
        let at = 1 + self.dice.below(operations);
        let mut silence = Silence(u64::MAX);
        match kind {
            Disturbance::PowerCut | Disturbance::Kill => self.disk.crash_after(at),
            Disturbance::Fault => {
                let fault = self.dice.below(3);
                let nth = When::Nth(1 + at / 3);
                let mut faults = Faults::default();
                match fault {
                    0 => faults.failing_writes = nth,
                    1 => faults.failing_syncs = nth,
                    _ => faults.failing_renames = When::Nth(1 + at % 5),
                }
                self.disk.set_faults(faults);
            }
            Disturbance::Deafness => silence = Silence(self.dice.below(400)),
        }
        let done = attempt(&self.disk, making, &self.scenario.scenario, silence);
        self.story.push(format!("{kind:?} at {at} of {operations}, {making:?}: {done:?}"));
        self.disk.set_faults(Faults::default());
        let head = done.as_ref().err().copied().unwrap_or(0);
        match kind {
            Disturbance::PowerCut => self.tally.cuts += u64::from(self.disk.is_off()),
            Disturbance::Kill => self.tally.kills += u64::from(self.disk.is_off()),
            Disturbance::Fault => self.tally.faults += u64::from(done.is_err()),
            Disturbance::Deafness => self.tally.deaf += u64::from(done.is_err()),
        }
        match kind {
            Disturbance::Kill => {
                self.disk = SimulatedDisk::from_snapshot(&self.disk.snapshot(), self.dice.next());
                self.check_begun(head);
            }
            Disturbance::Deafness => self.check_begun(head),
            // Also where the power stayed on: what is not synced then is lost.
            Disturbance::PowerCut | Disturbance::Fault => {
                self.disk.crash();
                self.check_begun(0);
            }
        }
        self.story.push(format!("{} operations", self.disk.operations()));
        done.is_ok()
    }

    /// Holds what there is against the beginning of what there is to be; at least `head` energies of it.
    fn check_begun(&mut self, head: u64) {
        let story = self.story.join("\n");
        if !self.disk.exists(&Path::new(FOLDER).join("MANIFEST")) {
            assert_eq!(head, 0, "{story}: the log is gone");
            return;
        }
        let log = open(&self.disk, &Making::plain()).unwrap_or_else(|error| panic!("{story}: {error}"));
        assert!(log.head() >= head, "{story}: {} energies of {head} are left", log.head());
        Outcome::of(&log).assert_begins(&self.scenario.outcome, log.head(), &story);
    }

    /// Holds what there is, after the power went off, against what there is to be.
    fn check(&mut self, when: &str) {
        self.disk.crash();
        let story = format!("{}\n{when}", self.story.join("\n"));
        let log = open(&self.disk, &Making::plain()).unwrap_or_else(|error| panic!("{story}: {error}"));
        Outcome::of(&log).assert_same(&self.scenario.outcome, &story);
    }
}

impl Making {
    /// As a run is made that nobody asks for anything else.
    fn plain() -> Self {
        Self {
            round_events: 512,
            workers: 1,
            turns: None,
            commit_bytes: COMMIT_BYTES,
            segment_bytes: 1 << 20,
            checkpoint_bytes: 1 << 20,
            durability: Durability::Commit,
            background: false,
            compacts: false,
            cache: 0,
        }
    }
}

/// A scenario and what an undisturbed run of it leaves.
struct Whole {
    scenario: Scenario,
    outcome: Outcome,
    /// What it takes of the disk.
    operations: u64,
}

fn scenario(number: usize) -> &'static Whole {
    static ALL: [OnceLock<Whole>; SCENARIOS] = [const { OnceLock::new() }; SCENARIOS];
    ALL[number].get_or_init(|| {
        let scenario = Scenario::new(number as u64, EVENTS);
        let disk = SimulatedDisk::new(0);
        attempt(&disk, &Making::plain(), &scenario, Silence(u64::MAX)).expect("nothing disturbs it");
        let operations = disk.operations();
        let outcome = Outcome::of(&open(&disk, &Making::plain()).expect("it opens"));
        assert!(outcome.energies.len() as u64 > EVENTS, "{} energies only", outcome.energies.len());
        Whole { scenario, outcome, operations }
    })
}

fn open(disk: &SimulatedDisk, making: &Making) -> Result<FileLog, sanctum::log::Error> {
    let options = file::Options {
        disk: Arc::new(disk.clone()),
        durability: making.durability,
        segment_bytes: making.segment_bytes,
        checkpoint_bytes: making.checkpoint_bytes,
        background: making.background,
        ..file::Options::new(|| 0)
    };
    FileLog::open(Path::new(FOLDER), options)
}

/// Runs the scenario on what is on the disk; how many energies compaction dropped, or how long the log was when it failed.
fn attempt(
    disk: &SimulatedDisk,
    making: &Making,
    scenario: &Scenario,
    mut silence: Silence,
) -> Result<u64, u64> {
    let log = Arc::new(open(disk, making).map_err(|_| 0_u64)?);
    let dropped = if making.compacts { compact(&log)? } else { 0 };
    let options = Options {
        workers: making.workers,
        turns: making.turns.map(Turns::new),
        resume: true,
        round_events: making.round_events,
        commit_bytes: making.commit_bytes,
        ..Options::default()
    };
    let failed = |_| log.head();
    let mut engine = match Engine::over(log.clone(), scenario.load(making.cache), options) {
        Ok(engine) => engine,
        Err(unopened) if disk.is_off() || disk.faults() != Faults::default() => {
            drop(unopened);
            return Err(log.head());
        }
        Err(unopened) => panic!("{:?}", unopened.problems),
    };
    let mut seeds = scenario.seeds();
    seeds.follow(&*log, false).map_err(failed)?;
    match engine.run(&mut seeds, &mut silence) {
        Ok(()) => log.sync().map_err(failed)?,
        Err(Failure::Diagnostic(diagnostic)) => panic!("{diagnostic:?}"),
        Err(_) => return Err(log.head()),
    }
    let dropped = dropped + if making.compacts { compact(&log)? } else { 0 };
    Ok(dropped)
}

fn compact(log: &FileLog) -> Result<u64, u64> {
    let options = Compaction { all: true, ..Compaction::default() };
    log.compact(&options, &mut |_| {}).map(|done| done.dropped).map_err(|_| log.head())
}
