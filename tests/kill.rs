//! A process that is killed: it appends, seals, compacts and backs up until SIGKILL ends it, again and again, over one log.
//!
//! What it acknowledged is there; what it did not is there as a whole commit or not at all; the log opens every time,
//! and positions have no gap. The system goes on, so this shows what a process leaves behind, not what a disk
//! loses: see `log_crash` for that. `SANCTUM_KILLS` sets how often.

#![cfg(unix)]
#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sanctum::event::{Events, Extra, Head, Ttl, Uuid};
use sanctum::log::file::{Compaction, Durability, Options};
use sanctum::log::{Commit, Direction, Error, FileLog, Log, Query, cursor};
use tempfile::TempDir;

/// Kills, unless the environment says otherwise.
const KILLS: u64 = 200;

/// Kills that one log sees; then another begins, so that none grows without end.
const KILLS_OF_A_LOG: u64 = 25;

/// Energies of one commit: all of them are there or none.
const BATCH: u64 = 5;

/// Names the folder of the log to who is to append to it.
const FOLDER: &str = "SANCTUM_KILL_FOLDER";

/// How the appender is to be durable, and where it goes on.
const ROUND: &str = "SANCTUM_KILL_ROUND";

fn now_ms() -> i64 {
    1_000_000_000_000
}

fn options(round: u64) -> Options {
    let durability = match round % 3 {
        0 => Durability::Commit,
        1 => Durability::IntervalMs(1),
        _ => Durability::Os,
    };
    // Segments so small that most kills meet one that is being sealed.
    Options { durability, segment_bytes: 4 << 10, checkpoint_bytes: 2 << 10, ..Options::new(now_ms) }
}

/// Commit `number` of the log.
fn commit(number: u64) -> Commit {
    let mut events = Events::default();
    for n in 0..BATCH {
        let mut head = Head::seed(Uuid::from_u128(u128::from(number * BATCH + n) + 1), now_ms());
        head.topic = events.store_topic(format!("topic.{}", number % 5).as_bytes());
        head.stream = events.store(format!("stream-{n}").as_bytes());
        head.data = events.store(&data(number, n));
        // A quarter of all comes to the end of its time, for compaction.
        let ttl = if n == 4 { Ttl::Last(10) } else { Ttl::Forever };
        events.push(head, (ttl != Ttl::Forever).then(|| Extra { ttl, ..Extra::default() }));
    }
    if number.is_multiple_of(3) {
        events.require_check();
    }
    let mut commit = Commit::of(events).atomic();
    cursor::moved(&mut commit.changes, "appender", number);
    commit
}

fn data(number: u64, n: u64) -> Vec<u8> {
    let mut data = vec![0x81, 0xa1, b'n', 0xcf];
    data.extend_from_slice(&number.to_be_bytes());
    data.extend(std::iter::repeat_n(0x2a, (n * 13) as usize));
    data
}

/// What the killed process does; nothing unless it is told where.
#[test]
fn append_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let round: u64 = std::env::var(ROUND).ok().and_then(|text| text.parse().ok()).expect("a round");
    let log = FileLog::open(&folder, options(round)).expect("it opens after every kill");
    let mut out = std::io::stdout();
    writeln!(out, "\nopened").and_then(|()| out.flush()).expect("somebody listens");
    for number in log.head() / BATCH.. {
        let appended = log.append(commit(number)).expect("it appends");
        assert_eq!(appended.count() as u64, BATCH);
        writeln!(out, "stored {}", number + 1).and_then(|()| out.flush()).expect("somebody listens");
        care(&log, &folder, round, number);
    }
}

/// What else a process does with a log, and must bear to be killed at. Often enough for most kills to meet one of these.
fn care(log: &FileLog, folder: &Path, round: u64, number: u64) {
    match (round % 3, number % 20) {
        (1, 19) => {
            let compaction = Compaction { all: true, ..Compaction::default() };
            log.compact(&compaction, &mut |_| {}).expect("it compacts");
        }
        (2, 9) => drop(log.backup(&copy_of(folder), &mut |_| {}).expect("it backs up")),
        _ => {}
    }
}

/// Where the copy of a log is.
fn copy_of(folder: &Path) -> PathBuf {
    folder.with_extension("copy")
}

/// A copy is a log that ends earlier; one whose first making was cut off does not open. The next time completes it.
fn check_copy(folder: &Path, log: &FileLog, commits: u64) {
    let copy = copy_of(folder);
    if let Ok(copied) = FileLog::open_to_read(&copy, options(0)) {
        assert!(check(&copied, 0, true) <= commits, "the copy has more than the log");
    }
    log.backup(&copy, &mut |_| {}).expect("it backs up, whatever was cut off");
    let copied = FileLog::open_to_read(&copy, options(0)).expect("the copy opens");
    assert_eq!(check(&copied, commits, true), commits);
}

