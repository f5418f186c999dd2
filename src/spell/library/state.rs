//! `state` and `sanctum.bucket(name)`: what a spell remembers from one cast to the next.
//!
//! ```lua
//! state.total = (state.total or 0) + event.amount      -- read, write; nil deletes
//! state[{ event.country, event.city }] = event         -- a list of scalars is a key, too
//! state:get(key, default)    state:set(key, value)     -- for every key, `get` and `count` included
//! state:delete(key)                                    -- whether it was there
//! state:count()                                        -- how many keys
//! for key, value in state:range{ from = {10}, to = {20} } do ... end
//! for key, value in pairs(state) do ... end
//! local seen = sanctum.bucket("seen")                  -- another map, used in the same way
//! ```
//!
//! - A key is a string, a number, a boolean or a list of those; 2 and 2.0 are one key, as in a table. Keys have an
//!   order: `false`, `true`, numbers by value, strings bytewise, lists element by element.
//! - A value is what an energy may hold, `null` included, up to `limits.event_bytes`. It is a copy: after
//!   `local user = state.user`, changes to `user` are kept by `state.user = user`, and in no other way.
//! - `range` takes `from` (inclusive), `to` (exclusive), `prefix` (of a string, or the first elements of a list),
//!   `limit` and `reverse`. The map may change while it runs; it sees what is ahead of it as it is then.
//!   The iterator ends with the cast.
//! - `state.get` and the other methods are the methods, so keys of these names are written with `state:set`.
//! - All writes of a cast are undone when it faults. While a file is loaded there is no state.
//! - In a spell with a lane, `state` is that of the current lane key.

use std::cell::Cell;

use super::{extend, kept};
use crate::event::suggest::suggest;
use crate::spell::host::Phase;
use crate::spell::raw::{EncodeError, Entry, Frame, Kind, Raise};
use crate::state::{CursorId, key};

/// The class of `state` and of buckets; the payload is the bucket's name.
const CLASS: &str = "state";
const METHODS: &[Entry] =
    &[("get", get), ("set", set), ("delete", delete), ("range", range), ("count", count)];
const METAMETHODS: &[Entry] = &[("__newindex", set_index), ("__pairs", pairs)];
const INDEX: &Entry = &("state", index);
const NEXT: &Entry = &("range", next);
const SANCTUM: &[Entry] = &[("bucket", bucket)];
const OPTIONS: [&str; 5] = ["from", "to", "prefix", "limit", "reverse"];

/// Bytes of a bucket's name at most.
pub(super) const NAME_BYTES_MAX: usize = 255;
/// Work of opening a cursor, which takes memory that the VM does not see.
const CURSOR_WORK: u64 = 64;
/// Scratch buffers that grew past this are given back.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

/// Sets `state` and `sanctum.bucket`.
pub(crate) fn install(frame: &mut Frame<'_>) {
    frame.push_class(CLASS);
    super::define(frame, METAMETHODS);
    frame.push_table(0, METHODS.len());
    super::define(frame, METHODS);
    frame.push_native(INDEX, 1);
    frame.set_field(-2, "__index");
    frame.pop(1);
    frame.push_globals();
    frame.push_object(CLASS, b"");
    frame.set_field(-2, "state");
    extend(frame, "sanctum", SANCTUM);
    frame.pop(1);
}

thread_local! {
    static SCRATCH: Cell<(Vec<u8>, Vec<u8>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// Lends two empty buffers that keep their memory from call to call.
pub(super) fn with_scratch<T>(
    work: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>) -> Result<T, Raise>,
) -> Result<T, Raise> {
    let (mut key, mut value) = SCRATCH.take();
    key.clear();
    value.clear();
    let result = work(&mut key, &mut value);
    if value.capacity() <= SCRATCH_BYTES_MAX {
        SCRATCH.set((key, value));
    }
    result
}

/// Fails where no cast, and none of the spell's hooks, runs.
pub(super) fn check_phase(frame: &mut Frame<'_>) -> Result<(), Raise> {
    if frame.host().phase == Phase::Load {
        let text = "there is no state while a file is loaded; use it in prepare, cast, tick or unprepare";
        return Err(Raise::message(text));
    }
    Ok(())
}

/// Fails in a filter, which looks at an energy and changes nothing.
pub(super) fn check_write(frame: &mut Frame<'_>) -> Result<(), Raise> {
    check_phase(frame)?;
    if frame.host().phase == Phase::Filter {
        return Err(Raise::message("a filter cannot change state; do it in cast"));
    }
    Ok(())
}

/// The bucket that a method was called on.
fn own_bucket<'l>(frame: &mut Frame<'l>, method: &str) -> Result<&'l [u8], Raise> {
    match frame.object(1, CLASS) {
        Ok(bucket) => {
            check_phase(frame)?;
            Ok(bucket)
        }
        Err(_) => {
            let found = frame.type_name(1);
            Err(Raise::argument(1, format!("state expected, got {found}; write `state:{method}(...)`")))
        }
    }
}

