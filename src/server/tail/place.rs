//! How far a file was read, as the log remembers it, and which file that was.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::log::{Changes, Error, Log, Table};

/// Bytes at the beginning of a file that tell it from others.
const BEGINNING_BYTES: u64 = 1 << 10;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where the next line begins.
    pub offset: u64,
    inode: u64,
    /// How much of the beginning is hashed.
    beginning: u64,
    hash: [u8; 32],
}

/// The key of a file; no path has a NUL.
fn key(path: &str) -> Vec<u8> {
    [b"file\0", path.as_bytes()].concat()
}

fn hash_of(file: &File, bytes: u64) -> Option<[u8; 32]> {
    let mut beginning = vec![0; usize::try_from(bytes.min(BEGINNING_BYTES)).ok()?];
    file.read_exact_at(&mut beginning, 0).ok()?;
    Some(blake3::hash(&beginning).into())
}

impl Place {
    /// A place in a file that is read to `offset`; `None` where its beginning cannot be read.
    pub fn of(file: &File, offset: u64) -> Option<Self> {
        let beginning = offset.min(BEGINNING_BYTES);
        let inode = file.metadata().ok()?.ino();
        Some(Self { offset, inode, beginning, hash: hash_of(file, beginning)? })
    }

    /// The file, if this is a place in it; `same`: only if it is at the same place on the disk, too.
    pub fn is_in(&self, file: &File, same: bool) -> Option<File> {
        let about = file.metadata().ok()?;
        let is_it = about.len() >= self.offset
            && (!same || about.ino() == self.inode)
            && hash_of(file, self.beginning) == Some(self.hash);
        if is_it { file.try_clone().ok() } else { None }
    }

    /// What a log remembers of a path.
    pub fn load(log: &dyn Log, path: &str) -> Result<Option<Self>, Error> {
        let read = |bytes: Vec<u8>| {
            let (numbers, hash) = (bytes.get(..24)?, bytes.get(24..)?);
            let number = |at: usize| Some(u64::from_le_bytes(numbers.get(at..at + 8)?.try_into().ok()?));
            Some(Self {
                offset: number(0)?,
                inode: number(8)?,
                beginning: number(16)?,
                hash: hash.try_into().ok()?,
            })
        };
        Ok(log.value(Table::Seed, &key(path))?.and_then(read))
    }

    /// Adds it to the changes of a commit.
    pub fn store(&self, path: &str, changes: &mut Changes) {
        let mut bytes = self.offset.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.inode.to_le_bytes());
        bytes.extend_from_slice(&self.beginning.to_le_bytes());
        bytes.extend_from_slice(&self.hash);
        changes.put(Table::Seed, &key(path), &bytes);
    }
}
