//! A folder that format 1 wrote, which every later version must open: `tests/log_format/format-1`.
//!
//! It has sealed segments, one that was compacted (gaps, carried heads), an active one, every field of an envelope, all
//! tables, and content. `cargo test --test log_format -- --ignored` wrote it, and writes it only where there is none.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sanctum::blob::store::{Access, ContentStore};
use sanctum::disk::{Disk, RealDisk};
use sanctum::event::json::write_event;
use sanctum::event::{Events, Extra, Head, Ttl, Uuid};
use sanctum::log::file::Compaction;
use sanctum::log::file::Options;
use sanctum::log::file::verify::verify;
use sanctum::log::{Commit, Direction, FileLog, Log, Query, Table};

const DAY_MS: i64 = 86_400_000;

fn then_ms() -> i64 {
    1_760_000_000_000
}

/// Late enough for what is kept a day to have ended.
fn now_ms() -> i64 {
    then_ms() + 2 * DAY_MS
}

fn options(now_ms: fn() -> i64) -> Options {
    Options { segment_bytes: 4 << 10, background: false, ..Options::new(now_ms) }
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/log_format/format-1")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("it lists").map(|entry| entry.expect("an entry")) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("it copies");
        }
    }
}

/// A copy of the fixture, which may be written to.
fn opened() -> (tempfile::TempDir, FileLog) {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&fixture(), folder.path());
    let log = FileLog::open(&folder.path().join("plane"), options(now_ms)).expect("a later version opens it");
    (folder, log)
}

fn lines(log: &dyn Log) -> String {
    let (mut at, mut found, mut text) = (0, Events::default(), Vec::new());
    while at < log.visible() {
        at = log.scan(at, Direction::Forward, &Query::default(), 100, &mut found).expect("it scans");
    }
    for event in found.iter() {
        write_event(event, &mut text);
        text.push(b'\n');
    }
    String::from_utf8(text).expect("text")
}

fn tables(log: &dyn Log) -> String {
    let mut text = String::new();
    for table in Table::ALL {
        for (key, value) in log.values(table, b"").expect("it reads") {
            text += &format!("{table:?} {} {}\n", key.escape_ascii(), value.escape_ascii());
        }
    }
    text
}

fn expected(name: &str) -> String {
    fs::read_to_string(fixture().join(name)).expect("it is there")
}

#[test]
fn every_energy_reads_as_it_was_written() {
    let (_folder, log) = opened();
    assert_eq!(lines(&log), expected("energies.ndjson"));
    for line in expected("energies.ndjson").lines() {
        let energy: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let id = Uuid::parse_str(energy["id"].as_str().expect("an id")).expect("an id");
        assert_eq!(log.position_of(id).expect("it looks"), energy["position"].as_u64());
    }
}

#[test]
fn tables_read_as_they_were_written() {
    let (folder, log) = opened();
    assert_eq!(tables(&log), expected("tables.txt"));
    drop(log);
    fs::remove_file(folder.path().join("plane/tables.redb")).ok();
    let log = FileLog::open(&folder.path().join("plane"), options(now_ms)).expect("it opens");
    assert_eq!(tables(&log), expected("tables.txt"));
}

#[test]
fn indexes_are_made_anew_where_they_are_missing() {
    let (folder, log) = opened();
    drop(log);
    for entry in fs::read_dir(folder.path().join("plane")).expect("it lists").flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "idx") {
            fs::remove_file(entry.path()).expect("it is removed");
        }
    }
    let log = FileLog::open(&folder.path().join("plane"), options(now_ms)).expect("it opens");
    assert_eq!(lines(&log), expected("energies.ndjson"));
}

#[test]
fn content_reads_as_it_was_written() {
    let (folder, log) = opened();
    drop(log);
    let disk = Arc::new(RealDisk);
    let store = ContentStore::open(disk, &folder.path().join("plane/blobs"), Access::Read).expect("it opens");
    let digest = blake3::hash(b"small content");
    assert_eq!(store.get(&digest, 1 << 20).expect("it reads").as_deref(), Some(&b"small content"[..]));
}

