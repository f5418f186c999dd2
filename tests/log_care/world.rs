//! A log on a simulated disk with a clock of its own, and a model of what must be there.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use sanctum::disk::{Disk, SimulatedDisk};
use sanctum::event::msgpack::canonicalize;
use sanctum::event::{Events, Extra, Head, Ttl, Uuid};
use sanctum::log::file::verify::{Finding, Verified, verify};
use sanctum::log::file::{Durability, Options};
use sanctum::log::{Commit, Direction, FileLog, Log, Query};

thread_local! {
    static NOW_MS: Cell<i64> = const { Cell::new(1_000_000) };
}

pub fn now_ms() -> i64 {
    NOW_MS.get()
}

pub fn set_now_ms(now: i64) {
    NOW_MS.set(now);
}

pub const FOLDER: &str = "/data/planes/main";

pub fn options(disk: &SimulatedDisk) -> Options {
    Options {
        disk: Arc::new(disk.clone()),
        durability: Durability::Commit,
        segment_bytes: 2 << 10,
        background: false,
        ..Options::new(now_ms)
    }
}

pub fn open(disk: &SimulatedDisk) -> FileLog {
    FileLog::open(Path::new(FOLDER), options(disk)).expect("the log opens")
}

/// One energy as the model has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Told {
    pub position: u64,
    pub version: u64,
    pub id: u128,
    pub topic: String,
    pub stream: String,
    pub time_ms: i64,
    pub ttl: Ttl,
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { position, version, topic, stream, ttl, .. } = self;
        write!(f, "{position}={stream}/{version} {topic} {ttl:?}")
    }
}

/// What to append.
#[derive(Clone, Debug)]
pub struct Draft {
    pub topic: u8,
    pub stream: u8,
    pub ttl: Ttl,
    pub bytes: usize,
}

/// Everything that was ever appended.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub all: Vec<Told>,
}

impl Model {
    /// Appends to the log and to the model, and compares receipts.
    pub fn append(&mut self, log: &FileLog, drafts: &[Draft]) {
        let batch = self.batch(drafts);
        let appended = log.append(Commit::of(batch)).expect("it appends");
        for (_, receipt) in appended.receipts() {
            let told = &self.all[receipt.position as usize];
            assert_eq!(
                (receipt.position, receipt.version, receipt.id.as_u128()),
                (told.position, told.version, told.id)
            );
        }
    }

    pub fn batch(&mut self, drafts: &[Draft]) -> Events {
        let mut events = Events::default();
        for draft in drafts {
            let position = self.all.len() as u64;
            let (topic, stream) = (format!("topic.{}", draft.topic), format!("stream-{}", draft.stream));
            let version = self.all.iter().filter(|told| told.stream == stream).count() as u64;
            let mut data = vec![0x81, 0xa1, b'n', 0xc5, (draft.bytes >> 8) as u8, draft.bytes as u8];
            data.extend((0..draft.bytes).map(|n| (n as u64 + position) as u8));
            let mut canonical = Vec::new();
            canonicalize(&data, &mut canonical).expect("MessagePack");
            let data = canonical;
            let (id, time_ms) = (u128::from(position) + 1, now_ms());
            let mut head = Head::seed(Uuid::from_u128(id), time_ms);
            head.topic = events.store_topic(topic.as_bytes());
            head.stream = events.store(stream.as_bytes());
            head.data = events.store(&data);
            let extra = Extra { ttl: draft.ttl, ..Extra::default() };
            events.push(head, (draft.ttl != Ttl::Forever).then_some(extra));
            self.all.push(Told { position, version, id, topic, stream, time_ms, ttl: draft.ttl, data });
        }
        events
    }

    /// What has to be there now.
    pub fn live(&self) -> Vec<Told> {
        let is_live = |told: &&Told| match told.ttl {
            Ttl::Forever => true,
            Ttl::Ephemeral => false,
            Ttl::TimeMs(ms) => now_ms() < told.time_ms + ms as i64,
            Ttl::Last(count) => {
                let newer = self.all[told.position as usize + 1..].iter();
                (newer.filter(|other| other.topic == told.topic).count() as u64) < count
            }
        };
        self.all.iter().filter(is_live).cloned().collect()
    }

    /// Compares a log with the model, every way there is to read it.
    pub fn check(&self, log: &FileLog) {
        let live = self.live();
        assert_eq!(log.head(), self.all.len() as u64);
        assert_eq!(all(log, &Query::default(), Direction::Forward), live);
        let backward: Vec<Told> = live.iter().rev().cloned().collect();
        assert_eq!(all(log, &Query::default(), Direction::Backward), backward);
        for stream in 0..3_u8 {
            let stream = format!("stream-{stream}");
            let query = Query { stream: Some(stream.clone()), ..Query::default() };
            let own: Vec<Told> = live.iter().filter(|told| told.stream == stream).cloned().collect();
            assert_eq!(all(log, &query, Direction::Forward), own);
            let last = self.all.iter().rev().find(|told| told.stream == stream).map(|told| told.version);
            assert_eq!(log.version_of(&stream).expect("a version"), last, "{stream}");
        }
        for told in live.iter().step_by(5) {
            assert_eq!(log.position_of(Uuid::from_u128(told.id)).expect("it looks"), Some(told.position));
            let (batch, at) = log.read(told.position).expect("it reads").expect("it is there");
            assert_eq!(batch.get(at).head().position, told.position);
        }
    }
}

pub fn all(log: &FileLog, query: &Query, direction: Direction) -> Vec<Told> {
    let mut found = Events::default();
    let mut at = if direction == Direction::Forward { 0 } else { log.visible() };
    loop {
        let next = log.scan(at, direction, query, 100, &mut found).expect("it scans");
        if next == at || next == 0 || next >= log.visible() {
            return found
                .iter()
                .map(|event| Told {
                    position: event.head().position,
                    version: event.head().version,
                    id: event.head().id.as_u128(),
                    topic: event.topic().unwrap_or_default().to_owned(),
                    stream: event.stream().unwrap_or_default().to_owned(),
                    time_ms: event.head().time_ms,
                    ttl: event.extra().map_or(Ttl::Forever, |extra| extra.ttl),
                    data: event.data().to_vec(),
                })
                .collect();
        }
        at = next;
    }
}

pub fn verified(disk: &SimulatedDisk) -> (Verified, Vec<Finding>) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut findings = Vec::new();
    let verified =
        verify(Path::new(FOLDER), &disk, &mut |finding| findings.push(finding)).expect("it verifies");
    (verified, findings)
}

/// Energies by the thousand, from a number: topics, streams and ttls mixed.
pub fn drafts(seed: u64, count: usize) -> Vec<Draft> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    };
    (0..count)
        .map(|_| Draft {
            topic: random(4) as u8,
            stream: random(3) as u8,
            ttl: match random(6) {
                0 | 1 => Ttl::Forever,
                2 | 3 => Ttl::TimeMs(random(500) + 1),
                4 => Ttl::Last(random(3) + 1),
                _ => Ttl::Last(1),
            },
            bytes: random(60) as usize,
        })
        .collect()
}
