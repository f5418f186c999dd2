//! What flows: an energy is immutable data plus an envelope.
//!
//! The data is one canonical MessagePack map ([`msgpack`]); the envelope is a fixed head plus a few
//! rarely used extras. Energies travel in [`Events`], an arena that is filled once, then shared
//! read-only between the log and the workers: an energy costs no allocation of its own.
//!
//! Limits: an arena holds less than 4 GiB (offsets are 32 bit); an energy is bounded by
//! `limits.event_bytes`, its nesting by [`msgpack::DEPTH_MAX`].

pub mod envelope;
pub mod json;
pub mod msgpack;
pub mod suggest;
pub mod topic;

use std::collections::BTreeMap;

pub use envelope::{Expect, Fields, Ttl};
pub use uuid::Uuid;

/// A place in an [`Events`] arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// No bytes; what an absent topic has.
    pub const EMPTY: Span = Span { start: 0, len: 0 };

    /// The span `start..end`. An arena never grows past `u32::MAX` bytes, see [`Events::is_full`].
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, len: (end - start) as u32 }
    }

    /// Whether the span covers no bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..][..self.len as usize]
    }
}

/// The envelope of one energy, all but what is rare ([`Extra`]). `Copy`, so that a batch is two vectors.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Place in the plane: 0, 1, 2 ... without a gap. Set by the log.
    pub position: u64,
    /// Place in the stream: 0, 1, 2 ... Set by the log.
    pub version: u64,
    /// Milliseconds since the epoch.
    pub time_ms: i64,
    /// Identity; see [`envelope`] for how it is derived.
    pub id: Uuid,
    /// The first ancestor's id; nil for a seed.
    pub correlation: Uuid,
    /// The direct cause's id; nil for a seed.
    pub causation: Uuid,
    /// Casts between this energy and its seed.
    pub hops: u32,
    /// Every cast of a position below this one was committed when this energy was appended.
    pub settled: u64,
    /// Empty when the energy has no topic.
    pub topic: Span,
    /// Empty when the energy has neither stream nor topic.
    pub stream: Span,
    /// One canonical MessagePack map, without `$` keys.
    pub data: Span,
    /// Index into the arena's extras plus one; 0 for none.
    extra: u32,
}

impl Head {
    /// The position and the version of an energy that no log stores.
    pub const UNSTORED: u64 = i64::MAX as u64;

    /// A seed's head: no ancestors, position and version still to be set by the log.
    #[must_use]
    pub fn seed(id: Uuid, time_ms: i64) -> Self {
        Self {
            position: 0,
            version: 0,
            time_ms,
            id,
            correlation: Uuid::nil(),
            causation: Uuid::nil(),
            hops: 0,
            settled: 0,
            topic: Span::EMPTY,
            stream: Span::EMPTY,
            data: Span::EMPTY,
            extra: 0,
        }
    }
}

/// The rare part of an envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// Indexed labels.
    pub tags: BTreeMap<String, String>,
    /// How long the log keeps it.
    pub ttl: Ttl,
    /// Append condition on the stream.
    pub expect: Expect,
    /// Digest of a blob in the content store.
    pub content: Option<String>,
}

/// A batch of energies: one byte arena and their heads, in order.
#[derive(Debug, Default)]
pub struct Events {
    bytes: Vec<u8>,
    heads: Vec<Head>,
    extras: Vec<Extra>,
    checked: bool,
    /// The topic stored last; most energies of a batch share it.
    topic: Span,
}

impl Events {
    /// Bytes after which a batch is closed, far below the 32-bit limit of a span.
    pub const BYTES_FULL: usize = 1 << 30;

