//! `sanctum spells`: where spells stand in a log, and moving them.

use anyhow::bail;
use clap::Subcommand;

use super::DONE;
use super::format::Format;
use super::output::print_rows;
use super::plane::Plane;
use super::selection::absolute;
use crate::engine::resume::{Standing, first_since, forget_flushes};
use crate::engine::{inspection, recall};
use crate::log::file::Durability;
use crate::log::{Commit, FileLog, Log, Table};
use crate::state::Address;

/// List the spells that have run on a log, and where they stand
///
/// One JSON object a line: the spell; its position, the next it wants; its lag, how many positions the log is ahead; how
/// many energies wait in its batches; how many of its faults are on record, and how many of those nothing was decided
/// about.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  sanctum spells\n  sanctum spells rewind count --to 2026-01-31 --fresh"
)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// How they are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    plane: Plane,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Have a spell go on from another place in the log
    ///
    /// What it draws on again it casts again; what it produces then are new energies. It keeps its state, unless --fresh
    /// is given. The next run does it.
    Rewind {
        /// Spell
        #[arg(value_name = "SPELL")]
        spell: String,
        /// Next position that it wants; or a time, RFC 3339 or a date: the first energy from then on
        #[arg(long, value_name = "POSITION|TIME")]
        to: String,
        /// Forget all that it keeps
        #[arg(long)]
        fresh: bool,
        #[command(flatten)]
        plane: Plane,
    },
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    match &args.what {
        None => list(args)?,
        Some(What::Rewind { spell, to, fresh, plane }) => rewind(spell, to, *fresh, plane)?,
    }
    Ok(DONE)
}

fn list(args: &Args) -> anyhow::Result<()> {
    print_rows(inspection::spells(&args.plane.read()?)?, args.format)?;
    Ok(())
}

fn rewind(spell: &str, to: &str, fresh: bool, plane: &Plane) -> anyhow::Result<()> {
    let log = plane.write_existing(Durability::Commit, "where a spell stands is written to the log")?;
    inspection::known(&log, spell)?;
    let next = place_of(&log, to)?;
    let standing = log.value(Table::Spell, spell.as_bytes())?.as_deref().and_then(Standing::read);
    let epoch = standing.map_or(0, |standing| standing.epoch) + 1;
    let mut commit = Commit::default();
    let standing = Standing { next, epoch, ..Standing::default() };
    commit.changes.put(Table::Spell, spell.as_bytes(), &standing.bytes());
    forget_flushes(&log, spell, next, &mut commit.changes)?;
    if fresh {
        for (address, _) in log.values(Table::State, &Address::prefix_of(spell))? {
            commit.changes.delete(Table::State, &address);
        }
        recall::forget_sizes(spell, &mut commit.changes);
    }
    log.append(commit)?;
    log.close()?;
    Ok(())
}

/// A position of the log, or that of the first energy from a time on.
fn place_of(log: &FileLog, text: &str) -> anyhow::Result<u64> {
    let head = log.head();
    if let Ok(position) = text.parse::<u64>() {
        if position > head {
            bail!("position {position} is beyond the end of the log, which is {head}");
        }
        return Ok(position);
    }
    match absolute(text) {
        Some(time_ms) => Ok(first_since(log, time_ms)?),
        None => bail!("`{text}` is neither a position nor a time such as 2026-01-31 or 2026-01-31T12:00:00Z"),
    }
}
