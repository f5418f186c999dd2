//! A segment: one file with a part of the log, and its index.
//!
//! ```text
//!  0  "sanctum\n" · 8 format u32 · 12 crc32c u32 of all header bytes but these four
//! 16  plane id 16 · 32 first position u64 · 40 base time i64, ms · 48 generation u32 · 52 sequence of its first commit u64 · 60 zeros
//! 64  frames, then zeros
//! ```
//!
//! A segment is named by its first position and its generation, which grows when compaction writes it anew. It
//! has names of its own, so it can be read without the others. The last one is written to, the others are sealed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};

use super::index::{ActiveIndex, SealedIndex, SegmentIndex};
use crate::disk::File;
use crate::event::Uuid;
use crate::log::Error;

/// The format that this version writes, and the highest that it reads.
pub const FORMAT: u32 = 1;

/// Bytes of a segment's header.
pub const HEADER_BYTES: usize = 64;

const MAGIC: [u8; 8] = *b"sanctum\n";

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The plane it belongs to.
    pub plane: Uuid,
    /// Its first position.
    pub first: u64,
    /// What times in records are relative to.
    pub base_time_ms: i64,
    /// How often it was written anew.
    pub generation: u32,
    /// The sequence of its first commit.
    pub sequence: u64,
}

impl Header {
    /// The header in bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..32].copy_from_slice(self.plane.as_bytes());
        bytes[32..40].copy_from_slice(&self.first.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.base_time_ms.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.generation.to_le_bytes());
        bytes[52..60].copy_from_slice(&self.sequence.to_le_bytes());
        let crc = header_crc(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Checks a header.
    pub fn read(path: &Path, bytes: &[u8; HEADER_BYTES]) -> Result<Self, Error> {
        let damaged = |reason: &str| Error::Damaged {
            path: path.to_owned(),
            offset: 0,
            reason: reason.to_owned(),
            positions: None,
        };
        if bytes[..8] != MAGIC {
            return Err(damaged("the segment's header is not one"));
        }
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if u32_at(12) != header_crc(bytes) {
            return Err(damaged("the checksum of the segment's header does not fit"));
        }
        let found = u32_at(8);
        if found > FORMAT {
            return Err(Error::Newer { path: path.to_owned(), found, known: FORMAT });
        }
        let mut plane = [0; 16];
        plane.copy_from_slice(&bytes[16..32]);
        Ok(Self {
            plane: Uuid::from_bytes(plane),
            first: u64_at(32),
            base_time_ms: u64_at(40) as i64,
            generation: u32_at(48),
            sequence: u64_at(52),
        })
    }
}

fn header_crc(bytes: &[u8; HEADER_BYTES]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

/// A segment's file.
#[must_use]
pub fn log_path(folder: &Path, first: u64, generation: u32) -> PathBuf {
    folder.join(format!("{first:020}-{generation}.log"))
}

/// A segment's index.
#[must_use]
pub fn index_path(folder: &Path, first: u64, generation: u32) -> PathBuf {
    folder.join(format!("{first:020}-{generation}.idx"))
}

/// Whether a file of that name is a segment's, or its index.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let stem = name.strip_suffix(".log").or_else(|| name.strip_suffix(".idx"));
    stem.and_then(|stem| stem.split_once('-')).is_some_and(|(first, generation)| {
        first.len() == 20 && [first, generation].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// A sealed segment, opened.
#[derive(Debug)]
pub struct Segment {
    /// Its header.
    pub header: Header,
    /// The position after its last.
    pub end: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// Its file's name.
    pub path: PathBuf,
    /// Its file.
    pub file: Arc<dyn File>,
    /// Its index, once it was looked at.
    pub index: RwLock<Option<Index>>,
    /// That its index is being, or has been, written.
    pub sealing: OnceLock<()>,
}

/// The index of a sealed segment.
#[derive(Clone, Debug)]
pub enum Index {
    /// As it was while the segment was written to, until it is written itself.
    Active(Arc<ActiveIndex>),
    /// As it is in its file.
    Sealed(Arc<SealedIndex>),
}

impl std::ops::Deref for Index {
    type Target = dyn SegmentIndex;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Active(index) => &**index,
            Self::Sealed(index) => &**index,
        }
    }
}
