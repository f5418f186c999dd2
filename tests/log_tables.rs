//! What a log keeps beside energies, as its users see it: the same answers whatever became of the tables' file.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use sanctum::disk::{Disk, Faults, SimulatedDisk, When};
use sanctum::event::{Events, Head, Uuid};
use sanctum::log::file::{Durability, Options, tables};
use sanctum::log::{Change, Commit, Direction, Error, FileLog, Log, Table};

const FOLDER: &str = "/data/planes/main";

type Values = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

fn options(disk: &SimulatedDisk) -> Options {
    Options {
        disk: Arc::new(disk.clone()),
        durability: Durability::Commit,
        segment_bytes: 4 << 10,
        background: false,
        ..Options::new(|| 1_000_000_000_000)
    }
}

/// Writes the file after a few entries.
fn eager(disk: &SimulatedDisk) -> Options {
    Options { checkpoint_bytes: 1000, ..options(disk) }
}

fn open(options: Options) -> FileLog {
    FileLog::open(Path::new(FOLDER), options).expect("the log opens")
}

fn open_to_read(options: Options) -> FileLog {
    FileLog::open_to_read(Path::new(FOLDER), options).expect("the log opens to read")
}

fn file() -> PathBuf {
    Path::new(FOLDER).join(tables::NAME)
}

/// The commit with that number: an energy, a cursor that moves, a few of fifty keys set and one removed.
fn commit(n: u64) -> Commit {
    let mut events = Events::default();
    let mut head = Head::seed(Uuid::from_u128(u128::from(n) + 1), 0);
    head.stream = events.store(b"orders");
    head.data = events.store(&[0xc0]);
    events.push(head, None);
    let mut commit = Commit::of(events);
    commit.changes.put(Table::Cursor, b"reader", &n.to_le_bytes());
    for step in 0..3 {
        let key = format!("key/{}", n * 7 % 50 + step);
        commit.changes.put(Table::State, key.as_bytes(), format!("{n}.{step}").repeat(3).as_bytes());
    }
    commit.changes.delete(Table::State, format!("key/{}", n * 11 % 50).as_bytes());
    commit
}

fn apply(values: &mut Values, commit: &Commit) {
    for Change { table, key, value } in commit.changes.iter() {
        match value {
            Some(value) => drop(values.insert((table, key.to_vec()), value.to_vec())),
            None => drop(values.remove(&(table, key.to_vec()))),
        }
    }
}

/// The tables after the first `len` commits.
fn model(len: u64) -> Values {
    let mut values = Values::new();
    (0..len).for_each(|n| apply(&mut values, &commit(n)));
    values
}

fn fill(log: &FileLog, from: u64, to: u64) {
    for n in from..to {
        log.append(commit(n)).expect("it appends");
    }
}

fn try_values_of(log: &FileLog) -> Result<Values, Error> {
    let mut values = Values::new();
    for table in Table::ALL {
        values.extend(log.values(table, b"")?.into_iter().map(|(key, value)| ((table, key), value)));
    }
    Ok(values)
}

fn values_of(log: &FileLog) -> Values {
    try_values_of(log).expect("tables are read")
}

/// A closed log of 200 commits in many segments, whose file has most of the tables.
fn two_hundred() -> SimulatedDisk {
    let disk = SimulatedDisk::new(1);
    let log = open(eager(&disk));
    fill(&log, 0, 200);
    assert!(log.stat().expect("stat").segments > 5);
    log.close().expect("it closes");
    disk
}

#[test]
fn values_survive_many_sealed_segments_and_reopening() {
    for options in [options, eager] {
        let disk = SimulatedDisk::new(1);
        for life in 0..5 {
            let log = open(options(&disk));
            assert_eq!(values_of(&log), model(life * 40));
            fill(&log, life * 40, life * 40 + 40);
            assert_eq!(values_of(&log), model(life * 40 + 40));
            log.close().expect("it closes");
        }
        let log = open(options(&disk));
        assert_eq!(
            log.value(Table::Cursor, b"reader").expect("it is read"),
            Some(199_u64.to_le_bytes().into())
        );
        assert_eq!(log.value(Table::Seed, b"reader").expect("it is read"), None);
    }
}

#[test]
fn a_small_log_has_no_file() {
    let disk = SimulatedDisk::new(1);
    for life in 0..3 {
        let log = open(options(&disk));
        assert_eq!(values_of(&log), model(life * 3));
        fill(&log, life * 3, life * 3 + 3);
        log.close().expect("it closes");
    }
    assert!(!disk.exists(&file()));
}

