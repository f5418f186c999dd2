//! `sanctum get`: one energy.

use anyhow::bail;

use super::DONE;
use super::format::Format;
use super::output::print_energy;
use super::plane::Plane;
use super::selection::Place;
use crate::event::Events;
use crate::log::place::PlaceError;

/// Print one energy
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sanctum get 41\n  sanctum get 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct Args {
    /// Its position or its id
    #[arg(value_name = "ID|POSITION")]
    place: Place,
    /// How it is printed; as JSON it is an object, not a list
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    plane: Plane,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let log = args.plane.read()?;
    let mut batch = Events::default();
    match args.place.read(&log, &mut batch) {
        Err(PlaceError::Ended(position)) if log.is_lost(position) => {
            bail!("the energy at position {position} is lost: the log was damaged there and repaired")
        }
        read => read?,
    };
    print_energy(batch.get(0), args.format)?;
    Ok(DONE)
}
