//! Projections: the log folded into states, by a Lua module.
//!
//! A [`Projection`] is a [`Fold`] and the place where its states are kept, below the folder of the plane. What is
//! new in the log is folded when an answer is asked for, never before; an answer is therefore exact, or as it was
//! kept last ([`Freshness`]), or as it was at an old position.
//!
//! A store is a fold of the log: it can be deleted, and is made anew. When the text of the fold has changed, or the log
//! is another, it is made anew beside the old one, which is answered from as long as cached answers are asked
//! for, and replaced once the new one has come as far as the log. Where nothing can be written, or another process
//! is at work on it for more than two seconds, it is made in memory, from the beginning of the log.
//!
//! Bounds: memory is that of 64 MiB of states in the VM, of some 64 MiB on the way to the disk and of 32 MiB of the file's
//! pages, and of the states that change between two snapshots; an answer with all keys is held as a whole.

mod error;
mod folding;
mod key;
mod past;
mod progress;
mod store;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};

pub use error::Error;
pub use watch::{Watch, watch_projection};

use self::progress::{catch_up, fits, is_done};
use self::store::{Kept, Store};
use crate::log::{FileLog, Log};
use crate::spell::{Clocks, Fold};

/// Where stores are, below the plane's folder.
pub const FOLDER: &str = "projections";

/// How fresh an answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// All that is in the log is folded first.
    Exact,
    /// What is kept, and be it of a former text. Nothing is folded, no log is read.
    Cached,
    /// As it was once the energy at this position was folded.
    At(u64),
}

/// A key and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key, as MessagePack; nil for none.
    pub key: Vec<u8>,
    /// The position of the last energy that was folded into the state.
    pub position: u64,
    /// The state, as canonical MessagePack. Nil, in a [`Watch`] alone, for a key that was forgotten.
    pub state: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub struct Projection {
    fold: Fold,
    folder: PathBuf,
    clocks: Clocks,
    current: Option<Current>,
    prints: Vec<u8>,
}

/// The store that is open, and what it is.
#[derive(Debug)]
struct Current {
    store: Store,
    /// Whether it has still to take the place of an old one.
    is_new: bool,
}

impl Projection {
    /// A projection over the log whose folder is `plane`.
    #[must_use]
    pub fn new(fold: Fold, plane: &Path, clocks: Clocks) -> Self {
        Self { fold, folder: plane.join(FOLDER), clocks, current: None, prints: Vec::new() }
    }