#[test]
fn a_deleted_file_is_made_anew() {
    let disk = two_hundred();
    disk.remove(&file()).expect("it is there");
    let log = open(eager(&disk));
    assert_eq!(values_of(&log), model(200));
    assert!(disk.exists(&file()), "what was folded is kept");
}

#[test]
fn a_file_of_another_plane_or_ahead_of_the_log_is_made_anew() {
    let mine = two_hundred();
    let other = two_hundred();
    mine.write_raw(&file(), &other.bytes(&file()).expect("it is there")).expect("it is written");
    assert_eq!(values_of(&open(eager(&mine))), model(200));

    let disk = SimulatedDisk::new(1);
    let log = open(eager(&disk));
    fill(&log, 0, 100);
    let early = disk.snapshot();
    fill(&log, 100, 200);
    log.checkpoint().expect("it is written");
    let ahead = disk.bytes(&file()).expect("it is there");
    drop(log);
    let disk = SimulatedDisk::from_snapshot(&early, 1);
    disk.write_raw(&file(), &ahead).expect("it is written");
    let log = open(eager(&disk));
    // Commits are lost, others take their numbers: nothing of what the file has may come through.
    let mut other = Commit::default();
    other.changes.put(Table::Seed, b"other", b"");
    let mut expected = model(100);
    for _ in 0..150 {
        log.append(Commit { changes: other.changes.clone(), ..Commit::default() }).expect("it appends");
    }
    apply(&mut expected, &other);
    log.close().expect("it closes");
    assert_eq!(values_of(&open(eager(&disk))), expected);
}

#[test]
fn a_flipped_bit_changes_no_answer() {
    let whole = two_hundred();
    let (good, expected) = (whole.bytes(&file()).expect("it is there"), model(200));
    let used: Vec<u64> = (0..good.len()).filter(|at| good[*at] != 0).map(|at| at as u64).collect();
    for at in used.iter().step_by(used.len() / 150) {
        let disk = SimulatedDisk::from_snapshot(&whole.snapshot(), *at);
        disk.flip(&file(), *at, (*at % 8) as u8).expect("there is such a byte");
        let log = open(eager(&disk));
        assert_eq!(values_of(&log), expected, "byte {at} is flipped");
        fill(&log, 200, 210);
        log.close().expect("it closes");
        assert_eq!(values_of(&open(eager(&disk))), model(210), "byte {at} is flipped");
    }
}

#[test]
fn a_bit_that_flips_while_the_log_is_open_changes_no_answer() {
    let disk = two_hundred();
    let log = open(eager(&disk));
    let len = disk.bytes(&file()).expect("it is there").len() as u64;
    for at in (4096..len).step_by(1025) {
        disk.flip(&file(), at, 3).expect("there is such a byte");
    }
    assert_eq!(values_of(&log), model(200));
    fill(&log, 200, 220);
    log.checkpoint().expect("it is written");
    assert_eq!(values_of(&log), model(220));
}

#[test]
fn a_loss_of_power_at_any_point_leaves_the_tables_of_what_is_left_of_the_log() {
    let mut lives = 0;
    for at in 1.. {
        let disk = SimulatedDisk::new(at);
        disk.crash_after(at);
        let mut acknowledged = 0;
        if let Ok(log) = FileLog::open(Path::new(FOLDER), eager(&disk)) {
            while acknowledged < 60 && log.append(commit(acknowledged)).is_ok() {
                acknowledged += 1;
            }
            if !disk.is_off() {
                break;
            }
        }
        disk.crash();
        // It goes on, and off again somewhere while the file is read or made anew.
        disk.crash_after(at % 40 + 1);
        if let Ok(log) = FileLog::open(Path::new(FOLDER), eager(&disk)) {
            let _whatever = try_values_of(&log).and_then(|_| log.checkpoint());
        }
        disk.crash();
        let log = open(eager(&disk));
        let left = log.head();
        assert!(left >= acknowledged, "{left} of {acknowledged} commits are left after {at} operations");
        assert_eq!(values_of(&log), model(left), "after {at} operations");
        lives += 1;
    }
    assert!(lives > 200, "{lives}");
}

