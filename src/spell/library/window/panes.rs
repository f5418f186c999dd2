//! Where a window keeps what: entries of its bucket.
//!
//! - `{stop, start, KEY}` leads to the accumulator, so that the first entries are those that end first. `KEY` is the
//!   encoded key, as a string.
//! - `{KEY, start}` leads to `stop`, for sessions: which ones a key has.
//! - `"time"` and `"late"`, see the parent module.

use super::super::kept;
use super::super::state::{push_key, put};
use super::options::{TOPIC, Window};
use super::ranking::Ranking;
use crate::event::msgpack::{self, Token};
use crate::spell::raw::{Frame, Kind, Raise};
use crate::state::key;

/// Records between two looks at the VM's memory.
const RECORDS_CHECK: usize = 256;
/// What those records may take, about.
const RECORDS_BYTES: usize = RECORDS_CHECK * 512;

/// One span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pane {
    pub start: i64,
    pub stop: i64,
}

impl Pane {
    pub fn key(self, name: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(name.len() + 24);
        key::begin_tuple(&mut out);
        key::write_int(&mut out, self.stop);
        key::write_int(&mut out, self.start);
        key::write_element(&mut out, name);
        out
    }

    fn read(bytes: &[u8], name: &mut Vec<u8>) -> Option<Self> {
        let rest = key::elements(bytes)?;
        let (stop, len) = key::read_int(rest).ok()?;
        let rest = &rest[len..];
        let (start, len) = key::read_int(rest).ok()?;
        key::read_element(&rest[len..], name).ok()?;
        Some(Self { start, stop })
    }
}

/// The start of a key's entries in the index of sessions.
fn index_key(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 16);
    key::begin_tuple(&mut out);
    key::write_element(&mut out, name);
    out
}

/// The open sessions of a key, earliest first.
pub(super) fn sessions(frame: &mut Frame<'_>, window: &Window<'_>, name: &[u8]) -> Result<Vec<Pane>, Raise> {
    let from = index_key(name);
    let mut to = from.clone();
    key::end_of_prefix(&mut to, 0);
    let found: Vec<Pane> = kept::range(frame, window.bucket, (&from, &to), u64::MAX, false)?
        .iter()
        .filter_map(|(entry, stop)| {
            let (start, _) = key::read_int(entry.get(from.len()..)?).ok()?;
            match msgpack::token_at(stop) {
                Ok(Token::Int(stop)) => Some(Pane { start, stop }),
                _ => None,
            }
        })
        .collect();
    frame.charge(1 + found.len() as u64)?;
    Ok(found)
}

/// Notes a session under its key.
pub(super) fn index(
    frame: &mut Frame<'_>,
    window: &Window<'_>,
    pane: Pane,
    name: &[u8],
) -> Result<(), Raise> {
    let mut entry = index_key(name);
    key::write_int(&mut entry, pane.start);
    let mut stop = Vec::with_capacity(9);
    msgpack::write_int(&mut stop, pane.stop);
    put(frame, window.bucket, &entry, &stop)
}

/// Forgets a session, or any span.
pub(super) fn delete(
    frame: &mut Frame<'_>,
    window: &Window<'_>,
    pane: Pane,
    name: &[u8],
) -> Result<(), Raise> {
    kept::delete(frame, window.bucket, &pane.key(name))?;
    let mut entry = index_key(name);
    key::write_int(&mut entry, pane.start);
    kept::delete(frame, window.bucket, &entry).map(drop)
}

/// Pushes the list of the spans that end by `due`, or of all; with `remove` they are gone then.
pub(super) fn give(
    frame: &mut Frame<'_>,
    window: &Window<'_>,
    parts: i32,
    due: Option<i64>,
    remove: bool,
) -> Result<usize, Raise> {
    let (mut from, mut to) = (Vec::new(), Vec::new());
    key::begin_tuple(&mut from);
    key::begin_tuple(&mut to);
    match due.and_then(|due| due.checked_add(1)) {
        Some(end) => key::write_int(&mut to, end),
        // Times are the tuples that begin with a number; all strings come after them.
        None => key::write_element(&mut to, b""),
    }
    let cursor = frame.host().state.open(window.bucket, &from, &to, u64::MAX, false);
    frame.push_table(0, 0);
    frame.mark_array();
    let mut ranking = Ranking::new(frame, parts);
    let (mut entry, mut value, mut name) = (Vec::new(), Vec::new(), Vec::new());
    let mut count = 0_usize;
    while kept::step(frame, cursor, &mut entry, &mut value)? == Some(true) {
        if let Some(pane) = Pane::read(&entry, &mut name) {
            if count.is_multiple_of(RECORDS_CHECK) {
                frame.check_memory(RECORDS_BYTES)?;
            }
            count += 1;
            frame.charge(8 + value.len() as u64 / 16)?;
            match &mut ranking {
                None => append_record(frame, parts, pane, &name, &value)?,
                Some(ranking) => ranking.add(frame, parts, pane, &name, &value)?,
            }
            if remove {
                delete(frame, window, pane, &name)?;
            }
        }
        for scratch in [&mut entry, &mut value, &mut name] {
            scratch.clear();
        }
    }
    if let Some(mut ranking) = ranking {
        ranking.finish(frame, parts)?;
    }
    Ok(1)
}

/// Appends a result to the list on top.
pub(super) fn append_record(
    frame: &mut Frame<'_>,
    parts: i32,
    pane: Pane,
    name: &[u8],
    value: &[u8],
) -> Result<(), Raise> {
    push_record(frame, parts, pane, name, value)?;
    let len = frame.raw_len(-2) as i64;
    frame.raw_seti(-2, len + 1);
    Ok(())
}

fn push_record(
    frame: &mut Frame<'_>,
    parts: i32,
    pane: Pane,
    name: &[u8],
    value: &[u8],
) -> Result<(), Raise> {
    let nulls = frame.host().nulls;
    frame.push_table(0, 5);
    push_key(frame, name)?;
    frame.set_field(-2, "key");
    frame.push_int(pane.start);
    frame.set_field(-2, "start");
    frame.push_int(pane.stop);
    frame.set_field(-2, "stop");
    frame.push_value(value, nulls)?;
    frame.set_field(-2, "value");
    match frame.raw_geti(parts, TOPIC) {
        Kind::String => frame.set_field(-2, "$topic"),
        _ => frame.pop(1),
    }
    Ok(())
}
