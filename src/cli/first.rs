//! `sanctum first` and `sanctum last`: the oldest and the newest energy that matches.

use anyhow::bail;

use super::DONE;
use super::format::Format;
use super::output::print_energy;
use super::plane::Plane;
use super::selection::Filters;
use crate::event::Events;
use crate::log::{Direction, Log, Pages};

/// Print the oldest energy that matches
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sanctum first --stream user-1")]
pub struct FirstArgs {
    #[command(flatten)]
    end: End,
}

/// Print the newest energy that matches
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sanctum last --topic 'orders.>' --tag region=eu")]
pub struct LastArgs {
    #[command(flatten)]
    end: End,
}

#[derive(Debug, clap::Args)]
struct End {
    /// How it is printed; as JSON it is an object, not a list
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    plane: Plane,
}

/// Runs `first`.
pub fn run_first(args: &FirstArgs) -> anyhow::Result<u8> {
    args.end.print(Direction::Forward)
}

/// Runs `last`.
pub fn run_last(args: &LastArgs) -> anyhow::Result<u8> {
    args.end.print(Direction::Backward)
}

impl End {
    fn print(&self, direction: Direction) -> anyhow::Result<u8> {
        let log = self.plane.read()?;
        let head = log.visible();
        let mut pages = match direction {
            Direction::Forward => Pages::forward(0, head),
            Direction::Backward => Pages::backward(head, 0),
        }
        .limit(1);
        let (mut batch, query) = (Events::default(), self.filters.query());
        if pages.next(&log, &query, &mut batch)? {
            print_energy(batch.get(0), self.format)?;
            return Ok(DONE);
        }
        if query.is_all() {
            bail!("the log has no energy");
        }
        bail!("no energy of the log matches");
    }
}
