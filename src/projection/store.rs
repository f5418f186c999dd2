//! What is kept of a projection: one redb file, a fold of the log that can be deleted at any time.
//!
//! ```text
//! meta        name -> bytes                what was folded, and how far: see Progress
//! states      key -> position, state       as of the position it has reached
//! history     key, boundary -> position, state   as of each snapshot, for keys that changed since the one before
//! snapshots   boundary -> ()               every energy below it was folded
//! ```
//!
//! A position before a state is that of the last energy folded into it, 8 bytes, the lowest first; no state after it
//! means that the key was forgotten. One transaction has states, history and progress: after a crash it is there
//! or not. Any number of processes read the file, or one writes; others wait up to [`WAIT_MS`].
//!
//! History takes the room of a state for each key and snapshot in which it changed, at most one for each energy.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::Bound;
use std::panic::{UnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use redb::backends::InMemoryBackend;
use redb::{
    Builder, Database, DatabaseError, ReadOnlyDatabase, ReadOnlyTable, ReadableDatabase, StorageError,
    TableDefinition,
};

use super::Error;
use crate::event::Uuid;

/// How long another process is waited for, in milliseconds.
pub const WAIT_MS: u64 = 2_000;
/// How often it is tried.
const EVERY_MS: u64 = 10;
/// Memory for pages of the file.
const CACHE_BYTES: usize = 32 << 20;
/// Of this layout, the wrapper of folds and the order of keys.
const FORMAT: u64 = 1;

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const STATES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("states");
const HISTORY: TableDefinition<(&[u8], u64), &[u8]> = TableDefinition::new("history");
const SNAPSHOTS: TableDefinition<u64, ()> = TableDefinition::new("snapshots");
const PROGRESS: &str = "progress";

/// What was folded, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Of the text that folds.
    pub digest: [u8; 32],
    /// The plane's identity.
    pub plane: Uuid,
    /// The next position to fold.
    pub position: u64,
    /// Position and id of the last energy that was passed and is kept: whether the log is still the same.
    pub anchor: Option<(u64, Uuid)>,
}

/// The state of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Of the last energy that was folded into it.
    pub position: u64,
    /// Canonical MessagePack; none for a key that was forgotten.
    pub state: Option<Vec<u8>>,
}

/// What one transaction writes.
#[derive(Debug, Default)]
pub struct Batch {
    /// The new states.
    pub states: HashMap<Vec<u8>, Kept>,
    /// Key, boundary, and the state as of it.
    pub history: Vec<(Vec<u8>, u64, Kept)>,
    /// The boundaries.
    pub snapshots: Vec<u64>,
}

/// See the module.
pub struct Store {
    path: PathBuf,
    database: Access,
}

enum Access {
    Read(ReadOnlyDatabase),
    Write(Database),
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

/// States as of one moment, while others are written.
pub type States = ReadOnlyTable<&'static [u8], &'static [u8]>;

impl Store {
    /// Opens a file to read. `None` where that cannot be done at once: there is none, somebody writes, or it has to
    /// be put in order after a kill.
    pub fn open_to_read(path: &Path) -> Option<Self> {
        let open = || Builder::new().set_cache_size(CACHE_BYTES).open_read_only(path);
        let database = guard(open).ok()?;
        Some(Self { path: path.to_owned(), database: Access::Read(database) })
    }

    /// Opens a file to read and write, made if missing. `None` where another process holds it too long, or where nothing can be
    /// written. A file that is no store, or a damaged one, is made anew.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let mut is_fresh = false;
        for _ in 0..=WAIT_MS / EVERY_MS {
            match guard(|| Builder::new().set_cache_size(CACHE_BYTES).create(path)) {
                Ok(database) => return Self::fill(path, database).map(Some),
                Err(DatabaseError::DatabaseAlreadyOpen) => thread::sleep(Duration::from_millis(EVERY_MS)),
                Err(DatabaseError::Storage(StorageError::Io(error))) if is_unwritable(&error) => {
                    return Ok(None);
                }
                // Nothing is lost with it.
                Err(error) if !is_fresh && is_spoilt(&error) => {
                    is_fresh = true;
                    remove(path)?;
                }
                Err(error) => return Err(Error::store(path)(error.into())),
            }
        }
        Ok(None)
    }

