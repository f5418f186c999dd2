//! What the log keeps beside energies: the fold of its changes, larger than memory where need be.
//!
//! New changes are kept in memory, in layers (`layer`); a checkpoint (`checkpoint`) writes them to `tables.redb`
//! (`store`), with the sequence below which commits are in it. A read looks at the layers from new to old, then at
//! the file. Nothing in the file is not in the log: it is made anew from the log (`catch_up`) when it is
//! missing, damaged, of another plane or ahead of the log, and may be deleted while the plane is closed.
//!
//! The file is opened when a table is first read or a checkpoint is due, not with the plane. Opening a plane reads
//! its head, 1 KiB, which tells what of the last segment's changes need not be folded again. Without changes
//! there is no file, unless somebody read a table when there were sealed segments to be searched for changes: it then
//! keeps that there were none.
//!
//! Who opened the plane to read leaves the file alone, for the writer's process may change it at any time. What
//! it is asked it folds from the log, all of it, into memory: slow for the first read of a long log, and then as
//! fast as for the writer. To look at large tables of a plane that nobody writes, open it to write.
//!
//! Invariants. What is in the file was durable in the log before. Once the file was looked at, there is no gap between it
//! and the layers, nor between layers, and they reach to the end of the log. What a reader is given is of one
//! moment: no commit is seen in part. Compaction must not rely on the file, which may be made anew at any
//! time: it keeps in the segments that it writes every change that [`FileLog::is_current`](super::FileLog::is_current) counts.
//!
//! Limits. Where a disk lies about syncs and loses power, blocks of the file can be of several moments, each with a good
//! checksum, and nobody notices: the file is then to be deleted. On other disks no crash does that.
//!
//! Bounds: layers take four times [`Options::checkpoint_bytes`](super::Options::checkpoint_bytes), then appends wait for a
//! checkpoint; the file's cache 256 MiB. Keys and values are bounded by their commit.
//!
//! Locks: `storing` is taken after the writer's and before the view's, `state` after all others and only for a
//! moment or a page of a range.

mod blocks;
mod catch_up;
mod checkpoint;
mod layer;
mod merge;
mod read;
mod store;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::blocks::Blocks;
use self::layer::Layer;
use self::store::{Failure, Store};
use crate::disk::Disk;
use crate::event::Uuid;
use crate::log::{Changes, Error};

/// The file in a plane's folder.
pub const NAME: &str = "tables.redb";

/// The tables of a plane.
#[derive(Debug)]
pub struct Tables {
    path: PathBuf,
    plane: Uuid,
    /// Whether the file is ours to use.
    is_owner: bool,
    state: RwLock<State>,
    /// Held by who opens, writes or makes the file.
    storing: Mutex<()>,
    /// A checkpoint was asked of the background thread.
    asked: AtomicBool,
    /// Bytes of layers at which the next checkpoint is tried, after one that failed.
    retry_bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// The newest commits, up to the end of the log.
    recent: Layer,
    /// Those before, oldest first. The first `storing` of them are being written.
    frozen: Vec<Arc<Layer>>,
    storing: usize,
    base: Base,
    /// No commit at or above it can be in the file: the end of the log when it was opened or last written.
    claim: u64,
    /// Every commit below it is in the file.
    done: u64,
}

/// What comes before the layers.
#[derive(Debug, Default)]
enum Base {
    /// It was not looked at.
    #[default]
    Unread,
    /// Nothing.
    Nothing,
    /// The file.
    Stored(Arc<Store>),
}

impl State {
    /// Commits from here on are in layers.
    fn covered_from(&self) -> u64 {
        self.frozen.first().map_or(self.recent.from, |layer| layer.from)
    }

    /// The first commits that are neither below `from` nor in the layers: the first of them, and the one after them.
    fn gap(&self, from: u64) -> Option<(u64, u64)> {
        let mut known = from;
        for layer in self.frozen.iter().map(|layer| &**layer).chain([&self.recent]) {
            if layer.from > known {
                return Some((known, layer.from));
            }
            known = known.max(layer.next);
        }
        None
    }

    fn frozen_bytes(&self) -> usize {
        self.frozen.iter().map(|layer| layer.bytes()).sum()
    }

    /// Makes the newest layer one that no longer changes.
    fn freeze(&mut self) {
        if self.recent.next > self.recent.from {
            let next = self.recent.next;
            self.frozen.push(Arc::new(std::mem::replace(&mut self.recent, Layer::new(next))));
        }
    }

