//! `sanctum.table{ name = }`: rows that change with time, to join energies with.
//!
//! ```lua
//! local customers = sanctum.table{ name = "customers", late = "5m", topic = "orders.joined" }
//!
//! return {
//!   topic = { "customers.changed", "orders.placed" },
//!   cast = function(event, envelope)
//!     if event["$topic"] == "customers.changed" then return customers:set(event.id, envelope.time, event) end
//!     return customers:join(event.customer, envelope.time, event)
//!   end,
//! }
//! -- gives { ["$topic"] = "orders.joined", key = 7, time = 1517360400000, value = { .. }, row = { .. } }
//! ```
//!
//! - `t:set(key, time, row)`: this is the row from that time on; nil for none.
//! - `t:get(key, time)`: the row as it was at that time.
//! - `t:join(key, time, value)`: the value with the row of its key, as it was at the time of the value. It waits
//!   until `late` has passed by the energies' times, so that neither has to come in order; with `late` 0, the
//!   default, it does not wait. Without a row it comes without `row`.
//! - `t:advance(time)` says that it is that time, for `tick`; `t:close()` lets nothing wait, for `unprepare`.
//! - `set`, `join`, `advance` and `close` return the list of what waits no longer, in the order of the times.
//! - `t:late()`: how many rows and values were older than the highest time by more than `late`. Such a value is
//!   joined at once, with the oldest row that is known where its own is not, and marked `late = true`. Such a row
//!   holds for what is joined from then on, unless there is a newer one that is settled, too.
//!
//! **Bounds.** A row is kept while it is the newest of its key, and for `late` after another has replaced it.
//! Without a time, it is the input's. Like windows, tables are kept in `state`: in a spell with a lane, apart for
//! each lane key.

mod rows;

use super::state::{bad_value, check_phase, check_write, put, read_key, with_scratch};
use super::{kept, marks, settings};
use crate::event::msgpack;
use crate::spell::raw::{EncodeError, Entry, Frame, Kind, Raise};
use crate::state::key;
use rows::Waiting;

/// The class; the payload is what [`Table`] reads.
const CLASS: &str = "sanctum.table";
pub(super) const MAKER: Entry = ("table", table);
const METHODS: &[Entry] =
    &[("set", set), ("get", get), ("join", join), ("advance", advance), ("close", close), ("late", late)];

/// Records between two looks at the VM's memory, and what they may take, about.
const RECORDS_CHECK: i64 = 256;
const RECORDS_BYTES: usize = 256 * 512;

pub(crate) fn install(frame: &mut Frame<'_>) {
    super::install_class(frame, CLASS, METHODS);
}

/// What a table's object says.
struct Table<'l> {
    late: i64,
    topic: &'l [u8],
    bucket: &'l [u8],
}

impl<'l> Table<'l> {
    fn read(payload: &'l [u8]) -> Option<Self> {
        let (late, rest) = payload.split_first_chunk()?;
        let (topic_len, rest) = rest.split_first_chunk()?;
        let (topic, bucket) = rest.split_at_checked(u64::from_le_bytes(*topic_len) as usize)?;
        Some(Self { late: i64::from_le_bytes(*late), topic, bucket })
    }

    /// The time before which everything is settled, `now` being the highest that arrived.
    fn horizon(&self, now: i64) -> i64 {
        if now == i64::MIN { now } else { now.saturating_sub(self.late) }
    }
}

fn table(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    settings::check_place(frame, "sanctum.table", "a table")?;
    frame.table(1)?;
    super::state::check_options(frame, 1, &["name", "late", "topic"])?;
    if frame.get_field(1, "name") == Kind::Nil {
        return Err(settings::bad("`name` must be stated, such as name = \"customers\""));
    }
    frame.pop(1);
    let late = settings::duration(frame, "late")?.unwrap_or(0);
    let topic = settings::topic(frame, "topic")?;
    let bucket = settings::bucket(frame, "table", String::new)?;
    settings::take(frame, &bucket)?;
    let mut payload = late.to_le_bytes().to_vec();
    payload.extend_from_slice(&(topic.len() as u64).to_le_bytes());
    payload.extend_from_slice(&topic);
    payload.extend_from_slice(bucket.as_bytes());
    frame.push_object(CLASS, &payload);
    Ok(1)
}

fn own<'l>(frame: &mut Frame<'l>, method: &str) -> Result<Table<'l>, Raise> {
    let payload = super::own_payload(frame, CLASS, "t", method)?;
    if method == "get" {
        check_phase(frame)?
    } else {
        check_write(frame)?
    }
    Table::read(payload).ok_or_else(|| Raise::message("this table is damaged"))
}

/// Key and time, arguments 2 and 3.
fn place(frame: &mut Frame<'_>) -> Result<(Vec<u8>, i64), Raise> {
    let mut name = Vec::new();
    read_key(frame, 2, &mut name, false)?;
    let at = frame.opt_int(3)?.unwrap_or_else(|| frame.host().input.time_ms);
    Ok((name, at))
}

/// The encoded argument 4; nil where there is none.
fn encode_value(frame: &mut Frame<'_>, what: &str, out: &mut Vec<u8>) -> Result<(), Raise> {
    if frame.is_absent(4) {
        msgpack::write_nil(out);
        return Ok(());
    }
    let bytes_max = frame.host().limits.event_bytes as usize;
    frame.encode(4, out, bytes_max).map_err(|error| bad_value(what, &error))?;
    if out.len() <= bytes_max { Ok(()) } else { Err(bad_value(what, &EncodeError::TooLarge(bytes_max))) }
}

