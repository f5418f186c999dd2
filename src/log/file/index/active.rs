//! The index of the segment being written, in memory.
//!
//! An append is what counts here: it costs a few pushes. So the events of a topic, a stream or a tag are a list
//! linked from the newest back, by ordinal (an event's number in the segment), and ids are looked at only when
//! one is looked up. Positions are stored only from the first gap on, which is to say in compacted segments.

use std::ops::Range;

use super::ids::ActiveIds;
use super::names::Names;
use super::{
    Entry, FRAME_GAP_BYTES, FrameStart, Key, NameId, Nth, Place, SAMPLE_RECORDS, SegmentIndex, StreamCount,
    StreamHead, TagCount, TopicCount,
};
use crate::event::Uuid;

/// No ordinal, no link.
const NONE: u32 = u32::MAX;

/// A list of events, linked from the newest back.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) last: u32,
    pub(super) count: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { last: NONE, count: 0 }
    }
}

/// What is known of the end of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    /// Nothing.
    #[default]
    No,
    /// Older segments have nothing.
    Empty,
    /// What older segments say.
    Older,
    /// What this one says: by an event, or by a head that was kept.
    Here,
}

/// A stream's events and its end, apart from what topics have: an append touches each once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stream {
    pub(super) list: List,
    head: StreamHead,
}

/// The event before, by ordinal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Previous {
    pub(super) with_topic: u32,
    pub(super) with_stream: u32,
}

/// An event with a tag, and the one before by its place in the list of all such.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tagged {
    pub(super) ordinal: u32,
    pub(super) previous: u32,
}

/// A place in the file, by position relative to the segment's first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) relative: u32,
    pub(super) offset: u32,
}

/// The index of the segment being written; see the module's front page for its limits.
#[derive(Debug)]
pub struct ActiveIndex {
    first: u64,
    names: Names,
    /// Events as a topic, by name; as long as the dictionary, as the two that follow.
    topics: Vec<List>,
    streams: Vec<Stream>,
    known: Vec<Known>,
    tag_names: Names,
    tag_lists: Vec<List>,
    tagged: Vec<Tagged>,
    /// Of the tag at hand, to save making it anew.
    tag_bytes: Vec<u8>,
    ids: ActiveIds,
    previous: Vec<Previous>,
    /// Relative positions by ordinal; empty while they are the ordinals.
    relatives: Vec<u32>,
    next: u64,
    samples: Vec<Mark>,
    /// Records since the last sample; 0 at the start of a frame.
    unsampled: u32,
    frames: Vec<Mark>,
    time_ms: Option<(i64, i64)>,
}

impl ActiveIndex {
    /// The index of an empty segment that starts at a position.
    pub fn new(first: u64) -> Self {
        Self {
            first,
            names: Names::default(),
            topics: Vec::new(),
            streams: Vec::new(),
            known: Vec::new(),
            tag_names: Names::default(),
            tag_lists: Vec::new(),
            tagged: Vec::new(),
            tag_bytes: Vec::new(),
            ids: ActiveIds::new(),
            previous: Vec::new(),
            relatives: Vec::new(),
            next: first,
            samples: Vec::new(),
            unsampled: 0,
            frames: Vec::new(),
            time_ms: None,
        }
    }

    /// The same, with room for that many events: as many as the segment before had, so that nothing is moved while
    /// it grows.
    pub fn with_capacity(first: u64, events: u32) -> Self {
        let mut index = Self::new(first);
        index.ids.reserve(events as usize);
        index.previous.reserve(events as usize);
        index
    }

    /// Adds a name to the dictionary; the id of one that is there.
    pub fn add_name(&mut self, bytes: &[u8]) -> NameId {
        let id = self.names.add(bytes);
        self.resize();
        id
    }

    /// The name with an id; empty for an id that was never given.
    pub fn name_bytes(&self, id: NameId) -> &[u8] {
        self.names.get(id).unwrap_or_default()
    }

    /// Forgets the names from `len` on, for a frame that was not written. No event pushed may use one of them.
    pub fn cut_names(&mut self, len: u32) {
        self.names.cut(len);
        self.resize();
    }

    fn resize(&mut self) {
        let len = self.names.len() as usize;
        self.topics.resize(len, List::default());
        self.streams.resize(len, Stream::default());
        self.known.resize(len, Known::No);
    }

    /// Where a stream stands, as far as is known; `None` also for one that [`Self::is_head_known`] knows is empty.
    pub fn head(&self, stream: NameId) -> Option<StreamHead> {
        let known = self.known.get(stream as usize)?;
        matches!(known, Known::Older | Known::Here).then(|| self.streams[stream as usize].head)
    }

