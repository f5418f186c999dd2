//! A process that is killed: `sanctum cast --data`, again and again, until it comes to its end.

#![cfg(unix)]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sanctum::log::{FileLog, Log, file};
use tempfile::TempDir;

use crate::number;
use crate::outcome::Outcome;
use crate::random::Random;
use crate::scenario::Scenario;

/// Kills, unless the environment says otherwise.
const KILLS: u64 = 100;

/// Seeds: more than a chunk, so that some kills meet one that is being read.
const EVENTS: u64 = 5_000;

/// A folder with spells and seeds.
struct Place(TempDir);

impl Place {
    fn new(scenario: &Scenario) -> Self {
        let place = TempDir::new().expect("a folder");
        fs::create_dir(place.path().join("spells")).expect("a folder");
        for (name, source) in &scenario.spells {
            fs::write(place.path().join(format!("spells/{name}.lua")), source).expect("a spell");
        }
        for (name, bytes) in &scenario.files {
            fs::write(place.path().join(name), bytes).expect("a seed");
        }
        Self(place)
    }

    fn start(&self, scenario: &Scenario, data: &str, dice: &mut Random) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
        command.current_dir(self.0.path()).args(["cast", "spells", "--data", data]);
        for (name, _) in &scenario.files {
            command.args(["--seed", name]);
        }
        command.args(["--workers", dice.pick(&["1", "2", "3"])]);
        command.args(["--durability", dice.pick(&["commit", "interval:5", "os"])]);
        // Not a pipe: nobody reads while it runs, and it tells of every fault.
        let told = fs::File::create(self.told()).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(told);
        command.spawn().expect("it starts")
    }

    /// Runs to the end.
    fn run(&self, scenario: &Scenario, data: &str, dice: &mut Random) {
        let status = self.start(scenario, data, dice).wait().expect("it ends");
        assert!(status.success(), "{}", fs::read_to_string(self.told()).unwrap_or_default());
    }

    /// What the last process said.
    fn told(&self) -> PathBuf {
        self.0.path().join("told.txt")
    }

    /// Waits for a child so long, and kills it then; how it ended.
    fn kill_after(&self, mut child: Child, after: Duration) -> ExitStatus {
        std::thread::sleep(after);
        // SIGKILL; nothing where it has ended.
        child.kill().expect("it is killed");
        let status = child.wait().expect("it ends");
        let told = fs::read_to_string(self.told()).unwrap_or_default();
        assert!(!told.contains("panicked"), "{told}");
        status
    }

    fn open(&self, data: &str) -> Option<FileLog> {
        let folder = self.0.path().join(data).join("planes/main");
        match FileLog::open_to_read(&folder, file::Options::new(|| 0)) {
            Ok(log) => Some(log),
            Err(sanctum::log::Error::Missing(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn outcome(&self, data: &str) -> Outcome {
        Outcome::of(&self.open(data).expect("a log"))
    }

    fn forget(&self, data: &str) {
        fs::remove_dir_all(self.0.path().join(data)).expect("it goes");
    }
}

#[test]
fn a_process_that_is_killed_leaves_what_one_leaves_that_is_not() {
    let wanted = number("SANCTUM_ONCE_KILLS", KILLS);
    let scenario = Scenario::new(0, EVENTS);
    let place = Place::new(&scenario);
    let mut dice = Random::new(7);
    let start = Instant::now();
    place.run(&scenario, "whole", &mut dice);
    let micros = start.elapsed().as_micros() as u64;
    let whole = place.outcome("whole");
    assert!(whole.energies.len() as u64 > 2 * EVENTS);
    let (mut kills, mut runs) = (0, 0);
    while kills < wanted {
        let mut head = 0;
        loop {
            let after = Duration::from_micros(dice.below(micros * 3 / 5));
            let status = place.kill_after(place.start(&scenario, "data", &mut dice), after);
            let Some(log) = place.open("data") else {
                kills += 1;
                continue;
            };
            assert!(log.head() >= head, "{head} energies were there, {} are", log.head());
            head = log.head();
            if status.success() {
                break;
            }
            assert_eq!(status.code(), None, "it ends well or is killed");
            kills += 1;
        }
        // It is done, and stays so.
        place.run(&scenario, "data", &mut dice);
        place.outcome("data").assert_same(&whole, &format!("after {kills} kills"));
        place.forget("data");
        runs += 1;
    }
    eprintln!("{kills} kills, {runs} runs of {} energies, {} ms each", whole.energies.len(), micros / 1_000);
}
