//! What can go wrong with a log. Each message says what happened, where, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::event::Uuid;

/// Why a log could not do what it was asked. Conflicts of an append are values, not errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A write or a sync failed before; what was acknowledged is safe.
    #[error(
        "the log takes nothing more since it failed: {0}; what was acknowledged is safe, open it again to go on"
    )]
    Poisoned(String),
    /// Another process has the plane open.
    #[error("`{}` is open in another process ({holder}); reading is possible, writing is not", path.display())]
    Locked {
        /// The plane's folder.
        path: PathBuf,
        /// What the lock file says.
        holder: String,
    },
    /// There is no log.
    #[error("there is no log at `{}`", .0.display())]
    Missing(PathBuf),
    /// A folder with other things in it.
    #[error("`{}` is not a log of Sanctum's: {reason}", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// How it was told.
        reason: String,
    },
    /// A backup that cannot be brought up to date.
    #[error("`{}` cannot be brought up to date: {reason}; back up to another folder", path.display())]
    Diverged {
        /// The backup's folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Written by a later version.
    #[error("`{}` has format {found}; this version reads up to {known}: use a newer sanctum", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format's number.
        found: u32,
        /// The highest that is known.
        known: u32,
    },
    /// Damage to what was acknowledged.
    #[error(
        "`{}` is damaged at byte {offset}: {reason}{}; `sanctum verify` lists all damage, `sanctum repair` says \
         what can be saved",
        path.display(), affected(*.positions)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        reason: String,
        /// The first position affected and the first intact one after it, as far as known.
        positions: Option<(u64, u64)>,
    },
    /// An energy or a commit that is too large.
    #[error("{what} has {bytes} bytes; the limit is {max}")]
    TooLarge {
        /// An energy, a commit.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// Writing was asked of a log that was opened to read.
    #[error("the log is open for reading only")]
    ReadOnly,
    /// No energy has that id.
    #[error("no energy has the id {0}")]
    UnknownId(Uuid),
    /// What the server said that has the log open, or how it was lost.
    #[error("{0}")]
    Server(String),
    /// The tables could not be read or written.
    #[error("the tables in `{}` failed: {reason}; they can be deleted, opening the log makes them anew", path.display())]
    Tables {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

fn affected(positions: Option<(u64, u64)>) -> String {
    match positions {
        Some((from, to)) if to > from => format!(" (positions {from} to {})", to - 1),
        Some((from, _)) => format!(" (from position {from})"),
        None => String::new(),
    }
}

impl Error {
    /// Wraps an error of the file system.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
