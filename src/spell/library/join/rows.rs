//! Where a table keeps what: entries of its bucket.
//!
//! - `{KEY, time}` leads to the row from that time on; nil for none. `KEY` is the encoded key, as a string.
//! - `{time, number, KEY}` leads to a value that waits until that time is settled. Number 0 leads to `true`: the rows of the
//!   key that are superseded by then are forgotten.
//! - `"count"`: the last of the numbers; and the scalars of [`super::marks`].

use super::super::kept;
use super::super::state::put;
use super::{Frame, Raise, Table, key, msgpack};

const COUNT: &[u8] = b"count";

/// One that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub at: i64,
    /// From 1; 0 for a key to tidy.
    pub number: i64,
}

impl Waiting {
    pub fn key(self, name: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(name.len() + 24);
        key::begin_tuple(&mut out);
        key::write_int(&mut out, self.at);
        key::write_int(&mut out, self.number);
        key::write_element(&mut out, name);
        out
    }

    pub fn read(bytes: &[u8], name: &mut Vec<u8>) -> Option<Self> {
        let rest = key::elements(bytes)?;
        let (at, len) = key::read_int(rest).ok()?;
        let rest = &rest[len..];
        let (number, len) = key::read_int(rest).ok()?;
        key::read_element(&rest[len..], name).ok()?;
        Some(Self { at, number })
    }
}

/// The number of the next value that waits.
pub(super) fn next_number(frame: &mut Frame<'_>, table: &Table<'_>) -> Result<i64, Raise> {
    let mut place = Vec::with_capacity(8);
    key::write_string(&mut place, COUNT);
    let number = kept::int(frame, table.bucket, &place)?.unwrap_or(0) + 1;
    let mut value = Vec::with_capacity(9);
    msgpack::write_int(&mut value, number);
    put(frame, table.bucket, &place, &value)?;
    Ok(number)
}

/// The bounds of what waits for a time before `horizon`, or of all that waits.
pub(super) fn waiting_before(horizon: Option<i64>) -> (Vec<u8>, Vec<u8>) {
    let (mut from, mut to) = (Vec::new(), Vec::new());
    key::begin_tuple(&mut from);
    key::begin_tuple(&mut to);
    match horizon {
        Some(horizon) => key::write_int(&mut to, horizon),
        // Tuples that begin with a number come before those that begin with a string.
        None => key::write_element(&mut to, b""),
    }
    (from, to)
}

/// The start of the keys of a key's rows.
fn rows_key(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 16);
    key::begin_tuple(&mut out);
    key::write_element(&mut out, name);
    out
}

pub(super) fn row_key(name: &[u8], at: i64) -> Vec<u8> {
    let mut out = rows_key(name);
    key::write_int(&mut out, at);
    out
}

/// Whether a row says that there is none.
pub(super) fn is_none(row: &[u8]) -> bool {
    matches!(msgpack::token_at(row), Ok(msgpack::Token::Nil))
}

/// The newest row of a key that is not after `at`, and its time.
pub(super) fn newest(
    frame: &mut Frame<'_>,
    table: &Table<'_>,
    name: &[u8],
    at: i64,
) -> Result<Option<(i64, Vec<u8>)>, Raise> {
    outer(frame, table, (rows_key(name), row_key(name, at)), true)
}

/// The oldest row of a key, and its time.
pub(super) fn oldest(
    frame: &mut Frame<'_>,
    table: &Table<'_>,
    name: &[u8],
) -> Result<Option<(i64, Vec<u8>)>, Raise> {
    outer(frame, table, (rows_key(name), row_key(name, i64::MAX)), false)
}

/// The first of the rows up to a key, or the last one.
fn outer(
    frame: &mut Frame<'_>,
    table: &Table<'_>,
    (from, to): (Vec<u8>, Vec<u8>),
    is_last: bool,
) -> Result<Option<(i64, Vec<u8>)>, Raise> {
    let rows = kept::range(frame, table.bucket, (&from, &kept::after(to)), 1, is_last)?;
    let found = rows.into_iter().next().and_then(|(entry, row)| {
        let (time, _) = key::read_int(entry.get(from.len()..)?).ok()?;
        Some((time, row))
    });
    frame.charge(2 + found.as_ref().map_or(0, |(_, row)| row.len() as u64 / 16))?;
    Ok(found)
}

/// Sees to it that [`tidy`] is called once `at` is settled: now, where nothing ever waits.
pub(super) fn tidy_once_settled(
    frame: &mut Frame<'_>,
    table: &Table<'_>,
    name: &[u8],
    at: i64,
) -> Result<(), Raise> {
    if table.late == 0 {
        return tidy(frame, table, name, at);
    }
    let mut yes = Vec::with_capacity(1);
    msgpack::write_bool(&mut yes, true);
    put(frame, table.bucket, &Waiting { at, number: 0 }.key(name), &yes)
}

/// Forgets the rows of a key that are superseded once `at` is settled, and a last one that says there is none.
pub(super) fn tidy(frame: &mut Frame<'_>, table: &Table<'_>, name: &[u8], at: i64) -> Result<(), Raise> {
    let (from, to) = (rows_key(name), kept::after(row_key(name, at)));
    let mut old = kept::range(frame, table.bucket, (&from, &to), u64::MAX, false)?;
    if old.last().is_some_and(|(_, row)| !is_none(row)) {
        old.pop();
    }
    for (entry, _) in &old {
        kept::delete(frame, table.bucket, entry)?;
    }
    frame.charge(1 + old.len() as u64)
}
