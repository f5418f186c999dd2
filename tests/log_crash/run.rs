//! One run: lives of a log between crashes, all by chance from one seed.

use std::path::Path;
use std::sync::Arc;

use sanctum::disk::{Disk, FailedSync, Faults, SimulatedDisk, When};
use sanctum::log::file::{Durability, Options, tables};
use sanctum::log::{Commit, Conflict, Error, FileLog, Log, Query};

use super::model::{Event, Model, Stored, scan};
use super::random::Random;

pub const FOLDER: &str = "/data/planes/main";

/// What goes wrong in a run, beside crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// What a disk does that is honest: operations fail and say so.
    Failing,
    /// There is no room, then there is again.
    Full,
    /// Syncs that did nothing.
    Lying,
    /// Bits that flip between two lives.
    Flipping,
}

impl Trouble {
    /// Whether what was acknowledged may be lost, or found to be damaged. Never may it be something else.
    fn is_beyond_repair(self) -> bool {
        matches!(self, Self::Lying | Self::Flipping)
    }
}

/// What runs met, to see that tests test.
#[derive(Debug, Default)]
pub struct Tally {
    pub commits: u64,
    pub crashes: u64,
    pub kills: u64,
    pub closes: u64,
    pub errors: u64,
    pub poisoned: u64,
    pub lost: u64,
    pub detected: u64,
    pub segments: u64,
    pub flips: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.commits += other.commits;
        self.crashes += other.crashes;
        self.kills += other.kills;
        self.closes += other.closes;
        self.errors += other.errors;
        self.poisoned += other.poisoned;
        self.lost += other.lost;
        self.detected += other.detected;
        self.segments += other.segments;
        self.flips += other.flips;
    }
}

pub fn now_ms() -> i64 {
    1_000_000_000_000
}

pub struct Run {
    pub(super) random: Random,
    disk: SimulatedDisk,
    trouble: Trouble,
    durability: Durability,
    segment_bytes: u32,
    checkpoint_bytes: usize,
    pub(super) model: Model,
    pub(super) ids: u128,
    trace: bool,
    pub tally: Tally,
}

/// Why something does not go on.
enum Stop {
    /// Loss was detected, as it may be where syncs lied: the end of the run.
    Detected,
    /// The power is off.
    Off,
}

impl Run {
    pub fn new(seed: u64, trouble: Trouble) -> Self {
        let mut random = Random::new(seed ^ ((trouble as u64) << 56));
        let disk = SimulatedDisk::new(random.next());
        let durability = match random.below(5) {
            0 => Durability::Os,
            1 => Durability::IntervalMs(5),
            _ => Durability::Commit,
        };
        let segment_bytes = random.pick(&[2 << 10, 4 << 10, 8 << 10, 64 << 10]);
        // Of which an entry takes some 80: after each commit, after some, or when a segment is sealed.
        let checkpoint_bytes = random.pick(&[1, 300, 1000, 64 << 10]);
        let model = Model::new();
        let (tally, trace) = (Tally::default(), std::env::var_os("SANCTUM_CRASH_TRACE").is_some());
        Self {
            random,
            disk,
            trouble,
            durability,
            segment_bytes,
            checkpoint_bytes,
            model,
            ids: 0,
            trace,
            tally,
        }
    }

    /// A log that was written to without trouble, and closed.
    pub fn build(seed: u64, steps: u64) -> (SimulatedDisk, Model, Options) {
        let mut run = Self::new(seed, Trouble::Full);
        (run.durability, run.segment_bytes) = (Durability::Commit, 2 << 10);
        let Ok(log) = FileLog::open(Path::new(FOLDER), run.options()) else { panic!("it opens") };
        for _ in 0..steps {
            assert!(run.append(&log).is_ok_and(|goes_on| goes_on), "it appends");
        }
        log.close().expect("it closes");
        let options = run.options();
        (run.disk, run.model, options)
    }

    fn options(&self) -> Options {
        Options {
            disk: Arc::new(self.disk.clone()),
            durability: self.durability,
            segment_bytes: self.segment_bytes,
            now_ms,
            background: false,
            checkpoint_bytes: self.checkpoint_bytes,
            note: String::new(),
        }
    }