    /// Remembers what older segments say about a stream; `None`: it is empty. Not part of the sealed index, and
    /// ignored for a stream that has events here.
    pub fn set_head(&mut self, stream: NameId, head: Option<StreamHead>) {
        let known = if head.is_some() { Known::Older } else { Known::Empty };
        if self.known.get(stream as usize).is_some_and(|&known| known != Known::Here) {
            self.put_head(stream, head.unwrap_or_default(), known);
        }
    }

    /// The version of a stream's next event, counted as given; its chain value stays that of the last event until the
    /// next is pushed. The head is known.
    pub fn advance(&mut self, stream: NameId) -> u64 {
        let head = self.head(stream);
        let version = head.map_or(0, |head| head.version + 1);
        let known = self.known.get(stream as usize).copied();
        let known = known.filter(|known| *known == Known::Here).unwrap_or(Known::Older);
        self.put_head(stream, StreamHead { version, chain: head.unwrap_or_default().chain }, known);
        version
    }

    /// The chain value of a stream's next event, after its version was [taken](Self::advance).
    pub fn set_chain(&mut self, stream: NameId, chain: crate::log::file::chain::Chain) {
        if let Some(stream) = self.streams.get_mut(stream as usize) {
            stream.head.chain = chain;
        }
    }

    /// Remembers the head of a stream whose last events compaction removed from this segment. Part of the sealed
    /// index. An event pushed later goes over it.
    pub fn keep_head(&mut self, stream: NameId, head: StreamHead) {
        self.put_head(stream, head, Known::Here);
    }

    fn put_head(&mut self, stream: NameId, head: StreamHead, known: Known) {
        if let Some(stream) = self.streams.get_mut(stream as usize).zip(self.known.get_mut(stream as usize)) {
            stream.0.head = head;
            *stream.1 = known;
        }
    }

    /// Whether [`Self::head`] is the last word: looked up, kept, or pushed.
    pub fn is_head_known(&self, stream: NameId) -> bool {
        self.known.get(stream as usize).is_some_and(|&known| known != Known::No)
    }

    /// A frame starts at `offset` and has `count` events, from `first_position` on: before they are pushed. A frame
    /// may have none; positions below its first are given all the same.
    pub fn frame(&mut self, first_position: u64, offset: u32, count: u32) {
        // At most, since a count that was read may be anything.
        let count = count.min(1 << 16) as usize;
        self.ids.reserve(count);
        self.previous.reserve(count);
        self.unsampled = 0;
        self.next = self.next.max(first_position);
        let far = |last: &Mark| offset.saturating_sub(last.offset) >= FRAME_GAP_BYTES;
        if self.frames.last().is_none_or(far) {
            self.frames.push(Mark { relative: self.relative(first_position), offset });
        }
    }

    /// Adds an event.
    #[inline]
    pub fn push(&mut self, entry: &Entry<'_>) {
        debug_assert!(entry.position >= self.next, "positions ascend");
        let ordinal = self.len();
        let relative = self.relative(entry.position);
        if relative != ordinal || !self.relatives.is_empty() {
            if self.relatives.is_empty() {
                self.relatives.extend(0..ordinal);
            }
            self.relatives.push(relative);
        }
        self.next = entry.position + 1;
        if self.unsampled == 0 {
            self.samples.push(Mark { relative, offset: entry.offset });
        }
        self.unsampled = (self.unsampled + 1) % SAMPLE_RECORDS;
        self.ids.push(entry.id);
        self.time_ms = Some(match self.time_ms {
            Some((oldest, newest)) => (oldest.min(entry.time_ms), newest.max(entry.time_ms)),
            None => (entry.time_ms, entry.time_ms),
        });

        let mut previous = Previous { with_topic: NONE, with_stream: NONE };
        if let Some(topic) = entry.topic.and_then(|topic| self.topics.get_mut(topic as usize)) {
            previous.with_topic = topic.push(ordinal);
        }
        if let Some(id) = entry.stream
            && let Some(stream) = self.streams.get_mut(id as usize)
        {
            previous.with_stream = stream.list.push(ordinal);
            stream.head = StreamHead { version: entry.version, chain: entry.chain };
            if previous.with_stream == NONE {
                self.known[id as usize] = Known::Here;
            }
        }
        self.previous.push(previous);
        for (name, value) in entry.tags.into_iter().flatten() {
            self.push_tag(ordinal, name, value);
        }
    }

