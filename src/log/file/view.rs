//! What readers look at: the segments, and the end of the log in memory.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::index::{ActiveIndex, Key, SegmentIndex};
use super::segment::{Header, Index, Segment};
use crate::disk::File;
use crate::event::Events;

/// Bytes of recent batches that are kept in memory, for those who follow closely.
const TAIL_BYTES_MAX: usize = 16 << 20;

/// The plane as readers see it. Appends add to it, sealing and compaction exchange parts.
#[derive(Debug)]
pub struct View {
    /// Sealed segments, in order.
    pub sealed: Vec<Arc<Segment>>,
    /// The segment being written.
    pub active: Active,
    /// The last batches.
    pub tail: Tail,
}

/// The segment being written.
#[derive(Debug)]
pub struct Active {
    /// Its header.
    pub header: Header,
    /// Its file's name.
    pub path: PathBuf,
    /// Its file.
    pub file: Arc<dyn File>,
    /// Its index.
    pub index: ActiveIndex,
    /// Where its last frame ends.
    pub end: u64,
}

/// The last batches, as they were appended.
#[derive(Debug, Default)]
pub struct Tail {
    batches: VecDeque<(u64, Arc<Events>)>,
    bytes: usize,
}

impl Tail {
    /// Adds a batch, and forgets old ones.
    pub fn push(&mut self, first: u64, batch: Arc<Events>) {
        self.bytes += batch.heap_bytes();
        self.batches.push_back((first, batch));
        while self.bytes > TAIL_BYTES_MAX
            && self.batches.len() > 1
            && let Some((_, oldest)) = self.batches.pop_front()
        {
            self.bytes -= oldest.heap_bytes();
        }
    }

    /// Forgets the batches that begin before a position: not all of their energies are there any more.
    pub fn forget(&mut self, end: u64) {
        while let Some((first, batch)) = self.batches.front()
            && *first < end
        {
            self.bytes -= batch.heap_bytes();
            self.batches.pop_front();
        }
    }

    /// The batch that has a position, and the index in it.
    #[must_use]
    pub fn get(&self, position: u64) -> Option<(Arc<Events>, usize)> {
        let at = self.batches.partition_point(|(first, _)| *first <= position).checked_sub(1)?;
        let (first, batch) = &self.batches[at];
        let index = (position - first) as usize;
        (index < batch.len()).then(|| (batch.clone(), index))
    }
}

/// A part of the log, sealed or not, that a reader has taken hold of.
#[derive(Clone, Debug)]
pub struct Part {
    /// The segment's header.
    pub header: Header,
    /// Its file's name.
    pub path: PathBuf,
    /// Its file.
    pub file: Arc<dyn File>,
    /// Where its last frame ends.
    pub end: u64,
    /// The segment, if it is sealed.
    pub sealed: Option<Arc<Segment>>,
}

impl View {
    /// The index of the segment that has a position: that of `sealed`, or as many as there are for the active one.
    #[must_use]
    pub fn segment_at(&self, position: u64) -> usize {
        self.sealed.partition_point(|segment| segment.end <= position)
    }

    /// How many segments there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sealed.len() + 1
    }

    /// All segments, as they are now: compaction may exchange them meanwhile, these can be read all the same.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        (0..self.len()).map(|at| self.part(at)).collect()
    }

    /// The segment that has a position.
    #[must_use]
    pub fn part_at(&self, position: u64) -> Part {
        self.part(self.segment_at(position))
    }

    /// A segment.
    #[must_use]
    pub fn part(&self, at: usize) -> Part {
        match self.sealed.get(at) {
            Some(segment) => Part {
                header: segment.header,
                path: segment.path.clone(),
                file: segment.file.clone(),
                end: segment.bytes,
                sealed: Some(segment.clone()),
            },
            None => Part {
                header: self.active.header,
                path: self.active.path.clone(),
                file: self.active.file.clone(),
                end: self.active.end,
                sealed: None,
            },
        }
    }
}

/// Loaded indexes of sealed segments, within a bound of memory.
#[derive(Debug, Default)]
pub struct IndexCache {
    loaded: Mutex<(VecDeque<Arc<Segment>>, usize)>,
}

/// Bytes of loaded indexes: those of some 400,000 energies take 4 MB.
const INDEX_BYTES_MAX: usize = 64 << 20;

impl IndexCache {
    /// Lets go of segments that were replaced.
    pub fn forget(&self, segments: &[Arc<Segment>]) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut freed = 0;
        loaded.0.retain(|held| {
            let is_gone = segments.iter().any(|segment| Arc::ptr_eq(segment, held));
            if is_gone && let Some(index) = &*held.index.read().unwrap_or_else(PoisonError::into_inner) {
                freed += index.bytes();
            }
            !is_gone
        });
        loaded.1 = loaded.1.saturating_sub(freed);
    }

    /// Counts the index that a segment got, and drops the ones that were loaded first.
    pub fn loaded(&self, segment: &Arc<Segment>, bytes: usize) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.0.push_back(segment.clone());
        loaded.1 += bytes;
        while loaded.1 > INDEX_BYTES_MAX
            && loaded.0.len() > 1
            && let Some(oldest) = loaded.0.pop_front()
        {
            let mut index = oldest.index.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(Index::Sealed(sealed)) = &*index {
                loaded.1 = loaded.1.saturating_sub(sealed.bytes());
                *index = None;
            }
        }
    }
}

/// A key of [`Key`], owned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnedKey {
    /// Energies of this topic.
    Topic(Vec<u8>),
    /// Energies of this stream.
    Stream(Vec<u8>),
    /// Energies with this tag.
    Tag(String, String),
}

impl OwnedKey {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Key<'_> {
        match self {
            Self::Topic(topic) => Key::Topic(topic),
            Self::Stream(stream) => Key::Stream(stream),
            Self::Tag(tag, value) => Key::Tag(tag, value),
        }
    }
}