fn bad_key(error: &key::KeyError) -> Raise {
    Raise::message(error.to_string())
}

/// What is wrong with a value that cannot be encoded.
pub(super) fn bad_value(what: &str, error: &EncodeError) -> Raise {
    match error {
        EncodeError::Work => Raise::Limit,
        error => Raise::message(format!("{what}: {error}")),
    }
}

/// Appends the key at an index of the stack; with `bound` the empty list is one.
pub(super) fn read_key(
    frame: &mut Frame<'_>,
    index: i32,
    out: &mut Vec<u8>,
    bound: bool,
) -> Result<(), Raise> {
    match frame.kind(index) {
        Kind::String => match usize::try_from(index) {
            Ok(index) if index <= frame.args() => key::write_string(out, frame.bytes(index)?),
            _ => key::write_string(out, &frame.copy_bytes(index).unwrap_or_default()),
        },
        Kind::Integer => key::write_int(out, frame.int_at(index).unwrap_or_default()),
        Kind::Float => {
            key::write_float(out, frame.number_at(index).unwrap_or_default()).map_err(|e| bad_key(&e))?
        }
        Kind::Boolean => key::write_bool(out, frame.truthy(index)),
        Kind::Table => {
            let mut list = Vec::new();
            frame.encode(index, &mut list, key::BYTES_MAX).map_err(|error| match error {
                EncodeError::TooLarge(_) => bad_key(&key::KeyError::TooLong(list.len())),
                error => bad_value("this cannot be a key", &error),
            })?;
            frame.charge(list.len() as u64 / 8)?;
            let encoded = if bound { key::encode_bound(&list, out) } else { key::encode(&list, out) };
            encoded.map_err(|error| bad_key(&error))?;
        }
        _ => {
            let found = frame.type_name(index);
            let text =
                format!("a key is a string, a number, a boolean or a list of those, not {}", article(found));
            return Err(Raise::message(text));
        }
    }
    if out.len() > key::BYTES_MAX { Err(bad_key(&key::KeyError::TooLong(out.len()))) } else { Ok(()) }
}

fn article(name: &str) -> String {
    match name {
        "nil" | "null" | "no value" => name.to_owned(),
        name => format!("a {name}"),
    }
}

/// Pushes a stored value; false, and nothing is pushed, where there is none. `value` is scratch.
pub(super) fn push_stored(
    frame: &mut Frame<'_>,
    bucket: &[u8],
    key: &[u8],
    value: &mut Vec<u8>,
) -> Result<bool, Raise> {
    if kept::look(frame, bucket, key, |found| value.extend_from_slice(found))?.is_none() {
        frame.charge(1)?;
        return Ok(false);
    }
    let nulls = frame.host().nulls;
    frame.charge(1 + value.len() as u64 / 16)?;
    frame.push_value(value, nulls)?;
    Ok(true)
}

/// Keeps the value at an index of the stack; nil deletes. `value` is scratch.
pub(super) fn store(
    frame: &mut Frame<'_>,
    bucket: &[u8],
    key: &[u8],
    index: i32,
    value: &mut Vec<u8>,
) -> Result<(), Raise> {
    check_write(frame)?;
    if matches!(frame.kind(index), Kind::Nil | Kind::None) {
        frame.charge(1)?;
        check_write(frame)?;
        return kept::delete(frame, bucket, key).map(drop);
    }
    let bytes_max = frame.host().limits.event_bytes as usize;
    let mut encoded = frame.encode(index, value, bytes_max);
    if encoded.is_ok() && value.len() > bytes_max {
        encoded = Err(EncodeError::TooLarge(bytes_max));
    }
    encoded.map_err(|error| bad_value("the value cannot be kept", &error))?;
    put(frame, bucket, key, value)
}

