//! The index of a sealed segment, looked up in its bytes: nothing is built when it is opened.
//!
//! Bytes are checked against their checksums once. What they say is not believed even then: a lookup in bytes
//! that were made to fit may find the wrong thing, but neither panics nor takes memory for what is not there.

use std::ops::Range;

use super::active::{put_tag, tag_of};
use super::ascending::{Ascending, packed_len};
use super::ids::mix;
use super::layout::{
    FORMAT, HEADER_LEN, Header, MAGIC, SECTIONS, bucket_of, id_entry, position_bits, take, take_varint,
    u32_at,
};
use super::{
    FrameStart, Key, NameId, Nth, Place, SegmentIndex, StreamCount, StreamHead, TagCount, TopicCount,
};
use crate::event::Uuid;

/// Why bytes are no index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Another kind of file.
    #[error("not an index of a segment")]
    Foreign,
    /// Written by another version.
    #[error("an index of format {0}; this version knows format {FORMAT}")]
    Format(u32),
    /// Bytes are missing, left over or changed, in this part.
    #[error("the index is damaged: {0}")]
    Damaged(&'static str),
}

/// The index of a sealed segment.
#[derive(Debug)]
pub struct SealedIndex {
    bytes: Vec<u8>,
    header: Header,
    sections: [Range<usize>; SECTIONS.len()],
}

/// What the index has on a name.
struct Name<'a> {
    bytes: &'a [u8],
    topics: u32,
    streams: u32,
    /// Where its lists start in the postings: the topic's and the stream's.
    lists: (u64, u64),
    head: Option<StreamHead>,
}

/// What the index has on a tag.
struct Tag<'a> {
    bytes: &'a [u8],
    count: u32,
    list: u64,
}

impl SealedIndex {
    /// Takes the bytes of an index file: all of them are checked.
    pub fn open(bytes: Vec<u8>) -> Result<Self, IndexError> {
        const DAMAGED_HEADER: IndexError = IndexError::Damaged("header");
        if !bytes.starts_with(&MAGIC) {
            return Err(IndexError::Foreign);
        }
        match u32_at(&bytes, 4) {
            Some(FORMAT) => {}
            Some(other) => return Err(IndexError::Format(other)),
            None => return Err(DAMAGED_HEADER),
        }
        let header = bytes.first_chunk::<HEADER_LEN>().and_then(Header::from_bytes).ok_or(DAMAGED_HEADER)?;
        if header.first.checked_add(u64::from(header.span)).is_none() {
            return Err(DAMAGED_HEADER);
        }

        let mut sections: [Range<usize>; SECTIONS.len()] = Default::default();
        let mut start = HEADER_LEN;
        for ((section, (len, crc)), name) in sections.iter_mut().zip(header.sections).zip(SECTIONS) {
            let end = start.checked_add(len as usize).ok_or(IndexError::Damaged(name))?;
            *section = start..end;
            if bytes.get(start..end).map(crc32c::crc32c) != Some(crc) {
                return Err(IndexError::Damaged(name));
            }
            start = end;
        }
        if start != bytes.len() {
            return Err(IndexError::Damaged("end"));
        }

        let places = packed_len(header.samples, header.span)
            + packed_len(header.samples, header.offset_last)
            + packed_len(header.frames, header.span)
            + packed_len(header.frames, header.offset_last);
        let ids = (u64::from(header.buckets) + 1 + u64::from(header.count)) * 4;
        let lens = header.sections.map(|(len, _)| u64::from(len));
        let right = [
            lens[0] == places,
            lens[1] >= u64::from(header.names) * 8,
            lens[2] >= u64::from(header.tags) * 4,
            true,
            lens[4] == ids,
        ];
        match right.iter().position(|right| !right) {
            Some(wrong) => Err(IndexError::Damaged(SECTIONS[wrong])),
            None => Ok(Self { bytes, header, sections }),
        }
    }

    fn section(&self, i: usize) -> &[u8] {
        self.bytes.get(self.sections[i].clone()).unwrap_or_default()
    }

    fn position(&self, relative: u32) -> u64 {
        self.header.first.saturating_add(u64::from(relative))
    }

    fn relative(&self, position: u64) -> u32 {
        u32::try_from(position.saturating_sub(self.header.first)).unwrap_or(u32::MAX)
    }

    /// Positions and offsets of samples, then of frames.
    fn places(&self) -> [Ascending<'_>; 4] {
        let Header { samples, frames, span, offset_last, .. } = self.header;
        let mut rest = self.section(0);
        [(samples, span), (samples, offset_last), (frames, span), (frames, offset_last)].map(
            |(count, bound)| {
                let bytes = take(&mut rest, packed_len(count, bound)).unwrap_or_default();
                Ascending::at_start(bytes, count, bound).unwrap_or_default()
            },
        )
    }

