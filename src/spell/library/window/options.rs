//! What a window is made of: numbers in the object itself, functions and the like in the registry.

use super::super::settings::{bad, bucket, check_place, count, duration, duration_text, take};
use super::super::state::check_options;
use super::{CLASS, fold};
use crate::spell::raw::{Frame, Kind as Value, Raise};

/// Where the registry keeps the parts of the VM's windows, by bucket.
pub(super) const REGISTRY: &str = "windows";

/// Elements of a window's parts.
pub(super) const FOLD: i64 = 1;
pub(super) const INITIAL: i64 = 2;
pub(super) const MERGE: i64 = 3;
pub(super) const TOPIC: i64 = 4;
pub(super) const LATE_TOPIC: i64 = 5;
pub(super) const TOP: i64 = 6;

/// Spans that one moment may lie in.
const OVERLAP_MAX: i64 = 1000;
/// Results that `top` leaves of a span at most.
const TOP_MAX: i64 = 10_000;

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
            Self::Tumbling => &["size", "fold", "initial", "late", "late_topic", "top", "topic", "name"],
            Self::Hopping => {
                &["size", "every", "fold", "initial", "late", "late_topic", "top", "topic", "name"]
            }
            Self::Session => &["gap", "fold", "initial", "late", "late_topic", "merge", "topic", "name"],
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
    check_place(frame, &format!("window.{}", kind.name()), "a window")?;
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
            .ok_or_else(|| bad("`every` must be stated, such as every = \"10m\""))?,
        _ => size,
    };
    if every > size {
        return Err(bad("`every` is longer than `size`: what arrives between two windows would be lost"));
    }
    if (size - 1) / every >= OVERLAP_MAX {
        return Err(bad(format!("with this `every`, more than {OVERLAP_MAX} windows cover one moment")));
    }
    let late = duration(frame, "late")?.unwrap_or(0);
    let bucket = bucket(frame, "window", || match kind {
        Kind::Hopping => format!("{}-{}-{}", kind.name(), duration_text(size), duration_text(every)),
        _ => format!("{}-{}", kind.name(), duration_text(size)),
    })?;
    frame.push_registry();
    frame.get_field(-1, REGISTRY);
    push_new_parts(frame, kind, late)?;
    take(frame, &bucket)?;
    frame.set_field(-2, &bucket);
    frame.pop(2);
    let window = Window { kind, size, every, late, bucket: bucket.as_bytes() };
    frame.push_object(CLASS, &window.payload());
    Ok(1)
}

/// Pushes the table of a new window's parts.
fn push_new_parts(frame: &mut Frame<'_>, kind: Kind, late: i64) -> Result<(), Raise> {
    frame.push_table(6, 0);
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
            return Err(bad("a session with `fold` and `late` needs `merge`, a function (earlier, later)"));
        }
        Value::Nil => {}
        _ => return Err(bad("`merge` is a function (earlier, later)")),
    }
    frame.raw_seti(parts, MERGE);
    for (name, part) in [("topic", TOPIC), ("late_topic", LATE_TOPIC)] {
        match frame.get_field(1, name) {
            Value::Nil | Value::String => frame.raw_seti(parts, part),
            _ => return Err(bad(format!("`{name}` is a string"))),
        }
    }
    if kind != Kind::Session
        && let Some(top) = count(frame, "top", TOP_MAX)?
    {
        frame.push_int(top);
        frame.raw_seti(parts, TOP);
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
