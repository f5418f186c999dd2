//! File operations as the log and the content store need them, small enough to fake.
//!
//! [`RealDisk`] is the system's. [`SimulatedDisk`] keeps everything in memory and, on a crash that a test
//! asks for, keeps, drops, tears or reorders what was not synced; it also fails, shortens and lies on demand.
//!
//! What callers may rely on: bytes of a file are durable once [`File::sync`] returned; a file's name (made,
//! renamed or removed) once [`Disk::sync_dir`] of its folder did. Nothing else is promised, in particular no
//! order between two writes, and a write may be cut at any byte by a crash. After a failed sync nothing is
//! known about the bytes written before it, and trying again proves nothing: callers must give the file up.

mod real;
mod simulated;

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use real::RealDisk;
pub use simulated::{FILE_BYTES_MAX, FailedSync, Faults, SimulatedDisk, Snapshot, When};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To read; it must exist.
    Read,
    /// To read and write; it must exist.
    Write,
    /// To read and write; it must not exist.
    Create,
}

/// A file, read and written at offsets. Shared by threads.
pub trait File: Debug + Send + Sync {
    /// Its length in bytes, preallocated bytes included.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads at most `buffer.len()` bytes from `offset`; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at most `bytes.len()` bytes at `offset`, making the file longer where needed. May be short.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes what was written durable, the length included.
    fn sync(&self) -> io::Result<()>;

    /// Makes the file `len` bytes long, if it is shorter, and takes the room for it: bytes read as zero.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Cuts the file, or makes it longer with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Fills `buffer` from `offset`; an error where the file ends before.
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    buffer = &mut buffer[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = &bytes[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What holds a lock file; dropping it lets go.
pub trait Lock: Debug + Send + Sync {}

/// A file system.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>>;

    /// Names of the files and folders in a folder, in order. An error when it does not exist.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Whether there is a file or folder of that name.
    fn exists(&self, path: &Path) -> bool;

    /// Makes a folder, and those above it that are missing.
    fn create_dir(&self, folder: &Path) -> io::Result<()>;

    /// Gives a file another name, in the place of what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Who has it open can still read it.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Gives a file a second name; an error where the system cannot, or across file systems.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes names in a folder durable.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;

    /// Locks a file, which is made if missing, against other processes and other openers in this one.
    /// `None` when somebody else holds it. `note` is written into it, for whoever asks who that is.
    fn lock(&self, path: &Path, note: &str) -> io::Result<Option<Box<dyn Lock>>>;
}
