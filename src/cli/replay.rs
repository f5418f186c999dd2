//! `sanctum replay`: a spell over recorded history, beside the log.

mod bound;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;

use anyhow::bail;

use super::console::{self, Faults};
use super::format::{Format, Formatter};
use super::plane::Plane;
use super::selection::{Place, within};
use super::{DONE, FAULT, prompt};
use crate::blob::Contents;
use crate::blob::store::Access;
use crate::engine::batch::{self, Item, Request};
use crate::engine::replay::{Audience, Comparison, Counts, Difference, Extent, Replay, Replayed};
use crate::engine::{Failure, inspection};
use crate::log::FileLog;
use crate::regression::compare::diff;
use crate::runeset::diagnostic::Severity;
use crate::runeset::{Diagnostic, Fault as FaultPolicy};
use crate::spell::{Outcome, Spell, report};

/// Run a spell over recorded history, and show what it would produce
///
/// The log is read and not written. The spell is given the energies of the log that it draws on, in order, with their
/// envelopes; what it produces is not given to it again. It goes as far as the spell of that name has come in the log, or
/// through all of it where the log does not know the spell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sanctum replay count.lua\n  sanctum replay count.lua --diff\n  sanctum replay count --as-bound --diff\n  \
                  sanctum replay count.lua --until 41 --repl\n\n\
    Exit codes with --diff: 0 all is equal; 1 something differs, or could not be replayed."
)]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// Cast each energy by the code that a server had bound then; SPELL is the name of the spell in the log
    #[arg(long, conflicts_with_all = ["runeset", "name", "after", "repl"])]
    as_bound: bool,
    /// Begin after this position, with nothing in the state
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Stop before the cast of the energy at this position, or with this id
    #[arg(long, value_name = "ID|POSITION")]
    until: Option<Place>,
    /// Show what differs from what the log has of the spell: outputs, faults, and its state at the end
    #[arg(long, conflicts_with_all = ["repl", "format"])]
    diff: bool,
    /// With --diff, differences that are shown, the first ones
    #[arg(long, value_name = "N", default_value_t = 10, requires = "diff")]
    limit: usize,
    /// Read lines of Lua and evaluate them before the cast: `event`, `envelope` and `state` are as they were
    #[arg(long, requires = "until", conflicts_with = "format")]
    repl: bool,
    /// How what it produces is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    plane: Plane,
}

/// Which spell.
#[derive(Debug, clap::Args)]
pub struct Source {
    /// File of the spell; with --runeset also the name of one of its spells
    #[arg(value_name = "SPELL")]
    spell: String,
    /// Take options of the spell from a runeset
    #[arg(long, value_name = "FILE")]
    runeset: Option<String>,
    /// Name that the spell has in the log, where its own is another
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
}

impl Source {
    /// What it is called.
    fn name(&self) -> &str {
        &self.spell
    }

    /// Loads the spell; `None` where it has problems, which were told.
    pub fn load(&self) -> anyhow::Result<Option<Arc<Spell>>> {
        let mut request = Request::default();
        match &self.runeset {
            Some(file) => request.runeset = Some(Item::new("", file)),
            None => request.spells.push(Item::new("", &self.spell)),
        }
        let batch = match batch::load(&request, &|name| std::env::var(name).ok()) {
            Ok(batch) => batch,
            Err(problems) => {
                console::report(&problems, Faults::Text);
                return Ok(None);
            }
        };
        let is_named = |spell: &Arc<Spell>| {
            self.runeset.is_none() || *spell.name == *self.spell || spell.path == self.spell
        };
        let mut spells = batch.spells.into_iter().filter(is_named);
        let mut spell = match (spells.next(), spells.next()) {
            (Some(spell), None) => spell,
            (None, _) => bail!("the runeset has no spell `{}`", self.spell),
            (Some(_), Some(_)) => bail!("`{}` is several spells; name the file of one", self.spell),
        };
        if let (Some(name), Some(spell)) = (&self.name, Arc::get_mut(&mut spell)) {
            spell.name = name.as_str().into();
        }
        Ok(Some(spell))
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let log = args.plane.read()?;
    let loaded = match args.as_bound {
        true => bound::load(&log, &args.plane, args.source.name())?,
        false => args.source.load()?.map(|spell| vec![(0, spell)]),
    };
    let mut editions = loaded.unwrap_or_default().into_iter();
    let Some((from, spell)) = editions.next() else { return Ok(FAULT) };
    if args.diff {
        inspection::known(&log, &spell.name)?;
    }
    let until = args.until.map(|place| place.position(&log)).transpose()?;
    let after = args.after.map(|after| within(&log, after)).transpose()?;
    let mut extent = Extent::of(&log, &spell, after, until)?;
    if args.as_bound {
        extent.from = from;
    }
    let Some(mut replay) = open(&log, &args.plane, spell.clone(), extent)? else { return Ok(FAULT) };
    editions.for_each(|(from, spell)| replay.then(from, spell));
    if args.diff {
        return compare(&mut replay, &log, &spell, extent, args.limit);
    }
    if let (true, Some(position)) = (args.repl, until) {
        let Some(prompt) = settled(replay.stand(position, &mut Teller(&spell)))? else {
            bail!("spell `{}` does not cast for the energy at position {position}", spell.name);
        };
        return prompt::run(prompt);
    }
    let mut printer = Printer::new(&spell, args.format);
    printer.said(&replay.prepared().prints, &replay.prepared().notes)?;
    settled(replay.run(&mut printer))?;
    printer.finish()?;
    Ok(if replay.is_halted() { FAULT } else { DONE })
}

/// Opens a replay beside the log's content; `None` where the spell could not be opened, which was told.
pub fn open<'l>(
    log: &'l FileLog,
    plane: &Plane,
    spell: Arc<Spell>,
    extent: Extent,
) -> anyhow::Result<Option<Replay<'l>>> {
    let contents = match plane.has_contents() {
        true => Contents::beside(Arc::new(plane.contents(Access::Read)?)),
        false => Contents::default(),
    };
    match Replay::open(log, spell, extent, contents) {
        Ok(replay) => Ok(Some(replay)),
        Err(unopened) => {
            console::report(&unopened.problems, Faults::Text);
            Ok(None)
        }
    }
}

