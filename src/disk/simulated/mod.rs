//! A disk in memory that loses, on a crash, what a real one may lose, and fails when it is told to.
//!
//! Everything that goes by chance comes from one seed: the same calls on the same seed give the same disk.
//!
//! # What it models
//!
//! - **The page cache.** Readers see every write at once. A file's bytes and length are durable when
//!   [`File::sync`](super::File::sync) returned, and nothing before.
//! - **Names.** A file or folder that was made, renamed, linked or removed is so durably when
//!   [`Disk::sync_dir`](super::Disk::sync_dir) of its folder returned. Syncing a file does not keep its name,
//!   syncing a folder does not keep the folder's own name. A rename within a folder happens or does not; one
//!   across folders needs a sync of both, may leave both names, and loses the file when only the old name's
//!   folder was synced.
//! - **Crashes**, see [`SimulatedDisk::crash`]: any subset of what was not synced survives. A write may be cut
//!   at any byte or sector, or leave out any of its sectors; the length may survive without the bytes
//!   (zeros). Changes to one name survive in order; those to different names, and those to names and bytes,
//!   independently.
//! - **Faults**, see [`Faults`]: errors, short writes, a full disk, syncs that fail (and leave the cache as
//!   Linux does: a second try proves nothing) or lie.
//! - **Loss of power in the midst of anything**, see [`SimulatedDisk::crash_after`].
//!
//! # What it does not
//!
//! Stale bytes of other files in blocks that were never written (they read as zero); damage to what was synced
//! (but see [`SimulatedDisk::flip`]); a failing rename that happened; the cache giving up pages by itself, so
//! what a failed sync left `Clean` stays readable until the crash; permissions, symbolic links, `..`, folders
//! renamed into other folders (EXDEV) or removed; time. Of the room on the disk a file takes as much as its
//! last written or allocated byte says, holes included; names, and the note in a lock, take none.
//!
//! A file has at most [`FILE_BYTES_MAX`] bytes. All calls share one lock.

mod content;
mod faults;
mod handle;
mod image;
mod random;
mod tree;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

pub use faults::{FailedSync, Faults, When};

use faults::Fault;
use random::Random;
use tree::{NodeId, Tree};

/// The length of a file at most, in bytes: 4 GiB.
pub const FILE_BYTES_MAX: u64 = 4 << 30;

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

/// All there is on a disk at one moment, unsynced changes included, but no open file, lock or fault.
#[derive(Clone)]
pub struct Snapshot(Tree);

