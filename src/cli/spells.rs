//! `sanctum spells`: where spells stand in a log, and moving them.

use clap::Subcommand;

use super::DONE;
use super::format::Format;
use super::handle::Handle;
use super::output::print_rows;
use super::plane::Plane;
use crate::engine::{inspection, rewinding};
use crate::log::file::Durability;

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
    print_rows(inspection::spells(&*args.plane.consult()?)?, args.format)?;
    Ok(())
}

fn rewind(spell: &str, to: &str, fresh: bool, plane: &Plane) -> anyhow::Result<()> {
    let log = plane.write_existing(Durability::Commit, "where a spell stands is written to the log")?;
    match &log {
        Handle::Own(log) => rewinding::rewind(&**log, spell, to, fresh)?,
        // The spell may run there.
        Handle::Served(server) => server.rewind(spell, to, fresh)?,
    }
    Ok(log.close()?)
}
