//! Runs a case in this process, with nothing of the outside in it.

use std::io;
use std::sync::Arc;

use super::case::{Broken, Case};
use super::compare::{Difference, diff};
use crate::engine::batch::{self, Batch};
use crate::engine::clock::GOLDEN_MS;
use crate::engine::{Clock, Engine, Failure, Options, Sink};
use crate::event::{EventRef, json};
use crate::log::MemoryLog;
use crate::runeset::{Diagnostic, Style, diagnostic::render_all};

/// What the second run is made with; the first has one worker and rounds of the usual size.
const OTHER_WORKERS: usize = 3;
const OTHER_ROUND: usize = 7;

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actual {
    /// What spells printed.
    pub stdout: Vec<u8>,
    /// Faults, warnings and log lines.
    pub stderr: Vec<u8>,
    /// 0 or 1.
    pub exit: u8,
    /// The log, an energy a line.
    pub events: Vec<u8>,
    /// Per spell, in spell order.
    pub costs: Vec<Cost>,
}

/// What one spell's casts cost in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cost {
    /// Its name.
    pub spell: String,
    /// Casts, batches and ticks.
    pub casts: u64,
    /// Work units.
    pub instructions: u64,
    /// Bytes of the energies produced.
    pub bytes: u64,
}

/// Runs the case twice and says, beside what it did, where the second run was another.
pub fn run_checked(case: &Case, costs: bool) -> Result<(Actual, Vec<Difference>), Broken> {
    let first = run(case, &|options| options.workers = 1)?;
    let second = run(case, &|options| {
        options.workers = OTHER_WORKERS;
        options.round_events = OTHER_ROUND;
    })?;
    let exits = (format!("{}\n", first.exit).into_bytes(), format!("{}\n", second.exit).into_bytes());
    let pairs = [
        ("stdout", &first.stdout, &second.stdout),
        ("stderr", &first.stderr, &second.stderr),
        ("exitcode", &exits.0, &exits.1),
        ("events", &first.events, &second.events),
    ];
    let mut differences = Vec::new();
    for (what, one, other) in pairs {
        if one != other {
            differences.push(Difference {
                file: what.to_owned(),
                message: format!("{what} depends on the number of workers: the run is not deterministic"),
                diff: diff(one, other, "one worker", "three workers"),
            });
        }
    }
    if costs && first.costs != second.costs {
        differences.push(Difference {
            file: "cost".to_owned(),
            message: "the cost depends on the number of workers: the run is not deterministic".to_owned(),
            diff: diff(&cost_text(&first.costs), &cost_text(&second.costs), "one worker", "three workers"),
        });
    }
    Ok((first, differences))
}

/// Runs the case once.
pub fn run(case: &Case, adjust: &dyn Fn(&mut Options)) -> Result<Actual, Broken> {
    let request = case.request()?;
    let mut actual = Actual::default();
    match batch::load(&request, &|_| None) {
        Err(problems) => {
            actual.stderr = render_all(&problems, Style::Plain).into_bytes();
            actual.exit = 1;
        }
        Ok(batch) if batch.spells.is_empty() => return Err(Broken::NoSpell),
        Ok(batch) if batch.seeds.is_empty() => return Err(Broken::NoSeed),
        Ok(batch) => cast(batch, adjust, &mut actual),
    }
    Ok(actual)
}

fn cast(mut batch: Batch, adjust: &dyn Fn(&mut Options), actual: &mut Actual) {
    let mut options = Options { exact: true, ..batch.options() };
    adjust(&mut options);
    let mut recorder = Recorder::default();
    let log = Arc::new(MemoryLog::new().keeping_ephemeral());
    let outcome = Engine::over(log.clone(), std::mem::take(&mut batch.spells), options).map(|mut engine| {
        let mut intake = batch.intake(batch.seed_options(Clock::FixedMs(GOLDEN_MS)));
        let outcome = engine.run(&mut intake, &mut recorder);
        for event in log.batches().iter().flat_map(|batch| batch.iter()) {
            json::write_event(event, &mut actual.events);
            actual.events.push(b'\n');
        }
        let cost = |spell: &crate::engine::SpellSummary| Cost {
            spell: spell.name.clone(),
            casts: spell.casts,
            instructions: spell.instructions,
            bytes: spell.bytes_out,
        };
        actual.costs = engine.summary().spells.iter().map(cost).collect();
        outcome
    });
    let problems = match outcome {
        Ok(Ok(())) => Vec::new(),
        Ok(Err(Failure::Diagnostic(diagnostic))) => vec![*diagnostic],
        // A recorder takes everything.
        Ok(Err(Failure::Sink(error))) => vec![Diagnostic::error(error.to_string())],
        Ok(Err(Failure::Log(error))) => vec![Diagnostic::error(error.to_string())],
        Ok(Err(Failure::Content(error))) => vec![Diagnostic::error(error.to_string())],
        // The log is the run's own.
        Ok(Err(Failure::Outrun)) => vec![Diagnostic::error("the log was written to by somebody else")],
        Err(unopened) => match unopened.tell(&mut recorder) {
            Ok(()) => unopened.problems,
            Err(error) => vec![Diagnostic::error(error.to_string())],
        },
    };
    actual.exit = u8::from(!problems.is_empty());
    problems.iter().for_each(|problem| recorder.fault(problem));
    (actual.stdout, actual.stderr) = (recorder.stdout, recorder.stderr);
}

/// Costs as they stand in `cost.assert`: one JSON object a line.
#[must_use]
pub fn cost_text(costs: &[Cost]) -> Vec<u8> {
    let mut text = Vec::new();
    for cost in costs {
        // Text and numbers: nothing that JSON cannot say.
        text.extend(serde_json::to_vec(cost).unwrap_or_default());
        text.push(b'\n');
    }
    text
}

/// Keeps what a run writes, as a console would show it.
#[derive(Default)]
struct Recorder {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    after_fault: bool,
}

impl Recorder {
    fn fault(&mut self, diagnostic: &Diagnostic) {
        if std::mem::replace(&mut self.after_fault, true) {
            self.stderr.push(b'\n');
        }
        self.stderr.extend_from_slice(diagnostic.render(Style::Plain).as_bytes());
    }
}

impl Sink for Recorder {
    fn print(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdout.extend_from_slice(bytes);
        Ok(())
    }

    fn note(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.after_fault &= bytes.is_empty();
        self.stderr.extend_from_slice(bytes);
        Ok(())
    }

    fn output(&mut self, _event: EventRef<'_>, _consumed: bool) -> io::Result<()> {
        Ok(())
    }

    fn dump(&mut self, _event: EventRef<'_>) -> io::Result<()> {
        Ok(())
    }

    fn warn(&mut self, diagnostic: &Diagnostic) -> io::Result<()> {
        self.fault(diagnostic);
        Ok(())
    }

    fn progress(&mut self, _events: u64, _casts: u64) {}
}
