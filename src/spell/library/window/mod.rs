//! `window`: groups what arrives by key and by spans of the energies' own time.
//!
//! ```lua
//! local hourly = window.tumbling{ size = "1h", late = "5m", fold = "sum", topic = "sales.hourly" }
//!
//! return {
//!   topic = "sales.placed",
//!   cast = function(event, envelope)
//!     return hourly:add(event.country, envelope.time, event.amount)
//!   end,
//! }
//! -- gives { ["$topic"] = "sales.hourly", key = "DE", start = 1517360400000, stop = 1517364000000, value = 42 }
//! ```
//!
//! **Kinds.** A span covers the times from `start` on, before `stop`, in milliseconds since the epoch.
//!
//! - `window.tumbling{ size = }`: spans side by side, cut at multiples of `size`.
//! - `window.hopping{ size =, every = }`: one begins at each multiple of `every`; they overlap where `size` is
//!   longer. At most 1,000 cover one moment, and what arrives counts in each of them.
//! - `window.session{ gap = }`: a span for each burst of one key, which ends `gap` after its last energy. What lies
//!   between two bursts and is near enough to both makes them one.
//!
//! **Options** of all kinds, durations being milliseconds or text such as `"10s"`:
//!
//! - `fold`: a function `(accumulator, value, key)` that returns the new accumulator, or changes the table it got
//!   and returns nothing; or one of `"count"`, `"sum"`, `"min"`, `"max"`, `"first"`, `"last"`, `"list"`, the
//!   default. Where none is stated, `add` also takes a function `(accumulator)` in place of the value.
//! - `initial`: the first accumulator, else nil: data, of which each window gets a copy, or a function.
//! - `late`: how long a window stays open after its end, for energies that come out of order; default 0.
//! - `merge`: `(earlier, later)` to one accumulator; a session with a fold of its own and `late` needs it.
//! - `topic`: the `$topic` of each result.
//! - `late_topic`: what comes too late is in the list that `add` returns, too: `{ ["$topic"] =, key =, time =, value = }`.
//! - `top`, not of sessions: of each span only so many keys come out, those with the highest values, highest first.
//! - `name`: of the bucket that keeps the data, `window.NAME`; by default made of kind and sizes. Two windows of
//!   a spell need two names.
//!
//! **Methods**
//!
//! - `w:add(key, time, value)` adds one value and returns the list of windows that are complete now, in order of
//!   their ends: `{ key =, start =, stop =, value = }`. A key is any key of `state`; without a time, the input's.
//! - `w:advance(time)` completes what ends by then; for `tick(now)`, so that quiet times end windows, too.
//! - `w:close()` completes everything, for `unprepare`; `w:open()` lists what is open and leaves it so.
//! - `w:late()` is how many values came too late and were not counted in.
//!
//! **Time** is that of the energies: a window is complete once something arrived whose time is `late` past its
//! end, whatever its key. No clock is asked, so a replay cuts where the first run did; one energy from the far
//! future completes everything.
//!
//! Everything is kept in `state`: it is bounded by `limits.state_bytes`, undone when the cast faults, and in a
//! spell with a lane apart for each lane key, with a time of its own. Make windows at the top of the file or in
//! `prepare`, not in a cast.

mod fold;
mod options;
mod panes;
mod ranking;

use super::state::{check_write, push_key, push_stored, read_key, store, with_scratch};
use super::{extend, marks};
use crate::spell::raw::{Entry, Frame, Kind as Value, Raise};
use options::{Kind, Window};
use panes::Pane;

/// The class of windows; the payload is what [`Window`] reads.
const CLASS: &str = "window";
const CONSTRUCTORS: &[Entry] = &[("tumbling", tumbling), ("hopping", hopping), ("session", session)];
const METHODS: &[Entry] =
    &[("add", add), ("advance", advance), ("close", close), ("open", open), ("late", late)];

/// Sets `window`.
pub(crate) fn install(frame: &mut Frame<'_>) {
    frame.push_registry();
    frame.push_table(0, 4);
    frame.set_field(-2, options::REGISTRY);
    frame.pop(1);
    super::install_class(frame, CLASS, METHODS);
    frame.push_globals();
    extend(frame, "window", CONSTRUCTORS);
    frame.pop(1);
}

fn tumbling(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    options::make(frame, Kind::Tumbling)
}

fn hopping(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    options::make(frame, Kind::Hopping)
}

fn session(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    options::make(frame, Kind::Session)
}

/// The window that a method was called on.
fn own_window<'l>(frame: &mut Frame<'l>, method: &str) -> Result<Window<'l>, Raise> {
    let payload = super::own_payload(frame, CLASS, "w", method)?;
    check_write(frame)?;
    Window::read(payload).ok_or_else(|| Raise::message("this window is damaged"))
}

