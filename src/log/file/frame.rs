//! A commit as it is stored: the atomic unit of the log.
//!
//! ```text
//!  0  "SFR" · flags u8: 1 records carry gaps, 2 carried heads
//!  4  crc32c u32 of the flags, the header from byte 8, the names, each record's checksum, the changes
//!  8  sequence u64: commits of the plane before it
//! 16  first position u64: of its first energy, else the next to be given
//! 24  durable u64: every commit with a lower sequence was durable when this one was written
//! 32  digest 16: of the chain values of its energies
//! 48  bytes of records u32 · 52 bytes of names u32 · 56 bytes of changes u32 · 60 energies u32
//! 64  names: (varint length, bytes)… · records · changes: (table u8, varint key length, key,
//!     varint value length + 1 or 0 for none, value)…
//! ```
//!
//! Numbers are little endian. A frame is whole or it is nothing: checksums tell. In a frame of carried heads, which
//! compaction writes, the changes are instead: (varint length, stream, varint version, chain value 16)…, the
//! heads of streams whose last energy is no longer kept.

use super::chain::Chain;
use super::record::Raw;
use super::varint;
use crate::log::{Change, Changes, Table};

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 64;

/// The first three bytes of a frame.
pub const MAGIC: [u8; 3] = *b"SFR";

/// Records carry gaps.
pub const GAPPED: u8 = 1;

/// The changes are carried heads.
pub const HEADS: u8 = 2;

/// A frame's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// [`GAPPED`], [`HEADS`].
    pub flags: u8,
    /// Checksum of the frame.
    pub crc: u32,
    /// Commits before it.
    pub sequence: u64,
    /// The position of its first energy.
    pub first: u64,
    /// Commits below this were durable.
    pub durable: u64,
    /// Of the chain values.
    pub digest: [u8; 16],
    /// Bytes of all records.
    pub records_bytes: u32,
    /// Bytes of all names.
    pub names_bytes: u32,
    /// Bytes of all changes.
    pub changes_bytes: u32,
    /// Energies.
    pub count: u32,
}

impl Header {
    /// The header in bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..3].copy_from_slice(&MAGIC);
        bytes[3] = self.flags;
        bytes[4..8].copy_from_slice(&self.crc.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.durable.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.digest);
        bytes[48..52].copy_from_slice(&self.records_bytes.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.names_bytes.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.changes_bytes.to_le_bytes());
        bytes[60..64].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }

    /// A header, not yet checked; `None` where there is none.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        if bytes[..3] != MAGIC || bytes[3] & !(GAPPED | HEADS) != 0 {
            return None;
        }
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let mut digest = [0; 16];
        digest.copy_from_slice(&bytes[32..48]);
        Some(Self {
            flags: bytes[3],
            crc: u32_at(4),
            sequence: u64_at(8),
            first: u64_at(16),
            durable: u64_at(24),
            digest,
            records_bytes: u32_at(48),
            names_bytes: u32_at(52),
            changes_bytes: u32_at(56),
            count: u32_at(60),
        })
    }

    /// Bytes of the whole frame.
    #[must_use]
    pub fn frame_bytes(&self) -> u64 {
        HEADER_BYTES as u64
            + u64::from(self.records_bytes)
            + u64::from(self.names_bytes)
            + u64::from(self.changes_bytes)
    }

    /// Whether records carry gaps.
    #[must_use]
    pub fn is_gapped(&self) -> bool {
        self.flags & GAPPED != 0
    }
}

/// A frame's checksum. `frame` is all of it, its header's lengths set; `record_crcs` those of its records.
#[must_use]
pub fn checksum(header: &Header, frame: &[u8], record_crcs: &[u8]) -> u32 {
    let names_end = HEADER_BYTES + header.names_bytes as usize;
    let crc = crc32c::crc32c(&[header.flags]);
    let crc = crc32c::crc32c_append(crc, &frame[8..names_end]);
    let crc = crc32c::crc32c_append(crc, record_crcs);
    crc32c::crc32c_append(crc, &frame[names_end + header.records_bytes as usize..])
}

