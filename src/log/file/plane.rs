//! The plane that is open: what appenders, readers and the background thread share.
//!
//! Locks are taken in this order: writer, that for storing tables, view, older, a segment's index, cache. A reader holds the view only while it
//! looks something up, never while it reads a file. An append holds the view while it numbers and encodes, not
//! while it writes or syncs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLockReadGuard, RwLockWriteGuard};

use super::background::Jobs;
use super::decode::NameSpans;
use super::frames;
use super::index::{SealedIndex, SegmentIndex, StreamHead, seal};
use super::indexing;
use super::manifest::{self, Entry, Manifest};
use super::segment::{self, Index, Segment};
use super::sync::{Mark, Syncer};
use super::view::{IndexCache, View};
use super::writer::Writer;
use super::{Options, tables::Tables};
use crate::disk::{Lock, Mode};
use crate::event::Uuid;
use crate::log::Error;

/// See the module.
#[derive(Debug)]
pub struct Plane {
    /// Its folder.
    pub folder: PathBuf,
    /// How it was opened.
    pub options: Options,
    /// Its identity.
    pub id: Uuid,
    /// Positions that a repair gave up.
    pub lost: Vec<(u64, u64)>,
    /// What readers look at.
    pub view: std::sync::RwLock<View>,
    /// The sealed segments once more, for who holds the view and looks up a stream.
    pub older: Mutex<Vec<Arc<Segment>>>,
    /// How far it is durable.
    pub syncer: Syncer,
    /// Loaded indexes.
    pub cache: IndexCache,
    /// Memory of readers that are done.
    pub memory: Spare,
    /// The tables.
    pub tables: Tables,
    /// What appends need; `None` when it was opened to read.
    pub writer: Option<Mutex<Writer>>,
    /// Held by a compaction.
    pub compacting: Mutex<()>,
    /// How to speak to its thread, if it has one.
    pub jobs: OnceLock<Jobs>,
    /// Held while it is open to write.
    pub _lock: Option<Box<dyn Lock>>,
}

impl Plane {
    /// The view, to look at.
    pub fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The view, to change.
    pub fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer; an error when the plane was opened to read.
    pub fn writer(&self) -> Result<MutexGuard<'_, Writer>, Error> {
        let writer = self.writer.as_ref().ok_or(Error::ReadOnly)?;
        Ok(writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The index of a sealed segment: loaded, or made anew where its file is missing or does not fit.
    pub fn index_of(&self, segment: &Arc<Segment>) -> Result<Index, Error> {
        if let Some(index) = &*segment.index.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(index.clone());
        }
        let index = match self.load_index(segment) {
            Some(index) => index,
            None => self.rebuild_index(segment)?,
        };
        let (index, bytes) = (Arc::new(index), segment.bytes);
        let held = index.bytes();
        *segment.index.write().unwrap_or_else(PoisonError::into_inner) = Some(Index::Sealed(index.clone()));
        self.cache.loaded(segment, held);
        tracing::debug!(segment = %segment.path.display(), bytes, held, "index loaded");
        Ok(Index::Sealed(index))
    }

    fn load_index(&self, segment: &Segment) -> Option<SealedIndex> {
        let path = segment::index_path(&self.folder, segment.header.first, segment.header.generation);
        let file = self.options.disk.open(&path, Mode::Read).ok()?;
        let len = file.len().ok()?;
        // No index is larger than its segment; a file that says so is none.
        if len > segment.bytes.max(1 << 20) * 2 {
            return None;
        }
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let index = SealedIndex::open(bytes).ok()?;
        let fits = index.first_position() == segment.header.first && index.next_position() <= segment.end;
        fits.then_some(index)
    }

    fn rebuild_index(&self, segment: &Arc<Segment>) -> Result<SealedIndex, Error> {
        tracing::warn!(segment = %segment.path.display(), "the index is missing or does not fit: it is made anew");
        let before = segment.header.first;
        let older = &mut |stream: &[u8]| self.head_before(stream, before);
        let active = indexing::rebuild(&segment.path, &segment.file, &segment.header, segment.bytes, older)?;
        let bytes = seal(&active);
        if self.writer.is_some() && self.holds(segment) {
            // It can be made again at any time: an error here costs time, nothing else.
            let _best_effort = self.write_index(segment, &bytes);
        }
        SealedIndex::open(bytes).map_err(|error| Error::Damaged {
            path: segment.path.clone(),
            offset: 0,
            reason: format!("no index can be made of it: {error}"),
            positions: Some((segment.header.first, segment.end)),
        })
    }

