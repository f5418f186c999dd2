//! What the makers of windows, tables and the like read from their options: durations, names, topics.

use super::state::{NAME_BYTES_MAX, whole};
use crate::runeset::units::Unit;
use crate::spell::host::Phase;
use crate::spell::raw::{Frame, Kind, Raise};

/// Where the registry keeps the buckets that are taken.
const TAKEN: &str = "kept";
/// The longest duration: some 89,000 years.
const DURATION_MAX: u64 = i64::MAX as u64 >> 8;

/// Makes the registry's table of taken buckets.
pub(crate) fn install(frame: &mut Frame<'_>) {
    frame.push_registry();
    frame.push_table(0, 4);
    frame.set_field(-2, TAKEN);
    frame.pop(1);
}

/// What is wrong with the options.
pub(super) fn bad(message: impl Into<String>) -> Raise {
    Raise::argument(1, message)
}

/// Fails in a cast: what is made here has to be there in every run, and in the same order.
pub(super) fn check_place(frame: &mut Frame<'_>, function: &str, what: &str) -> Result<(), Raise> {
    if matches!(frame.host().phase, Phase::Load | Phase::Prepare) {
        return Ok(());
    }
    Err(Raise::message(format!(
        "{function} belongs at the top of the file or in prepare: {what} lives as long as the spell"
    )))
}

/// An option in milliseconds, as a number or as text.
pub(super) fn duration(frame: &mut Frame<'_>, name: &str) -> Result<Option<i64>, Raise> {
    let found = match frame.get_field(1, name) {
        Kind::Nil => None,
        Kind::Integer => Some(frame.int_at(-1).and_then(|value| u64::try_from(value).ok())),
        Kind::Float => Some(whole(frame.number_at(-1)).and_then(|value| u64::try_from(value).ok())),
        Kind::String => {
            let text = frame.copy_bytes(-1).unwrap_or_default();
            let parsed = Unit::Milliseconds.parse(&String::from_utf8_lossy(&text));
            Some(Some(parsed.map_err(|error| bad(format!("`{name}`: {error}")))?))
        }
        _ => Some(None),
    };
    frame.pop(1);
    match found {
        None => Ok(None),
        Some(Some(value)) if value <= DURATION_MAX => Ok(Some(value as i64)),
        _ => Err(bad(format!("`{name}` is a duration: milliseconds, or text such as \"10s\""))),
    }
}

/// A duration as text, for names.
pub(super) fn duration_text(ms: i64) -> String {
    Unit::Milliseconds.format(ms as u64)
}

/// A whole number from 1 to `max`.
pub(super) fn count(frame: &mut Frame<'_>, name: &str, max: i64) -> Result<Option<i64>, Raise> {
    let found = match frame.get_field(1, name) {
        Kind::Nil => None,
        _ => Some(frame.int_at(-1).or_else(|| whole(frame.number_at(-1)))),
    };
    frame.pop(1);
    match found {
        None => Ok(None),
        Some(Some(value)) if (1..=max).contains(&value) => Ok(Some(value)),
        _ => Err(bad(format!("`{name}` is a whole number from 1 to {max}"))),
    }
}

/// A topic; empty where none is stated.
pub(super) fn topic(frame: &mut Frame<'_>, name: &str) -> Result<Vec<u8>, Raise> {
    let topic = match frame.get_field(1, name) {
        Kind::Nil => Vec::new(),
        Kind::String => frame.copy_bytes(-1).unwrap_or_default(),
        _ => return Err(bad(format!("`{name}` is a string"))),
    };
    frame.pop(1);
    Ok(topic)
}

/// The name of the bucket, `FAMILY.NAME`, NAME being what `name` states.
pub(super) fn bucket(
    frame: &mut Frame<'_>,
    family: &str,
    default: impl FnOnce() -> String,
) -> Result<String, Raise> {
    let name = match frame.get_field(1, "name") {
        Kind::Nil => default(),
        Kind::String => {
            let name = String::from_utf8(frame.copy_bytes(-1).unwrap_or_default());
            name.map_err(|_| bad("`name` is not valid UTF-8"))?
        }
        _ => return Err(bad("`name` is a string")),
    };
    frame.pop(1);
    let bucket = format!("{family}.{name}");
    if name.is_empty() || bucket.len() > NAME_BYTES_MAX {
        return Err(bad(format!("`name` has 1 to {} bytes", NAME_BYTES_MAX - family.len() - 1)));
    }
    Ok(bucket)
}

/// Takes a bucket, which nothing else of the spell may have.
pub(super) fn take(frame: &mut Frame<'_>, bucket: &str) -> Result<(), Raise> {
    frame.push_registry();
    frame.get_field(-1, TAKEN);
    if frame.get_field(-1, bucket) != Kind::Nil {
        let (family, name) = bucket.split_once('.').unwrap_or_default();
        return Err(bad(format!(
            "there is a {family} named `{name}` already; give one of them another `name`"
        )));
    }
    frame.pop(1);
    frame.push_bool(true);
    frame.set_field(-2, bucket);
    frame.pop(2);
    Ok(())
}
