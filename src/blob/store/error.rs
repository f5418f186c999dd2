//! What can go wrong with content on disk, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::blob::Hash;

/// Why the content store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed. If it was a write or a sync, the store writes no more.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full. Nothing that was synced is lost.
    #[error(
        "no room left to {action} {}: free some and open the store again; nothing that was synced is lost",
        path.display()
    )]
    Full {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
    },
    /// An earlier write or sync failed, so nothing is known about what was written since the last sync.
    #[error(
        "the content store {} writes no more since it failed ({reason}): open it again; reading goes on",
        folder.display()
    )]
    Poisoned {
        /// The store.
        folder: PathBuf,
        /// The first failure.
        reason: String,
    },
    /// Another process, or another opener in this one, writes to the store.
    #[error("the content store {} is being written by somebody else: open it read-only", folder.display())]
    Locked {
        /// The store.
        folder: PathBuf,
    },
    /// A write to a store that was opened to read.
    #[error("the content store {} was opened read-only: open it read-write to change it", folder.display())]
    ReadOnly {
        /// The store.
        folder: PathBuf,
    },
    /// Content to put that is over the limit.
    #[error("content of over {bytes_max} bytes cannot be stored: put it in parts")]
    TooLarge {
        /// The most a content may have, in bytes.
        bytes_max: u64,
    },
    /// Content to get that is over the caller's limit.
    #[error("content {hash} has {bytes} bytes, over the limit of {bytes_max}: raise the limit or stream it")]
    OverLimit {
        /// Its digest.
        hash: Hash,
        /// Bytes it has.
        bytes: u64,
        /// Bytes asked for at most.
        bytes_max: u64,
    },
    /// Stored bytes that do not match their digest.
    #[error(
        "content {hash} is damaged: the bytes in {} at {offset} do not match their digest; \
         put the content again, or restore the file from a backup",
        file.display()
    )]
    Corrupt {
        /// The digest.
        hash: Hash,
        /// The file.
        file: PathBuf,
        /// Where in the file the content begins.
        offset: u64,
    },
    /// Content that is not found in a store with damage, where it may have been.
    #[error(
        "content {hash} is not found, but {damages} damaged place(s) of the store may have held it, \
         the first in {} at {offset}: verify the store, and restore that file from a backup",
        file.display()
    )]
    Damaged {
        /// The digest.
        hash: Hash,
        /// How many damaged places are known.
        damages: usize,
        /// File of the first.
        file: PathBuf,
        /// Where in it.
        offset: u64,
    },
    /// A pack that a later version wrote.
    #[error(
        "{} is of format {version}, this program reads up to {}: use a newer sanctum",
        file.display(),
        super::frame::VERSION
    )]
    Newer {
        /// The pack.
        file: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The reader given to `put_stream` failed; nothing was put.
    #[error("the content to put cannot be read: {0}")]
    Input(#[source] io::Error),
    /// The writer given to `get_stream` failed.
    #[error("the content cannot be passed on: {0}")]
    Output(#[source] io::Error),
}

/// Result of the content store.
pub type Result<T> = std::result::Result<T, Error>;

/// Names what failed, for `map_err`.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full { action, path },
        _ => Error::Io { action, path, source },
    }
}
