//! The tables on disk: a redb database over [`Blocks`], written in checkpoints, read by snapshot.
//!
//! Key: the table's number, the key. Value: sequence u64, crc32c u32 of key, sequence and value, the value. The one
//! entry of another table says which commits are in it, and is written in the same transaction.
//!
//! Each commit keeps the state of the database's allocator (quick repair), so that a file that was never closed
//! opens as fast as one that was; so it is never closed, only let go of.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{AccessGuard, Database, ReadOnlyTable, ReadableDatabase, TableDefinition};

use super::blocks::{Backend, Blocks};
use super::layer::Layer;
use super::merge;
use crate::disk::Disk;
use crate::event::Uuid;
use crate::log::{Bounds, Direction, Table};

/// Bytes of the file that are kept in memory at most.
const CACHE_BYTES: usize = 256 << 20;

/// Bytes before a stored value.
const PREFACE_BYTES: usize = 12;

const VALUES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("values");
const META: TableDefinition<'_, u8, &[u8]> = TableDefinition::new("meta");

/// The only key of the table about the file: plane id 16, applied u64.
const META_KEY: u8 = 0;

/// Why the file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What is in it cannot be trusted: it is to be made anew.
    #[error("{0}")]
    Damaged(String),
    /// It could not be read or written; what is in it may be good.
    #[error(transparent)]
    Io(#[from] io::Error),
}

type Values = ReadOnlyTable<&'static [u8], &'static [u8]>;
type Guard = AccessGuard<'static, &'static [u8]>;

/// See the module.
pub struct Store {
    /// What readers see.
    snapshot: RwLock<Arc<Values>>,
    database: Database,
    blocks: Arc<Blocks>,
    plane: Uuid,
    path: PathBuf,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Makes an empty file, as of before the first commit.
    pub fn create(disk: &dyn Disk, path: &Path, plane: Uuid) -> Result<Self, Failure> {
        let blocks = Arc::new(Blocks::create(disk, path, plane)?);
        let database = open(&blocks)?;
        let work = || -> Result<Arc<Values>, redb::Error> {
            let transaction = begin(&database)?;
            transaction.open_table(VALUES)?;
            transaction.open_table(META)?.insert(META_KEY, &*meta(plane, 0))?;
            transaction.commit()?;
            snapshot(&database)
        };
        let values = guarded(&blocks, work)?;
        if let Some(folder) = path.parent() {
            disk.sync_dir(folder)?;
        }
        Ok(Self { snapshot: RwLock::new(values), database, blocks, plane, path: path.to_owned() })
    }

    /// Opens a file; with it, the sequence below which commits are in it.
    pub fn open(disk: &dyn Disk, path: &Path, plane: Uuid) -> Result<(Self, u64), Failure> {
        let blocks = Arc::new(Blocks::open(disk, path)?);
        let database = open(&blocks)?;
        let work = |database: &Database| -> Result<_, redb::Error> {
            let transaction = database.begin_read()?;
            let meta = transaction.open_table(META)?.get(META_KEY)?.map(|meta| meta.value().to_vec());
            Ok((meta, snapshot(database)?))
        };
        let (found, values) = guarded(&blocks, || work(&database))?;
        let applied = found.as_deref().and_then(|meta| meta.get(16..24)?.first_chunk().copied());
        let applied = applied
            .map(u64::from_le_bytes)
            .filter(|applied| found.as_deref() == Some(&*meta(plane, *applied)));
        let applied = applied.ok_or_else(|| Failure::Damaged("it does not say what is in it".to_owned()))?;
        let snapshot = RwLock::new(values);
        Ok((Self { snapshot, database, blocks, plane, path: path.to_owned() }, applied))
    }

    /// Writes layers, oldest first: a checkpoint. All commits below `applied` are in the file or in them, and durable
    /// in the log.
    pub fn write(&self, layers: &[Arc<Layer>], applied: u64) -> Result<(), Failure> {
        self.blocks.claim(applied)?;
        let work = || -> Result<Arc<Values>, redb::Error> {
            let transaction = begin(&self.database)?;
            {
                let mut values = transaction.open_table(VALUES)?;
                let (mut key_bytes, mut stored) = (Vec::new(), Vec::new());
                let every = (Bound::Unbounded, Bound::Unbounded);
                for table in Table::ALL {
                    let mut result = Ok(());
                    merge::changes(layers, table, every, Direction::Forward, |key, slot| {
                        key_bytes.clear();
                        key_bytes.push(table as u8);
                        key_bytes.extend_from_slice(key);
                        result = match &slot.value {
                            Some(value) => {
                                encode(&mut stored, &key_bytes, slot.sequence, value);
                                values.insert(&*key_bytes, &*stored).map(drop)
                            }
                            None => values.remove(&*key_bytes).map(drop),
                        };
                        result.is_ok()
                    });
                    result?;
                }
                transaction.open_table(META)?.insert(META_KEY, &*meta(self.plane, applied))?;
            }
            transaction.commit()?;
            snapshot(&self.database)
        };
        let values = guarded(&self.blocks, work)?;
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = values;
        // A hint: without it more is folded again on opening.
        let _hint = self.blocks.done(applied);
        Ok(())
    }