/// A whole frame whose checksums fit.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its header.
    pub header: Header,
    names: &'a [u8],
    /// Its records.
    pub records: &'a [u8],
    changes: &'a [u8],
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// No header.
    #[error("there is no frame")]
    NoHeader,
    /// The bytes end before the frame does.
    #[error("the frame is cut off")]
    Short,
    /// A record's checksum.
    #[error("the checksum of record {0} of the frame does not fit")]
    Record(u32),
    /// The frame's checksum, or its parts do not fit together.
    #[error("the frame's checksum does not fit")]
    Checksum,
}

impl<'a> Frame<'a> {
    /// Checks the frame at the start of `bytes`, records and all. `crcs` is memory to work in.
    pub fn check(bytes: &'a [u8], crcs: &mut Vec<u8>) -> Result<Self, Flaw> {
        let header = Header::read(bytes).ok_or(Flaw::NoHeader)?;
        let len = usize::try_from(header.frame_bytes()).map_err(|_| Flaw::Short)?;
        let bytes = bytes.get(..len).ok_or(Flaw::Short)?;
        let names_end = HEADER_BYTES + header.names_bytes as usize;
        let records_end = names_end + header.records_bytes as usize;
        let records = &bytes[names_end..records_end];
        crcs.clear();
        let (mut at, mut count) = (0, 0);
        while at < records.len() {
            let raw = Raw::next(records, &mut at).ok_or(Flaw::Checksum)?;
            if !raw.is_intact() {
                return Err(Flaw::Record(count));
            }
            crcs.extend_from_slice(&raw.crc.to_le_bytes());
            count += 1;
        }
        if count != header.count || checksum(&header, bytes, crcs) != header.crc {
            return Err(Flaw::Checksum);
        }
        Ok(Self { header, names: &bytes[HEADER_BYTES..names_end], records, changes: &bytes[records_end..] })
    }

    /// Names that are first used in this frame, in order.
    pub fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        let (names, mut at) = (self.names, 0);
        std::iter::from_fn(move || varint::read_bytes(names, &mut at))
    }

    /// What the commit changed beside energies. `None` for bytes that no writer makes.
    #[must_use]
    pub fn changes(&self) -> Option<Changes> {
        let mut changes = Changes::default();
        if self.header.flags & HEADS != 0 {
            return Some(changes);
        }
        let (bytes, mut at) = (self.changes, 0);
        while at < bytes.len() {
            let table = Table::of(bytes[at])?;
            at += 1;
            let key = varint::read_bytes(bytes, &mut at)?;
            let value = match varint::read(bytes, &mut at)?.checked_sub(1) {
                None => None,
                Some(len) => {
                    let len = usize::try_from(len).ok()?;
                    let value = bytes.get(at..at.checked_add(len)?)?;
                    at += len;
                    Some(value)
                }
            };
            changes.push(Change { table, key, value });
        }
        Some(changes)
    }

    /// Bytes of the changes, as they are stored.
    #[must_use]
    pub fn changes_bytes(&self) -> &'a [u8] {
        self.changes
    }

    /// The carried heads: stream, version and chain value of its last energy.
    pub fn heads(&self) -> impl Iterator<Item = (&'a [u8], u64, Chain)> {
        let bytes = if self.header.flags & HEADS != 0 { self.changes } else { &[] };
        let mut at = 0;
        std::iter::from_fn(move || {
            let stream = varint::read_bytes(bytes, &mut at)?;
            let version = varint::read(bytes, &mut at)?;
            let chain = bytes.get(at..at + 16)?.try_into().ok()?;
            at += 16;
            Some((stream, version, chain))
        })
    }
}

/// Writes the changes of a commit.
pub fn write_changes(out: &mut Vec<u8>, changes: &Changes) {
    for change in changes.iter() {
        out.push(change.table as u8);
        varint::write_bytes(out, change.key);
        varint::write(out, change.value.map_or(0, |value| value.len() as u64 + 1));
        out.extend_from_slice(change.value.unwrap_or_default());
    }
}

/// Writes one carried head.
pub fn write_head(out: &mut Vec<u8>, stream: &[u8], version: u64, chain: &Chain) {
    varint::write_bytes(out, stream);
    varint::write(out, version);
    out.extend_from_slice(chain);
}