    fn entry(&self, id: NameId) -> Option<Name<'_>> {
        let (names, id) = (self.header.names as usize, id as usize);
        if id >= names {
            return None;
        }
        let section = self.section(1);
        let start = u32_at(section, (names + id) * 4)?;
        let mut rest = section.get(names * 8..)?.get(start as usize..)?;
        let len = take_varint(&mut rest)?;
        let bytes = take(&mut rest, len)?;
        let topics = u32::try_from(take_varint(&mut rest)?).ok()?;
        let streams = take_varint(&mut rest)?;
        let (same, has_head) = (streams & 2 != 0, streams & 1 != 0);
        let streams = u32::try_from(streams >> 2).ok()?;
        let list = if topics > 0 || streams > 0 { u32_at(take(&mut rest, 4)?, 0)? } else { 0 };
        let stream_list = u64::from(list) + if same { 0 } else { packed_len(topics, self.header.span) };
        let head = if has_head {
            let version = take_varint(&mut rest)?;
            Some(StreamHead { version, chain: *take(&mut rest, 16)?.first_chunk()? })
        } else {
            None
        };
        Some(Name { bytes, topics, streams, lists: (u64::from(list), stream_list), head })
    }

    fn entries(&self) -> impl Iterator<Item = Name<'_>> {
        (0..self.header.names).filter_map(|id| self.entry(id))
    }

    fn tag(&self, n: u32) -> Option<Tag<'_>> {
        let section = self.section(2);
        let start = u32_at(section, n as usize * 4)?;
        let mut rest = section.get(self.header.tags as usize * 4..)?.get(start as usize..)?;
        let len = take_varint(&mut rest)?;
        let bytes = take(&mut rest, len)?;
        let count = u32::try_from(take_varint(&mut rest)?).ok()?;
        Some(Tag { bytes, count, list: u64::from(u32_at(rest, 0)?) })
    }

    fn find_tag(&self, name: &str, value: &str) -> Option<Tag<'_>> {
        let mut bytes = Vec::with_capacity(4 + name.len() + value.len());
        put_tag(&mut bytes, name, value);
        let at = search(self.header.tags, &bytes, |n| self.tag(n).map(|tag| tag.bytes))?;
        self.tag(at)
    }

    fn list(&self, key: &Key<'_>) -> Ascending<'_> {
        let found = match *key {
            Key::Topic(name) => self.find(name).map(|name| (name.topics, name.lists.0)),
            Key::Stream(name) => self.find(name).map(|name| (name.streams, name.lists.1)),
            Key::Tag(name, value) => self.find_tag(name, value).map(|tag| (tag.count, tag.list)),
        };
        let list = |(count, start)| {
            let bytes = self.section(3).get(usize::try_from(start).ok()?..)?;
            Ascending::at_start(bytes, count, self.header.span)
        };
        found.and_then(list).unwrap_or_default()
    }

    fn find(&self, name: &[u8]) -> Option<Name<'_>> {
        self.entry(self.name(name)?)
    }
}

/// The place of the string that is sought among `count` ascending ones.
fn search<'a>(count: u32, sought: &[u8], get: impl Fn(u32) -> Option<&'a [u8]>) -> Option<u32> {
    let (mut start, mut end) = (0, count);
    while start < end {
        let middle = start + (end - start) / 2;
        match get(middle)?.cmp(sought) {
            std::cmp::Ordering::Less => start = middle + 1,
            std::cmp::Ordering::Equal => return Some(middle),
            std::cmp::Ordering::Greater => end = middle,
        }
    }
    None
}

impl SegmentIndex for SealedIndex {
    fn first_position(&self) -> u64 {
        self.header.first
    }

    fn next_position(&self) -> u64 {
        self.position(self.header.span)
    }

    fn len(&self) -> u32 {
        self.header.count
    }

    fn time_range(&self) -> Option<(i64, i64)> {
        (self.header.count > 0).then_some((self.header.oldest_ms, self.header.newest_ms))
    }

    fn names_len(&self) -> u32 {
        self.header.names
    }

    fn name(&self, bytes: &[u8]) -> Option<NameId> {
        let id_of = |n: u32| u32_at(self.section(1), n as usize * 4);
        let at = search(self.header.names, bytes, |n| self.name_of(id_of(n)?))?;
        id_of(at)
    }

    fn name_of(&self, id: NameId) -> Option<&[u8]> {
        let names = self.header.names as usize;
        if id >= self.header.names {
            return None;
        }
        let section = self.section(1);
        let start = u32_at(section, (names + id as usize) * 4)?;
        let mut rest = section.get(names * 8..)?.get(start as usize..)?;
        let len = take_varint(&mut rest)?;
        take(&mut rest, len)
    }