    /// Writes a segment's index. It can be made again, so its name is not synced; but what has the name is whole.
    pub fn write_index(&self, segment: &Segment, bytes: &[u8]) -> Result<(), Error> {
        let path = segment::index_path(&self.folder, segment.header.first, segment.header.generation);
        let temporary = path.with_extension("idx.tmp");
        let disk = &*self.options.disk;
        manifest::remove_if_there(disk, &temporary)?;
        let file = disk.open(&temporary, Mode::Create).map_err(Error::io("create", &temporary))?;
        file.write_all_at(bytes, 0).map_err(Error::io("write", &temporary))?;
        file.sync().map_err(Error::io("sync", &temporary))?;
        disk.rename(&temporary, &path).map_err(Error::io("rename to", &path))
    }

    /// Whether a sealed segment is still one of the plane's: compaction replaces them.
    pub fn holds(&self, segment: &Arc<Segment>) -> bool {
        let older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
        older.iter().any(|current| Arc::ptr_eq(current, segment))
    }

    /// Gives a segment that was just sealed its index's file, once: who comes second waits for the first.
    pub fn seal(&self, segment: &Arc<Segment>) -> Result<(), Error> {
        let mut result = Ok(());
        segment.sealing.get_or_init(|| result = self.write_active_index(segment));
        result
    }

    fn write_active_index(&self, segment: &Arc<Segment>) -> Result<(), Error> {
        let index = segment.index.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(Index::Active(active)) = index else { return Ok(()) };
        let bytes = seal(&active);
        self.write_index(segment, &bytes)?;
        if let Ok(sealed) = SealedIndex::open(bytes) {
            let (sealed, held) = (Arc::new(sealed), active.bytes());
            *segment.index.write().unwrap_or_else(PoisonError::into_inner) = Some(Index::Sealed(sealed));
            self.cache.loaded(segment, held);
        }
        Ok(())
    }

    /// Where a stream stands in the segments that begin before `before`.
    pub fn head_before(&self, stream: &[u8], before: u64) -> Result<Option<StreamHead>, Error> {
        let older: Vec<Arc<Segment>> = {
            let older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
            older.iter().rev().filter(|segment| segment.header.first < before).cloned().collect()
        };
        self.head_in(&older, stream)
    }

    /// Gives readers other sealed segments.
    pub fn set_sealed(&self, view: &mut View, sealed: Vec<Arc<Segment>>) {
        *self.older.lock().unwrap_or_else(PoisonError::into_inner) = sealed.clone();
        view.sealed = sealed;
    }

    /// Where a stream stands, of segments from new to old.
    fn head_in(&self, segments: &[Arc<Segment>], stream: &[u8]) -> Result<Option<StreamHead>, Error> {
        for segment in segments {
            if let Some(head) = self.index_of(segment)?.stream_head(stream) {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// What the manifest says now.
    #[must_use]
    pub fn manifest(&self, view: &View, durable: Mark) -> Manifest {
        let sealed = view.sealed.iter().map(|segment| Entry {
            first: segment.header.first,
            generation: segment.header.generation,
            sealed: Some((segment.end, segment.bytes)),
        });
        let header = &view.active.header;
        let active = Entry { first: header.first, generation: header.generation, sealed: None };
        Manifest {
            plane: self.id,
            durable_sequence: durable.sequence,
            durable_position: durable.position,
            segments: sealed.chain([active]).collect(),
            lost: self.lost.clone(),
        }
    }
}

/// What readers leave to those that come after them: a few of each.
#[derive(Debug, Default)]
pub struct Spare(Mutex<Vec<(frames::Memory, NameSpans)>>);

impl Spare {
    /// Memory to read with.
    pub fn take(&self) -> (frames::Memory, NameSpans) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Memory that is not needed any more.
    pub fn put(&self, memory: (frames::Memory, NameSpans)) {
        const KEPT: usize = 4;
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < KEPT {
            spare.push(memory);
        }
    }
}
