//! `print`, `tostring`, `emit` and `array`.
//!
//! Different from stock Lua: `print` goes to the run's standard output when the cast is committed, and counts
//! against `limits.print_bytes`. Addresses in `tostring` are those of the VM's own range, so they are
//! the same in every run; functions that are not the spell's own show as `builtin`.

use crate::spell::host::Phase;
use crate::spell::raw::{Entry, Frame, Kind, Raise, Stop};

/// Globals.
pub(crate) static FUNCTIONS: &[Entry] =
    &[("print", print), ("tostring", tostring), ("emit", emit), ("array", array)];

/// `print(...)`
fn print(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let mut line = Vec::new();
    let bytes_max = frame.host().limits.print_bytes as usize;
    for index in 1..=frame.args() {
        if index > 1 {
            line.push(b'\t');
        }
        append_text(frame, index as i32, &mut line)?;
        if line.len() > bytes_max {
            return Err(frame.stop(Stop::Prints));
        }
    }
    line.push(b'\n');
    frame.charge(4 + line.len() as u64 / 16)?;
    frame.host().print(&line).map_err(|stop| frame.stop(stop))?;
    Ok(0)
}

/// Appends what `tostring` gives for the value at `index`.
pub(super) fn append_text(frame: &mut Frame<'_>, index: i32, out: &mut Vec<u8>) -> Result<(), Raise> {
    frame.tostring(index)?;
    if let Some(bytes) = frame.copy_bytes(-1) {
        out.extend_from_slice(&bytes);
    }
    frame.pop(1);
    Ok(())
}

/// `tostring(value)`
fn tostring(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.any(1)?;
    frame.charge(4)?;
    frame.tostring(1)?;
    Ok(1)
}

/// `emit(energy, ...)`: each is an energy, or a list of them.
fn emit(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.host().phase != Phase::Cast {
        return Err(Raise::message("emit works only inside cast or tick, not in a filter or another hook"));
    }
    for index in 1..=frame.args().max(1) {
        frame.table(index)?;
        frame.push_copy(index as i32);
        frame.emit()?;
        frame.pop(1);
    }
    Ok(0)
}

/// `array([table])`: the same table, which is an array in an energy even while it is empty.
fn array(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.is_absent(1) {
        frame.push_table(0, 0);
    } else {
        frame.table(1)?;
        if frame.has_metatable(1) && !frame.has_metafield(1, "__name") {
            return Err(Raise::argument(1, "the table has a metatable of its own"));
        }
        frame.push_copy(1);
    }
    if frame.kind(-1) == Kind::Table {
        frame.mark_array();
    }
    Ok(1)
}
