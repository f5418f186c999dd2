//! Energies to append, and as they are read back.

use std::collections::BTreeMap;

use sanctum::event::{EventRef, Events, Expect, Extra, Head, Ttl, Uuid};
use sanctum::log::{Commit, Direction, Log, Query};

/// What is appended.
#[derive(Clone, Debug)]
pub struct Energy {
    pub id: u128,
    pub topic: String,
    /// Empty: that of the topic.
    pub stream: String,
    pub data: Vec<u8>,
    pub time_ms: i64,
    pub extra: Extra,
}

impl Energy {
    pub fn new(id: u128, topic: &str) -> Self {
        let data = vec![0x81, 0xa1, b'n', (id % 128) as u8];
        Self { id, topic: topic.into(), stream: String::new(), data, time_ms: 1_000, extra: Extra::default() }
    }

    pub fn stream(mut self, stream: &str) -> Self {
        self.stream = stream.into();
        self
    }

    pub fn expect(mut self, expect: Expect) -> Self {
        self.extra.expect = expect;
        self
    }

    pub fn tag(mut self, tag: &str, value: &str) -> Self {
        self.extra.tags.insert(tag.into(), value.into());
        self
    }

    pub fn ttl(mut self, ttl: Ttl) -> Self {
        self.extra.ttl = ttl;
        self
    }

    pub fn data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self
    }

    pub fn time_ms(mut self, time_ms: i64) -> Self {
        self.time_ms = time_ms;
        self
    }
}

/// A commit of energies. `checked`: their ids may be known, or they have conditions.
pub fn commit_of(energies: &[Energy], checked: bool) -> Commit {
    let mut events = Events::default();
    for energy in energies {
        let mut head = Head::seed(Uuid::from_u128(energy.id), energy.time_ms);
        head.topic = events.store_topic(energy.topic.as_bytes());
        head.stream =
            if energy.stream.is_empty() { head.topic } else { events.store(energy.stream.as_bytes()) };
        head.data = events.store(&energy.data);
        let extra = (energy.extra != Extra::default()).then(|| energy.extra.clone());
        events.push(head, extra);
    }
    if checked {
        events.require_check();
    }
    Commit::of(events)
}

/// A commit of energies that say which they are.
pub fn commit(energies: &[Energy]) -> Commit {
    commit_of(energies, true)
}

/// What is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub position: u64,
    pub version: u64,
    pub id: u128,
    pub time_ms: i64,
    pub topic: String,
    pub stream: String,
    pub data: Vec<u8>,
    pub tags: BTreeMap<String, String>,
    pub causation: u128,
    pub correlation: u128,
    pub hops: u32,
}

impl Seen {
    pub fn of(event: EventRef<'_>) -> Self {
        let head = event.head();
        Self {
            position: head.position,
            version: head.version,
            id: head.id.as_u128(),
            time_ms: head.time_ms,
            topic: event.topic().unwrap_or_default().to_owned(),
            stream: event.stream().unwrap_or_default().to_owned(),
            data: event.data().to_vec(),
            tags: event.extra().map(|extra| extra.tags.clone()).unwrap_or_default(),
            causation: head.causation.as_u128(),
            correlation: head.correlation.as_u128(),
            hops: head.hops,
        }
    }
}

/// All that matches, `page` at a time.
pub fn scan(log: &dyn Log, query: &Query, direction: Direction, page: usize) -> Vec<Seen> {
    let visible = log.visible();
    let (mut at, mut found) = (if direction == Direction::Forward { 0 } else { visible }, Vec::new());
    while if direction == Direction::Forward { at < visible } else { at > 0 } {
        let mut events = Events::default();
        let next = log.scan(at, direction, query, page, &mut events).expect("it scans");
        assert!(events.len() <= page, "{} energies, {page} were asked for", events.len());
        assert_ne!(next, at, "a scan that does not move");
        found.extend(events.iter().map(Seen::of));
        at = next;
    }
    found
}

/// The positions of all that matches.
pub fn positions(log: &dyn Log, query: &Query) -> Vec<u64> {
    let found: Vec<u64> = scan(log, query, Direction::Forward, 3).iter().map(|seen| seen.position).collect();
    let mut back: Vec<u64> =
        scan(log, query, Direction::Backward, 2).iter().map(|seen| seen.position).collect();
    back.reverse();
    assert_eq!(found, back, "forward and backward, {query:?}");
    found
}
