//! The state, on behalf of natives: reads and writes that stop the cast where a limit is passed, and end the run where
//! the state cannot be read.

use crate::event::msgpack::{self, Token};
use crate::log::Pair;
use crate::spell::raw::{Frame, Raise, Stop};
use crate::state::{CursorId, Denied, Unread};

fn checked<T>(frame: &mut Frame<'_>, result: Result<T, Unread>) -> Result<T, Raise> {
    result.map_err(|Unread| frame.stop(Stop::Unread))
}

/// Looks at a stored value.
pub(super) fn look<T>(
    frame: &mut Frame<'_>,
    bucket: &[u8],
    key: &[u8],
    look: impl FnOnce(&[u8]) -> T,
) -> Result<Option<T>, Raise> {
    let found = frame.host().state.get(bucket, key).map(|found| found.map(look));
    checked(frame, found)
}

/// The integer that a stored value is.
pub(super) fn int(frame: &mut Frame<'_>, bucket: &[u8], key: &[u8]) -> Result<Option<i64>, Raise> {
    let found = look(frame, bucket, key, |found| match msgpack::token_at(found) {
        Ok(Token::Int(value)) => Some(value),
        _ => None,
    });
    Ok(found?.flatten())
}

/// Keeps an encoded value. Nothing is charged.
pub(super) fn put(frame: &mut Frame<'_>, bucket: &[u8], key: &[u8], value: &[u8]) -> Result<(), Raise> {
    frame.host().state.put(bucket, key, value).map_err(|denied| {
        frame.stop(match denied {
            Denied::Full { .. } => Stop::State,
            Denied::Unread(_) => Stop::Unread,
        })
    })
}

/// Forgets a key; false when it was not there.
pub(super) fn delete(frame: &mut Frame<'_>, bucket: &[u8], key: &[u8]) -> Result<bool, Raise> {
    let deleted = frame.host().state.delete(bucket, key);
    checked(frame, deleted)
}

/// How many keys a bucket has.
pub(super) fn count(frame: &mut Frame<'_>, bucket: &[u8]) -> Result<usize, Raise> {
    let count = frame.host().state.count(bucket);
    checked(frame, count)
}

/// Moves a cursor on: `Some(false)` at the end, `None` for one of an earlier cast.
pub(super) fn step(
    frame: &mut Frame<'_>,
    id: CursorId,
    key: &mut Vec<u8>,
    value: &mut Vec<u8>,
) -> Result<Option<bool>, Raise> {
    let found = frame.host().state.step(id, key, value);
    checked(frame, found)
}

/// The entries of a bucket from one key on, before another, at most `limit`: the last ones first if `reverse`.
pub(super) fn range(
    frame: &mut Frame<'_>,
    bucket: &[u8],
    (from, to): (&[u8], &[u8]),
    limit: u64,
    reverse: bool,
) -> Result<Vec<Pair>, Raise> {
    let id = frame.host().state.open(bucket, from, to, limit, reverse);
    let mut found = Vec::new();
    loop {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        if step(frame, id, &mut key, &mut value)? != Some(true) {
            return Ok(found);
        }
        found.push((key, value));
    }
}

/// The first key after one.
pub(super) fn after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}
