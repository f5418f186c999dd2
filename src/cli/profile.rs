//! `sanctum profile`: where a spell's instructions go.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;

use super::console::{self, Faults};
use super::plane::Plane;
use super::replay::{Source, Teller, open, settled};
use super::{DONE, FAULT, flame};
use crate::blob::Contents;
use crate::engine::batch::{self, Item, Request};
use crate::engine::replay::{Extent, Replay};
use crate::engine::{Clock, Engine, Failure, Options, Sink};
use crate::event::EventRef;
use crate::log::MemoryLog;
use crate::runeset::Diagnostic;
use crate::spell::{Spell, Stacks};

/// How a profile is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A flame graph.
    #[default]
    Svg,
    /// A line for each stack: its functions, `;` between them, and its instructions.
    Folded,
}

/// Draw where a spell's instructions go, by Lua function
///
/// The spell is cast on seeds, or on recorded history as `replay` does it; nothing is written to the log. What natives
/// take, such as `table.sort`, is not in it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sanctum profile count.lua --seed orders.ndjson --output count.svg\n  \
                  sanctum profile count.lua --format folded")]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// Seed file, folder or glob [default: recorded history]
    #[arg(long = "seed", value_name = "FILE")]
    seeds: Vec<String>,
    /// How it is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where it is written [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Instructions between two samples; 1 counts them all
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    every: u16,
    #[command(flatten)]
    plane: Plane,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let Some(spell) = args.source.load()? else { return Ok(FAULT) };
    let stacks = if args.seeds.is_empty() {
        let log = args.plane.read()?;
        let extent = Extent::of(&log, &spell, None, None)?;
        open(&log, &args.plane, spell.clone(), extent)?.map(|replay| args.profile(replay)).transpose()?
    } else {
        args.cast(spell.clone())?
    };
    let Some(stacks) = stacks else { return Ok(FAULT) };
    let text = match args.format {
        Format::Folded => flame::folded(&stacks),
        Format::Svg => {
            let count: u64 = stacks.values().sum();
            flame::svg(&format!("{}: about {count} instructions", spell.name), &stacks)
        }
    };
    match &args.output {
        None => console::print(&text)?,
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
    }
    Ok(DONE)
}

impl Args {
    /// Casts the spell on its seeds, in memory, and profiles it over what that recorded: so it is given what it
    /// produces, too.
    fn cast(&self, spell: Arc<Spell>) -> anyhow::Result<Option<Stacks>> {
        let seeds = self.seeds.iter().map(|path| Item::new("", path)).collect();
        let batch = match batch::load(&Request { seeds, ..Request::default() }, &|_| None) {
            Ok(batch) => batch,
            Err(problems) => {
                console::report(&problems, Faults::Text);
                return Ok(None);
            }
        };
        let log = Arc::new(MemoryLog::new().keeping_ephemeral());
        let options = Options { resume: true, workers: 1, ..Options::default() };
        let mut engine = match Engine::over(log.clone(), vec![spell.clone()], options) {
            Ok(engine) => engine,
            Err(unopened) => {
                console::report(&unopened.problems, Faults::Text);
                return Ok(None);
            }
        };
        match engine.run(&mut batch.intake(batch.seed_options(Clock::System)), &mut Silence) {
            Err(Failure::Diagnostic(fault)) => {
                console::report(&[*fault], Faults::Text);
                return Ok(None);
            }
            ran => settled(ran)?,
        }
        let extent = Extent::of(&*log, &spell, None, None)?;
        match Replay::open(&*log, spell, extent, Contents::default()) {
            Ok(replay) => self.profile(replay).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn profile(&self, mut replay: Replay<'_>) -> anyhow::Result<Stacks> {
        replay.lanes_mut().iter_mut().for_each(|lane| lane.profile(self.every));
        let spell = replay.spell().clone();
        settled(replay.run(&mut Teller(&spell)))?;
        let mut stacks = Stacks::new();
        for lane in replay.lanes_mut() {
            for (stack, count) in lane.take_stacks() {
                *stacks.entry(stack).or_default() += count;
            }
        }
        Ok(stacks)
    }
}

/// Takes what a run does, and says nothing of it: the replay that is profiled tells of faults.
struct Silence;

impl Sink for Silence {
    fn print(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn note(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn output(&mut self, _event: EventRef<'_>, _consumed: bool) -> io::Result<()> {
        Ok(())
    }

    fn dump(&mut self, _event: EventRef<'_>) -> io::Result<()> {
        Ok(())
    }

    fn warn(&mut self, _diagnostic: &Diagnostic) -> io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, _events: u64, _casts: u64) {}
}