    /// Where the two newest frozen layers are that should be one: small ones become larger ones, so that there are few.
    fn pair(&self) -> Option<(usize, Arc<Layer>, Arc<Layer>)> {
        let at = self.frozen.len().checked_sub(2).filter(|at| *at >= self.storing)?;
        let (older, newer) = (&self.frozen[at], &self.frozen[at + 1]);
        // Of who only reads there may be commits between them that are not folded yet.
        let is_pair = older.next == newer.from && older.bytes() <= 2 * newer.bytes();
        is_pair.then(|| (at, older.clone(), newer.clone()))
    }
}

impl Tables {
    /// Tables of a plane. `is_owner`: it was opened to write.
    #[must_use]
    pub fn new(folder: &Path, plane: Uuid, is_owner: bool) -> Self {
        Self {
            path: folder.join(NAME),
            plane,
            is_owner,
            state: RwLock::default(),
            storing: Mutex::default(),
            asked: AtomicBool::new(false),
            retry_bytes: AtomicUsize::new(0),
        }
    }

    /// Opened to write: takes in the commits from `first` to `end`, the last segment's. All of them are durable.
    pub fn open(
        &self,
        disk: &dyn Disk,
        (first, end): (u64, u64),
        commits: impl Iterator<Item = (u64, Changes)>,
    ) -> Result<(), Error> {
        let done = self.look(disk, end)?;
        let mut state = self.state_mut();
        (state.claim, state.done) = (end, done);
        state.recent = Layer::new(first.max(done));
        for (sequence, changes) in commits.filter(|(sequence, _)| *sequence >= done) {
            state.recent.apply(sequence, &changes);
        }
        state.recent.next = end;
        Ok(())
    }

    /// Looks at the head of the file, and removes a file that cannot be that of the log. Returns what is in it at
    /// least.
    fn look(&self, disk: &dyn Disk, end: u64) -> Result<u64, Error> {
        if !disk.exists(&self.path) {
            return Ok(0);
        }
        let head = Blocks::head(disk, &self.path, self.plane).map_err(|error| self.error(&error.into()))?;
        let reason = match head {
            Ok(head) if head.claim.max(head.done) <= end => return Ok(head.done),
            Ok(_) => "it is ahead of the log",
            Err(reason) => reason,
        };
        self.remove(disk, reason)?;
        Ok(0)
    }

    /// Opened to read: takes in commits that another process has appended, from `first` to `end`.
    pub fn follow(&self, (first, end): (u64, u64), commits: impl Iterator<Item = (u64, Changes)>) {
        let mut state = self.state_mut();
        if first > state.recent.next {
            // A segment was sealed that was not read to its end: what is missing is folded when it is asked for.
            state.freeze();
            state.base = Base::Unread;
            state.recent = Layer::new(first);
        }
        for (sequence, changes) in commits {
            state.recent.apply(sequence, &changes);
        }
        state.recent.next = state.recent.next.max(end);
    }

    /// Takes over the changes of the commit that was just appended. Returns the bytes of the newest layer and of all.
    pub fn apply(&self, sequence: u64, changes: &Changes) -> (usize, usize) {
        let mut state = self.state_mut();
        state.recent.apply(sequence, changes);
        let recent = state.recent.bytes();
        (recent, recent + state.frozen_bytes())
    }

    /// Makes small frozen layers larger ones, while appends go on.
    fn tidy(&self) {
        loop {
            let Some((at, older, newer)) = self.state().pair() else { return };
            let mut merged = Layer::clone(&older);
            merged.absorb(&newer);
            let mut state = self.state_mut();
            let is_same = state.pair().is_some_and(|(now_at, now_older, now_newer)| {
                now_at == at && Arc::ptr_eq(&now_older, &older) && Arc::ptr_eq(&now_newer, &newer)
            });
            if !is_same {
                return;
            }
            state.frozen.truncate(at);
            state.frozen.push(Arc::new(merged));
        }
    }

    /// Lets go of the file, so that the next who needs it opens it anew; where it is damaged, makes it anew. Needs
    /// `storing`.
    fn failed(&self, disk: &dyn Disk, failure: &Failure) -> Result<(), Error> {
        {
            let mut state = self.state_mut();
            if let Base::Stored(store) = std::mem::take(&mut state.base) {
                store.shut();
            }
            if let Failure::Io(_) = failure {
                return Ok(());
            }
            state.done = 0;
        }
        self.remove(disk, &failure.to_string())
    }

    fn remove(&self, disk: &dyn Disk, reason: &str) -> Result<(), Error> {
        tracing::warn!(path = %self.path.display(), reason, "the tables are made anew from the log");
        match disk.remove(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }

    fn error(&self, failure: &Failure) -> Error {
        Error::Tables { path: self.path.clone(), reason: failure.to_string() }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn storing(&self) -> MutexGuard<'_, ()> {
        self.storing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a checkpoint, of somebody else; false when that was done already.
    pub fn ask(&self) -> bool {
        !self.asked.swap(true, Ordering::AcqRel)
    }
}