    /// A store in memory.
    pub fn in_memory() -> Result<Self, Error> {
        let path = Path::new("memory");
        let database = Builder::new().create_with_backend(InMemoryBackend::new());
        Self::fill(path, database.map_err(|error| Error::store(path)(error.into()))?)
    }

    fn fill(path: &Path, database: Database) -> Result<Self, Error> {
        let store = Self { path: path.to_owned(), database: Access::Write(database) };
        if store.progress()?.is_none() {
            store.write(|transaction| {
                transaction.open_table(META)?;
                transaction.open_table(STATES)?;
                transaction.open_table(HISTORY)?;
                transaction.open_table(SNAPSHOTS)?;
                Ok(())
            })?;
        }
        Ok(store)
    }

    fn write(
        &self,
        body: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), Error> {
        let run = || {
            let Access::Write(database) = &self.database else {
                return Err(StorageError::Io(io::ErrorKind::ReadOnlyFilesystem.into()).into());
            };
            let mut transaction = database.begin_write()?;
            // A process may be killed at any time, and the next one is not to read the whole file.
            transaction.set_quick_repair(true);
            body(&transaction)?;
            Ok(transaction.commit()?)
        };
        run().map_err(Error::store(&self.path))
    }

    fn read<T>(
        &self,
        body: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        let run = || match &self.database {
            Access::Read(database) => body(&database.begin_read()?),
            Access::Write(database) => body(&database.begin_read()?),
        };
        run().map_err(Error::store(&self.path))
    }

    /// How far it is; `None` for an empty one.
    pub fn progress(&self) -> Result<Option<Progress>, Error> {
        self.read(|transaction| match transaction.open_table(META) {
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            table => Ok(table?.get(PROGRESS)?.and_then(|bytes| Progress::from_bytes(bytes.value()))),
        })
    }

    /// Writes a batch, and how far it goes.
    pub fn commit(&self, batch: &mut Batch, progress: Progress) -> Result<(), Error> {
        // In the order of the tables: a page is then written to once.
        let mut states: Vec<_> = batch.states.iter().collect();
        states.sort_by_key(|(key, _)| *key);
        batch.history.sort_by(|left, right| (&left.0, left.1).cmp(&(&right.0, right.1)));
        self.write(|transaction| {
            transaction.open_table(META)?.insert(PROGRESS, progress.to_bytes().as_slice())?;
            let mut bytes = Vec::new();
            let mut table = transaction.open_table(STATES)?;
            for (key, kept) in states {
                if kept.state.is_some() {
                    table.insert(key.as_slice(), kept.write(&mut bytes))?;
                } else {
                    table.remove(key.as_slice())?;
                }
            }
            let mut table = transaction.open_table(HISTORY)?;
            for (key, boundary, kept) in &batch.history {
                table.insert((key.as_slice(), *boundary), kept.write(&mut bytes))?;
            }
            let mut table = transaction.open_table(SNAPSHOTS)?;
            for boundary in &batch.snapshots {
                table.insert(boundary, ())?;
            }
            Ok(())
        })
    }

    /// The states as they are now.
    pub fn states(&self) -> Result<States, Error> {
        self.read(|transaction| Ok(transaction.open_table(STATES)?))
    }

    /// The state of a key.
    pub fn state(&self, key: &[u8]) -> Result<Option<Kept>, Error> {
        find(&self.states()?, key).map_err(Error::store(&self.path))
    }

    /// The state of a key in a table that was opened before.
    pub fn state_in(&self, states: &States, key: &[u8]) -> Result<Option<Kept>, Error> {
        find(states, key).map_err(Error::store(&self.path))
    }

    /// Every key and its state, in order, of those that `keep` wants.
    pub fn all(&self, mut keep: impl FnMut(&Kept) -> bool) -> Result<Vec<(Vec<u8>, Kept)>, Error> {
        self.read(|transaction| {
            let mut rows = Vec::new();
            for row in transaction.open_table(STATES)?.range::<&[u8]>(..)? {
                let (key, value) = row?;
                let kept = Kept::read(value.value());
                if keep(&kept) {
                    rows.push((key.value().to_owned(), kept));
                }
            }
            Ok(rows)
        })
    }

    /// The last snapshot at or below a position; 0 where there is none.
    pub fn snapshot_before(&self, position: u64) -> Result<u64, Error> {
        self.read(|transaction| {
            let last = transaction.open_table(SNAPSHOTS)?.range(..=position)?.next_back().transpose()?;
            Ok(last.map_or(0, |(boundary, _)| boundary.value()))
        })
    }

