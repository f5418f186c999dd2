//! What a window is made of: numbers in the object itself, functions and the like in the registry.

use super::super::state::{NAME_BYTES_MAX, check_options, whole};
use super::{CLASS, fold};
use crate::runeset::units::Unit;
use crate::spell::host::Phase;
use crate::spell::raw::{Frame, Kind as Value, Raise};

/// Where the registry keeps the parts of the VM's windows, by bucket.
pub(super) const REGISTRY: &str = "windows";

/// Elements of a window's parts.
pub(super) const FOLD: i64 = 1;
pub(super) const INITIAL: i64 = 2;
pub(super) const MERGE: i64 = 3;
pub(super) const TOPIC: i64 = 4;

/// Spans that one moment may lie in.
const OVERLAP_MAX: i64 = 1000;
/// The longest duration: some 89,000 years.
const DURATION_MAX: u64 = i64::MAX as u64 >> 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tumbling,
    Hopping,
    Session,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Tumbling => "tumbling",
            Self::Hopping => "hopping",
            Self::Session => "session",
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Tumbling => &["size", "fold", "initial", "late", "topic", "name"],
            Self::Hopping => &["size", "every", "fold", "initial", "late", "topic", "name"],
            Self::Session => &["gap", "fold", "initial", "late", "merge", "topic", "name"],
        }
    }
}

/// The payload of a window's object.
pub(super) struct Window<'l> {
    pub kind: Kind,
    /// A session's gap.
    pub size: i64,
    pub every: i64,
    pub late: i64,
    pub bucket: &'l [u8],
}

impl<'l> Window<'l> {
    pub fn read(payload: &'l [u8]) -> Option<Self> {
        let (kind, rest) = payload.split_first()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (every, rest) = rest.split_first_chunk()?;
        let (late, bucket) = rest.split_first_chunk()?;
        let kind =
            [Kind::Tumbling, Kind::Hopping, Kind::Session].into_iter().find(|known| *known as u8 == *kind)?;
        let [size, every, late] = [size, every, late].map(|bytes| i64::from_le_bytes(*bytes));
        Some(Self { kind, size, every, late, bucket })
    }

    fn payload(&self) -> Vec<u8> {
        let mut out = vec![self.kind as u8];
        for number in [self.size, self.every, self.late] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(self.bucket);
        out
    }

    /// The starts of the spans that cover a time, earliest first.
    pub fn starts(&self, at: i64) -> impl Iterator<Item = i64> + use<> {
        let (size, every) = (self.size, self.every);
        let last = at.saturating_sub(at.rem_euclid(every));
        let more = (size - (at.saturating_sub(last)) - 1).div_euclid(every);
        (0..=more).rev().map(move |step| last.saturating_sub(step * every))
    }

    /// The latest end of what is complete once `now` has arrived.
    pub fn due(&self, now: i64) -> Option<i64> {
        Some(now.saturating_sub(self.late))
    }

    pub fn is_due(&self, stop: i64, now: i64) -> bool {
        now != i64::MIN && stop <= now.saturating_sub(self.late)
    }
}

/// Makes a window of the options that argument 1 is.
pub(super) fn make(frame: &mut Frame<'_>, kind: Kind) -> Result<usize, Raise> {
    if !matches!(frame.host().phase, Phase::Load | Phase::Prepare) {
        return Err(Raise::message(format!(
            "window.{} belongs at the top of the file or in prepare: a window lives as long as the spell",
            kind.name()
        )));
    }
    frame.table(1)?;
    check_options(frame, 1, kind.options())?;
    let size_name = if kind == Kind::Session { "gap" } else { "size" };
    let size = duration(frame, size_name)?
        .ok_or_else(|| bad(format!("`{size_name}` must be stated, such as {size_name} = \"1h\"")))?;
    if size <= 0 {
        return Err(bad(format!("`{size_name}` must be longer than zero")));
    }
    let every = match kind {
        Kind::Hopping => duration(frame, "every")?
            .filter(|every| *every > 0)
            .ok_or_else(|| bad("`every` must be stated, such as every = \"10m\"".into()))?,
        _ => size,
    };
    if every > size {
        return Err(bad(
            "`every` is longer than `size`: what arrives between two windows would be lost".into()
        ));
    }
    if (size - 1) / every >= OVERLAP_MAX {
        return Err(bad(format!("with this `every`, more than {OVERLAP_MAX} windows cover one moment")));
    }
    let late = duration(frame, "late")?.unwrap_or(0);
    let bucket = bucket(frame, kind, size, every)?;
    frame.push_registry();
    frame.get_field(-1, REGISTRY);
    if frame.get_field(-1, &bucket) != Value::Nil {
        let name = bucket.trim_start_matches("window.");
        return Err(bad(format!(
            "there is a window named `{name}` already; give one of them another `name`"
        )));
    }
    frame.pop(1);
    push_new_parts(frame, kind, late)?;
    frame.set_field(-2, &bucket);
    frame.pop(2);
    let window = Window { kind, size, every, late, bucket: bucket.as_bytes() };
    frame.push_object(CLASS, &window.payload());
    Ok(1)
}

