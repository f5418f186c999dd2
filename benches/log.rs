//! The log in files, each figure beside its floor in the same run.
//!
//! `cargo bench --bench log` runs everything; a word after `--` picks parts: append, durable, together, replay, topic, get, open.

use std::hint::black_box;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use cpu_time::ProcessTime;
use sanctum::event::{Events, Head, Uuid};
use sanctum::log::file::{Durability, Options};
use sanctum::log::{Commit, Direction, FileLog, Log, Query};
use sanctum::router::Pattern;

const TOPICS: u64 = 1_000;
const STREAMS: u64 = 10_000;
const DATA_BYTES: usize = 200;
const EVENTS: u64 = 1_000_000;

fn now_ms() -> i64 {
    1_760_000_000_000
}

fn options(durability: Durability) -> Options {
    Options { durability, ..Options::new(now_ms) }
}

fn mix(n: u64) -> u64 {
    let x = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ x >> 32
}

fn id_of(n: u64) -> Uuid {
    Uuid::from_u64_pair(mix(n), n + 1)
}

/// Energies of 200 bytes of data; topics and streams at random.
fn batch(from: u64, count: u64) -> Events {
    let mut events = Events::with_capacity(count as usize, count as usize * (DATA_BYTES + 24));
    for n in from..from + count {
        let topic = events.store(format!("topic.{}", mix(n) % TOPICS).as_bytes());
        let stream = events.store(format!("stream-{}", mix(n + 7) % STREAMS).as_bytes());
        let mut data = vec![0x81, 0xa1, b'd', 0xc4, (DATA_BYTES - 5) as u8];
        data.resize(DATA_BYTES, n as u8);
        let data = events.store(&data);
        let mut head = Head::seed(id_of(n), now_ms() + n as i64 / 50);
        (head.topic, head.stream, head.data) = (topic, stream, data);
        events.push(head, None);
    }
    events
}

fn rate(what: &str, events: u64, time: Duration) -> f64 {
    let rate = events as f64 / time.as_secs_f64();
    println!("{what:<58} {rate:>14.0} events/s   {:>8.0} ns each", 1e9 / rate);
    rate
}

/// Wall time, and CPU time of all threads, which a busy machine does not lengthen as much.
struct Stopwatch(Instant, ProcessTime);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now(), ProcessTime::now())
    }

    fn rate(&self, what: &str, events: u64) {
        let (wall, cpu) = (self.0.elapsed(), self.1.elapsed());
        let rate = events as f64 / wall.as_secs_f64();
        let cpu_ns = cpu.as_nanos() as f64 / events as f64;
        println!("{what:<58} {rate:>14.0} events/s   {cpu_ns:>8.0} ns of CPU each");
    }
}

fn fill(folder: &Path, events: u64) {
    let log = FileLog::open(folder, options(Durability::Os)).expect("opens");
    let mut at = 0;
    while at < events {
        log.append(Commit::of(batch(at, 1_024.min(events - at)))).expect("appends");
        at += 1_024;
    }
    log.close().expect("closes");
}

fn append() {
    println!("\n# append, no sync, batches of 1,024");
    let batches: Vec<Events> = (0..EVENTS / 1_024).map(|n| batch(n * 1_024, 1_024)).collect();
    let folder = tempfile::tempdir_in(".").expect("a folder");
    let floor = fs::File::create(folder.path().join("floor")).expect("a file");
    let bytes = vec![7; 1_024 * (DATA_BYTES + 40)];
    let start = Stopwatch::start();
    for n in 0..batches.len() {
        floor.write_all_at(&bytes, (n * bytes.len()) as u64).expect("writes");
    }
    let total = batches.len() as u64 * 1_024;
    start.rate("floor: write of the same bytes", total);
    let log = FileLog::open(&folder.path().join("log"), options(Durability::Os)).expect("opens");
    let start = Stopwatch::start();
    for batch in batches {
        log.append(Commit::of(batch)).expect("appends");
    }
    start.rate("log: ids, indexes, chain, checksums", total);
    drop(log);
    let start = Stopwatch::start();
    let mut copy = vec![0_u8; bytes.len()];
    for _ in 0..total / 1_024 {
        copy.copy_from_slice(black_box(&bytes));
        black_box(&copy);
    }
    start.rate("memcpy of the same bytes", total);
}

