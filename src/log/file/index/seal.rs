//! Sealing: from the index in memory to the bytes of its file.

use super::active::{List, Mark};
use super::ascending::pack;
use super::ids::mix;
use super::layout::{HEADER_LEN, Header, SECTIONS, bucket_of, id_entry, position_bits, put_varint};
use super::{ActiveIndex, NameId, SegmentIndex};

/// Ids in a bucket, on average: a lookup reads that many numbers.
const BUCKET_IDS: u32 = 32;

/// The bytes of an index file for a segment. The same events, frames, names and kept heads give the same bytes.
pub fn seal(index: &ActiveIndex) -> Vec<u8> {
    let mut sealing = Sealing { index, span: index.span(), postings: Vec::new(), list: Vec::new() };
    let offset_last = sealing.offset_last();
    let places = sealing.places(offset_last);
    let names = sealing.names();
    let tags = sealing.tags();
    let (salt, buckets, ids) = sealing.ids();
    let (oldest_ms, newest_ms) = index.time_range().unwrap_or_default();
    let sections: [Vec<u8>; SECTIONS.len()] = [places, names, tags, sealing.postings, ids];
    let header = Header {
        count: index.len(),
        first: index.first_position(),
        oldest_ms,
        newest_ms,
        salt,
        span: index.span(),
        samples: index.samples().len() as u32,
        frames: index.frames().len() as u32,
        offset_last,
        names: index.names_len(),
        tags: index.tag_names().len(),
        buckets,
        sections: std::array::from_fn(|i| (sections[i].len() as u32, crc32c::crc32c(&sections[i]))),
    };
    let len = HEADER_LEN + sections.iter().map(Vec::len).sum::<usize>();
    let mut bytes = Vec::with_capacity(len);
    bytes.extend(header.to_bytes());
    for section in &sections {
        bytes.extend_from_slice(section);
    }
    bytes
}

struct Sealing<'a> {
    index: &'a ActiveIndex,
    span: u32,
    /// The section, as far as it is.
    postings: Vec<u8>,
    /// The list at hand.
    list: Vec<u32>,
}

