//! `sanctum faults`: energies in quarantine, and deciding about them.

use anyhow::bail;
use clap::Subcommand;

use super::DONE;
use super::format::Format;
use super::output::print_rows;
use super::plane::Plane;
use super::selection::Place;
use crate::engine::inspection;
use crate::engine::release::{FaultRecord, Verdict, records};
use crate::log::file::Durability;
use crate::log::{Commit, Log};

/// List energies in quarantine: those that spells with `fault = "quarantine"` failed on
///
/// One JSON object a line. Its id and its position are those of the record on `sanctum.fault`, which names the energy.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  sanctum faults --spell count\n  sanctum faults show 41\n  sanctum faults release 41 57\n  \
                  sanctum faults discard --all --spell count"
)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Of this spell only
    #[arg(long, value_name = "SPELL")]
    spell: Option<String>,
    /// Those too that were released or discarded
    #[arg(long)]
    all: bool,
    /// How they are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    plane: Plane,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print one record, with the energy that failed
    Show {
        /// Its position or its id
        #[arg(value_name = "ID|POSITION")]
        place: Place,
        #[command(flatten)]
        plane: Plane,
    },
    /// Have energies cast again, for the spells that failed, by the next run, before anything else
    Release(Which),
    /// Let energies go
    Discard(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Their positions or ids
    #[arg(value_name = "ID|POSITION", required_unless_present = "all")]
    places: Vec<Place>,
    /// All that nothing was decided about
    #[arg(long, conflicts_with = "places")]
    all: bool,
    /// With --all, of this spell only
    #[arg(long, value_name = "SPELL", requires = "all")]
    spell: Option<String>,
    #[command(flatten)]
    plane: Plane,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    match &args.what {
        None => list(args)?,
        Some(What::Show { place, plane }) => show(*place, plane)?,
        Some(What::Release(which)) => decide(which, Verdict::Wanted)?,
        Some(What::Discard(which)) => decide(which, Verdict::Discarded)?,
    }
    Ok(DONE)
}

fn list(args: &Args) -> anyhow::Result<()> {
    print_rows(inspection::faults(&*args.plane.consult()?, args.spell.as_deref(), args.all)?, args.format)?;
    Ok(())
}

fn show(place: Place, plane: &Plane) -> anyhow::Result<()> {
    let log = plane.consult()?;
    let record = find(&*log, &records(&*log)?, place)?;
    print_rows([inspection::fault(&record, true)], Format::Ndjson)?;
    Ok(())
}

fn decide(which: &Which, verdict: Verdict) -> anyhow::Result<()> {
    let log = which.plane.write_existing(Durability::Commit, "what is decided is written to the log")?;
    let all = records(&*log)?;
    let mut chosen = Vec::new();
    for place in &which.places {
        chosen.push(find(&*log, &all, *place)?);
    }
    if which.all {
        let of_spell =
            |record: &&FaultRecord| which.spell.as_deref().is_none_or(|spell| spell == record.spell());
        chosen = all.iter().filter(|record| record.verdict.is_none()).filter(of_spell).cloned().collect();
    }
    let mut commit = Commit::default();
    for record in &chosen {
        if record.verdict == Some(Verdict::Released) {
            bail!("the energy of record {} was released and cast already", record.position);
        }
        verdict.record(record.id, &mut commit.changes);
    }
    if !chosen.is_empty() {
        log.append(commit)?;
    }
    log.close()?;
    Ok(())
}

fn find(log: &dyn Log, records: &[FaultRecord], place: Place) -> anyhow::Result<FaultRecord> {
    let position = place.position(log)?;
    let Some(record) = records.iter().find(|record| record.position == position) else {
        bail!("the energy at position {position} is no record of a fault; `sanctum faults` lists those");
    };
    Ok(record.clone())
}
