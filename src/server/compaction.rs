//! A log and the content that it refers to, compacted together.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::wire::Compacting;
use crate::blob::Hash;
use crate::blob::store::{self, ContentStore, Mark};
use crate::log::file::{Compaction, Progress};
use crate::log::{self, FileLog};

/// Why it was not done, or not to its end. What was done stays done.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
    /// The log.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// The content.
    #[error(transparent)]
    Content(#[from] store::Error),
}

/// Compacts a log that is open to write, and the store of its content; returns what was done, as an object.
///
/// Content that was put since the store was opened stays: the energy that is to refer to it may be on its way.
///
/// # Errors
/// [`CompactionError`].
pub fn compact(
    log: &FileLog,
    contents: Option<&ContentStore>,
    what: &Compacting,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Value, CompactionError> {
    let options = Compaction {
        all: what.all,
        floor: what.before,
        bytes_per_second: what.rate,
        ..Compaction::default()
    };
    let mut object = object(log, &options, progress)?;
    if let Some(contents) = contents.filter(|_| !what.keep_contents) {
        let mut named: HashSet<Hash> = HashSet::new();
        log.references(&mut |hash| {
            named.insert(hash);
        })?;
        let collected = contents.collect(Mark::default(), &mut |hash| named.contains(hash))?;
        object["contents_removed"] = collected.count.into();
        object["content_bytes_freed"] = collected.bytes.into();
    }
    Ok(object)
}

/// What compacting a log alone did or, of a dry run, would do.
///
/// # Errors
/// As [`FileLog::compact`].
pub fn object(
    log: &FileLog,
    options: &Compaction,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Value, log::Error> {
    let done = log.compact(options, progress)?;
    Ok(json!({
        "segments": done.segments, "rewritten": done.rewrites.len(), "dead": done.dead, "dropped": done.dropped,
        "bytes_freed": done.bytes_freed,
    }))
}