    /// Lives, each ended by a crash, a kill or a close; at least two crashes.
    pub fn go(&mut self) {
        let lives = 3 + self.random.below(4);
        let mut life = 0;
        while life < lives || self.tally.crashes < 2 {
            match self.live(life == 0) {
                Ok(()) => {}
                Err(Stop::Off) => self.crash(),
                Err(Stop::Detected) => {
                    self.tally.detected += 1;
                    return;
                }
            }
            if self.trouble == Trouble::Flipping && self.tally.crashes > 0 && self.random.percent(40) {
                self.flip();
            }
            life += 1;
        }
        self.disk.set_faults(Faults::default());
        if let Ok(log) = self.open(false) {
            let result = self.model.check(&log, true);
            let _may_be_told = self.judge(result);
        }
    }

    /// Flips a bit of some file.
    fn flip(&mut self) {
        let files = self.disk.files();
        if files.is_empty() {
            return;
        }
        let file = self.random.pick(&files.iter().collect::<Vec<_>>());
        let bytes = self.disk.bytes(file).map_or(0, |bytes| bytes.len() as u64);
        if bytes > 0 {
            let (offset, bit) = (self.random.below(bytes), self.random.below(8) as u8);
            self.tell(&format!("flip {} {offset} {bit}", file.display()));
            self.disk.flip(file, offset, bit).expect("there is such a byte");
            self.tally.flips += 1;
        }
    }

    /// Tells what happens, for who runs one seed again.
    fn tell(&self, what: &str) {
        if self.trace {
            let state = (self.model.durable, self.model.commits.len(), self.disk.operations());
            eprintln!("{what}; durable, commits, operations: {state:?}");
        }
    }

    fn crash(&mut self) {
        self.tell("crash");
        self.disk.crash();
        if self.trace {
            for file in self.disk.files() {
                eprintln!("  {} {:?}", file.display(), self.disk.bytes(&file).map(|bytes| bytes.len()));
            }
        }
        if self.trouble == Trouble::Lying {
            // Blocks of several moments have good checksums: after such a loss the file is to be deleted.
            let _may_be_missing = self.disk.remove(&Path::new(FOLDER).join(tables::NAME));
        }
        self.tally.crashes += 1;
    }

    fn faults(&mut self) -> Faults {
        let mut faults = Faults::default();
        let random = &mut self.random;
        match self.trouble {
            Trouble::Full | Trouble::Flipping => {}
            Trouble::Lying => {
                faults.lying_syncs = When::Chance(random.pick(&[0.0, 0.1, 0.5, 1.0]));
                faults.lying_dir_syncs = When::Chance(random.pick(&[0.0, 0.0, 0.2, 1.0]));
            }
            Trouble::Failing => {
                let mut sometimes = |percent, chance| {
                    if random.percent(percent) { When::Chance(chance) } else { When::Never }
                };
                faults.failing_syncs = sometimes(30, 0.1);
                faults.failing_writes = sometimes(15, 0.05);
                faults.short_writes = sometimes(30, 0.3);
                faults.failing_resizes = sometimes(15, 0.1);
                faults.failing_dir_syncs = sometimes(20, 0.2);
                faults.failing_renames = sometimes(15, 0.2);
                faults.failing_opens = sometimes(15, 0.1);
                faults.failed_sync = random.pick(&[
                    FailedSync::Random,
                    FailedSync::Random,
                    FailedSync::Clean,
                    FailedSync::Dropped,
                    FailedSync::Dirty,
                ]);
            }
        }
        faults
    }

