//! `sanctum compact`: what a ttl has ended goes, and its room is free.

use std::collections::HashSet;

use serde_json::json;

use super::plane::Plane;
use super::progress::Gauge;
use super::{DONE, console};
use crate::blob::Hash;
use crate::blob::store::{Access, Collected, Mark};
use crate::log::FileLog;
use crate::log::file::{Compaction, Durability};
use crate::runeset::units::Unit;

/// Drop energies whose ttl has ended and content that nothing refers to, and free their room
///
/// Positions, versions, ids and cursors stay as they are. Segments are written anew one by one, and it may be
/// interrupted at any point: what was done stays done. The segment that is written to is left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sanctum compact --dry-run\n  sanctum compact --rate 20MiB\n\n\
    Prints one object: segments looked at and written anew, energies that were dead and dropped, bytes freed, and \
    contents removed with their bytes. Content that was put for an energy that is not appended yet is not referred to: \
    append it first, or take --keep-contents.")]
pub struct Args {
    /// Every segment that has a dead energy, not only those of which half is dead
    #[arg(long)]
    all: bool,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep content that nothing refers to
    #[arg(long)]
    keep_contents: bool,
    /// Keep energies at this position and above, whatever their ttl
    #[arg(long, value_name = "POSITION")]
    before: Option<u64>,
    /// Read and write at most so many bytes a second, such as 20MiB [default: as many as there can be]
    #[arg(long, value_name = "BYTES", value_parser = parse_rate)]
    rate: Option<u64>,
    #[command(flatten)]
    plane: Plane,
}

fn parse_rate(text: &str) -> Result<u64, String> {
    let bytes = Unit::Bytes.parse(text).map_err(|error| error.to_string())?;
    if bytes == 0 { Err("at least one byte a second".to_owned()) } else { Ok(bytes) }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let log = if args.dry_run {
        args.plane.read()?
    } else {
        args.plane.write_existing(Durability::Commit, "compaction writes segments anew")?
    };
    let options = Compaction {
        all: args.all,
        floor: args.before,
        bytes_per_second: args.rate,
        dry_run: args.dry_run,
        ..Compaction::default()
    };
    let mut gauge = Gauge::new("compacted");
    let done =
        log.compact(&options, &mut |progress| gauge.update(progress.bytes, Some(progress.bytes_total)))?;
    gauge.end();
    let mut object = json!({
        "segments": done.segments, "rewritten": done.rewrites.len(), "dead": done.dead, "dropped": done.dropped,
        "bytes_freed": done.bytes_freed,
    });
    if !args.dry_run && !args.keep_contents && args.plane.has_contents() {
        let collected = collect(&args.plane, &log)?;
        object["contents_removed"] = collected.count.into();
        object["content_bytes_freed"] = collected.bytes.into();
    }
    log.close()?;
    console::print(&format!("{object}\n"))?;
    Ok(DONE)
}

/// Removes content that the log does not refer to. The log is open to write, so none comes to meanwhile.
fn collect(plane: &Plane, log: &FileLog) -> anyhow::Result<Collected> {
    let store = plane.contents(Access::Write)?;
    let mut named: HashSet<Hash> = HashSet::new();
    log.references(&mut |hash| {
        named.insert(hash);
    })?;
    Ok(store.collect(Mark::default(), &mut |hash| named.contains(hash))?)
}