    fn push_tag(&mut self, ordinal: u32, name: &str, value: &str) {
        self.tag_bytes.clear();
        put_tag(&mut self.tag_bytes, name, value);
        let tag = self.tag_names.add(&self.tag_bytes) as usize;
        if tag == self.tag_lists.len() {
            self.tag_lists.push(List::default());
        }
        let previous = self.tag_lists[tag].push(self.tagged.len() as u32);
        self.tagged.push(Tagged { ordinal, previous });
    }

    fn relative(&self, position: u64) -> u32 {
        u32::try_from(position.saturating_sub(self.first)).unwrap_or(u32::MAX)
    }

    /// Relative position of the event with an ordinal.
    pub(super) fn relative_of(&self, ordinal: u32) -> u32 {
        self.relatives.get(ordinal as usize).copied().unwrap_or(ordinal)
    }

    fn list(&self, key: &Key<'_>) -> List {
        match *key {
            Key::Topic(name) => self.names.find(name).map(|id| self.topics[id as usize]),
            Key::Stream(name) => self.names.find(name).map(|id| self.streams[id as usize].list),
            Key::Tag(name, value) => {
                let mut bytes = Vec::new();
                put_tag(&mut bytes, name, value);
                self.tag_names.find(&bytes).map(|id| self.tag_lists[id as usize])
            }
        }
        .unwrap_or_default()
    }

    /// Positions of the events with a key, newest first.
    fn newest_first<'a>(&'a self, key: &Key<'_>) -> impl Iterator<Item = u64> + 'a {
        let mut at = self.list(key).last;
        let kind = std::mem::discriminant(key);
        let topic = kind == std::mem::discriminant(&Key::Topic(b""));
        let stream = kind == std::mem::discriminant(&Key::Stream(b""));
        std::iter::from_fn(move || {
            if at == NONE {
                return None;
            }
            let ordinal;
            if topic {
                ordinal = at;
                at = self.previous[at as usize].with_topic;
            } else if stream {
                ordinal = at;
                at = self.previous[at as usize].with_stream;
            } else {
                ordinal = self.tagged[at as usize].ordinal;
                at = self.tagged[at as usize].previous;
            }
            Some(self.first + u64::from(self.relative_of(ordinal)))
        })
    }

    fn newest_first_in<'a>(&'a self, key: &Key<'_>, range: Range<u64>) -> impl Iterator<Item = u64> + 'a {
        let Range { start, end } = range;
        self.newest_first(key).skip_while(move |&at| at >= end).take_while(move |&at| at >= start)
    }
}

/// What sealing reads.
impl ActiveIndex {
    pub(super) fn span(&self) -> u32 {
        self.relative(self.next)
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn topic_lists(&self) -> &[List] {
        &self.topics
    }

    pub(super) fn stream_lists(&self) -> &[Stream] {
        &self.streams
    }

    /// What the segment itself says about a stream.
    pub(super) fn head_here(&self, stream: NameId) -> Option<StreamHead> {
        (self.known.get(stream as usize) == Some(&Known::Here)).then(|| self.streams[stream as usize].head)
    }

    pub(super) fn tag_names(&self) -> &Names {
        &self.tag_names
    }

    pub(super) fn tag_list(&self, tag: u32) -> List {
        self.tag_lists.get(tag as usize).copied().unwrap_or_default()
    }

    pub(super) fn tagged(&self) -> &[Tagged] {
        &self.tagged
    }

    pub(super) fn ids(&self) -> &[Uuid] {
        self.ids.as_slice()
    }

    pub(super) fn previous(&self) -> &[Previous] {
        &self.previous
    }

    pub(super) fn samples(&self) -> &[Mark] {
        &self.samples
    }

    pub(super) fn frames(&self) -> &[Mark] {
        &self.frames
    }
}

impl List {
    /// Adds an element; the one that was last.
    #[inline]
    fn push(&mut self, element: u32) -> u32 {
        self.count += 1;
        std::mem::replace(&mut self.last, element)
    }
}

/// A tag as one string of bytes: the length of its name, 4 bytes little endian, the name, the value.
pub(super) fn put_tag(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(value.as_bytes());
}

/// The name and value of a tag that [`put_tag`] wrote.
pub(super) fn tag_of(bytes: &[u8]) -> Option<(&str, &str)> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (name, value) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    Some((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?))
}

impl SegmentIndex for ActiveIndex {
    fn first_position(&self) -> u64 {
        self.first
    }

