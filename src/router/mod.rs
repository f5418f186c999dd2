//! Who receives an energy.
//!
//! Two steps, from cheap to dear: the topic selects the spells ([`Subscriptions`], remembered per
//! topic by [`Router`]), then a spell's table filter looks at the energy's bytes
//! ([`Filter`]). Neither allocates for an energy whose topic was seen before, and neither enters Lua.
//!
//! Bounds: a router remembers at most [`Router::TOPICS_MAX`] topics and [`Router::IDS_MAX`]
//! subscribers in all, then starts anew; so a plane with a topic per entity costs no memory.

pub mod filter;
pub mod pattern;
mod subscriptions;

use std::collections::HashMap;
use std::hash::Hasher;

pub use filter::{Filter, FilterError};
pub use pattern::{Pattern, PatternError};
use rustc_hash::FxHasher;
pub use subscriptions::Subscriptions;

/// Answers "who receives this topic" from memory.
///
/// Before the map stands a small table that holds, for each value of a quick hash, the topic seen
/// last: alternating topics cost one comparison. The map hashes with a secret key, because topics
/// are chosen by strangers; a flood of topics made to collide in the table costs no more than the map.
#[derive(Debug)]
pub struct Router {
    subscriptions: Subscriptions,
    /// Who receives energies without a topic.
    untitled: Box<[u32]>,
    routes: Vec<Route>,
    /// Index into `routes`.
    known: HashMap<Box<[u8]>, u32>,
    /// Index into `routes`, or one that is out of range.
    recent: Box<[u32; RECENT]>,
    ids_remembered: usize,
    scratch: Vec<u32>,
}

#[derive(Debug)]
struct Route {
    topic: Box<[u8]>,
    ids: Box<[u32]>,
}

const RECENT: usize = 256;
const NOWHERE: u32 = u32::MAX;

impl Router {
    /// Topics remembered before the memory is cleared.
    pub const TOPICS_MAX: usize = 65_536;
    /// Subscribers remembered, over all topics, before the memory is cleared.
    pub const IDS_MAX: usize = 4 << 20;

    /// A router that has seen no topic yet.
    #[must_use]
    pub fn new(subscriptions: Subscriptions) -> Self {
        let mut scratch = Vec::new();
        subscriptions.matching(None, &mut scratch);
        Self {
            subscriptions,
            untitled: scratch.as_slice().into(),
            routes: Vec::new(),
            known: HashMap::new(),
            recent: Box::new([NOWHERE; RECENT]),
            ids_remembered: 0,
            scratch,
        }
    }

    /// The subscribers of a topic, ascending, each once. An empty topic is an energy without one.
    pub fn route(&mut self, topic: &[u8]) -> &[u32] {
        if topic.is_empty() {
            return &self.untitled;
        }
        let slot = quick_hash(topic);
        let recent = self.recent[slot] as usize;
        let index = match self.routes.get(recent) {
            Some(route) if *route.topic == *topic => recent,
            _ => {
                let index = self.look_up(topic);
                self.recent[slot] = index as u32;
                index
            }
        };
        &self.routes[index].ids
    }

    /// How many topics are remembered.
    #[must_use]
    pub fn topics_remembered(&self) -> usize {
        self.routes.len()
    }

    #[cold]
    fn look_up(&mut self, topic: &[u8]) -> usize {
        if let Some(&index) = self.known.get(topic) {
            return index as usize;
        }
        self.subscriptions.matching(Some(topic), &mut self.scratch);
        let count = self.scratch.len();
        if self.routes.len() >= Self::TOPICS_MAX || self.ids_remembered + count > Self::IDS_MAX {
            self.routes.clear();
            self.known.clear();
            self.recent.fill(NOWHERE);
            self.ids_remembered = 0;
        }
        let index = self.routes.len();
        self.known.insert(topic.into(), index as u32);
        self.routes.push(Route { topic: topic.into(), ids: self.scratch.as_slice().into() });
        self.ids_remembered += count;
        index
    }
}

fn quick_hash(topic: &[u8]) -> usize {
    let mut hasher = FxHasher::default();
    hasher.write(topic);
    (hasher.finish() >> 20) as usize % RECENT
}