#[test]
fn a_disk_that_fails_under_the_file_loses_no_value() {
    for seed in 0..100 {
        let disk = SimulatedDisk::new(seed);
        let log = open(Options { checkpoint_bytes: usize::MAX, ..options(&disk) });
        fill(&log, 0, 30);
        log.checkpoint().expect("it is written");
        let changes = |n| Commit { changes: commit(n).changes, ..Commit::default() };
        log.append(changes(30)).expect("it appends");
        // The log itself is synced, so only the file is hit.
        let faults = [
            Faults { failing_writes: When::Chance(0.2), ..Faults::default() },
            Faults { failing_syncs: When::Chance(0.3), ..Faults::default() },
            Faults { failing_reads: When::Chance(0.3), ..Faults::default() },
            Faults { room_bytes: Some(disk.used_bytes()), ..Faults::default() },
        ];
        disk.set_faults(faults[seed as usize % faults.len()]);
        let _may_fail = log.checkpoint();
        let _may_fail = try_values_of(&log);
        let _may_fail = log.checkpoint();
        disk.set_faults(Faults::default());
        assert_eq!(values_of(&log), model(31), "seed {seed}");
        log.checkpoint().expect("it is written");
        drop(log);
        assert_eq!(values_of(&open(eager(&disk))), model(31), "seed {seed}");
    }
}

#[test]
fn state_larger_than_memory_is_read_in_pages_both_ways() {
    let disk = SimulatedDisk::new(1);
    let log = open(Options { segment_bytes: 64 << 10, checkpoint_bytes: 32 << 10, ..options(&disk) });
    let key = |n: u32| format!("{n:06}").into_bytes();
    for first in (0..6000_u32).step_by(100) {
        let mut changes = Commit::default().changes;
        (first..first + 100).for_each(|n| changes.put(Table::State, &key(n * 7919 % 6000), &n.to_le_bytes()));
        log.append(Commit { changes, ..Commit::default() }).expect("it appends");
    }
    let all: Vec<Vec<u8>> = (0..6000).map(key).collect();
    let keys = |pairs: Vec<(Vec<u8>, Vec<u8>)>| pairs.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(log.values(Table::State, b"").expect("they are read")), all);
    assert_eq!(keys(log.values(Table::State, b"0012").expect("they are read")), all[1200..1300]);
    let mut found: Vec<Vec<u8>> = Vec::new();
    loop {
        let to = found.last().map_or(Bound::Unbounded, |last| Bound::Excluded(&last[..]));
        let bounds = (Bound::Included(&b"001"[..]), to);
        let page = log.range(Table::State, bounds, Direction::Backward, 700).expect("a page");
        assert!(page.len() <= 700);
        if page.is_empty() {
            break;
        }
        found.extend(keys(page));
    }
    found.reverse();
    assert_eq!(found, all[1000..]);
}

#[test]
fn who_only_reads_sees_the_same_and_writes_nothing() {
    let disk = SimulatedDisk::new(1);
    let log = open(eager(&disk));
    let reader = open_to_read(options(&disk));
    let late = open_to_read(options(&disk));
    for step in 0..10 {
        fill(&log, step * 20, step * 20 + 20);
        // One segment or several are sealed between two looks.
        reader.refresh().expect("it reads on");
        if step % 3 != 1 {
            assert_eq!(values_of(&reader), model(step * 20 + 20), "step {step}");
        }
    }
    late.refresh().expect("it reads on");
    assert_eq!(values_of(&late), model(200));
    assert!(matches!(reader.checkpoint(), Err(Error::ReadOnly)));
    log.close().expect("it closes");
    disk.flip(&file(), 5000, 1).expect("there is such a byte");
    let damaged = disk.bytes(&file()).expect("it is there");
    let before = disk.operations();
    let reader = open_to_read(eager(&disk));
    assert_eq!(values_of(&reader), model(200));
    drop(reader);
    assert_eq!(disk.bytes(&file()).expect("it is there"), damaged);
    assert_eq!(disk.operations(), before, "nothing was written");
}

#[test]
fn a_change_counts_until_a_later_one_of_its_key_is_durable() {
    for options in [options, eager] {
        let disk = SimulatedDisk::new(1);
        let log = open(options(&disk));
        let change = |value| Change { table: Table::State, key: b"k", value };
        let append = |value| {
            let mut changes = Commit::default().changes;
            changes.push(change(value));
            log.append_unsynced(Commit { changes, ..Commit::default() }).expect("it appends");
        };
        let counts = |value, sequence| log.is_current(&change(value), sequence).expect("it is known");
        append(Some(&b"a"[..]));
        append(Some(b"b"));
        assert!(counts(Some(b"a"), 0), "the later one may be lost");
        log.sync().expect("it syncs");
        assert!(!counts(Some(b"a"), 0) && counts(Some(b"b"), 1));
        append(None);
        log.sync().expect("it syncs");
        for _ in 0..2 {
            assert!(!counts(Some(b"b"), 1) && counts(None, 2), "a removal hides what is older");
            log.checkpoint().expect("it is written");
        }
    }
}

