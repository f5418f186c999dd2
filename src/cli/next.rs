//! `sanctum next` and `sanctum prev`: an energy's neighbours among those that match.

use anyhow::bail;

use super::DONE;
use super::format::Format;
use super::output::print_energy;
use super::plane::Plane;
use super::selection::{Filters, Place};
use crate::event::Events;
use crate::log::{Direction, Log, Pages};

/// Print the first energy after another one that matches
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sanctum next 41 --stream user-1")]
pub struct NextArgs {
    #[command(flatten)]
    neighbour: Neighbour,
}

/// Print the last energy before another one that matches
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sanctum prev 41 --stream user-1")]
pub struct PrevArgs {
    #[command(flatten)]
    neighbour: Neighbour,
}

#[derive(Debug, clap::Args)]
struct Neighbour {
    /// Position or id of the other one, which need not match
    #[arg(value_name = "POSITION|ID")]
    place: Place,
    /// How it is printed; as JSON it is an object, not a list
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    plane: Plane,
}

/// Runs `next`.
pub fn run_next(args: &NextArgs) -> anyhow::Result<u8> {
    args.neighbour.print(Direction::Forward)
}

/// Runs `prev`.
pub fn run_prev(args: &PrevArgs) -> anyhow::Result<u8> {
    args.neighbour.print(Direction::Backward)
}

impl Neighbour {
    fn print(&self, direction: Direction) -> anyhow::Result<u8> {
        let log = self.plane.read()?;
        let position = self.place.position(&log)?;
        let mut pages = match direction {
            Direction::Forward => Pages::forward(position + 1, log.visible()),
            Direction::Backward => Pages::backward(position, 0),
        }
        .limit(1);
        let (mut batch, query) = (Events::default(), self.filters.query());
        if pages.next(&log, &query, &mut batch)? {
            print_energy(batch.get(0), self.format)?;
            return Ok(DONE);
        }
        let side = if direction == Direction::Forward { "after" } else { "before" };
        let matching = if query.is_all() { "" } else { " matches" };
        bail!("no energy {side} position {position}{matching}");
    }
}
