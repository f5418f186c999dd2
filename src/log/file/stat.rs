//! What is in a log, in numbers.

use std::collections::BTreeMap;

use super::FileLog;
use crate::event::Events;
use crate::log::{Direction, Error, Log, Query};

/// A topic and its energies. What a ttl has ended counts until compaction takes it away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicCount {
    /// The topic.
    pub topic: String,
    /// Its energies.
    pub events: u64,
}

/// A stream and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// The stream.
    pub stream: String,
    /// The version of its last energy.
    pub version: u64,
    /// Its energies that are kept.
    pub events: u64,
}

/// Where an energy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Its position.
    pub position: u64,
    /// Its time, in milliseconds since the epoch.
    pub time_ms: i64,
}

/// A log in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Energies that are kept.
    pub events: u64,
    /// Bytes of all segments and indexes.
    pub bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Topics.
    pub topics: u64,
    /// The next position to be given.
    pub head: u64,
    /// The oldest energy that is kept.
    pub oldest: Option<Moment>,
    /// The newest.
    pub newest: Option<Moment>,
}

impl FileLog {
    /// Topics, by name.
    pub fn topics(&self) -> Result<Vec<TopicCount>, Error> {
        let mut topics: BTreeMap<String, u64> = BTreeMap::new();
        let parts = self.plane.view().parts();
        for part in parts {
            self.plane.with_index(&part, |index| {
                for topic in index.topics() {
                    *topics.entry(text(topic.name)).or_default() += u64::from(topic.count);
                }
            })?;
        }
        Ok(topics.into_iter().map(|(topic, events)| TopicCount { topic, events }).collect())
    }

    /// Streams, by name. Energies with neither stream nor topic are in none.
    pub fn streams(&self) -> Result<Vec<StreamState>, Error> {
        let mut streams: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let parts = self.plane.view().parts();
        for part in parts {
            self.plane.with_index(&part, |index| {
                for stream in index.streams().filter(|stream| !stream.name.is_empty()) {
                    let (version, events) = streams.entry(text(stream.name)).or_default();
                    *version = stream.head.version;
                    *events += u64::from(stream.count);
                }
            })?;
        }
        let state = |(stream, (version, events))| StreamState { stream, version, events };
        Ok(streams.into_iter().map(state).collect())
    }

    /// The oldest position kept.
    pub fn first(&self) -> Result<Option<u64>, Error> {
        Ok(self.edge(Direction::Forward)?.map(|moment| moment.position))
    }

    /// The log in numbers.
    pub fn stat(&self) -> Result<Stat, Error> {
        let (mut events, mut bytes) = (0, 0);
        let parts = self.plane.view().parts();
        let segments = parts.len();
        for part in parts {
            bytes += part.end;
            events += self.plane.with_index(&part, |index| u64::from(index.len()))?;
            if part.sealed.is_some() {
                let (first, generation) = (part.header.first, part.header.generation);
                let path = super::segment::index_path(&self.plane.folder, first, generation);
                let file = self.plane.options.disk.open(&path, crate::disk::Mode::Read);
                bytes += file.and_then(|file| file.len()).unwrap_or(0);
            }
        }
        Ok(Stat {
            events,
            bytes,
            segments: segments as u64,
            topics: self.topics()?.len() as u64,
            head: self.head(),
            oldest: self.edge(Direction::Forward)?,
            newest: self.edge(Direction::Backward)?,
        })
    }

    fn edge(&self, direction: Direction) -> Result<Option<Moment>, Error> {
        let visible = self.visible();
        let (mut at, mut events) =
            (if direction == Direction::Forward { 0 } else { visible }, Events::default());
        loop {
            let next = self.scan(at, direction, &Query::default(), 1, &mut events)?;
            if let Some(event) = events.iter().next() {
                let head = event.head();
                return Ok(Some(Moment { position: head.position, time_ms: head.time_ms }));
            }
            if next == at || next == 0 || next >= visible {
                return Ok(None);
            }
            at = next;
        }
    }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
