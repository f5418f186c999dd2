//! `sanctum test`: golden cases, run and held against their files.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

use super::app::{self, App};
use super::{DONE, FAULT, console};
use crate::regression::report::{self, Format};
use crate::regression::{self, Case, Checks, Tested, Verdict};

/// Where cases are looked for.
const FOLDER: &str = "regression";

/// Run golden cases and hold them against their files
///
/// A case is a folder with spell.lua, spells/ or runeset.yaml, a seed, and assertion files: stdout.assert,
/// stderr.assert, exitcode.assert, events.assert, cost.assert. What is absent is not checked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub selection: Selection,
    /// Run each case once more with a fresh VM for every energy, and name the spells that remember in Lua variables
    /// what belongs in `state`
    #[arg(long)]
    amnesia: bool,
    /// How results are written
    #[arg(long, value_enum, default_value_t)]
    format: FormatKind,
    /// Write the results to a file [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Which cases.
#[derive(Debug, clap::Args)]
pub struct Selection {
    /// Folder of cases, an app or a bundle [default: regression]; then globs or parts of the names of cases
    #[arg(value_name = "DIR|CASE-PATTERN")]
    arguments: Vec<String>,
    /// Cases at once [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FormatKind {
    #[default]
    Text,
    Json,
    Junit,
}

impl From<FormatKind> for Format {
    fn from(kind: FormatKind) -> Self {
        match kind {
            FormatKind::Text => Self::Text,
            FormatKind::Json => Self::Json,
            FormatKind::Junit => Self::Junit,
        }
    }
}

impl Selection {
    /// The cases, and the unpacked bundle that they may be in.
    pub fn find(&self) -> anyhow::Result<(Vec<Case>, Option<App>)> {
        let Some((first, rest)) = self.arguments.split_first() else {
            return Ok((regression::find(Path::new(FOLDER), &[])?, None));
        };
        let path = Path::new(first);
        if let Some(app) = app::find(first)? {
            let cases = regression::find(&cases_of(&app.folder), rest)?;
            return Ok((cases, Some(app)));
        }
        if path.is_dir() {
            return Ok((regression::find(&cases_of(path), rest)?, None));
        }
        Ok((regression::find(Path::new(FOLDER), &self.arguments)?, None))
    }

    /// What was given, as it was given.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// How many cases run at once.
    #[must_use]
    pub fn jobs(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        self.jobs.map_or_else(processors, usize::from)
    }
}

/// The folder of an app's or a project's cases; the folder itself where it has none inside.
fn cases_of(folder: &Path) -> PathBuf {
    let inside = folder.join(FOLDER);
    if inside.is_dir() { inside } else { folder.to_owned() }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let (cases, _app) = args.selection.find()?;
    let format = Format::from(args.format);
    let colour = args.output.is_none() && console::colour_of_stdout();
    let mut text = String::new();
    let mut failed_to_write = None;
    let tested = test_all(&cases, args.selection.jobs(), Checks { amnesia: args.amnesia }, |tested| {
        if format != Format::Text {
            return;
        }
        let line = report::text(tested, colour);
        if args.output.is_some() {
            text.push_str(&line);
        } else if failed_to_write.is_none() {
            failed_to_write = console::print(&line).err();
        }
    });
    if let Some(error) = failed_to_write {
        return Err(error.into());
    }
    match format {
        Format::Text => text.push_str(&report::total(&tested)),
        Format::Json => text = report::json(&tested),
        Format::Junit => text = report::junit(&tested),
    }
    match &args.output {
        None => console::print(&text)?,
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
            console::tell(&report::total(&tested));
        }
    }
    let passed = tested.iter().all(|case| case.verdict == Verdict::Passed);
    Ok(if passed { DONE } else { FAULT })
}

/// Tests cases and hands each result over in order.
pub fn test_all(cases: &[Case], jobs: usize, checks: Checks, mut each: impl FnMut(&Tested)) -> Vec<Tested> {
    let mut all = Vec::with_capacity(cases.len());
    regression::in_order(
        cases.len(),
        jobs,
        |index| regression::test(&cases[index], checks),
        |index, tested| {
            let tested = tested.unwrap_or_else(|| Tested {
                name: cases[index].name.clone(),
                verdict: Verdict::Broken("the case ended in a panic".to_owned()),
                nanos: 0,
            });
            each(&tested);
            all.push(tested);
        },
    );
    all
}
