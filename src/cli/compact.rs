//! `sanctum compact`: what a ttl has ended goes, and its room is free.

use serde_json::Value;

use super::handle::Handle;
use super::plane::Plane;
use super::progress::Gauge;
use super::{DONE, console};
use crate::blob::store::Access;
use crate::log::file::{Compaction, Durability, Progress};
use crate::runeset::units::Unit;
use crate::server::compaction::{self, compact};
use crate::server::wire::Compacting;

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
    let mut gauge = Gauge::new("compacted");
    let mut update = |progress: &Progress| gauge.update(progress.bytes, Some(progress.bytes_total));
    let object = if args.dry_run {
        let options = Compaction {
            all: args.all,
            floor: args.before,
            bytes_per_second: args.rate,
            dry_run: true,
            ..Compaction::default()
        };
        compaction::object(&args.plane.read()?, &options, &mut update)?
    } else {
        args.compact(&mut update)?
    };
    gauge.end();
    console::print(&format!("{object}\n"))?;
    Ok(DONE)
}

impl Args {
    fn compact(&self, update: &mut dyn FnMut(&Progress)) -> anyhow::Result<Value> {
        let what = Compacting {
            all: self.all,
            keep_contents: self.keep_contents,
            before: self.before,
            rate: self.rate,
        };
        let log = self.plane.write_existing(Durability::Commit, "compaction writes segments anew")?;
        let object = match &log {
            Handle::Served(server) => server.compact(what)?,
            Handle::Own(log) => {
                // The log is open to write, so no energy that names content comes to meanwhile.
                let has_contents = !self.keep_contents && self.plane.has_contents();
                let contents = has_contents.then(|| self.plane.contents(Access::Write)).transpose()?;
                compact(log, contents.as_ref(), &what, update)?
            }
        };
        log.close()?;
        Ok(object)
    }
}