fn bad(message: String) -> Raise {
    Raise::argument(1, message)
}

/// Milliseconds, as a number or as text.
fn duration(frame: &mut Frame<'_>, name: &str) -> Result<Option<i64>, Raise> {
    let found = match frame.get_field(1, name) {
        Value::Nil => None,
        Value::Integer => Some(frame.int_at(-1).and_then(|value| u64::try_from(value).ok())),
        Value::Float => Some(whole(frame.number_at(-1)).and_then(|value| u64::try_from(value).ok())),
        Value::String => {
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

/// The name of the bucket.
fn bucket(frame: &mut Frame<'_>, kind: Kind, size: i64, every: i64) -> Result<String, Raise> {
    let name = match frame.get_field(1, "name") {
        Value::Nil => {
            let text = |value: i64| Unit::Milliseconds.format(value as u64);
            match kind {
                Kind::Hopping => format!("{}-{}-{}", kind.name(), text(size), text(every)),
                _ => format!("{}-{}", kind.name(), text(size)),
            }
        }
        Value::String => {
            let name = String::from_utf8(frame.copy_bytes(-1).unwrap_or_default());
            name.map_err(|_| bad("`name` is not valid UTF-8".into()))?
        }
        _ => return Err(bad("`name` is a string".into())),
    };
    frame.pop(1);
    let bucket = format!("window.{name}");
    if name.is_empty() || bucket.len() > NAME_BYTES_MAX {
        return Err(bad(format!("`name` has 1 to {} bytes", NAME_BYTES_MAX - "window.".len())));
    }
    Ok(bucket)
}

/// Pushes the table of a new window's parts.
fn push_new_parts(frame: &mut Frame<'_>, kind: Kind, late: i64) -> Result<(), Raise> {
    frame.push_table(4, 0);
    let parts = frame.top();
    let own_fold = match frame.get_field(1, "fold") {
        Value::Function => true,
        Value::Nil => false,
        Value::String => {
            let name = frame.copy_bytes(-1).unwrap_or_default();
            let code = fold::code(&String::from_utf8_lossy(&name)).map_err(bad)?;
            frame.pop(1);
            frame.push_int(code);
            false
        }
        _ => return Err(bad(fold::code("").err().unwrap_or_default())),
    };
    frame.raw_seti(parts, FOLD);
    match frame.get_field(1, "initial") {
        Value::Nil | Value::Function => {}
        _ => {
            let bytes_max = frame.host().limits.event_bytes as usize;
            let mut value = Vec::new();
            frame
                .encode(-1, &mut value, bytes_max)
                .map_err(|error| bad(format!("`initial` cannot be kept: {error}")))?;
            frame.pop(1);
            frame.push_bytes(&value)?;
        }
    }
    frame.raw_seti(parts, INITIAL);
    match frame.get_field(1, "merge") {
        Value::Function => {}
        Value::Nil if kind == Kind::Session && own_fold && late > 0 => {
            return Err(bad(
                "a session with `fold` and `late` needs `merge`, a function (earlier, later)".into()
            ));
        }
        Value::Nil => {}
        _ => return Err(bad("`merge` is a function (earlier, later)".into())),
    }
    frame.raw_seti(parts, MERGE);
    match frame.get_field(1, "topic") {
        Value::Nil | Value::String => frame.raw_seti(parts, TOPIC),
        _ => return Err(bad("`topic` is a string".into())),
    }
    Ok(())
}

/// Pushes the parts of a window; gives their index.
pub(super) fn push_parts(frame: &mut Frame<'_>, window: &Window<'_>) -> i32 {
    frame.push_registry();
    frame.get_field(-1, REGISTRY);
    frame.drop_below_top();
    frame.get_field(-1, std::str::from_utf8(window.bucket).unwrap_or_default());
    frame.drop_below_top();
    frame.top()
}