/// Keeps an encoded value.
pub(super) fn put(frame: &mut Frame<'_>, bucket: &[u8], key: &[u8], value: &[u8]) -> Result<(), Raise> {
    frame.charge(2 + (key.len() + value.len()) as u64 / 16)?;
    check_write(frame)?;
    kept::put(frame, bucket, key, value)
}

/// Pushes a key as the value it was made of.
pub(super) fn push_key(frame: &mut Frame<'_>, key: &[u8]) -> Result<(), Raise> {
    if let Some(bytes) = key::as_string(key) {
        return frame.push_bytes(bytes);
    }
    let mut plain = Vec::new();
    key::decode(key, &mut plain).map_err(|error| bad_key(&error))?;
    frame.push_value(&plain, true)
}

fn index(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bucket = frame.object(1, CLASS)?;
    if frame.kind(2) == Kind::String
        && let Some(method) = method(frame.bytes(2)?)
    {
        frame.push_upvalue(1);
        frame.get_field(-1, method);
        return Ok(1);
    }
    check_phase(frame)?;
    with_scratch(|key, value| {
        read_key(frame, 2, key, false)?;
        if !push_stored(frame, bucket, key, value)? {
            frame.push_nil();
        }
        Ok(1)
    })
}

/// Whether state has a method of this name, which then is no key.
pub(crate) fn is_method(name: &str) -> bool {
    method(name.as_bytes()).is_some()
}

#[inline]
fn method(name: &[u8]) -> Option<&'static str> {
    if !(3..=6).contains(&name.len()) {
        return None;
    }
    METHODS.iter().map(|(method, _)| *method).find(|method| method.as_bytes() == name)
}

fn set_index(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bucket = frame.object(1, CLASS)?;
    check_phase(frame)?;
    if frame.kind(2) == Kind::String
        && let Some(name) = method(frame.bytes(2)?)
    {
        return Err(Raise::message(format!(
            "`{name}` is a method of state; for a key of that name write state:set(\"{name}\", value) and state:get(\"{name}\")"
        )));
    }
    with_scratch(|key, value| {
        read_key(frame, 2, key, false)?;
        store(frame, bucket, key, 3, value)?;
        Ok(0)
    })
}

fn get(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bucket = own_bucket(frame, "get")?;
    with_scratch(|key, value| {
        read_key(frame, 2, key, false)?;
        if !push_stored(frame, bucket, key, value)? {
            if frame.is_none(3) {
                frame.push_nil();
            } else {
                frame.push_copy(3);
            }
        }
        Ok(1)
    })
}

fn set(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bucket = own_bucket(frame, "set")?;
    with_scratch(|key, value| {
        read_key(frame, 2, key, false)?;
        store(frame, bucket, key, 3, value)?;
        Ok(0)
    })
}

fn delete(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bucket = own_bucket(frame, "delete")?;
    check_write(frame)?;
    with_scratch(|key, _| {
        read_key(frame, 2, key, false)?;
        frame.charge(1)?;
        check_write(frame)?;
        let deleted = kept::delete(frame, bucket, key)?;
        frame.push_bool(deleted);
        Ok(1)
    })
}

fn count(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bucket = own_bucket(frame, "count")?;
    let count = kept::count(frame, bucket)?;
    frame.push_int(count as i64);
    Ok(1)
}

fn bucket(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let name = frame.text(1)?;
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Raise::argument(1, format!("a bucket's name has 1 to {NAME_BYTES_MAX} bytes")));
    }
    frame.push_object(CLASS, name.as_bytes());
    Ok(1)
}

// --- ranges ---

fn pairs(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bucket = frame.object(1, CLASS)?;
    check_phase(frame)?;
    push_walk(frame, bucket, &[], &[0xff], u64::MAX, false)
}