/// A failure of a replay as an error: its spell's faults are none.
pub fn settled<T>(result: Result<T, Failure>) -> anyhow::Result<T> {
    result.map_err(|failure| match failure {
        Failure::Diagnostic(diagnostic) => anyhow::anyhow!(diagnostic.message),
        Failure::Sink(error) => anyhow::Error::from(error).context("cannot write the output"),
        Failure::Log(error) => error.into(),
        Failure::Content(error) => error.into(),
        Failure::Outrun => anyhow::anyhow!(super::cast::OUTRUN),
    })
}

/// The report of a cast that faulted: an error where it ends a run.
fn fault_of(spell: &Spell, cast: &Replayed<'_>) -> Option<Diagnostic> {
    let Outcome::Fault(fault) = cast.outcome else { return None };
    let diagnostic = report::cast_fault(spell, cast.hook(), fault, Some(cast.cause));
    let is_end = matches!(spell.fault, FaultPolicy::Stop | FaultPolicy::Retry);
    let severity = if is_end { Severity::Error } else { Severity::Warning };
    Some(Diagnostic { severity, ..diagnostic })
}

/// Writes what the spell produces and says.
struct Printer<'s> {
    spell: &'s Spell,
    formatter: Formatter,
    stdout: io::BufWriter<io::StdoutLock<'static>>,
    buffer: Vec<u8>,
}

impl<'s> Printer<'s> {
    fn new(spell: &'s Spell, format: Format) -> Self {
        let stdout = io::BufWriter::new(io::stdout().lock());
        Self { spell, formatter: Formatter::new(format, false), stdout, buffer: Vec::new() }
    }

    fn said(&mut self, prints: &[u8], notes: &[u8]) -> io::Result<()> {
        self.stdout.write_all(prints)?;
        io::stderr().write_all(notes)
    }

    fn finish(mut self) -> io::Result<()> {
        self.formatter.end(&mut self.buffer);
        self.stdout.write_all(&self.buffer)?;
        self.stdout.flush()
    }
}

impl Audience for Printer<'_> {
    fn cast(&mut self, cast: &Replayed<'_>) -> Result<(), Failure> {
        self.said(cast.prints, cast.notes)?;
        if let Some(fault) = fault_of(self.spell, cast) {
            self.stdout.flush()?;
            console::report(&[fault], Faults::Text);
        }
        for output in cast.outputs() {
            self.formatter.energy(output, &mut self.buffer)?;
        }
        self.stdout.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// Tells of faults alone.
pub struct Teller<'s>(pub &'s Spell);

impl Audience for Teller<'_> {
    fn cast(&mut self, cast: &Replayed<'_>) -> Result<(), Failure> {
        if let Some(fault) = fault_of(self.0, cast) {
            console::report(&[fault], Faults::Text);
        }
        Ok(())
    }
}

fn compare(
    replay: &mut Replay<'_>,
    log: &FileLog,
    spell: &Spell,
    extent: Extent,
    limit: usize,
) -> anyhow::Result<u8> {
    let mut comparison = Comparison::new(log, spell, extent, limit);
    settled(replay.run(&mut comparison))?;
    comparison.finish(replay)?;
    let mut text = String::new();
    for difference in comparison.differences() {
        text.push_str(&describe(difference));
        text.push('\n');
    }
    let left = comparison.count() - comparison.differences().count() as u64;
    if left > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "... and {left} more; `--limit` shows more of them\n");
    }
    text.push_str(&totals(&comparison));
    if replay.is_halted() {
        text.push_str("the replay ended at a fault, as a run would: what comes after it is not compared\n");
    }
    console::print(&text)?;
    Ok(if comparison.count() == 0 && !replay.is_halted() { DONE } else { FAULT })
}

fn describe(difference: &Difference) -> String {
    let Difference { input, what, recorded, replayed } = difference;
    let place = match input {
        Some((position, id, topic)) => format!("position {position}, topic {topic}, id {id}: {what}"),
        None => format!("at the end: {what}"),
    };
    format!("{place}\n{}", diff(recorded.as_bytes(), replayed.as_bytes(), "recorded", "replayed"))
}

/// What was compared, as a table.
fn totals(comparison: &Comparison<'_>) -> String {
    let mut rows: Vec<(String, Counts)> =
        comparison.topics.iter().map(|(topic, counts)| (format!("topic {topic}"), *counts)).collect();
    rows.push(("faults".to_owned(), comparison.faults));
    rows.extend(comparison.state.map(|counts| ("state".to_owned(), counts)));
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text =
        format!("{:width$}  {:>8}  {:>8}  {:>8}  {:>8}\n", "", "same", "changed", "missing", "new");
    for (name, Counts { same, changed, missing, added }) in rows {
        let _ = writeln!(text, "{name:width$}  {same:>8}  {changed:>8}  {missing:>8}  {added:>8}");
    }
    let _ = writeln!(text, "{} energies, {} casts", comparison.energies, comparison.casts);
    text
}