impl Sealing<'_> {
    fn offset_last(&self) -> u32 {
        let last = |marks: &[Mark]| marks.last().map_or(0, |mark| mark.offset);
        last(self.index.samples()).max(last(self.index.frames()))
    }

    fn places(&mut self, offset_last: u32) -> Vec<u8> {
        let mut section = Vec::new();
        for marks in [self.index.samples(), self.index.frames()] {
            self.list.clear();
            self.list.extend(marks.iter().map(|mark| mark.relative));
            pack(&mut section, &self.list, self.span);
            self.list.clear();
            self.list.extend(marks.iter().map(|mark| mark.offset));
            pack(&mut section, &self.list, offset_last);
        }
        section
    }

    fn names(&mut self) -> Vec<u8> {
        let names = self.index.names();
        let mut order: Vec<u32> = (0..names.len()).collect();
        order.sort_unstable_by_key(|&id| names.get(id));
        let mut starts = Vec::with_capacity(order.len());
        let mut entries = Vec::new();
        for id in 0..names.len() {
            starts.push(entries.len() as u32);
            put_bytes(&mut entries, names.get(id).unwrap_or_default());
            self.name(&mut entries, id);
        }
        let mut section = Vec::with_capacity(order.len() * 8 + entries.len());
        section.extend(order.iter().chain(&starts).flat_map(|number| number.to_le_bytes()));
        section.extend(entries);
        section
    }

    fn name(&mut self, entries: &mut Vec<u8>, id: NameId) {
        let topic = self.index.topic_lists()[id as usize];
        let stream = self.index.stream_lists()[id as usize].list;
        let head = self.index.head_here(id);
        let start = self.postings.len() as u32;
        self.topic_list(topic);
        let topic_list = std::mem::take(&mut self.list);
        pack(&mut self.postings, &topic_list, self.span);
        self.stream_list(stream);
        let same = stream.count > 0 && topic_list == self.list;
        if !same {
            pack(&mut self.postings, &self.list, self.span);
        }
        put_varint(entries, u64::from(topic.count));
        let flags = u64::from(same) << 1 | u64::from(head.is_some());
        put_varint(entries, u64::from(stream.count) << 2 | flags);
        if topic.count > 0 || stream.count > 0 {
            entries.extend(start.to_le_bytes());
        }
        if let Some(head) = head {
            put_varint(entries, head.version);
            entries.extend(head.chain);
        }
    }

    fn tags(&mut self) -> Vec<u8> {
        let names = self.index.tag_names();
        let mut order: Vec<u32> = (0..names.len()).collect();
        order.sort_unstable_by_key(|&id| names.get(id));
        let mut section = Vec::new();
        let mut entries = Vec::new();
        for &tag in &order {
            section.extend((entries.len() as u32).to_le_bytes());
            put_bytes(&mut entries, names.get(tag).unwrap_or_default());
            let list = self.index.tag_list(tag);
            put_varint(&mut entries, u64::from(list.count));
            entries.extend((self.postings.len() as u32).to_le_bytes());
            self.tag_list(list);
            pack(&mut self.postings, &self.list, self.span);
        }
        section.extend(entries);
        section
    }

    /// The salt, how many buckets, and the section.
    fn ids(&self) -> (u64, u32, Vec<u8>) {
        let ids = self.index.ids();
        // What is hashed cannot be chosen to fit a salt that depends on all of it.
        let mut digest = blake3::Hasher::new();
        for some in ids.chunks(1_024) {
            digest.update(&some.iter().flat_map(|id| *id.as_bytes()).collect::<Vec<u8>>());
        }
        let salt = digest.finalize().as_bytes().first_chunk().copied().map_or(0, u64::from_le_bytes);

        let buckets = (ids.len() as u32).div_ceil(BUCKET_IDS);
        let bits = position_bits(self.span);
        let hashes: Vec<u64> = ids.iter().map(|id| mix(id, salt)).collect();
        // Counted, then dealt out: within a bucket they stay in order of position.
        let mut ends = vec![0_u32; buckets as usize + 1];
        for &hash in &hashes {
            ends[bucket_of(hash, buckets) as usize + 1] += 1;
        }
        let mut total = 0;
        for end in &mut ends {
            total += *end;
            *end = total;
        }
        let mut section: Vec<u8> = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        let mut entries = vec![0; ids.len()];
        for (&hash, ordinal) in hashes.iter().zip(0..) {
            let next = &mut ends[bucket_of(hash, buckets) as usize];
            entries[*next as usize] = id_entry(hash, self.index.relative_of(ordinal), bits);
            *next += 1;
        }
        section.extend(entries.iter().flat_map(|entry: &u32| entry.to_le_bytes()));
        (salt, buckets, section)
    }

    fn topic_list(&mut self, list: List) {
        let previous = self.index.previous();
        self.collect(list, |at| (at, previous[at as usize].with_topic));
    }

    fn stream_list(&mut self, list: List) {
        let previous = self.index.previous();
        self.collect(list, |at| (at, previous[at as usize].with_stream));
    }

    fn tag_list(&mut self, list: List) {
        let tagged = self.index.tagged();
        self.collect(list, |at| (tagged[at as usize].ordinal, tagged[at as usize].previous));
    }

    /// Follows the links of a list, each an ordinal and the next link, into `self.list`.
    fn collect(&mut self, list: List, follow: impl Fn(u32) -> (u32, u32)) {
        self.list.clear();
        let mut at = list.last;
        for _ in 0..list.count {
            let (ordinal, next) = follow(at);
            self.list.push(self.index.relative_of(ordinal));
            at = next;
        }
        self.list.reverse();
    }
}

fn put_bytes(entries: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(entries, bytes.len() as u64);
    entries.extend_from_slice(bytes);
}
