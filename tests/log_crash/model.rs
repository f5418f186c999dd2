//! What a log has to hold: commits in order, and how many of them may no longer be lost.

use std::collections::{BTreeMap, BTreeSet};

use sanctum::event::{EventRef, Events, Extra, Head, Uuid};
use sanctum::log::{Change, Commit, Direction, Error, FileLog, Log, MemoryLog, Query, Table};
use sanctum::router::Pattern;

/// An energy, as it has to be read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub position: u64,
    pub version: u64,
    pub time_ms: i64,
    pub id: Uuid,
    pub correlation: Uuid,
    pub causation: Uuid,
    pub hops: u32,
    pub topic: Vec<u8>,
    pub stream: Vec<u8>,
    pub data: Vec<u8>,
    pub tags: BTreeMap<String, String>,
}

impl Event {
    pub fn of(event: EventRef<'_>) -> Self {
        let head = event.head();
        Self {
            position: head.position,
            version: head.version,
            time_ms: head.time_ms,
            id: head.id,
            correlation: head.correlation,
            causation: head.causation,
            hops: head.hops,
            topic: event.topic_bytes().to_vec(),
            stream: event.stream_bytes().to_vec(),
            data: event.data().to_vec(),
            tags: event.extra().map(|extra| extra.tags.clone()).unwrap_or_default(),
        }
    }

    /// Adds it to a batch.
    pub fn push(&self, events: &mut Events, extra: Extra) {
        let mut head = Head::seed(self.id, self.time_ms);
        head.topic = events.store_topic(&self.topic);
        head.stream = if self.stream == self.topic { head.topic } else { events.store(&self.stream) };
        head.data = events.store(&self.data);
        (head.correlation, head.causation, head.hops) = (self.correlation, self.causation, self.hops);
        let extra = Extra { tags: self.tags.clone(), ..extra };
        events.push(head, (extra != Extra::default()).then_some(extra));
    }
}

pub type ChangeOf = (Table, Vec<u8>, Option<Vec<u8>>);

/// A commit that was stored, or may have been.
#[derive(Clone, Debug)]
pub struct Stored {
    pub events: Vec<Event>,
    pub changes: Vec<ChangeOf>,
}

/// See the module.
pub struct Model {
    pub commits: Vec<Stored>,
    /// As many of the commits are there after a crash.
    pub durable: usize,
    /// What the log would say, if all of the commits are there.
    pub memory: MemoryLog,
    /// Ids that were tried: those of lost commits must not be found.
    pub tried: BTreeSet<Uuid>,
}

pub type Values = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

impl Model {
    pub fn new() -> Self {
        Self { commits: Vec::new(), durable: 0, memory: MemoryLog::new(), tried: BTreeSet::new() }
    }

    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> + Clone {
        self.commits.iter().flat_map(|commit| &commit.events)
    }

    /// Forgets commits that did not survive.
    pub fn truncate(&mut self, len: usize) {
        self.durable = self.durable.min(len);
        if len == self.commits.len() {
            return;
        }
        self.commits.truncate(len);
        self.memory = MemoryLog::new();
        for commit in &self.commits {
            let mut events = Events::default();
            commit.events.iter().for_each(|event| event.push(&mut events, Extra::default()));
            let mut again = Commit::of(events);
            for (table, key, value) in &commit.changes {
                again.changes.push(Change { table: *table, key, value: value.as_deref() });
            }
            self.memory.append(again).expect("memory takes it");
        }
    }

    fn values(&self, len: usize) -> Values {
        let mut values = Values::new();
        for (table, key, value) in self.commits[..len].iter().flat_map(|commit| &commit.changes) {
            match value {
                Some(value) => drop(values.insert((*table, key.clone()), value.clone())),
                None => drop(values.remove(&(*table, key.clone()))),
            }
        }
        values
    }

    /// How many commits a log has, which is some number not below `least`. Panics where it is no prefix.
    pub fn survivors(&self, log: &FileLog, least: usize) -> Result<usize, Error> {
        let mut ends = vec![0];
        for commit in &self.commits {
            ends.push(ends[ends.len() - 1] + commit.events.len() as u64);
        }
        let head = log.head();
        let values = values_of(log)?;
        let candidates: Vec<usize> = (least..ends.len()).filter(|len| ends[*len] == head).collect();
        assert!(
            !candidates.is_empty(),
            "the head is {head}; {} commits were durable, that is {}, of {}, that is {}",
            least,
            ends[least],
            ends.len() - 1,
            ends[ends.len() - 1],
        );
        let found = candidates.iter().rev().find(|len| self.values(**len) == values);
        Ok(*found.unwrap_or_else(|| panic!("the tables are those of no prefix: {values:?}")))
    }

