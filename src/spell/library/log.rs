//! `log.debug`, `log.info`, `log.warn`, `log.error`: lines for the operator, on standard error.
//!
//! Arguments are joined by a space; a table is shown as JSON. The lines of a cast come in commit order
//! and count against `limits.print_bytes`.

use super::base::append_text;
use super::json;
use crate::spell::raw::{Entry, Frame, Kind, Raise, Stop};

/// The table `log`.
pub(crate) static FUNCTIONS: &[Entry] = &[
    ("debug", |frame| note(frame, "debug")),
    ("info", |frame| note(frame, "info")),
    ("warn", |frame| note(frame, "warn")),
    ("error", |frame| note(frame, "error")),
];

fn note(frame: &mut Frame<'_>, level: &str) -> Result<usize, Raise> {
    let mut line = Vec::new();
    let bytes_max = frame.host().limits.print_bytes as usize;
    for index in 1..=frame.args() {
        if index > 1 {
            line.push(b' ');
        }
        append(frame, index, bytes_max, &mut line)?;
        if line.len() > bytes_max {
            return Err(frame.stop(Stop::Prints));
        }
    }
    frame.charge(4 + line.len() as u64 / 16)?;
    frame.host().note(level, &line).map_err(|stop| frame.stop(stop))?;
    Ok(0)
}

/// A log line never faults over what it shows: a table that is no JSON is shown as `tostring` has it.
fn append(frame: &mut Frame<'_>, index: usize, bytes_max: usize, line: &mut Vec<u8>) -> Result<(), Raise> {
    let at = index as i32;
    if frame.kind(at) == Kind::Table && !frame.has_metafield(at, "__tostring") {
        let start = line.len();
        match json::append(frame, index, bytes_max, line) {
            Err(Raise::Argument { .. }) => line.truncate(start),
            done => return done,
        }
    }
    append_text(frame, at, line)
}
