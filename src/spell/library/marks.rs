//! Scalars in the bucket of a window, a table and the like: the time that it has come to, what came too late.

use super::kept;
use super::state::put;
use crate::event::msgpack;
use crate::spell::raw::{Frame, Raise};
use crate::state::key;

/// The highest time that arrived.
const TIME: &[u8] = b"time";
/// How many values came too late.
const LATE: &[u8] = b"late";

fn scalar(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8);
    key::write_string(&mut out, name);
    out
}

fn put_int(frame: &mut Frame<'_>, bucket: &[u8], name: &[u8], value: i64) -> Result<(), Raise> {
    let mut bytes = Vec::with_capacity(9);
    msgpack::write_int(&mut bytes, value);
    put(frame, bucket, &scalar(name), &bytes)
}

/// The highest time that arrived; `i64::MIN` before the first.
pub(super) fn time(frame: &mut Frame<'_>, bucket: &[u8]) -> Result<i64, Raise> {
    Ok(kept::int(frame, bucket, &scalar(TIME))?.unwrap_or(i64::MIN))
}

/// Notes a time that arrived; gives the highest.
pub(super) fn pass(frame: &mut Frame<'_>, bucket: &[u8], at: i64) -> Result<i64, Raise> {
    let seen = time(frame, bucket)?;
    if at > seen {
        put_int(frame, bucket, TIME, at)?;
    }
    Ok(at.max(seen))
}

/// How many values came too late.
pub(super) fn late(frame: &mut Frame<'_>, bucket: &[u8]) -> Result<i64, Raise> {
    Ok(kept::int(frame, bucket, &scalar(LATE))?.unwrap_or(0))
}

/// Counts one that came too late.
pub(super) fn count_late(frame: &mut Frame<'_>, bucket: &[u8]) -> Result<(), Raise> {
    let count = late(frame, bucket)?;
    put_int(frame, bucket, LATE, count + 1)
}