#[test]
fn it_is_appended_to_and_checked() {
    let (folder, log) = opened();
    let head = log.head();
    log.append(Commit::of(batch(1_000, 1_050))).expect("it appends");
    log.close().expect("it closes");
    let log = FileLog::open(&folder.path().join("plane"), options(now_ms)).expect("it opens");
    assert_eq!(log.head(), head + 50);
    log.close().expect("it closes");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut findings = Vec::new();
    let verified = verify(&folder.path().join("plane"), &disk, &mut |finding| findings.push(finding));
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(verified.expect("it verifies").head, head + 50);
}

/// Energies with every field of an envelope, in some.
fn batch(from: u64, to: u64) -> Events {
    let mut events = Events::default();
    for n in from..to {
        let mut head = Head::seed(Uuid::from_u128(u128::from(n) + 1), then_ms() + n as i64 * 1_000);
        if n % 5 > 0 {
            head.topic = events.store_topic(format!("orders.{}", n % 4).as_bytes());
            head.stream = head.topic;
        }
        if n % 3 == 0 {
            head.stream = events.store(format!("order-{}", n % 7).as_bytes());
        }
        if n % 4 == 0 {
            head.causation = Uuid::from_u128(u128::from(n));
            head.correlation = Uuid::from_u128(1);
            head.hops = (n % 300) as u32;
        }
        let mut extra = None;
        if n % 6 == 0 {
            let mut rest = Extra { ttl: Ttl::Last(9), ..Extra::default() };
            rest.tags.insert("region".to_owned(), format!("r{}", n % 2));
            rest.content = (n % 12 == 0).then(|| blake3::hash(b"small content").to_hex().to_string());
            extra = Some(rest);
        } else if n % 7 == 0 {
            extra = Some(Extra { ttl: Ttl::TimeMs(DAY_MS as u64), ..Extra::default() });
        }
        let data = [&[0x82, 0xa1, b'n', 0xcd, (n >> 8) as u8, n as u8, 0xa1, b't', 0xa9][..], b"some text"];
        head.data = events.store(&data.concat());
        events.push(head, extra);
    }
    events
}

#[test]
#[ignore = "writes the folder that the other tests read; format 1 is not written anew"]
fn write_the_folder() {
    let folder = fixture();
    assert!(!folder.exists(), "a format that is out there does not change");
    let plane = folder.join("plane");
    let log = FileLog::open(&plane, options(then_ms)).expect("it opens");
    let disk = Arc::new(RealDisk);
    let store = ContentStore::open(disk, &plane.join("blobs"), Access::Write).expect("it opens");
    store.put(b"small content").expect("it takes it");
    store.sync().expect("it syncs");
    drop(store);
    for n in 0..20 {
        let mut commit = Commit::of(batch(n * 10, n * 10 + 10));
        commit.changes.put(Table::Cursor, b"mailer", &(n * 3).to_le_bytes());
        commit.changes.put(Table::State, format!("spell-{}", n % 3).as_bytes(), &[0x81, 0xa1, n as u8, 1]);
        commit.changes.put(Table::Spell, b"large", &(n * 10).to_le_bytes());
        commit.changes.put(Table::Seed, format!("seeds/{n}").as_bytes(), b"mark");
        if n > 3 {
            commit.changes.delete(Table::Seed, format!("seeds/{}", n - 3).as_bytes());
        }
        log.append(commit).expect("it appends");
    }
    log.close().expect("it closes");
    let log = FileLog::open(&plane, options(now_ms)).expect("it opens");
    let compaction = Compaction { all: true, ..Compaction::default() };
    let compacted = log.compact(&compaction, &mut |_| {}).expect("it compacts");
    assert!(compacted.dropped > 0, "the fixture has gaps");
    log.append(Commit::of(batch(200, 203))).expect("it appends");
    let (energies, tables) = (lines(&log), tables(&log));
    log.close().expect("it closes");
    fs::write(folder.join("energies.ndjson"), energies).expect("it is written");
    fs::write(folder.join("tables.txt"), tables).expect("it is written");
    fs::remove_file(plane.join("LOCK")).ok();
}
