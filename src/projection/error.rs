//! What can go wrong with a projection. Each message says what happened, where, and what to do.

use std::path::{Path, PathBuf};

use crate::log;
use crate::runeset::Diagnostic;
use crate::spell::OpenError;

/// Why a projection has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// No VM could be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The fold failed on an energy: the whole report. Nothing of that energy is kept.
    #[error("{}", .0.message)]
    Fault(Box<Diagnostic>),
    /// What is kept could not be read or written.
    #[error("`{}` failed: {reason}; it can be deleted, and is then made anew from the log", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// An answer was asked for as it is kept, and none is.
    #[error("nothing is kept of the projection `{0}` yet: ask for it without `cached` once")]
    NothingCached(String),
    /// Another process is at work on it.
    #[error("another process is at work on `{}`, for more than {} s: try again", path.display(), super::store::WAIT_MS / 1_000)]
    Busy {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    pub(super) fn store(path: &Path) -> impl Fn(redb::Error) -> Self {
        move |error| Self::Store { path: path.to_owned(), reason: error.to_string() }
    }
}