struct State {
    tree: Tree,
    random: Random,
    faults: Faults,
    /// Calls that each fault might have hit, since the faults were set.
    calls: [u64; Fault::COUNT],
    operations: u64,
    /// The operation at which the power goes.
    off_at: Option<u64>,
    is_off: bool,
    /// Crashes so far. Files opened before the last are closed.
    crashes: u64,
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        Self::with_tree(Tree::new(), seed)
    }

    /// A disk of its own with what a snapshot holds; the seed need not be that of the disk it is of.
    pub fn from_snapshot(snapshot: &Snapshot, seed: u64) -> Self {
        Self::with_tree(snapshot.0.clone(), seed)
    }

    fn with_tree(tree: Tree, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            tree,
            random: Random::new(seed),
            faults: Faults::default(),
            calls: [0; Fault::COUNT],
            operations: 0,
            off_at: None,
            is_off: false,
            crashes: 0,
        })))
    }

    /// A copy of the disk as it is. Cheap: pages are shared until one side writes.
    pub fn snapshot(&self) -> Snapshot {
        let mut tree = self.state().tree.clone();
        tree.close_all();
        Snapshot(tree)
    }

    /// The machine stops and starts again: any subset of what was not synced is lost, open files answer with
    /// errors from now on, locks are free, the power is on. Faults stay as they are.
    pub fn crash(&self) {
        let state = &mut *self.state();
        state.tree.crash(&mut state.random);
        state.crashes += 1;
        state.off_at = None;
        state.is_off = false;
    }

    /// Cuts the power at the `operations`-th operation from now (1 is the next, 0 is now): it fails, having
    /// happened or not, and all calls fail after it until [`SimulatedDisk::crash`].
    pub fn crash_after(&self, operations: u64) {
        let mut state = self.state();
        state.off_at = Some(state.operations + operations);
        state.is_off = operations == 0;
    }

    /// Whether the power went and [`SimulatedDisk::crash`] was not called since.
    pub fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// Operations so far: writes, resizes, syncs, locks, and whatever changes names, those that failed included.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What goes wrong from now on. Calls are counted anew.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.state();
        state.faults = faults;
        state.calls = [0; Fault::COUNT];
    }

    /// What goes wrong.
    pub fn faults(&self) -> Faults {
        self.state().faults
    }

    /// Room that files take which have a name or are open, in bytes; what [`Faults::room_bytes`] limits.
    pub fn used_bytes(&self) -> u64 {
        self.state().tree.used_bytes()
    }

    /// Flips a bit (0 to 7) of a file, both on the disk and in the cache. An error where there is no such byte.
    pub fn flip(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        let mut state = self.state();
        let id = state.tree.find(path)?;
        match state.tree.file_mut(id)?.flip(offset, bit) {
            true => Ok(()),
            false => Err(Errno::INVAL.into()),
        }
    }

    /// The bytes of a file as readers see them. No operation; faults and the power do not matter.
    pub fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        Ok(state.tree.file(state.tree.find(path)?)?.cached().bytes())
    }

    /// The bytes of a file that would be left if a crash lost everything that was not synced.
    pub fn durable_bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        Ok(state.tree.file(state.tree.find(path)?)?.durable().bytes())
    }

    /// Puts a file there, or other bytes into it, as if it had always been so: durable, as are its name, the
    /// folders above it and other names in those.
    pub fn write_raw(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.state().tree.put(path, bytes)
    }

    /// Paths of all files as readers see them, in order, all beginning with `/`.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().tree.files()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that only looks.
    fn look<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        state.powered()?;
        work(&mut state)
    }

    /// Does something that counts as an operation.
    fn operate<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        state.powered()?;
        state.operations += 1;
        // What is done last is done, but for a sync, and not synced: the crash decides whether it happened.
        state.is_off = state.off_at.is_some_and(|at| state.operations >= at);
        let result = work(&mut state);
        state.powered()?;
        result
    }
}

impl State {
    fn powered(&self) -> io::Result<()> {
        if self.is_off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    /// Whether a fault hits the call that is being made.
    fn hits(&mut self, fault: Fault) -> bool {
        let calls = &mut self.calls[fault as usize];
        *calls += 1;
        match self.faults.when(fault) {
            When::Never => false,
            When::Always => true,
            When::Chance(probability) => self.random.chance(probability),
            When::Nth(number) => *calls == number,
            When::From(number) => *calls >= number,
        }
    }

    /// An error if a fault hits.
    fn fails(&mut self, fault: Fault) -> io::Result<()> {
        if self.hits(fault) { Err(Errno::IO.into()) } else { Ok(()) }
    }

    /// How far a file may reach that takes `room_bytes` now: to the end of the room on the disk.
    fn reach_bytes(&self, room_bytes: u64) -> u64 {
        match self.faults.room_bytes {
            None => FILE_BYTES_MAX,
            Some(limit) => room_bytes + limit.saturating_sub(self.tree.used_bytes()),
        }
    }

    /// A file that is open, which it is not after a crash.
    fn opened(&mut self, id: NodeId, crashes: u64) -> io::Result<&mut content::Content> {
        if crashes != self.crashes {
            return Err(io::Error::other("the file was opened before a crash"));
        }
        self.tree.file_mut(id)
    }
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedDisk")
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Snapshot").field(&self.0.files()).finish()
    }
}