    /// The state of a key as of a snapshot.
    pub fn state_at(&self, key: &[u8], boundary: u64) -> Result<Option<Kept>, Error> {
        self.read(|transaction| {
            let history = transaction.open_table(HISTORY)?;
            let last = history.range((key, 0)..=(key, boundary))?.next_back().transpose()?;
            Ok(last.map(|(_, value)| Kept::read(value.value())))
        })
    }

    /// Every key and its state as of a snapshot, forgotten ones included. Reads one row for each key and the room
    /// between them, not the whole history.
    pub fn all_at(&self, boundary: u64) -> Result<Vec<(Vec<u8>, Kept)>, Error> {
        self.read(|transaction| {
            let history = transaction.open_table(HISTORY)?;
            let (mut rows, mut after) = (Vec::new(), None::<Vec<u8>>);
            loop {
                let from = match &after {
                    Some(key) => Bound::Excluded((key.as_slice(), u64::MAX)),
                    None => Bound::Unbounded,
                };
                let next = history.range::<(&[u8], u64)>((from, Bound::Unbounded))?.next().transpose()?;
                let Some((at, _)) = next else { return Ok(rows) };
                let key = at.value().0.to_owned();
                let last = history.range((key.as_slice(), 0)..=(key.as_slice(), boundary))?.next_back();
                if let Some((_, value)) = last.transpose()? {
                    rows.push((key.clone(), Kept::read(value.value())));
                }
                after = Some(key);
            }
        })
    }

    /// Whether it was opened to read.
    pub fn is_read_only(&self) -> bool {
        matches!(self.database, Access::Read(_))
    }

    /// Says that the file has another name now.
    pub fn rename(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens a database. Of a file that was cut short redb says so by a panic.
fn guard<T>(open: impl FnOnce() -> Result<T, DatabaseError> + UnwindSafe) -> Result<T, DatabaseError> {
    catch_unwind(open).unwrap_or_else(|_| Err(StorageError::Corrupted("it is cut short".to_owned()).into()))
}

fn find(states: &States, key: &[u8]) -> Result<Option<Kept>, redb::Error> {
    Ok(states.get(key)?.map(|value| Kept::read(value.value())))
}

/// Removes a file, if it is there.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::Store { path: path.to_owned(), reason: error.to_string() })
        }
        _ => Ok(()),
    }
}

fn is_unwritable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn is_spoilt(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Storage(StorageError::Io(error)) => {
            matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        }
        DatabaseError::Storage(StorageError::Corrupted(_)) => true,
        DatabaseError::RepairAborted | DatabaseError::UpgradeRequired(_) => true,
        _ => false,
    }
}

impl Kept {
    fn write<'a>(&self, out: &'a mut Vec<u8>) -> &'a [u8] {
        out.clear();
        out.extend_from_slice(&self.position.to_le_bytes());
        out.extend_from_slice(self.state.as_deref().unwrap_or_default());
        out
    }

    fn read(bytes: &[u8]) -> Self {
        let (position, state) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let state = (!state.is_empty()).then(|| state.to_owned());
        Self { position: u64::from_le_bytes(*position), state }
    }
}

impl Progress {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = FORMAT.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.digest);
        bytes.extend_from_slice(self.plane.as_bytes());
        bytes.extend_from_slice(&self.position.to_le_bytes());
        if let Some((position, id)) = self.anchor {
            bytes.extend_from_slice(&position.to_le_bytes());
            bytes.extend_from_slice(id.as_bytes());
        }
        bytes
    }

    /// `None` for another format.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first_chunk()?;
        let (digest, rest) = rest.split_first_chunk()?;
        let (plane, rest) = rest.split_first_chunk()?;
        let (position, rest) = rest.split_first_chunk()?;
        let anchor = rest.split_first_chunk().and_then(|(position, id)| {
            Some((u64::from_le_bytes(*position), Uuid::from_bytes(id.try_into().ok()?)))
        });
        (u64::from_le_bytes(*format) == FORMAT).then(|| Self {
            digest: *digest,
            plane: Uuid::from_bytes(*plane),
            position: u64::from_le_bytes(*position),
            anchor,
        })
    }
}