fn range(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bucket = own_bucket(frame, "range")?;
    if frame.is_absent(2) {
        return push_walk(frame, bucket, &[], &[0xff], u64::MAX, false);
    }
    frame.table(2)?;
    check_options(frame, 2, &OPTIONS)?;
    let (mut from, mut to) = (Vec::new(), vec![0xff]);
    if frame.get_field(2, "from") != Kind::Nil {
        read_key(frame, -1, &mut from, true)?;
    }
    if frame.get_field(2, "to") != Kind::Nil {
        to.clear();
        read_key(frame, -1, &mut to, true)?;
    }
    match frame.get_field(2, "prefix") {
        Kind::Nil => {}
        Kind::String | Kind::Table => {
            let mut prefix = Vec::new();
            read_key(frame, -1, &mut prefix, true)?;
            let mut end = prefix.clone();
            key::end_of_prefix(&mut end, 0);
            from = from.max(prefix);
            to = to.min(end);
        }
        _ => {
            let text = format!("`prefix` is a string or a list, not {}", article(frame.type_name(-1)));
            return Err(Raise::argument(2, text));
        }
    }
    let limit = match (frame.get_field(2, "limit"), frame.int_at(-1).or_else(|| whole(frame.number_at(-1)))) {
        (Kind::Nil, _) => u64::MAX,
        (_, Some(limit)) if limit >= 0 => limit as u64,
        _ => return Err(Raise::argument(2, "`limit` is a whole number of 0 or more")),
    };
    let reverse = match frame.get_field(2, "reverse") {
        Kind::Nil => false,
        Kind::Boolean => frame.truthy(-1),
        _ => return Err(Raise::argument(2, "`reverse` is true or false")),
    };
    push_walk(frame, bucket, &from, &to, limit, reverse)
}

/// The integer that a float is.
pub(super) fn whole(number: Option<f64>) -> Option<i64> {
    number.filter(|number| number.fract() == 0.0 && number.abs() < 9e15).map(|number| number as i64)
}

/// Refuses names that an options table at `table` does not have.
pub(super) fn check_options(frame: &mut Frame<'_>, table: i32, known: &[&'static str]) -> Result<(), Raise> {
    frame.push_nil();
    while frame.next(table) {
        frame.pop(1);
        let name = match frame.kind(-1) {
            Kind::String => frame.copy_bytes(-1).unwrap_or_default(),
            _ => frame.type_name(-1).as_bytes().to_vec(),
        };
        let name = String::from_utf8_lossy(&name);
        if !known.contains(&&*name) {
            let nearest = suggest(&name, known.iter().copied());
            let hint = nearest.map_or(String::new(), |nearest| format!("; did you mean `{nearest}`?"));
            let text = format!("unknown option `{name}`{hint} (known: {})", known.join(", "));
            return Err(Raise::argument(table as usize, text));
        }
    }
    Ok(())
}

/// Pushes an iterator.
fn push_walk(
    frame: &mut Frame<'_>,
    bucket: &[u8],
    from: &[u8],
    to: &[u8],
    limit: u64,
    reverse: bool,
) -> Result<usize, Raise> {
    frame.charge(CURSOR_WORK)?;
    let id = frame.host().state.open(bucket, from, to, limit, reverse);
    frame.push_int(i64::from(id.slot));
    frame.push_int(id.serial as i64);
    frame.push_native(NEXT, 2);
    Ok(1)
}

fn next(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.push_upvalue(1);
    frame.push_upvalue(2);
    let (Some(slot), Some(serial)) = (frame.int_at(-2), frame.int_at(-1)) else {
        frame.push_nil();
        return Ok(1);
    };
    let id = CursorId { slot: slot as u32, serial: serial as u64 };
    with_scratch(|key, value| {
        frame.charge(2)?;
        let nulls = frame.host().nulls;
        match kept::step(frame, id, key, value)? {
            Some(true) => {
                frame.charge((key.len() + value.len()) as u64 / 16)?;
                push_key(frame, key)?;
                frame.push_value(value, nulls)?;
                Ok(2)
            }
            Some(false) => {
                frame.push_nil();
                frame.set_upvalue(1);
                frame.push_nil();
                Ok(1)
            }
            None => {
                Err(Raise::message("this iterator belongs to an earlier cast; call range or pairs again"))
            }
        }
    })
}