    /// What is folded.
    #[must_use]
    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// What folds have printed since this was asked last.
    pub fn take_prints(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.prints)
    }

    /// Closes the store, so that other processes can have it; it is opened again when needed.
    pub fn release(&mut self) {
        self.current = None;
    }

    /// The file that is kept.
    fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.redb", self.fold.name))
    }

    /// The one that is to take its place.
    fn new_file(&self) -> PathBuf {
        self.folder.join(format!("{}.new.redb", self.fold.name))
    }

    /// Folds what is new below `until`; gives back the store, and where that began.
    fn catch_up(
        &mut self,
        log: &FileLog,
        until: u64,
        tell: &mut dyn FnMut(&[u8], &Kept),
    ) -> Result<(&Store, u64), Error> {
        // After an error it is opened anew.
        let mut held = self.current.take();
        if held.as_ref().is_some_and(|current| !matches!(self.is_fit(&current.store, log, until), Ok(true))) {
            held = None;
        }
        let mut current = held.map_or_else(|| self.open(log, until), Ok)?;
        let from = match current.store.progress()? {
            // It holds all there is, or else it would not fit.
            Some(progress) if current.store.is_read_only() => progress.position,
            _ => {
                let caught = catch_up(&current.store, (&self.fold, self.clocks), log, until, tell)?;
                self.prints.extend(caught.prints);
                caught.from
            }
        };
        if current.is_new && until >= log.visible() {
            self.replace()?;
            current.store.rename(self.file());
            current.is_new = false;
        }
        Ok((&self.current.insert(current).store, from))
    }

    /// The store of this text and this log, or the one in which it is being made.
    fn open(&self, log: &FileLog, until: u64) -> Result<Current, Error> {
        if let Some(store) = Store::open_to_read(&self.file())
            && self.is_fit(&store, log, until)?
        {
            return Ok(Current { store, is_new: false });
        }
        let memory = || Ok(Current { store: Store::in_memory()?, is_new: false });
        if let Err(error) = fs::create_dir_all(&self.folder) {
            tracing::warn!(%error, folder = %self.folder.display(), "the projection is kept in memory");
            return memory();
        }
        if self.file().exists() {
            let Some(store) = Store::open(&self.file())? else { return memory() };
            if self.is_fit(&store, log, until)? {
                return Ok(Current { store, is_new: false });
            }
        }
        let path = self.new_file();
        let Some(mut store) = Store::open(&path)? else { return memory() };
        if store.progress()?.is_some() && !self.is_fit(&store, log, until)? {
            drop(store);
            store::remove(&path)?;
            let Some(fresh) = Store::open(&path)? else { return memory() };
            store = fresh;
        }
        Ok(Current { store, is_new: true })
    }

    /// Whether a store is of this text and this log, and can be brought to `until`.
    fn is_fit(&self, store: &Store, log: &FileLog, until: u64) -> Result<bool, Error> {
        let Some(progress) = store.progress()? else { return Ok(false) };
        Ok(fits(&progress, &self.fold, log)?
            && (!store.is_read_only() || is_done(&progress, &self.fold, log, until)?))
    }

    /// Puts the new store into the place of the old one.
    fn replace(&self) -> Result<(), Error> {
        let path = self.new_file();
        match fs::rename(&path, self.file()) {
            // Another process was at it before.
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Store { path, reason: error.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// What is kept, of whatever text.
    fn cached(&mut self) -> Result<&Store, Error> {
        let path = self.file();
        let held = self.current.take().filter(|current| current.store.path() == path);
        let current = match held {
            Some(current) => current,
            None if !path.exists() => return Err(Error::NothingCached(self.fold.name.to_string())),
            None => {
                let store = match Store::open_to_read(&path) {
                    Some(store) => store,
                    None => Store::open(&path)?.ok_or(Error::Busy { path })?,
                };
                Current { store, is_new: false }
            }
        };
        Ok(&self.current.insert(current).store)
    }
}

/// The state of a key, given as MessagePack, or of all keys, in their order. No row for a key without a state.
///
/// [`Freshness::At`] wants a position that the log has given. Memory: see the module.
pub fn project(
    log: &FileLog,
    projection: &mut Projection,
    key: Option<&[u8]>,
    freshness: Freshness,
) -> Result<Vec<Row>, Error> {
    let key = key.map(key::of_value);
    let rows = match freshness {
        Freshness::Exact => {
            let until = log.refresh()?;
            now(projection.catch_up(log, until, &mut |_, _| {})?.0, key)?
        }
        Freshness::Cached => now(projection.cached()?, key)?,
        Freshness::At(position) => {
            let until = position.saturating_add(1).min(log.refresh()?);
            projection.catch_up(log, until, &mut |_, _| {})?;
            let Some(current) = &projection.current else { return Ok(Vec::new()) };
            past::rows(&current.store, (&projection.fold, projection.clocks), log, key.as_deref(), until)?
        }
    };
    Ok(rows.into_iter().map(row).collect())
}

fn now(store: &Store, key: Option<Vec<u8>>) -> Result<Vec<(Vec<u8>, Kept)>, Error> {
    match key {
        Some(key) => Ok(store.state(&key)?.map(|kept| (key, kept)).into_iter().collect()),
        None => store.all(|_| true),
    }
}

fn row((key, kept): (Vec<u8>, Kept)) -> Row {
    Row { key: key::value(&key), position: kept.position, state: kept.state.unwrap_or_else(|| vec![0xc0]) }
}
