//! `sanctum freeze`: writes the assertion files of golden cases.

use super::history::History;
use super::test::Selection;
use super::{DONE, FAULT, console};
use crate::regression::freeze::{self, Frozen};
use crate::regression::{self, Case, report};

/// Write the assertion files of golden cases, and show what changes
///
/// Look at what is shown before you commit it: from then on it counts as right.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sanctum freeze\n  \
                  sanctum freeze --from-log --topic orders --last 100 --spell count.lua regression/orders")]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Write cost.assert too, where there is none yet
    #[arg(long)]
    cost: bool,
    #[command(flatten)]
    history: History,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let (cases, _app) = match args.history.from_log {
        true => (vec![args.history.write(args.selection.arguments())?], None),
        false => args.selection.find()?,
    };
    let (mut changed, mut unchanged, mut failed) = (0, 0, 0);
    let colour = console::colour_of_stdout();
    let mut failed_to_write = None;
    freeze_all(&cases, args.selection.jobs(), args.cost, |frozen| {
        match &frozen.result {
            Err(_) => failed += 1,
            Ok(changes) if changes.is_empty() => unchanged += 1,
            Ok(_) => changed += 1,
        }
        if failed_to_write.is_none() {
            failed_to_write = console::print(&report::frozen(frozen, colour)).err();
        }
    });
    if let Some(error) = failed_to_write {
        return Err(error.into());
    }
    console::print(&format!("{changed} frozen, {unchanged} unchanged, {failed} failed\n"))?;
    Ok(if failed == 0 { DONE } else { FAULT })
}

/// Freezes cases and hands each result over in order.
pub fn freeze_all(cases: &[Case], jobs: usize, cost: bool, mut each: impl FnMut(&Frozen)) {
    let work = |index: usize| freeze::freeze(&cases[index], cost);
    regression::in_order(cases.len(), jobs, work, |index, frozen| {
        let panicked =
            || Frozen { name: cases[index].name.clone(), result: Err("it ended in a panic".into()) };
        each(&frozen.unwrap_or_else(panicked));
    });
}
