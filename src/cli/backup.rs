//! `sanctum backup`: a copy of a log that is in use.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, anyhow};
use serde_json::json;

use super::plane::Plane;
use super::progress::Gauge;
use super::{DONE, console, usage};
use crate::blob::Hash;
use crate::blob::store::{Access, ContentStore};
use crate::log::FileLog;

/// Copy the log to another folder, also while it is in use
///
/// The copy is a log: `--data` reads it. Taken again to the same folder it costs what is new: sealed segments and
/// content that are there are not copied again. A copy that was interrupted goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sanctum backup /mnt/backup\n  sanctum stat --data /mnt/backup\n\n\
    Prints one object: segments copied, kept and removed (compaction took their place), contents copied, bytes, and the \
    next position of the copy (head). To restore, copy the folder back, or use it as it is.")]
pub struct Args {
    /// Folder of the copy; it may have other planes
    #[arg(value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    plane: Plane,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let copy = Plane::at(args.to.clone(), args.plane.name());
    if is_within(&args.to, &args.plane) {
        return Err(usage("a copy needs a folder of its own: DIR is where the log is"));
    }
    let log = args.plane.read()?;
    let mut gauge = Gauge::new("copied");
    let done = log.backup(&copy.folder(), &mut |bytes| gauge.update(bytes, None))?;
    gauge.end();
    let mut object = json!({
        "segments": done.segments, "kept": done.segments_kept, "removed": done.segments_removed,
        "bytes": done.bytes, "head": done.head,
    });
    if args.plane.has_contents() {
        object["contents"] = contents(&log, &args.plane, &copy)?.into();
    }
    console::print(&format!("{object}\n"))?;
    Ok(DONE)
}

/// Whether a folder is that of the log, or among its files, by whatever name.
fn is_within(to: &Path, log: &Plane) -> bool {
    let Ok(data) = log.data().canonicalize() else { return false };
    // What is not there yet lies where the nearest folder above it does.
    let above = std::path::absolute(to).ok();
    let above = above.as_deref().and_then(|to| to.ancestors().find_map(|path| path.canonicalize().ok()));
    to.canonicalize().is_ok_and(|to| to == data)
        || above.is_some_and(|to| to.starts_with(data.join("planes")))
}

/// Copies the content that the log refers to and the copy does not have.
fn contents(log: &FileLog, from: &Plane, to: &Plane) -> anyhow::Result<u64> {
    let (from, to) = (from.contents(Access::Read)?, to.contents(Access::Write)?);
    let mut named: HashSet<Hash> = HashSet::new();
    log.references(&mut |hash| {
        named.insert(hash);
    })?;
    let mut count = 0;
    for hash in named {
        if !to.contains(&hash)? && from.contains(&hash)? {
            copy(&from, &to, &hash).with_context(|| format!("cannot copy the content {}", hash.to_hex()))?;
            count += 1;
        }
    }
    to.sync()?;
    Ok(count)
}

/// Copies one content, whatever its size, in little memory.
fn copy(from: &ContentStore, to: &ContentStore, hash: &Hash) -> anyhow::Result<()> {
    let (mut reader, mut writer) = io::pipe()?;
    let put = thread::scope(|scope| {
        let reading = scope.spawn(move || from.get_stream(hash, &mut writer));
        let put = to.put_stream(&mut reader);
        // Who cannot put reads no more, and the other is not to wait for it.
        drop(reader);
        reading.join().map_err(|_| anyhow!("the reading thread ended"))??;
        anyhow::Ok(put?)
    })?;
    if put.0 != *hash {
        return Err(anyhow!("what was read does not match its digest"));
    }
    Ok(())
}
