//! `sanctum.top{ n = }`: the keys with the highest scores.
//!
//! ```lua
//! local best = sanctum.top{ n = 3 }
//!
//! return {
//!   topic = "game.scored",
//!   cast = function(event)
//!     if best:add(event.player, event.points) then return { ["$topic"] = "game.leaders", leaders = best:list() } end
//!   end,
//! }
//! ```
//!
//! - `t:add(key, score, value)` says that the score of a key is this now, whatever it was; whether the list is
//!   another one for it. A nil score takes the key out. `value` is what the list should tell besides.
//! - `t:list()` gives `{ key =, score =, value = }`, highest first; of equal scores, in the order of the keys.
//! - `name`: of the bucket, `top.NAME`.
//!
//! No more than `n` keys are kept. That is exact as long as scores only grow, as counts and maxima do. Where they
//! fall, a key that fell out comes back when it is added again, and not before: keep more than are shown.
//!
//! Entries of the bucket: `{-score, KEY}` leads to the record, `{KEY}` to the score; `KEY` is the encoded key, as a
//! string.

use super::score::Score;
use super::state::{bad_value, check_phase, check_write, put, read_key, with_scratch};
use super::{kept, settings};
use crate::spell::raw::{Entry, Frame, Raise};
use crate::state::key;

/// The class; the payload is `n` and the bucket.
const CLASS: &str = "top";
pub(super) const MAKER: Entry = ("top", top);
const METHODS: &[Entry] = &[("add", add), ("list", list)];

/// Keys that one keeps at most.
const COUNT_MAX: i64 = 10_000;

pub(crate) fn install(frame: &mut Frame<'_>) {
    super::install_class(frame, CLASS, METHODS);
}

struct Top<'l> {
    n: i64,
    bucket: &'l [u8],
}

fn top(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    settings::check_place(frame, "sanctum.top", "it")?;
    frame.table(1)?;
    super::state::check_options(frame, 1, &["n", "name"])?;
    let n = settings::count(frame, "n", COUNT_MAX)?
        .ok_or_else(|| settings::bad("`n` must be stated, such as n = 10"))?;
    let bucket = settings::bucket(frame, CLASS, || n.to_string())?;
    settings::take(frame, &bucket)?;
    let mut payload = n.to_le_bytes().to_vec();
    payload.extend_from_slice(bucket.as_bytes());
    frame.push_object(CLASS, &payload);
    Ok(1)
}

fn own<'l>(frame: &mut Frame<'l>, method: &str) -> Result<Top<'l>, Raise> {
    let payload = super::own_payload(frame, CLASS, "t", method)?;
    check_phase(frame)?;
    let (n, bucket) = payload.split_first_chunk().ok_or_else(|| Raise::message("this top is damaged"))?;
    Ok(Top { n: i64::from_le_bytes(*n), bucket })
}

/// `{KEY}`
fn score_key(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 4);
    key::begin_tuple(&mut out);
    key::write_element(&mut out, name);
    out
}

/// Where the records begin and end: tuples that begin with a number.
fn records() -> (Vec<u8>, Vec<u8>) {
    let (mut from, mut to) = (Vec::new(), Vec::new());
    key::begin_tuple(&mut from);
    key::begin_tuple(&mut to);
    key::write_element(&mut to, b"");
    (from, to)
}

fn add(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let top = own(frame, "add")?;
    check_write(frame)?;
    let mut name = Vec::new();
    read_key(frame, 2, &mut name, false)?;
    let score = Score::read(frame, 3)?;
    let old = kept::look(frame, top.bucket, &score_key(&name), Score::stored)?.flatten();
    frame.charge(2 + name.len() as u64 / 16)?;
    let changed = match score {
        None => remove(frame, &top, &name, old)?,
        Some(score) => with_scratch(|_, record| set(frame, &top, &name, old, score, record))?,
    };
    frame.push_bool(changed);
    Ok(1)
}

fn remove(frame: &mut Frame<'_>, top: &Top<'_>, name: &[u8], old: Option<Score>) -> Result<bool, Raise> {
    frame.charge(2)?;
    let Some(old) = old else { return Ok(false) };
    kept::delete(frame, top.bucket, &old.place(name))?;
    kept::delete(frame, top.bucket, &score_key(name))
}

fn set(
    frame: &mut Frame<'_>,
    top: &Top<'_>,
    name: &[u8],
    old: Option<Score>,
    score: Score,
    record: &mut Vec<u8>,
) -> Result<bool, Raise> {
    let place = score.place(name);
    if old.is_none() && is_full(frame, top)? && last(frame, top)?.is_some_and(|last| place > last) {
        return Ok(false);
    }
    push_record(frame);
    let bytes_max = frame.host().limits.event_bytes as usize;
    frame.encode(-1, record, bytes_max).map_err(|error| bad_value("the value cannot be kept", &error))?;
    frame.pop(1);
    if kept::look(frame, top.bucket, &place, |found| found == record.as_slice())? == Some(true) {
        return Ok(false);
    }
    remove(frame, top, name, old)?;
    if is_full(frame, top)? {
        drop_last(frame, top)?;
    }
    put(frame, top.bucket, &score_key(name), &score.encode())?;
    put(frame, top.bucket, &place, record)?;
    Ok(true)
}

/// Pushes what the list tells of the arguments.
fn push_record(frame: &mut Frame<'_>) {
    frame.push_table(0, 3);
    for (index, name) in [(2, "key"), (3, "score"), (4, "value")] {
        if !frame.is_none(index) {
            frame.push_copy(index as i32);
            frame.set_field(-2, name);
        }
    }
}

fn is_full(frame: &mut Frame<'_>, top: &Top<'_>) -> Result<bool, Raise> {
    Ok(kept::count(frame, top.bucket)? as i64 >= 2 * top.n)
}

/// The key of the last record.
fn last(frame: &mut Frame<'_>, top: &Top<'_>) -> Result<Option<Vec<u8>>, Raise> {
    let (from, to) = records();
    let last = kept::range(frame, top.bucket, (&from, &to), 1, true)?.pop();
    Ok(last.map(|(place, _)| place))
}

fn drop_last(frame: &mut Frame<'_>, top: &Top<'_>) -> Result<(), Raise> {
    frame.charge(4)?;
    let Some(place) = last(frame, top)? else { return Ok(()) };
    let mut name = Vec::new();
    let element = key::elements(&place).and_then(|rest| key::skip(rest).ok());
    if element.is_some_and(|element| key::read_element(element, &mut name).is_ok()) {
        kept::delete(frame, top.bucket, &score_key(&name))?;
    }
    kept::delete(frame, top.bucket, &place).map(drop)
}

fn list(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let top = own(frame, "list")?;
    let nulls = frame.host().nulls;
    let (from, to) = records();
    frame.push_table(0, 0);
    frame.mark_array();
    let cursor = frame.host().state.open(top.bucket, &from, &to, u64::MAX, false);
    let mut count = 0;
    while with_scratch(|place, record| {
        frame.charge(4)?;
        if kept::step(frame, cursor, place, record)? != Some(true) {
            return Ok(false);
        }
        frame.charge(4 + record.len() as u64 / 16)?;
        frame.push_value(record, nulls)?;
        count += 1;
        frame.raw_seti(-2, count);
        Ok(true)
    })? {}
    Ok(1)
}
