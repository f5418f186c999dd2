//! The bytes of an index file: a header that says all lengths, then five sections.
//!
//! Header, 116 bytes, numbers little endian:
//!
//! ```text
//!   0 "SIDX" · 4 format, u32: 1 · 8 CRC-32C of the header from 12 on, u32
//!  12 events, u32 · 16 first position, u64 · 24 oldest and 32 newest time, i64 · 40 salt of ids, u64
//!  48 span: next position less the first, u32 · 52 samples, u32 · 56 frames, u32 · 60 offset of the last sample
//!     or frame, u32 · 64 names, u32 · 68 tags, u32 · 72 buckets of ids, u32
//!  76 five times, for each section: bytes, u32, CRC-32C, u32
//! ```
//!
//! Sections, back to back; nothing follows. A position in them is relative to the segment's first. A list is packed
//! as `ascending` says, positions with the span as bound:
//!
//! ```text
//! places    four lists: positions of samples, their offsets, first positions of frames, their offsets; offsets with
//!           the header's last offset as bound
//! names     ids in order of their bytes, u32 each · by id, where its entry starts behind these two tables, u32 each
//!           · entries: varint bytes, the name, varint events as a topic, varint (events as a stream * 4
//!           + 2 where its list is the topic's + 1 where there is a head), where its lists start, u32, if it has
//!           one; with a head: varint version, chain value, 16 bytes
//! tags      where its entry starts behind this table, u32 each · entries in order of their bytes: varint bytes, the
//!           tag (length of its name, u32, the name, the value), varint events, where its list starts, u32
//! postings  lists of positions; a name's stream follows its topic
//! ids       by bucket, how many ids lie in those before, u32 each, and the number of all · ids by bucket, u32 each:
//!           the position in as many low bits as the span - 1 has, the rest the low bits of the id's hash; the
//!           bucket is the upper half of hash * buckets
//! ```

/// First bytes of the file.
pub(super) const MAGIC: [u8; 4] = *b"SIDX";

/// What this version writes.
pub(super) const FORMAT: u32 = 1;

/// Bytes of the header.
pub(super) const HEADER_LEN: usize = 116;

/// Sections, by name.
pub(super) const SECTIONS: [&str; 5] = ["places", "names", "tags", "postings", "ids"];

const SUMS: usize = 76;

/// The header without what is derived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) count: u32,
    pub(super) first: u64,
    pub(super) oldest_ms: i64,
    pub(super) newest_ms: i64,
    pub(super) salt: u64,
    pub(super) span: u32,
    pub(super) samples: u32,
    pub(super) frames: u32,
    pub(super) offset_last: u32,
    pub(super) names: u32,
    pub(super) tags: u32,
    pub(super) buckets: u32,
    /// Bytes and checksum of each section.
    pub(super) sections: [(u32, u32); SECTIONS.len()],
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.oldest_ms.to_le_bytes());
        bytes.extend(self.newest_ms.to_le_bytes());
        bytes.extend(self.salt.to_le_bytes());
        let rest =
            [self.span, self.samples, self.frames, self.offset_last, self.names, self.tags, self.buckets];
        let sums = self.sections.iter().flat_map(|&(len, crc)| [len, crc]);
        for number in rest.into_iter().chain(sums) {
            bytes.extend(number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        let mut header = [0; HEADER_LEN];
        header.copy_from_slice(&bytes);
        header
    }

    /// Reads a header whose magic and format are right; `None` where its checksum is not.
    pub(super) fn from_bytes(bytes: &[u8; HEADER_LEN]) -> Option<Self> {
        let u32_at = |at| u32_at(bytes, at).unwrap_or_default();
        let u64_at = |at| u64_at(bytes, at).unwrap_or_default();
        let mut sections = [(0, 0); SECTIONS.len()];
        for (section, i) in sections.iter_mut().zip(0..) {
            *section = (u32_at(SUMS + i * 8), u32_at(SUMS + i * 8 + 4));
        }
        (crc32c::crc32c(&bytes[12..]) == u32_at(8)).then(|| Self {
            count: u32_at(12),
            first: u64_at(16),
            oldest_ms: u64_at(24) as i64,
            newest_ms: u64_at(32) as i64,
            salt: u64_at(40),
            span: u32_at(48),
            samples: u32_at(52),
            frames: u32_at(56),
            offset_last: u32_at(60),
            names: u32_at(64),
            tags: u32_at(68),
            buckets: u32_at(72),
            sections,
        })
    }
}

/// Low bits of an id's entry that are its position.
pub(super) fn position_bits(span: u32) -> u32 {
    span.saturating_sub(1).checked_ilog2().map_or(0, |log| log + 1)
}

/// The bucket of an id, by its hash.
pub(super) fn bucket_of(hash: u64, buckets: u32) -> u32 {
    ((u128::from(hash) * u128::from(buckets)) >> 64) as u32
}

/// An id's entry: its position, under bits of its hash.
pub(super) fn id_entry(hash: u64, relative: u32, position_bits: u32) -> u32 {
    (hash << position_bits) as u32 | relative
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// Appends a number, 7 bits a byte, lowest first; all bytes but the last have the highest bit set.
pub(super) fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number off the front.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Takes that many bytes off the front.
pub(super) fn take<'a>(bytes: &mut &'a [u8], len: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
    *bytes = rest;
    Some(taken)
}
