//! The log in files, as its users see it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sanctum::event::{Events, Expect, Extra, Head, Ttl, Uuid};
use sanctum::log::file::Options;
use sanctum::log::{Commit, Conflict, Direction, FileLog, Log, Query};

fn now_ms() -> i64 {
    1_000_000_000_000
}

fn options() -> Options {
    Options { segment_bytes: 16 << 10, ..Options::new(now_ms) }
}

fn open(folder: &Path) -> FileLog {
    FileLog::open(folder, options()).expect("the log opens")
}

/// Energies `from..to`, spread over some topics and streams.
fn batch(from: u64, to: u64) -> Events {
    let mut events = Events::default();
    for n in from..to {
        let topic = events.store_topic(format!("topic.{}", n % 7).as_bytes());
        let stream = events.store(format!("stream-{}", n % 13).as_bytes());
        let data = events.store(&[0x81, 0xa1, b'n', 0xcd, (n >> 8) as u8, n as u8]);
        let mut head = Head::seed(Uuid::from_u128(u128::from(n) + 1), now_ms() + n as i64);
        (head.topic, head.stream, head.data) = (topic, stream, data);
        events.push(head, None);
    }
    events
}

fn all(log: &dyn Log, query: &Query, direction: Direction) -> Vec<u64> {
    let mut found = Events::default();
    let mut at = if direction == Direction::Forward { 0 } else { log.visible() };
    loop {
        let next = log.scan(at, direction, query, 100, &mut found).expect("it scans");
        if next == at || next == 0 || next >= log.visible() {
            return found.iter().map(|event| event.head().position).collect();
        }
        at = next;
    }
}

#[test]
fn what_was_appended_is_there_after_reopening() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    for n in 0..100 {
        let appended = log.append(Commit::of(batch(n * 10, n * 10 + 10))).expect("it appends");
        assert_eq!(appended.count(), 10);
    }
    assert!(log.stat().expect("stat").segments > 2);
    let check = |log: &FileLog| {
        assert_eq!(log.head(), 1000);
        assert_eq!(all(log, &Query::default(), Direction::Forward), (0..1000).collect::<Vec<_>>());
        assert_eq!(all(log, &Query::default(), Direction::Backward), (0..1000).rev().collect::<Vec<_>>());
        let query = Query { stream: Some("stream-5".into()), ..Query::default() };
        let expected: Vec<u64> = (0..1000).filter(|n| n % 13 == 5).collect();
        assert_eq!(all(log, &query, Direction::Forward), expected);
        assert_eq!(log.version_of("stream-5").expect("version"), Some(expected.len() as u64 - 1));
        for n in [0_u64, 1, 500, 999] {
            assert_eq!(log.position_of(Uuid::from_u128(u128::from(n) + 1)).expect("it looks"), Some(n));
        }
        assert_eq!(log.position_of(Uuid::from_u128(5000)).expect("it looks"), None);
        let (batch, at) = log.read(437).expect("it reads").expect("it is there");
        assert_eq!(batch.get(at).head().position, 437);
        assert_eq!(batch.get(at).topic(), Some("topic.3"));
    };
    check(&log);
    let reader = FileLog::open_to_read(folder.path(), options()).expect("it opens to read");
    check(&reader);
    log.close().expect("it closes");
    let log = open(folder.path());
    check(&log);
    log.append(Commit::of(batch(1000, 1010))).expect("it appends");
    assert_eq!(reader.refresh().expect("it reads on"), 1010);
    assert_eq!(reader.head(), 1010);
}

#[test]
fn a_known_id_returns_the_first_receipt_and_a_condition_that_fails_is_a_value() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    log.append(Commit::of(batch(0, 100))).expect("it appends");
    let mut again = batch(50, 60);
    again.require_check();
    let appended = log.append(Commit::of(again)).expect("it appends");
    assert_eq!((appended.count(), appended.known.len()), (0, 10));
    assert_eq!(appended.receipts().next().map(|(_, receipt)| receipt.position), Some(50));
    let mut events = Events::default();
    let stream = events.store(b"stream-1");
    let mut head = Head::seed(Uuid::nil(), 0);
    (head.stream, head.data) = (stream, events.store(&[0x80]));
    events.push(head, Some(Extra { expect: Expect::None, ttl: Ttl::Forever, ..Extra::default() }));
    events.require_check();
    let appended = log.append(Commit::of(events)).expect("it appends");
    let conflict = Conflict::Version { stream: "stream-1".into(), actual: Some(7), expected: None };
    assert_eq!(appended.conflicts, [(0, conflict)]);
}

#[test]
fn a_second_opener_is_told_who_has_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let _log = open(folder.path());
    let error = FileLog::open(folder.path(), options()).expect_err("it is locked").to_string();
    assert!(error.contains("open in another process (process "), "{error}");
}

#[test]
fn readers_of_what_is_no_longer_at_hand_and_a_writer_do_not_wait_for_each_other() {
    const COMMITS: u64 = 3_000;
    let folder = tempfile::tempdir().unwrap();
    // One segment, and in it more than the log keeps at hand of what was appended last.
    let log = Arc::new(FileLog::open(folder.path(), Options::new(now_ms)).unwrap());
    for from in 0..400 {
        log.append_unsynced(Commit::of(batch(from * 1_000, from * 1_000 + 1_000))).unwrap();
    }
    let (done, finished) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let (log, done) = (log.clone(), done.clone());
        std::thread::spawn(move || {
            while log.head() < 400_000 + COMMITS {
                log.scan(0, Direction::Forward, &Query::default(), 10, &mut Events::default()).unwrap();
            }
            done.send(()).unwrap();
        });
    }
    std::thread::spawn(move || {
        for at in 400_000..400_000 + COMMITS {
            log.append_unsynced(Commit::of(batch(at, at + 1))).unwrap();
        }
        done.send(()).unwrap();
    });
    for _ in 0..3 {
        finished.recv_timeout(Duration::from_secs(120)).expect("they come to their end");
    }
}