    /// An empty batch with room for `events` energies of `bytes` bytes in all.
    #[must_use]
    pub fn with_capacity(events: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), heads: Vec::with_capacity(events), ..Self::default() }
    }

    /// How many energies are in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether the batch holds no energy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Whether any energy is one that the log never stores.
    #[must_use]
    pub fn has_ephemeral(&self) -> bool {
        self.extras.iter().any(|extra| extra.ttl == Ttl::Ephemeral)
    }

    /// Whether the batch must be closed before another energy is added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= Self::BYTES_FULL
    }

    /// Bytes in the arena.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Heap bytes that the batch holds.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.heads.capacity() * size_of::<Head>()
    }

    /// Gives back what was reserved and not used.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.heads.shrink_to_fit();
    }

    /// The energy at `index`. Panics when out of range, as indexing does.
    #[must_use]
    pub fn get(&self, index: usize) -> EventRef<'_> {
        EventRef { events: self, head: &self.heads[index] }
    }

    /// All energies, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = EventRef<'_>> {
        self.heads.iter().map(|head| EventRef { events: self, head })
    }

    /// The heads, for the log to set positions and versions.
    pub fn heads_mut(&mut self) -> &mut [Head] {
        &mut self.heads
    }

    /// The arena, to write the next energy's data at its end. Follow with [`Events::push`].
    pub fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// One byte of the arena; 0 beyond its end.
    #[must_use]
    pub fn byte_at(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or_default()
    }

    /// Copies bytes into the arena. An empty slice takes no room.
    pub fn store(&mut self, bytes: &[u8]) -> Span {
        if bytes.is_empty() {
            return Span::EMPTY;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span::new(start, self.bytes.len())
    }

    /// Copies a topic into the arena, unless it is the one before.
    #[inline]
    pub fn store_topic(&mut self, topic: &[u8]) -> Span {
        if self.topic.of(&self.bytes) != topic {
            self.topic = self.store(topic);
        }
        self.topic
    }

    /// Adds an energy whose spans are already in the arena.
    pub fn push(&mut self, mut head: Head, extra: Option<Extra>) {
        head.extra = match extra {
            None => 0,
            Some(extra) => {
                self.extras.push(extra);
                self.extras.len() as u32
            }
        };
        self.heads.push(head);
    }

    /// Says that an energy of this batch names its id or a condition, which the log has to check.
    pub fn require_check(&mut self) {
        self.checked = true;
    }

    /// Whether any energy names its id or a condition.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.checked
    }

    /// Copies an energy of another batch, as it is.
    pub fn push_copy(&mut self, event: EventRef<'_>) {
        let mut head = *event.head;
        head.topic = self.store_topic(event.topic_bytes());
        head.stream =
            if event.head.stream == event.head.topic { head.topic } else { self.store(event.stream_bytes()) };
        head.data = self.store(event.data());
        self.push(head, event.extra().cloned());
    }

    /// Forgets the energies from `len` on, and the arena from `bytes` on: what both were at some moment.
    pub fn truncate(&mut self, len: usize, bytes: usize) {
        self.heads.truncate(len);
        self.bytes.truncate(bytes);
        self.topic = Span::EMPTY;
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.heads.clear();
        self.extras.clear();
        self.checked = false;
        self.topic = Span::EMPTY;
    }
}

/// One energy in its batch.
#[derive(Clone, Copy, Debug)]
pub struct EventRef<'a> {
    events: &'a Events,
    head: &'a Head,
}

impl<'a> EventRef<'a> {
    /// The fixed envelope.
    #[must_use]
    pub fn head(self) -> &'a Head {
        self.head
    }

    /// What happened, or `None` for an energy without topic.
    #[must_use]
    pub fn topic(self) -> Option<&'a str> {
        (!self.head.topic.is_empty()).then(|| str_of(self.topic_bytes()))
    }

    /// The topic's bytes; empty for none.
    #[must_use]
    pub fn topic_bytes(self) -> &'a [u8] {
        self.head.topic.of(&self.events.bytes)
    }

    /// Which entity it belongs to; `None` when it has neither stream nor topic.
    #[must_use]
    pub fn stream(self) -> Option<&'a str> {
        (!self.head.stream.is_empty()).then(|| str_of(self.stream_bytes()))
    }

    /// The stream's bytes; empty for none.
    #[must_use]
    pub fn stream_bytes(self) -> &'a [u8] {
        self.head.stream.of(&self.events.bytes)
    }

    /// One canonical MessagePack map.
    #[must_use]
    pub fn data(self) -> &'a [u8] {
        self.head.data.of(&self.events.bytes)
    }

    /// Whether the log never stores it.
    #[must_use]
    pub fn is_ephemeral(self) -> bool {
        self.extra().is_some_and(|extra| extra.ttl == Ttl::Ephemeral)
    }

    /// The rare part of the envelope.
    #[must_use]
    pub fn extra(self) -> Option<&'a Extra> {
        self.head.extra.checked_sub(1).map(|index| &self.events.extras[index as usize])
    }
}

/// Topics and streams are checked to be UTF-8 before they enter an arena.
fn str_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