    fn next_position(&self) -> u64 {
        self.next
    }

    fn len(&self) -> u32 {
        self.previous.len() as u32
    }

    fn time_range(&self) -> Option<(i64, i64)> {
        self.time_ms
    }

    fn names_len(&self) -> u32 {
        self.names.len()
    }

    #[inline]
    fn name(&self, bytes: &[u8]) -> Option<NameId> {
        self.names.find(bytes)
    }

    #[inline]
    fn name_of(&self, id: NameId) -> Option<&[u8]> {
        self.names.get(id)
    }

    fn stream_head(&self, stream: &[u8]) -> Option<StreamHead> {
        self.head_here(self.names.find(stream)?)
    }

    fn topics(&self) -> Box<dyn Iterator<Item = TopicCount<'_>> + '_> {
        Box::new(
            self.topics
                .iter()
                .zip(0..)
                .filter(|(list, _)| list.count > 0)
                .map(|(list, id)| TopicCount { name: self.name_bytes(id), count: list.count }),
        )
    }

    fn streams(&self) -> Box<dyn Iterator<Item = StreamCount<'_>> + '_> {
        Box::new(self.streams.iter().zip(0..).filter_map(|(stream, id)| {
            let head = self.head_here(id)?;
            Some(StreamCount { name: self.name_bytes(id), count: stream.list.count, head })
        }))
    }

    fn tags(&self) -> Box<dyn Iterator<Item = TagCount<'_>> + '_> {
        Box::new(self.tag_lists.iter().zip(0..).filter_map(|(list, id)| {
            let (name, value) = tag_of(self.tag_names.get(id)?)?;
            Some(TagCount { name, value, count: list.count })
        }))
    }

    fn count(&self, key: &Key<'_>) -> u32 {
        self.list(key).count
    }

    fn count_in(&self, key: &Key<'_>, range: Range<u64>) -> u32 {
        self.newest_first_in(key, range).count() as u32
    }

    fn postings(&self, key: &Key<'_>, range: Range<u64>) -> Vec<u64> {
        self.last_postings(key, range, usize::MAX)
    }

    fn first_postings(&self, key: &Key<'_>, range: Range<u64>, limit: usize) -> Vec<u64> {
        let mut found = self.postings(key, range);
        found.truncate(limit);
        found
    }

    fn last_postings(&self, key: &Key<'_>, range: Range<u64>, limit: usize) -> Vec<u64> {
        let mut found: Vec<u64> = self.newest_first_in(key, range).take(limit).collect();
        found.reverse();
        found
    }

    fn nth_newest(&self, key: &Key<'_>, n: u32) -> Nth {
        let count = self.count(key);
        self.newest_first(key).nth(n.saturating_sub(1) as usize).map_or(Nth::Only(count), Nth::At)
    }

    fn find_id(&self, id: &Uuid) -> Vec<u64> {
        let found = self.ids.find(id);
        found.map(|ordinal| self.first + u64::from(self.relative_of(ordinal))).into_iter().collect()
    }

    fn locate(&self, position: u64) -> Option<Place> {
        if position < self.first || position >= self.next {
            return None;
        }
        let relative = self.relative(position);
        let after = self.samples.partition_point(|sample| sample.relative <= relative);
        let sample = self.samples.get(after.checked_sub(1)?)?;
        Some(Place {
            position: self.first + u64::from(sample.relative),
            offset: sample.offset,
            end: self.samples.get(after).map(|next| next.offset),
        })
    }

    fn frame_before(&self, position: u64) -> Option<FrameStart> {
        if position < self.first {
            return None;
        }
        let relative = self.relative(position);
        let after = self.frames.partition_point(|frame| frame.relative <= relative);
        let frame = self.frames.get(after.checked_sub(1)?)?;
        Some(FrameStart { position: self.first + u64::from(frame.relative), offset: frame.offset })
    }

    fn bytes(&self) -> usize {
        self.names.bytes()
            + self.tag_names.bytes()
            + self.ids.bytes()
            + (self.topics.capacity() + self.tag_lists.capacity()) * size_of::<List>()
            + self.streams.capacity() * size_of::<Stream>()
            + self.known.capacity() * size_of::<Known>()
            + self.tagged.capacity() * size_of::<Tagged>()
            + self.previous.capacity() * size_of::<Previous>()
            + self.relatives.capacity() * size_of::<u32>()
            + (self.samples.capacity() + self.frames.capacity()) * size_of::<Mark>()
    }
}
