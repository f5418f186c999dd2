//! `sanctum.dedupe{ within = }`: which keys are new, and which came before within a span of the energies' own time.
//!
//! ```lua
//! local orders = sanctum.dedupe{ within = "10m" }
//!
//! return {
//!   topic = "orders.placed",
//!   cast = function(event)
//!     if orders:add(event.order) then return { ["$topic"] = "orders.once", order = event.order } end
//!   end,
//! }
//! ```
//!
//! - `d:add(key, time)` is true where no energy of the key was taken less than `within` before or after, and takes
//!   it; else false. Duplicates are not taken, so they make the span no longer. Without a time, the input's.
//! - Keys are remembered for `within` and `late` more, after that forgotten. What is older than the highest time by
//!   more than `late`, by default `within`, cannot be judged: `add` gives nil, and `d:late()` counts it.
//! - `name`: of the bucket, `dedupe.NAME`.
//!
//! Entries of the bucket: `{KEY, time}` and, to forget them in order, `{time, KEY}`; `KEY` is the encoded key, as a
//! string. An `add` forgets [`SWEEP`] of them at most, so none is long.

use super::state::{check_write, put, read_key};
use super::{kept, marks, settings};
use crate::event::msgpack;
use crate::spell::raw::{Entry, Frame, Raise};
use crate::state::key;

/// The class; the payload is what [`Dedupe`] reads.
const CLASS: &str = "dedupe";
pub(super) const MAKER: Entry = ("dedupe", dedupe);
const METHODS: &[Entry] = &[("add", add), ("late", late)];

/// Keys that an `add` forgets at most: more than the one that it adds.
const SWEEP: u64 = 8;

pub(crate) fn install(frame: &mut Frame<'_>) {
    super::install_class(frame, CLASS, METHODS);
}

struct Dedupe<'l> {
    within: i64,
    late: i64,
    bucket: &'l [u8],
}

impl<'l> Dedupe<'l> {
    fn read(payload: &'l [u8]) -> Option<Self> {
        let (within, rest) = payload.split_first_chunk()?;
        let (late, bucket) = rest.split_first_chunk()?;
        Some(Self { within: i64::from_le_bytes(*within), late: i64::from_le_bytes(*late), bucket })
    }
}

fn dedupe(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    settings::check_place(frame, "sanctum.dedupe", "it")?;
    frame.table(1)?;
    super::state::check_options(frame, 1, &["within", "late", "name"])?;
    let within = settings::duration(frame, "within")?.filter(|within| *within > 0).ok_or_else(|| {
        settings::bad("`within` must be stated, and longer than zero, such as within = \"10m\"")
    })?;
    let late = settings::duration(frame, "late")?.unwrap_or(within);
    let bucket = settings::bucket(frame, CLASS, || settings::duration_text(within))?;
    settings::take(frame, &bucket)?;
    let mut payload = Vec::with_capacity(16 + bucket.len());
    payload.extend_from_slice(&within.to_le_bytes());
    payload.extend_from_slice(&late.to_le_bytes());
    payload.extend_from_slice(bucket.as_bytes());
    frame.push_object(CLASS, &payload);
    Ok(1)
}

fn own<'l>(frame: &mut Frame<'l>, method: &str) -> Result<Dedupe<'l>, Raise> {
    let payload = super::own_payload(frame, CLASS, "d", method)?;
    check_write(frame)?;
    Dedupe::read(payload).ok_or_else(|| Raise::message("this dedupe is damaged"))
}

fn add(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let dedupe = own(frame, "add")?;
    let mut name = Vec::new();
    read_key(frame, 2, &mut name, false)?;
    let at = frame.opt_int(3)?.unwrap_or_else(|| frame.host().input.time_ms);
    let seen = marks::time(frame, dedupe.bucket)?;
    if at < seen.saturating_sub(dedupe.late) {
        marks::count_late(frame, dedupe.bucket)?;
        frame.push_nil();
        return Ok(1);
    }
    let is_new = !is_taken(frame, &dedupe, &name, at)?;
    if is_new {
        let mut yes = Vec::with_capacity(1);
        msgpack::write_bool(&mut yes, true);
        put(frame, dedupe.bucket, &by_key(&name, at), &yes)?;
        put(frame, dedupe.bucket, &by_time(at, &name), &yes)?;
    }
    let now = marks::pass(frame, dedupe.bucket, at)?;
    sweep(frame, &dedupe, now.saturating_sub(dedupe.within).saturating_sub(dedupe.late))?;
    frame.push_bool(is_new);
    Ok(1)
}

fn late(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let dedupe = own(frame, "late")?;
    let count = marks::late(frame, dedupe.bucket)?;
    frame.push_int(count);
    Ok(1)
}

fn by_key(name: &[u8], at: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 16);
    key::begin_tuple(&mut out);
    key::write_element(&mut out, name);
    key::write_int(&mut out, at);
    out
}

fn by_time(at: i64, name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 16);
    key::begin_tuple(&mut out);
    key::write_int(&mut out, at);
    key::write_element(&mut out, name);
    out
}

/// Whether the key was taken less than `within` from a time.
fn is_taken(frame: &mut Frame<'_>, dedupe: &Dedupe<'_>, name: &[u8], at: i64) -> Result<bool, Raise> {
    frame.charge(2 + name.len() as u64 / 16)?;
    let from = kept::after(by_key(name, at.saturating_sub(dedupe.within)));
    let to = by_key(name, at.saturating_add(dedupe.within));
    Ok(!kept::range(frame, dedupe.bucket, (&from, &to), 1, false)?.is_empty())
}

/// Forgets the oldest of what was taken by `due`.
fn sweep(frame: &mut Frame<'_>, dedupe: &Dedupe<'_>, due: i64) -> Result<(), Raise> {
    let mut from = Vec::new();
    key::begin_tuple(&mut from);
    let mut to = from.clone();
    key::write_int(&mut to, due.saturating_add(1));
    let old = kept::range(frame, dedupe.bucket, (&from, &to), SWEEP, false)?;
    let mut name = Vec::new();
    for (entry, _) in &old {
        name.clear();
        let Some((at, len)) = key::elements(entry).and_then(|rest| key::read_int(rest).ok()) else {
            continue;
        };
        if key::read_element(&entry[1 + len..], &mut name).is_ok() {
            kept::delete(frame, dedupe.bucket, &by_key(&name, at))?;
        }
        kept::delete(frame, dedupe.bucket, entry)?;
    }
    frame.charge(1 + 2 * old.len() as u64)
}