fn add(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let window = own_window(frame, "add")?;
    let mut name = Vec::new();
    read_key(frame, 2, &mut name, false)?;
    let at = frame.opt_int(3)?.unwrap_or_else(|| frame.host().input.time_ms);
    let seen = marks::time(frame, window.bucket)?;
    let parts = options::push_parts(frame, &window);
    let taken = match window.kind {
        Kind::Session => add_to_session(frame, &window, parts, &name, at, seen)?,
        _ => add_to_spans(frame, &window, parts, &name, at, seen)?,
    };
    if !taken {
        marks::count_late(frame, window.bucket)?;
    }
    let now = marks::pass(frame, window.bucket, at)?;
    panes::give(frame, &window, parts, window.due(now), true)?;
    if !taken {
        append_late(frame, parts, &name, at)?;
    }
    Ok(1)
}

/// Appends a value that came too late to the list on top, where the window has a `late_topic`.
fn append_late(frame: &mut Frame<'_>, parts: i32, name: &[u8], at: i64) -> Result<(), Raise> {
    if frame.raw_geti(parts, options::LATE_TOPIC) != Value::String {
        frame.pop(1);
        return Ok(());
    }
    frame.push_table(0, 4);
    frame.insert(2);
    frame.set_field(-2, "$topic");
    push_key(frame, name)?;
    frame.set_field(-2, "key");
    frame.push_int(at);
    frame.set_field(-2, "time");
    if !frame.is_none(4) && frame.kind(4) != Value::Function {
        frame.push_copy(4);
        frame.set_field(-2, "value");
    }
    let len = frame.raw_len(-2) as i64;
    frame.raw_seti(-2, len + 1);
    Ok(())
}

/// Folds the value into every span that covers its time; false when all are complete.
fn add_to_spans(
    frame: &mut Frame<'_>,
    window: &Window<'_>,
    parts: i32,
    name: &[u8],
    at: i64,
    seen: i64,
) -> Result<bool, Raise> {
    let mut taken = false;
    for start in window.starts(at) {
        let pane = Pane { start, stop: start.saturating_add(window.size) };
        if window.is_due(pane.stop, seen) {
            continue;
        }
        taken = true;
        let place = pane.key(name);
        if !with_scratch(|_, value| push_stored(frame, window.bucket, &place, value))? {
            fold::push_initial(frame, parts)?;
        }
        fold::apply(frame, parts)?;
        with_scratch(|_, value| store(frame, window.bucket, &place, -1, value))?;
        frame.pop(1);
    }
    Ok(taken)
}

/// Folds the value into the session that it belongs to, or begins one; false when that would be complete.
fn add_to_session(
    frame: &mut Frame<'_>,
    window: &Window<'_>,
    parts: i32,
    name: &[u8],
    at: i64,
    seen: i64,
) -> Result<bool, Raise> {
    let mut joined = Pane { start: at, stop: at.saturating_add(window.size) };
    let mut found = Vec::new();
    for pane in panes::sessions(frame, window, name)? {
        if !(at < pane.stop && at.saturating_add(window.size) > pane.start) {
            continue;
        }
        if !with_scratch(|_, value| push_stored(frame, window.bucket, &pane.key(name), value))? {
            continue;
        }
        found.push(pane);
        if found.len() > 1 {
            fold::merge(frame, parts)?;
        }
        joined = Pane { start: joined.start.min(pane.start), stop: joined.stop.max(pane.stop) };
    }
    if found.is_empty() {
        if window.is_due(joined.stop, seen) {
            return Ok(false);
        }
        fold::push_initial(frame, parts)?;
    }
    fold::apply(frame, parts)?;
    // Not before: a fold may fail, and the spell may catch that.
    for pane in found {
        panes::delete(frame, window, pane, name)?;
    }
    with_scratch(|_, value| store(frame, window.bucket, &joined.key(name), -1, value))?;
    frame.pop(1);
    panes::index(frame, window, joined, name)?;
    Ok(true)
}

fn advance(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let window = own_window(frame, "advance")?;
    let now = frame.int(2)?;
    let now = marks::pass(frame, window.bucket, now)?;
    let parts = options::push_parts(frame, &window);
    panes::give(frame, &window, parts, window.due(now), true)
}

fn close(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let window = own_window(frame, "close")?;
    let parts = options::push_parts(frame, &window);
    panes::give(frame, &window, parts, None, true)
}

fn open(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let window = own_window(frame, "open")?;
    let parts = options::push_parts(frame, &window);
    panes::give(frame, &window, parts, None, false)
}

fn late(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let window = own_window(frame, "late")?;
    let count = marks::late(frame, window.bucket)?;
    frame.push_int(count);
    Ok(1)
}