#[test]
fn no_commit_is_seen_in_part_while_others_append_and_the_file_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = || Options {
        durability: Durability::Os,
        segment_bytes: 64 << 10,
        checkpoint_bytes: 64 << 10,
        ..Options::new(|| 1_000_000_000_000)
    };
    let log = FileLog::open(folder.path(), options()).expect("the log opens");
    let reader = FileLog::open_to_read(folder.path(), options()).expect("the log opens to read");
    // Each commit sets all of the keys to its number.
    const KEYS: u64 = 600;
    const LAST: u64 = 60;
    let watch = |log: &FileLog| {
        let mut seen = 0;
        while seen < LAST {
            log.refresh().expect("it reads on");
            let pairs = log.values(Table::State, b"").expect("they are read");
            let Some((_, first)) = pairs.first() else { continue };
            assert_eq!(pairs.len() as u64, KEYS);
            assert!(pairs.iter().all(|(_, value)| value == first), "all of one moment");
            let now = u64::from_le_bytes(first[..].try_into().expect("8 bytes"));
            assert!(now >= seen, "time does not go back");
            seen = now;
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| watch(&log));
        scope.spawn(|| watch(&log));
        scope.spawn(|| watch(&reader));
        for n in 0..=LAST {
            let mut commit = Commit { events: commit(n).events, ..Commit::default() };
            (0..KEYS).for_each(|key| commit.changes.put(Table::State, &key.to_be_bytes(), &n.to_le_bytes()));
            log.append(commit).expect("it appends");
        }
    });
    assert!(folder.path().join(tables::NAME).exists());
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(u8, u8, Option<u8>)>),
    Checkpoint,
    Reopen,
    Delete,
    Range(u8, Option<u8>, Option<u8>, bool, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let change = (0..4_u8, 0..40_u8, any::<Option<u8>>());
    prop_oneof![
        8 => prop::collection::vec(change, 0..12).prop_map(Step::Append),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
        1 => Just(Step::Delete),
        4 => (0..4_u8, any::<Option<u8>>(), any::<Option<u8>>(), any::<bool>(), 0..30_usize)
            .prop_map(|(table, from, to, back, limit)| Step::Range(table, from, to, back, limit)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn tables_are_as_a_map(steps in prop::collection::vec(step(), 1..60), bytes in 1..3000_usize) {
        let disk = SimulatedDisk::new(1);
        let options = || Options { checkpoint_bytes: bytes, segment_bytes: 1 << 10, ..options(&disk) };
        let mut log = open(options());
        let mut values = Values::new();
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Append(changes) => {
                    let mut commit = Commit { events: commit(n as u64).events, ..Commit::default() };
                    for (table, key, value) in changes {
                        let value = value.map(|value| vec![value; usize::from(value)]);
                        let table = Table::ALL[usize::from(table)];
                        commit.changes.push(Change { table, key: &[key], value: value.as_deref() });
                    }
                    apply(&mut values, &commit);
                    log.append(commit).expect("it appends");
                }
                Step::Checkpoint => log.checkpoint().expect("it is written"),
                Step::Reopen | Step::Delete => {
                    drop(log);
                    if matches!(step, Step::Delete) {
                        let _may_be_missing = disk.remove(&file());
                    }
                    log = open(options());
                }
                Step::Range(table, from, to, back, limit) => {
                    let table = Table::ALL[usize::from(table)];
                    let (from, to) = (from.map(|key| [key]), to.map(|key| [key]));
                    let low = from.as_ref().map_or(Bound::Unbounded, |key| Bound::Included(&key[..]));
                    let high = to.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key[..]));
                    let direction = if back { Direction::Backward } else { Direction::Forward };
                    let found = log.range(table, (low, high), direction, limit).expect("it is read");
                    let is_in = |key: &[u8]| {
                        from.is_none_or(|from| key >= &from[..]) && to.is_none_or(|to| key < &to[..])
                    };
                    let mut wanted: Vec<_> = values.iter()
                        .filter(|((of, key), _)| *of == table && is_in(key))
                        .map(|((_, key), value)| (key.clone(), value.clone()))
                        .collect();
                    if back {
                        wanted.reverse();
                    }
                    wanted.truncate(limit);
                    prop_assert_eq!(found, wanted);
                }
            }
        }
        prop_assert_eq!(values_of(&log), values);
    }
}