/// Starts the appender, and kills it after a while; how many commits it has acknowledged.
fn live_and_die(folder: &Path, round: u64, after: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "append_until_killed", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let acknowledged = listen(&mut child, after, round % 4 == 3);
    let out = child.wait_with_output().expect("it ends");
    assert!(!out.status.success(), "it goes on until it is killed");
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(!told.contains("panicked"), "round {round}: {told}");
    acknowledged
}

/// Kills a child a while after it has opened the log, or some time before; reads what it said until then.
fn listen(child: &mut Child, after: Duration, early: bool) -> u64 {
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let opened = early || lines.any(|line| line == "opened");
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let stored = lines.filter_map(|line| line.strip_prefix("stored ")?.parse().ok());
            stored.last().unwrap_or(0)
        });
        if opened {
            std::thread::sleep(after);
        }
        // SIGKILL.
        child.kill().expect("it is killed");
        reader.join().expect("it reads")
    })
}

/// Compares the log with what there should be: commits in order, whole, and at least those acknowledged.
fn check(log: &FileLog, acknowledged: u64, thorough: bool) -> u64 {
    let head = log.head();
    assert_eq!(head % BATCH, 0, "half a commit is there: {head}");
    let commits = head / BATCH;
    assert!(commits >= acknowledged, "{commits} commits are there, {acknowledged} were acknowledged");
    assert_eq!(log.visible(), head);
    let mut at = if thorough { 0 } else { head.saturating_sub(100 * BATCH) };
    let mut next = at;
    let mut found = Events::default();
    while at < head {
        found.clear();
        at = log.scan(at, Direction::Forward, &Query::default(), 1_000, &mut found).expect("it reads");
        for event in found.iter() {
            let (position, number, n) =
                (event.head().position, event.head().position / BATCH, event.head().position % BATCH);
            // What a ttl has ended may be gone, nothing else.
            next += u64::from(next < position && next % BATCH == 4);
            assert_eq!(position, next, "a gap");
            next += 1;
            assert_eq!(event.head().id, Uuid::from_u128(u128::from(position) + 1));
            assert_eq!(event.data(), data(number, n));
            assert_eq!(event.head().version, number, "the version at {position}");
        }
    }
    assert_eq!(cursor::position(log, "appender").expect("it looks"), commits.checked_sub(1));
    for n in 0..BATCH.min(head) {
        assert_eq!(log.version_of(&format!("stream-{n}")).expect("it looks"), Some(commits - 1));
    }
    for position in
        [0, head / 3, head.saturating_sub(2)].into_iter().filter(|at| *at < head && at % BATCH != 4)
    {
        let id = Uuid::from_u128(u128::from(position) + 1);
        assert_eq!(log.position_of(id).expect("it looks"), Some(position));
    }
    assert_eq!(log.position_of(Uuid::from_u128(u128::from(head) + 1)).expect("it looks"), None);
    commits
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_acknowledged() {
    let kills = std::env::var("SANCTUM_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let place = TempDir::new().expect("a folder");
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut acknowledged, mut commits, mut segments) = (0, 0, 0);
    for round in 0..kills {
        let folder = place.path().join(format!("planes/{}", round / KILLS_OF_A_LOG));
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // What was there once stays there.
        let before = if round % KILLS_OF_A_LOG == 0 { 0 } else { acknowledged };
        acknowledged = before.max(live_and_die(&folder, round, Duration::from_micros((dice >> 33) % 30_000)));
        // Who reads sees it, and leaves it to the next one to open it to write.
        match FileLog::open_to_read(&folder, options(round)) {
            Ok(reader) => acknowledged = check(&reader, acknowledged, false),
            Err(Error::Missing(_)) => assert_eq!(acknowledged, 0, "it was killed before there was a log"),
            Err(error) => panic!("round {round}: {error}"),
        }
        if (round + 1) % KILLS_OF_A_LOG == 0 || round + 1 == kills {
            let log = FileLog::open(&folder, options(0)).expect("it opens");
            assert_eq!(check(&log, acknowledged, true), acknowledged, "what a reader saw");
            check_copy(&folder, &log, acknowledged);
            segments += log.stat().expect("stat").segments as u64;
            commits += acknowledged;
            log.close().expect("it closes");
        }
    }
    eprintln!("{kills} kills, {commits} commits, {segments} segments");
    assert!(segments > kills / 4, "too few segments were sealed to meet any: {segments}");
}
