//! Writes the assertion files of a case from what a run did.

use std::fs;
use std::io;

use super::case::{Broken, COST, Case, EVENTS, EXITCODE, STDERR, STDOUT};
use super::compare::{diff, expected_costs};
use super::run::{Actual, cost_text, run_checked};

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added(String),
    /// It was another; with the diff.
    Changed(String, String),
    /// It said nothing any more.
    Removed(String),
}

/// What became of a case's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// The case.
    pub name: String,
    /// What was written, and how many files stayed as they were.
    pub result: Result<Vec<Change>, String>,
}

/// Runs a case and writes what it did. Nothing is written of a run that is not deterministic. The cost is
/// written where there is a `cost.assert`, and with `cost` everywhere.
#[must_use]
pub fn freeze(case: &Case, cost: bool) -> Frozen {
    let result = freeze_files(case, cost).map_err(|broken| broken.to_string());
    Frozen { name: case.name.clone(), result }
}

fn freeze_files(case: &Case, cost: bool) -> Result<Vec<Change>, Broken> {
    let with_cost = cost || case.has(COST);
    let (actual, differences) = run_checked(case, with_cost)?;
    if let Some(difference) = differences.into_iter().next() {
        let message = format!("{}\n{}", difference.message, difference.diff);
        return Err(Broken::Malformed { file: difference.file, message });
    }
    let mut changes = Vec::new();
    write(case, STDOUT, &actual.stdout, &mut changes)?;
    write(case, STDERR, &actual.stderr, &mut changes)?;
    if actual.exit == 0 {
        remove(case, EXITCODE, &mut changes)?;
    } else {
        write(case, EXITCODE, format!("{}\n", actual.exit).as_bytes(), &mut changes)?;
    }
    write(case, EVENTS, &actual.events, &mut changes)?;
    if with_cost {
        write_cost(case, &actual, &mut changes)?;
    }
    Ok(changes)
}

fn write_cost(case: &Case, actual: &Actual, changes: &mut Vec<Change>) -> Result<(), Broken> {
    // A file that cannot be read any more is replaced.
    if expected_costs(case).ok().flatten().as_ref() != Some(&actual.costs) {
        write(case, COST, &cost_text(&actual.costs), changes)?;
    }
    Ok(())
}

fn write(case: &Case, file: &str, bytes: &[u8], changes: &mut Vec<Change>) -> Result<(), Broken> {
    let before = case.read(file)?;
    if before.as_deref() == Some(bytes) {
        return Ok(());
    }
    fs::write(case.folder.join(file), bytes)
        .map_err(|source| Broken::File { file: file.to_owned(), source })?;
    changes.push(match before {
        None => Change::Added(file.to_owned()),
        Some(before) => Change::Changed(file.to_owned(), diff(&before, bytes, "before", file)),
    });
    Ok(())
}

fn remove(case: &Case, file: &str, changes: &mut Vec<Change>) -> Result<(), Broken> {
    match fs::remove_file(case.folder.join(file)) {
        Ok(()) => changes.push(Change::Removed(file.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(Broken::File { file: file.to_owned(), source }),
    }
    Ok(())
}