fn set(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let table = own(frame, "set")?;
    let (name, at) = place(frame)?;
    let horizon = table.horizon(marks::time(frame, table.bucket)?);
    let mut is_useful = true;
    if at < horizon {
        marks::count_late(frame, table.bucket)?;
        is_useful = rows::newest(frame, &table, &name, horizon)?.is_none_or(|(newer, _)| newer <= at);
    }
    if is_useful {
        with_scratch(|_, row| {
            encode_value(frame, "the row cannot be kept", row)?;
            put(frame, table.bucket, &rows::row_key(&name, at), row)
        })?;
        rows::tidy_once_settled(frame, &table, &name, at)?;
    }
    let now = marks::pass(frame, table.bucket, at)?;
    push_list(frame);
    give(frame, &table, Some(table.horizon(now)))
}

fn get(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let table = own(frame, "get")?;
    let (name, at) = place(frame)?;
    let horizon = table.horizon(marks::time(frame, table.bucket)?);
    if !push_row(frame, &table, &name, at, at < horizon)? {
        frame.push_nil();
    }
    Ok(1)
}

fn join(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let table = own(frame, "join")?;
    let (name, at) = place(frame)?;
    let horizon = table.horizon(marks::time(frame, table.bucket)?);
    let is_late = at < horizon;
    push_list(frame);
    if is_late {
        marks::count_late(frame, table.bucket)?;
    }
    let now = marks::pass(frame, table.bucket, at)?;
    // Straight through: without `late` nothing ever waits, and what is late is before all that waits.
    if is_late || table.late == 0 {
        push_pair(frame, &table, &name, at, is_late)?;
        if frame.is_absent(4) {
            frame.push_nil()
        } else {
            frame.push_copy(4)
        }
        frame.set_field(-2, "value");
        frame.raw_seti(-2, 1);
    } else {
        with_scratch(|_, value| {
            encode_value(frame, "the value cannot be kept", value)?;
            let waiting = Waiting { at, number: rows::next_number(frame, &table)? };
            put(frame, table.bucket, &waiting.key(&name), value)
        })?;
    }
    give(frame, &table, Some(table.horizon(now)))
}

fn advance(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let table = own(frame, "advance")?;
    let now = frame.int(2)?;
    let now = marks::pass(frame, table.bucket, now)?;
    push_list(frame);
    give(frame, &table, Some(table.horizon(now)))
}

fn close(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let table = own(frame, "close")?;
    push_list(frame);
    give(frame, &table, None)
}

fn late(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let table = own(frame, "late")?;
    let count = marks::late(frame, table.bucket)?;
    frame.push_int(count);
    Ok(1)
}

fn push_list(frame: &mut Frame<'_>) {
    frame.push_table(0, 0);
    frame.mark_array();
}

/// Appends what waits for a time before `horizon` to the list on top, in the order of the times; without one all values,
/// and no row is forgotten for it.
fn give(frame: &mut Frame<'_>, table: &Table<'_>, horizon: Option<i64>) -> Result<usize, Raise> {
    let (from, to) = rows::waiting_before(horizon);
    let cursor = frame.host().state.open(table.bucket, &from, &to, u64::MAX, false);
    let (mut entry, mut value, mut name) = (Vec::new(), Vec::new(), Vec::new());
    let mut count = frame.raw_len(-1) as i64;
    loop {
        for scratch in [&mut entry, &mut value, &mut name] {
            scratch.clear();
        }
        frame.charge(2)?;
        if kept::step(frame, cursor, &mut entry, &mut value)? != Some(true) {
            return Ok(1);
        }
        let Some(waiting) = Waiting::read(&entry, &mut name) else { continue };
        if waiting.number == 0 && horizon.is_none() {
            continue;
        }
        kept::delete(frame, table.bucket, &entry)?;
        if waiting.number == 0 {
            rows::tidy(frame, table, &name, waiting.at)?;
            continue;
        }
        if count % RECORDS_CHECK == 0 {
            frame.check_memory(RECORDS_BYTES)?;
        }
        frame.charge(8 + value.len() as u64 / 16)?;
        push_pair(frame, table, &name, waiting.at, false)?;
        let nulls = frame.host().nulls;
        frame.push_value(&value, nulls)?;
        frame.set_field(-2, "value");
        count += 1;
        frame.raw_seti(-2, count);
    }
}

/// Pushes what becomes of a value, without the value.
fn push_pair(
    frame: &mut Frame<'_>,
    table: &Table<'_>,
    name: &[u8],
    at: i64,
    is_late: bool,
) -> Result<(), Raise> {
    frame.push_table(0, 6);
    super::state::push_key(frame, name)?;
    frame.set_field(-2, "key");
    frame.push_int(at);
    frame.set_field(-2, "time");
    if push_row(frame, table, name, at, is_late)? {
        frame.set_field(-2, "row");
    }
    if is_late {
        frame.push_bool(true);
        frame.set_field(-2, "late");
    }
    if !table.topic.is_empty() {
        frame.push_bytes(table.topic)?;
        frame.set_field(-2, "$topic");
    }
    Ok(())
}

/// Pushes the row as it was at a time; false, and nothing is pushed, where there is none.
fn push_row(
    frame: &mut Frame<'_>,
    table: &Table<'_>,
    name: &[u8],
    at: i64,
    is_late: bool,
) -> Result<bool, Raise> {
    let mut found = rows::newest(frame, table, name, at)?;
    if found.is_none() && is_late {
        found = rows::oldest(frame, table, name)?;
    }
    match found {
        Some((_, row)) if !rows::is_none(&row) => {
            let nulls = frame.host().nulls;
            frame.push_value(&row, nulls)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}