/// Batches made beforehand, so that making them is not measured.
struct Batches(std::vec::IntoIter<Events>);

impl Batches {
    fn new(who: u64, size: u64, bytes: u64) -> Self {
        let count = (bytes / size / DATA_BYTES as u64).clamp(1, 30_000);
        Self((0..count).map(|n| batch((who << 40) | (n * size), size)).collect::<Vec<_>>().into_iter())
    }

    /// Appends for a while; how many, and how long it took.
    fn append_to(&mut self, log: &FileLog) -> (u64, Duration) {
        let start = Instant::now();
        let mut count = 0;
        while start.elapsed() < Duration::from_millis(1_500) {
            let Some(events) = self.0.next() else { break };
            log.append(Commit::of(events)).expect("appends");
            count += 1;
        }
        (count, start.elapsed())
    }
}

fn durable() {
    println!("\n# append, acknowledged when it is on the disk");
    for size in [1, 64, 1_024] {
        let folder = tempfile::tempdir_in(".").expect("a folder");
        let log = FileLog::open(&folder.path().join("log"), options(Durability::Commit)).expect("opens");
        let floor = fs::File::create(folder.path().join("floor")).expect("a file");
        rustix::fs::fallocate(&floor, rustix::fs::FallocateFlags::empty(), 0, 2 << 30).expect("room");
        floor.sync_all().expect("syncs");
        let bytes = vec![7; size as usize * (DATA_BYTES + 32)];
        let mut batches = Batches::new(0, size, 600 << 20);
        // In turns, since the disk's mood changes.
        let (mut raw, mut own) = ((0, Duration::ZERO), (0, Duration::ZERO));
        for _ in 0..4 {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(1_500) {
                floor.write_all_at(&bytes, raw.0 * bytes.len() as u64).expect("writes");
                floor.sync_data().expect("syncs");
                raw.0 += 1;
            }
            raw.1 += start.elapsed();
            let (count, time) = batches.append_to(&log);
            own = (own.0 + count, own.1 + time);
        }
        let floor = rate(&format!("floor: write + fdatasync, {size} at once"), raw.0 * size, raw.1);
        let rate = rate(&format!("log, {size} at once"), own.0 * size, own.1);
        println!("{:<58} {:>13.0} %", "  share of the floor", 100.0 * rate / floor);
    }
}

fn together() {
    println!("\n# appenders at the same time, one energy each, acknowledged when it is on the disk");
    let folder = tempfile::tempdir_in(".").expect("a folder");
    let log = FileLog::open(&folder.path().join("log"), options(Durability::Commit)).expect("opens");
    let log = Arc::new(log);
    let mut one = 0.0;
    for appenders in [1, 2, 4, 16, 64] {
        let batches: Vec<Batches> =
            (0..appenders).map(|who| Batches::new(appenders * 100 + who, 1, 64 << 20)).collect();
        let start = Instant::now();
        let threads = batches.into_iter().map(|mut batches| {
            let log = log.clone();
            thread::spawn(move || batches.append_to(&log).0)
        });
        let threads: Vec<_> = threads.collect();
        let count: u64 = threads.into_iter().map(|thread| thread.join().expect("ends")).sum();
        let rate = rate(&format!("{appenders} appenders"), count, start.elapsed());
        if appenders == 1 {
            one = rate;
        }
        println!("{:<58} {:>13.1} times", "  one appender", rate / one);
    }
}

/// A log of a million energies, in the system's cache.
fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(".").expect("a folder");
    fill(folder.path(), EVENTS);
    folder
}