    /// Errors of a log on a disk that lies or forgets are loss that was detected; otherwise there are none.
    fn judge<T>(&self, result: Result<T, Error>) -> Result<T, Stop> {
        match result {
            Ok(value) => Ok(value),
            Err(Error::Damaged { .. } | Error::Foreign { .. } | Error::Newer { .. })
                if self.trouble.is_beyond_repair() =>
            {
                Err(Stop::Detected)
            }
            Err(_) if self.disk.is_off() => Err(Stop::Off),
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens the log, through faults and losses of power, and sees what is left. `faulty`: on a bad disk.
    fn open(&mut self, mut faulty: bool) -> Result<FileLog, Stop> {
        let folder = Path::new(FOLDER);
        let mut seen = None;
        loop {
            let was = self.disk.faults();
            if !self.trouble.is_beyond_repair() && self.random.percent(30) {
                // Who only reads sees the same, before and after.
                self.disk.set_faults(Faults::default());
                match FileLog::open_to_read(folder, self.options()) {
                    Ok(reader) => {
                        let len = self.judge(self.model.survivors(&reader, self.model.durable))?;
                        seen = Some((reader.head(), len));
                    }
                    Err(Error::Missing(_)) => assert_eq!(self.model.durable, 0, "nothing was durable"),
                    Err(_) if self.disk.is_off() => {}
                    Err(error) => panic!("reading: {error}"),
                }
                self.disk.set_faults(was);
            }
            match FileLog::open(folder, self.options()) {
                Ok(log) => {
                    self.tell("opened");
                    self.disk.set_faults(Faults::default());
                    let least = if self.trouble.is_beyond_repair() { 0 } else { self.model.durable };
                    let len = self.judge(self.model.survivors(&log, least))?;
                    if let Some((head, _)) = seen {
                        assert_eq!(log.head(), head, "who read before has seen another end");
                    }
                    self.tally.lost += (self.model.commits.len() - len) as u64;
                    self.model.truncate(len);
                    self.model.durable = len;
                    let thorough = self.random.percent(50);
                    let result = self.model.check(&log, thorough);
                    self.judge(result)?;
                    self.disk.set_faults(was);
                    return Ok(log);
                }
                Err(_) if self.disk.is_off() => {
                    self.crash();
                    seen = None;
                }
                Err(error @ (Error::Io { .. } | Error::Tables { .. }))
                    if was != Faults::default() || faulty =>
                {
                    self.tally.errors += 1;
                    self.tell(&error.to_string());
                    // A bad disk may lose what it said it has not: only what is there now counts.
                    seen = None;
                    if self.random.percent(30) {
                        self.disk.set_faults(Faults::default());
                        faulty = false;
                    } else if self.random.percent(30) {
                        self.crash();
                    }
                }
                Err(error) => return self.judge(Err(error)),
            }
        }
    }

    fn live(&mut self, first: bool) -> Result<(), Stop> {
        self.disk.set_faults(Faults::default());
        let faults = self.faults();
        if self.random.percent(15) {
            self.disk.crash_after(1 + self.random.below(30));
        }
        // A folder whose name was lost by a sync that failed would be lost for ever.
        let faulty = !first && self.random.percent(50);
        if faulty {
            self.disk.set_faults(faults);
        }
        let log = self.open(faulty)?;
        self.disk.set_faults(faults);
        self.tell(&format!("{:?} {} {faults:?}", self.durability, self.segment_bytes));
        if self.random.percent(50) {
            self.disk.crash_after(1 + self.random.below(120));
        }
        let steps = 3 + self.random.below(30);
        let mut reader = None;
        let mut poisoned = false;
        for _ in 0..steps {
            if self.disk.is_off() || poisoned {
                break;
            }
            if self.trouble == Trouble::Full && self.random.percent(20) {
                let room = self.disk.used_bytes() + self.random.below(3000);
                let limit = if self.random.percent(50) { Some(room) } else { None };
                self.disk.set_faults(Faults { room_bytes: limit, ..faults });
            }
            match self.random.below(20) {
                0 if !self.disk.is_off() => {
                    self.look(&log, &mut reader)?;
                }
                1 | 2 => {
                    match log.sync() {
                        Ok(()) => self.model.durable = self.model.commits.len(),
                        Err(_) => poisoned = true,
                    }
                    continue;
                }
                _ => poisoned = !self.append(&log)?,
            }
        }
        if poisoned && !self.disk.is_off() {
            self.tally.poisoned += 1;
            assert_ne!(self.trouble, Trouble::Full, "a full disk does not end a log");
            self.look_at_poisoned(&log)?;
        }
        self.end(log)
    }

    /// Ends a life.
    fn end(&mut self, log: FileLog) -> Result<(), Stop> {
        self.tally.segments += segments(&self.disk);
        match self.random.below(6) {
            0 | 1 if !self.disk.is_off() => {
                // The process is killed, the machine goes on. What it has done so far is seen by the next.
                let snapshot = self.disk.snapshot();
                let disk = SimulatedDisk::from_snapshot(&snapshot, self.random.next());
                self.tell("kill");
                std::mem::replace(&mut self.disk, disk).crash();
                drop(log);
                self.tally.kills += 1;
                return Ok(());
            }
            2 | 3 => {
                let closed = log.close();
                self.tell(&format!("close: {closed:?}"));
                if closed.is_ok() {
                    self.model.durable = self.model.commits.len();
                    self.tally.closes += 1;
                }
                if !self.disk.is_off() && self.random.percent(50) {
                    return Ok(());
                }
                self.crash();
                return Ok(());
            }
            4 if !self.disk.is_off() => {
                drop(log);
                return Ok(());
            }
            _ => {}
        }
        self.crash();
        Ok(())
    }

    /// Appends something; false when the log takes nothing more.
    fn append(&mut self, log: &FileLog) -> Result<bool, Stop> {
        let draft = self.draft();
        for (event, _) in &draft.events {
            self.model.tried.insert(event.id);
        }
        self.tally.commits += 1;
        let expected = self.model.memory.append(draft.commit()).expect("memory takes it");
        let by_query = |(_, conflict): &(usize, Conflict)| matches!(conflict, Conflict::Query { .. });
        let conflicts = &expected.conflicts;
        let refused = draft.atomic && !conflicts.is_empty() || conflicts.iter().any(by_query);
        let stored = Stored {
            events: expected.batch.iter().map(Event::of).collect(),
            changes: if refused { Vec::new() } else { draft.changes.clone() },
        };
        let segments_before = segments(&self.disk);
        let unsynced = self.random.percent(20);
        let result = if unsynced { log.append_unsynced(draft.commit()) } else { log.append(draft.commit()) };
        let before = self.model.commits.len();
        if !stored.events.is_empty() || !stored.changes.is_empty() {
            self.model.commits.push(stored);
        }
        match result {
            Ok(appended) => {
                self.tell(&format!("append {:?}", (unsynced, appended.batch.len(), segments(&self.disk))));
                let batch: Vec<Event> = appended.batch.iter().map(Event::of).collect();
                let wanted: Vec<Event> = expected.batch.iter().map(Event::of).collect();
                assert_eq!(batch, wanted, "what was stored");
                assert_eq!(appended.known, expected.known, "what was known");
                assert_eq!(appended.conflicts, expected.conflicts, "conflicts");
                if !unsynced && self.durability == Durability::Commit {
                    self.model.durable = self.model.commits.len();
                } else if segments(&self.disk) > segments_before {
                    // Another segment is begun when all before is durable.
                    self.model.durable = before;
                }
                Ok(true)
            }
            Err(error) => {
                self.tell(&format!("append {unsynced}: {error}"));
                self.tally.errors += 1;
                if self.disk.is_off() {
                    return Ok(false);
                }
                if self.trouble.is_beyond_repair() {
                    return self.judge(Err(error));
                }
                if log.append(Commit::default()).is_ok() {
                    // It failed before anything was written.
                    self.model.truncate(before);
                    assert_eq!(log.head(), self.model.events().count() as u64, "after {error}");
                    if self.durability == Durability::Commit {
                        self.model.durable = before;
                    }
                    return Ok(true);
                }
                Ok(false)
            }
        }
    }

    /// Compares the log with the model in the midst of its life, and one that was opened to read.
    fn look(&mut self, log: &FileLog, reader: &mut Option<FileLog>) -> Result<(), Stop> {
        if self.model.durable < self.model.commits.len() {
            return Ok(());
        }
        let faults = self.disk.faults();
        self.disk.set_faults(Faults::default());
        self.tell("look");
        let thorough = self.random.percent(30);
        let result = self.model.check(log, thorough);
        self.judge(result)?;
        if reader.is_none() {
            let opened = FileLog::open_to_read(Path::new(FOLDER), self.options());
            *reader = Some(self.judge(opened)?);
        }
        if let Some(reader) = reader {
            let result = reader.refresh().and_then(|_| self.model.check(reader, thorough));
            self.judge(result)?;
        }
        self.disk.set_faults(faults);
        Ok(())
    }

    /// After a failure what was acknowledged can still be read.
    fn look_at_poisoned(&mut self, log: &FileLog) -> Result<(), Stop> {
        if self.durability != Durability::Commit {
            return Ok(());
        }
        let faults = self.disk.faults();
        self.disk.set_faults(Faults::default());
        let found = self.judge(scan(log, &Query::default(), sanctum::log::Direction::Forward))?;
        let least: usize = self.model.commits[..self.model.durable].iter().map(|c| c.events.len()).sum();
        assert!(found.len() >= least, "{} energies are seen, {least} were acknowledged", found.len());
        assert!(self.model.events().take(found.len()).eq(&found), "what is seen is what was appended");
        self.disk.set_faults(faults);
        Ok(())
    }
}

fn segments(disk: &SimulatedDisk) -> u64 {
    disk.files().iter().filter(|path| path.extension().is_some_and(|kind| kind == "log")).count() as u64
}