    /// What is stored now, and stays so for who holds it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let values = self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone();
        Snapshot { values, blocks: self.blocks.clone() }
    }

    /// Lets go of the file: whoever still holds this gets errors.
    pub fn shut(&self) {
        self.blocks.shut();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.blocks.shut();
    }
}

/// The tables as of a checkpoint.
#[derive(Debug)]
pub struct Snapshot {
    values: Arc<Values>,
    blocks: Arc<Blocks>,
}

impl Snapshot {
    /// A key's value and the sequence of the commit that set it.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<(u64, Vec<u8>)>, Failure> {
        let key = full_key(table, key);
        let Some(stored) = guarded(&self.blocks, || Ok(self.values.get(&*key)?))? else { return Ok(None) };
        let (sequence, value) = decode(&key, stored.value())?;
        Ok(Some((sequence, value.to_vec())))
    }

    /// The keys in a range, with what is stored.
    pub fn range(&self, table: Table, bounds: Bounds<'_>, direction: Direction) -> Result<Range, Failure> {
        let (from, to) = (bounds.0.map(|key| full_key(table, key)), bounds.1.map(|key| full_key(table, key)));
        let (first, after) = ([table as u8], [table as u8 + 1]);
        let from = match &from {
            Bound::Unbounded => Bound::Included(&first[..]),
            other => other.as_ref().map(Vec::as_slice),
        };
        let to = match &to {
            Bound::Unbounded => Bound::Excluded(&after[..]),
            other => other.as_ref().map(Vec::as_slice),
        };
        let range = guarded(&self.blocks, || Ok(self.values.range::<&[u8]>((from, to))?))?;
        Ok(Range { range, direction, blocks: self.blocks.clone() })
    }
}

/// Stored keys in a range, in order.
pub struct Range {
    range: redb::Range<'static, &'static [u8], &'static [u8]>,
    direction: Direction,
    blocks: Arc<Blocks>,
}

/// A stored key with what is stored.
pub struct Stored {
    key: Guard,
    value: Guard,
}

impl Range {
    /// The next one.
    pub fn next(&mut self) -> Result<Option<Stored>, Failure> {
        let range = &mut self.range;
        let found = match self.direction {
            Direction::Forward => range.next(),
            Direction::Backward => range.next_back(),
        };
        match found.transpose() {
            Ok(found) => Ok(found.map(|(key, value)| Stored { key, value })),
            Err(error) => Err(failure(&self.blocks, error.into())),
        }
    }
}

impl Stored {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.value().get(1..).unwrap_or_default()
    }

    /// The value, checked.
    pub fn value(&self) -> Result<&[u8], Failure> {
        Ok(decode(self.key.value(), self.value.value())?.1)
    }
}

fn open(blocks: &Arc<Blocks>) -> Result<Database, Failure> {
    guarded(blocks, || {
        Ok(Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(Backend(blocks.clone()))?)
    })
}

fn begin(database: &Database) -> Result<redb::WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn snapshot(database: &Database) -> Result<Arc<Values>, redb::Error> {
    Ok(Arc::new(database.begin_read()?.open_table(VALUES)?))
}

/// Does something with the database. It panics on some damage, so does a file that was cut.
fn guarded<T>(blocks: &Blocks, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| failure(blocks, error)),
        Err(_panic) => Err(Failure::Damaged("the database gave up on it".to_owned())),
    }
}

/// What an error means: where the file itself was readable and whole, its content is not.
fn failure(blocks: &Blocks, error: redb::Error) -> Failure {
    match (blocks.damage(), error) {
        (Some(damage), _) => Failure::Damaged(damage.to_owned()),
        (None, redb::Error::Io(error)) if error.kind() != io::ErrorKind::InvalidData => Failure::Io(error),
        (None, error @ (redb::Error::PreviousIo | redb::Error::DatabaseClosed)) => {
            Failure::Io(io::Error::other(error))
        }
        (None, error) => Failure::Damaged(error.to_string()),
    }
}

fn full_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(key.len() + 1);
    full.push(table as u8);
    full.extend_from_slice(key);
    full
}

fn meta(plane: Uuid, applied: u64) -> Vec<u8> {
    let mut meta = plane.as_bytes().to_vec();
    meta.extend_from_slice(&applied.to_le_bytes());
    let crc = crc32c::crc32c(&meta);
    meta.extend_from_slice(&crc.to_le_bytes());
    meta
}

fn value_crc(key: &[u8], sequence: &[u8], value: &[u8]) -> [u8; 4] {
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), sequence);
    crc32c::crc32c_append(crc, value).to_le_bytes()
}

fn encode(out: &mut Vec<u8>, key: &[u8], sequence: u64, value: &[u8]) {
    let sequence = sequence.to_le_bytes();
    out.clear();
    out.extend_from_slice(&sequence);
    out.extend_from_slice(&value_crc(key, &sequence, value));
    out.extend_from_slice(value);
}

fn decode<'a>(key: &[u8], stored: &'a [u8]) -> Result<(u64, &'a [u8]), Failure> {
    let damaged = || Failure::Damaged("the checksum of a value does not fit".to_owned());
    let (preface, value) = stored.split_at_checked(PREFACE_BYTES).ok_or_else(damaged)?;
    let sequence = preface.first_chunk::<8>().ok_or_else(damaged)?;
    if preface[8..] != value_crc(key, sequence, value) {
        return Err(damaged());
    }
    Ok((u64::from_le_bytes(*sequence), value))
}