fn replay() {
    println!("\n# replay 1 million, warm");
    let folder = filled();
    let cat = || {
        let start = Stopwatch::start();
        let mut buffer = vec![0; 1 << 20];
        for entry in fs::read_dir(folder.path()).expect("lists").flatten() {
            let mut file = fs::File::open(entry.path()).expect("opens");
            while file.read(&mut buffer).expect("reads") > 0 {}
        }
        start
    };
    cat();
    cat().rate("floor: cat of the files", EVENTS);
    let log = FileLog::open_to_read(folder.path(), options(Durability::Os)).expect("opens");
    let start = Stopwatch::start();
    let (mut at, mut bytes) = (0, 0);
    while let Some((batch, first)) = log.read(at).expect("reads") {
        bytes += batch.iter().skip(first).map(|event| event.data().len()).sum::<usize>();
        at = batch.get(batch.len() - 1).head().position + 1;
    }
    assert_eq!(bytes as u64, EVENTS * DATA_BYTES as u64);
    start.rate("replay, checksums verified", EVENTS);
}

fn topic() {
    println!("\n# one topic of 1,000 among 1 million");
    let folder = filled();
    let log = FileLog::open_to_read(folder.path(), options(Durability::Os)).expect("opens");
    let query = Query { topics: vec![Pattern::parse("topic.7").expect("a pattern")], ..Query::default() };
    let start = Stopwatch::start();
    let (mut at, mut found) = (0, Events::default());
    while at < log.head() {
        at = log.scan(at, Direction::Forward, &query, usize::MAX, &mut found).expect("scans");
    }
    start.rate(&format!("one topic of 1,000: {} matches, each", found.len()), found.len() as u64);
}

fn get() {
    println!("\n# get by id among 1 million");
    let folder = filled();
    let log = FileLog::open_to_read(folder.path(), options(Durability::Os)).expect("opens");
    log.position_of(id_of(1)).expect("looks");
    let start = Stopwatch::start();
    for n in 0..200_000 {
        let n = mix(n) % EVENTS;
        assert_eq!(log.position_of(id_of(n)).expect("looks"), Some(n));
    }
    start.rate("get by id", 200_000);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("lists").flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("copies");
        }
    }
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

fn open() {
    println!("\n# open");
    for millions in [1, 5, 10] {
        let folder = tempfile::tempdir_in(".").expect("a folder");
        let path = folder.path().join("log");
        let log = FileLog::open(&path, options(Durability::Os)).expect("opens");
        for n in 0..millions * EVENTS / 1_024 {
            log.append(Commit::of(batch(n * 1_024, 1_024))).expect("appends");
        }
        log.sync().expect("syncs");
        let killed = folder.path().join("killed");
        // What a kill leaves: the files as they are.
        if millions == 1 {
            copy(&path, &killed);
        }
        log.close().expect("closes");
        let stat = |path: &Path, what: &str| {
            let before = resident_kib();
            let start = Instant::now();
            let log = FileLog::open(path, options(Durability::Os)).expect("opens");
            let time = start.elapsed();
            let memory = (resident_kib().saturating_sub(before) * 1_024) as f64 / (millions * EVENTS) as f64;
            println!("{what:<58} {:>11.1} ms   {memory:>6.1} B of memory an event", time.as_secs_f64() * 1e3);
            log.stat().expect("stat").bytes
        };
        let bytes = stat(&path, &format!("{millions} million, closed"));
        if millions == 1 {
            stat(&killed, "1 million, killed");
        }
        let overhead = bytes as f64 / (millions * EVENTS / 1_024 * 1_024) as f64 - DATA_BYTES as f64;
        println!("{:<58} {overhead:>11.1} B over the data, an event", "  on disk, indexes included");
    }
}

fn main() {
    let picked: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let parts: [(&str, fn()); 7] = [
        ("append", append),
        ("durable", durable),
        ("together", together),
        ("replay", replay),
        ("topic", topic),
        ("get", get),
        ("open", open),
    ];
    for (name, part) in parts {
        if picked.is_empty() || picked.iter().any(|word| word == name) {
            part();
        }
    }
}