    fn stream_head(&self, stream: &[u8]) -> Option<StreamHead> {
        self.find(stream)?.head
    }

    fn topics(&self) -> Box<dyn Iterator<Item = TopicCount<'_>> + '_> {
        Box::new(self.entries().filter_map(|name| {
            (name.topics > 0).then_some(TopicCount { name: name.bytes, count: name.topics })
        }))
    }

    fn streams(&self) -> Box<dyn Iterator<Item = StreamCount<'_>> + '_> {
        Box::new(
            self.entries().filter_map(|name| {
                Some(StreamCount { name: name.bytes, count: name.streams, head: name.head? })
            }),
        )
    }

    fn tags(&self) -> Box<dyn Iterator<Item = TagCount<'_>> + '_> {
        Box::new((0..self.header.tags).filter_map(|n| {
            let tag = self.tag(n)?;
            let (name, value) = tag_of(tag.bytes)?;
            Some(TagCount { name, value, count: tag.count })
        }))
    }

    fn count(&self, key: &Key<'_>) -> u32 {
        self.list(key).len()
    }

    fn count_in(&self, key: &Key<'_>, range: Range<u64>) -> u32 {
        let list = self.list(key);
        let start = list.below(self.relative(range.start));
        list.below(self.relative(range.end)).saturating_sub(start)
    }

    fn postings(&self, key: &Key<'_>, range: Range<u64>) -> Vec<u64> {
        self.first_postings(key, range, usize::MAX)
    }

    fn first_postings(&self, key: &Key<'_>, range: Range<u64>, limit: usize) -> Vec<u64> {
        let list = self.list(key);
        let (start, end) = (self.relative(range.start), self.relative(range.end));
        let found = list.from(list.below(start)).take_while(|&relative| relative < end).take(limit);
        found.map(|relative| self.position(relative)).collect()
    }

    fn last_postings(&self, key: &Key<'_>, range: Range<u64>, limit: usize) -> Vec<u64> {
        let list = self.list(key);
        let (start, end) = (list.below(self.relative(range.start)), list.below(self.relative(range.end)));
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let start = start.max(end.saturating_sub(limit));
        let found = list.from(start).take(end.saturating_sub(start) as usize);
        found.map(|relative| self.position(relative)).collect()
    }

    fn nth_newest(&self, key: &Key<'_>, n: u32) -> Nth {
        let list = self.list(key);
        let at = list.len().checked_sub(n.max(1)).and_then(|i| list.get(i));
        at.map_or(Nth::Only(list.len()), |relative| Nth::At(self.position(relative)))
    }

    fn find_id(&self, id: &Uuid) -> Vec<u64> {
        let Header { salt, buckets, span, .. } = self.header;
        if buckets == 0 {
            return Vec::new();
        }
        let hash = mix(id, salt);
        let section = self.section(4);
        let bucket = bucket_of(hash, buckets) as usize;
        let bounds = (u32_at(section, bucket * 4), u32_at(section, bucket * 4 + 4));
        let (Some(start), Some(end)) = bounds else { return Vec::new() };
        let entries = section.get((buckets as usize + 1) * 4..).unwrap_or_default();
        let entries = entries.get(start as usize * 4..).unwrap_or_default().chunks_exact(4);
        let bits = position_bits(span);
        let mask = u32::try_from((1_u64 << bits) - 1).unwrap_or(u32::MAX);
        let sought = id_entry(hash, 0, bits);
        entries
            .take(end.saturating_sub(start) as usize)
            .filter_map(|entry| u32_at(entry, 0))
            .filter(|entry| entry & !mask == sought)
            .map(|entry| self.position(entry & mask))
            .collect()
    }

    fn locate(&self, position: u64) -> Option<Place> {
        if position >= self.next_position() || position < self.header.first {
            return None;
        }
        let [positions, offsets, ..] = self.places();
        let after = positions.below(self.relative(position).saturating_add(1));
        let mut around = offsets.from(after.checked_sub(1)?);
        Some(Place {
            position: self.position(positions.get(after - 1)?),
            offset: around.next()?,
            end: around.next(),
        })
    }

    fn frame_before(&self, position: u64) -> Option<FrameStart> {
        if position < self.header.first {
            return None;
        }
        let [_, _, positions, offsets] = self.places();
        let at = positions.below(self.relative(position).saturating_add(1)).checked_sub(1)?;
        Some(FrameStart { position: self.position(positions.get(at)?), offset: offsets.get(at)? })
    }

    fn bytes(&self) -> usize {
        self.bytes.capacity() + size_of::<Self>()
    }
}