    /// Compares all that a log can be asked with the model. `thorough`: with every topic, stream and id.
    pub fn check(&self, log: &FileLog, thorough: bool) -> Result<(), Error> {
        let total = self.events().count() as u64;
        assert_eq!(log.head(), total, "the head");
        assert_eq!(log.visible(), total, "what is visible");
        let all = |_: &Event| true;
        self.check_query(log, &Query::default(), Direction::Forward, all)?;
        assert_eq!(values_of(log)?, self.values(self.commits.len()), "the tables");
        if !thorough {
            return Ok(());
        }
        self.check_query(log, &Query::default(), Direction::Backward, all)?;
        let topics: BTreeSet<&[u8]> = self.events().map(|event| &*event.topic).collect();
        for topic in topics.into_iter().filter(|topic| !topic.is_empty()) {
            let pattern = Pattern::parse(std::str::from_utf8(topic).expect("UTF-8")).expect("a pattern");
            let query = Query { topics: vec![pattern], ..Query::default() };
            self.check_query(log, &query, Direction::Forward, |event| event.topic == topic)?;
        }
        let mut streams: BTreeMap<&[u8], u64> = BTreeMap::new();
        self.events().for_each(|event| _ = streams.insert(&event.stream, event.version));
        for (stream, version) in streams {
            let name = std::str::from_utf8(stream).expect("UTF-8");
            assert_eq!(log.version_of(name)?, Some(version), "the version of `{name}`");
            let query = Query { stream: Some(name.to_owned()), ..Query::default() };
            self.check_query(log, &query, Direction::Backward, |event| event.stream == stream)?;
        }
        let query = Query { tags: vec![("kind".into(), "odd".into())], ..Query::default() };
        let odd = |event: &Event| event.tags.get("kind").is_some_and(|value| value == "odd");
        self.check_query(log, &query, Direction::Forward, odd)?;
        let mut lost = self.tried.clone();
        for event in self.events() {
            lost.remove(&event.id);
            assert_eq!(log.position_of(event.id)?, Some(event.position), "where {} is", event.id);
        }
        for id in lost.iter().take(20) {
            assert_eq!(log.position_of(*id)?, None, "{id} was not stored");
        }
        for event in self.events().step_by(7) {
            let (batch, at) = log.read(event.position)?.expect("it is there");
            assert_eq!(Event::of(batch.get(at)), *event);
        }
        assert!(log.read(total)?.is_none(), "nothing is beyond the head");
        Ok(())
    }

    fn check_query(
        &self,
        log: &FileLog,
        query: &Query,
        direction: Direction,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<(), Error> {
        let found = scan(log, query, direction)?;
        let expected = self.events().filter(|event| wanted(event));
        let same = match direction {
            Direction::Forward => expected.clone().eq(&found),
            Direction::Backward => expected.clone().rev().eq(&found),
        };
        if !same {
            let expected: Vec<u64> = expected.map(|event| event.position).collect();
            let positions: Vec<u64> = found.iter().map(|event| event.position).collect();
            panic!("{query:?} {direction:?}: found {positions:?}, expected {expected:?}, or contents differ");
        }
        Ok(())
    }
}

pub fn scan(log: &dyn Log, query: &Query, direction: Direction) -> Result<Vec<Event>, Error> {
    let visible = log.visible();
    let mut at = if direction == Direction::Forward { 0 } else { visible };
    let mut found = Vec::new();
    loop {
        let mut events = Events::default();
        let next = log.scan(at, direction, query, 64, &mut events)?;
        found.extend(events.iter().map(Event::of));
        let done = if direction == Direction::Forward { next >= visible } else { next == 0 };
        if done {
            return Ok(found);
        }
        assert_ne!(next, at, "a scan that does not move");
        at = next;
    }
}

fn values_of(log: &FileLog) -> Result<Values, Error> {
    let mut values = Values::new();
    for table in Table::ALL {
        values.extend(log.values(table, b"")?.into_iter().map(|(key, value)| ((table, key), value)));
    }
    Ok(values)
}
