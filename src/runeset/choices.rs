//! The values of options that are more than text or an amount: durability, fault, start, batch.

use std::fmt;

use rmpv::Value;
use thiserror::Error;

use super::units::{Measure, Unit, UnitError, kind_of};
use crate::event::msgpack::has_empty_part;
use crate::event::suggest::suggest;

/// Why the value of an option was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OptionError {
    /// Another type than the option takes.
    #[error("expected {expected}, got {found}")]
    WrongType {
        /// What is taken.
        expected: &'static str,
        /// What was given.
        found: &'static str,
    },
    /// An empty text where it has no meaning.
    #[error("expected {0}, got an empty string")]
    Empty(&'static str),
    /// Not one of the words.
    #[error("`{given}` is not one of {known}")]
    UnknownChoice {
        /// The word as written.
        given: String,
        /// The words that are taken.
        known: String,
        /// The nearest of them.
        nearest: Option<&'static str>,
    },
    /// A bad amount.
    #[error("{0}")]
    Amount(#[from] UnitError),
    /// A bad time.
    #[error("`{given}` is not `new`, `oldest`, a position or an RFC 3339 time such as 2026-01-31T12:00:00Z")]
    BadStart {
        /// The text.
        given: String,
    },
    /// What cannot be in an energy: too deep, a map as a key ...
    #[error("{0}")]
    BadData(String),
}

impl OptionError {
    /// The word or unit that was probably meant.
    #[must_use]
    pub fn nearest(&self) -> Option<&'static str> {
        match self {
            OptionError::UnknownChoice { nearest, .. } => *nearest,
            OptionError::Amount(error) => error.nearest(),
            _ => None,
        }
    }

    pub(super) fn wrong_type(expected: &'static str, value: &Value) -> Self {
        OptionError::WrongType { expected, found: kind_of(value) }
    }
}

/// Reads a text that is not empty.
pub fn text(value: &Value, expected: &'static str) -> Result<String, OptionError> {
    match value.as_str() {
        Some("") => Err(OptionError::Empty(expected)),
        Some(text) => Ok(text.to_string()),
        None => Err(OptionError::wrong_type(expected, value)),
    }
}

/// Reads `true` or `false`, as text too, which is what references to the environment become.
pub fn flag(value: &Value) -> Result<bool, OptionError> {
    match (value.as_bool(), value.as_str()) {
        (Some(flag), _) => Ok(flag),
        (None, Some("true")) => Ok(true),
        (None, Some("false")) => Ok(false),
        _ => Err(OptionError::wrong_type("true or false", value)),
    }
}

/// Reads the dotted path of a field.
pub fn path(value: &Value, expected: &'static str) -> Result<String, OptionError> {
    let path = text(value, expected)?;
    match has_empty_part(&path) {
        true => Err(OptionError::BadData(format!("the path `{path}` has an empty part"))),
        false => Ok(path),
    }
}

/// What is wrong with texts: an error for each, in a list with the item's number.
pub type TextErrors = Vec<(Option<usize>, OptionError)>;

/// Reads a text or a list of texts; a list has at least one. One that is refused is empty in the result.
pub fn texts(value: &Value, expected: &'static str) -> (Vec<String>, TextErrors) {
    let mut errors = Vec::new();
    let mut read = |index, item| {
        text(item, expected).unwrap_or_else(|error| {
            errors.push((index, error));
            String::new()
        })
    };
    let texts = match value {
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| read(Some(index), item)).collect()
        }
        one => vec![read(None, one)],
    };
    if texts.is_empty() {
        errors.push((None, OptionError::WrongType { expected, found: "an empty list" }));
    }
    (texts, errors)
}

/// Reads one of several words.
pub fn choice(value: &Value, words: &[(&'static str, &str)]) -> Result<&'static str, OptionError> {
    let given = value.as_str().ok_or_else(|| OptionError::wrong_type("a word", value))?;
    let names = words.iter().map(|(word, _)| *word);
    names.clone().find(|word| *word == given).ok_or_else(|| OptionError::UnknownChoice {
        given: given.into(),
        known: names.clone().collect::<Vec<_>>().join(", "),
        nearest: suggest(given, names.clone()),
    })
}

/// When an acknowledged energy is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Acknowledged means synced; concurrent appends share one sync.
    #[default]
    Commit,
    /// Synced at least every so many milliseconds.
    IntervalMs(u64),
    /// Left to the operating system.
    Os,
}

impl Durability {
    /// The words it is written with.
    pub const WORDS: &[(&'static str, &'static str)] = &[
        ("commit", "acknowledged means synced; concurrent appends share one sync"),
        ("interval:MS", "synced every so many milliseconds: a crash loses at most what came since"),
        ("os", "left to the operating system: survives a crash of Sanctum, not of the machine"),
    ];
    /// The bounds of an interval.
    pub const INTERVAL: Measure = Measure { unit: Unit::Milliseconds, default: 100, min: 1, max: 3_600_000 };

    /// Reads `commit`, `interval:500` (or `interval:500ms`) or `os`.
    pub fn read(value: &Value) -> Result<Self, OptionError> {
        if let Some(interval) = value.as_str().and_then(|text| text.strip_prefix("interval:")) {
            return Ok(Durability::IntervalMs(Self::INTERVAL.parse(interval)?));
        }
        match choice(value, Self::WORDS)? {
            "commit" => Ok(Durability::Commit),
            "os" => Ok(Durability::Os),
            _ => Ok(Durability::IntervalMs(Self::INTERVAL.parse("MS")?)),
        }
    }
}

impl std::str::FromStr for Durability {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        Self::read(&Value::from(text))
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Durability::Commit => formatter.write_str("commit"),
            Durability::IntervalMs(interval) => write!(formatter, "interval:{interval}"),
            Durability::Os => formatter.write_str("os"),
        }
    }
}

/// What happens when a cast fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The run ends with exit code 1.
    Stop,
    /// The energy is reported and passed over.
    Skip,
    /// The cast is tried again, then the run stops.
    Retry,
    /// After the retries the energy is recorded on topic `sanctum.fault`, and the spell goes on.
    Quarantine,
}

impl Fault {
    /// The words it is written with.
    pub const WORDS: &[(&'static str, &'static str)] = &[
        ("stop", "the run ends with exit code 1"),
        ("skip", "the energy is reported and passed over"),
        ("retry", "the cast is tried again, then the run stops"),
        (
            "quarantine",
            "after the retries the energy is recorded on topic `sanctum.fault` and the spell goes on",
        ),
    ];

    /// Reads one of the words.
    pub fn read(value: &Value) -> Result<Self, OptionError> {
        Ok(match choice(value, Self::WORDS)? {
            "stop" => Fault::Stop,
            "skip" => Fault::Skip,
            "retry" => Fault::Retry,
            _ => Fault::Quarantine,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(Self::WORDS[*self as usize].0)
    }
}

/// Where in the log a new spell begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what comes after it was bound.
    New,
    /// With the oldest energy there is.
    Oldest,
    /// With this position.
    Position(u64),
    /// With the first energy of this time (milliseconds since the epoch) or later.
    TimeMs(i64),
}

impl Start {
    /// Reads `new`, `oldest`, a position or an RFC 3339 time.
    pub fn read(value: &Value) -> Result<Self, OptionError> {
        let bad = |given: String| OptionError::BadStart { given };
        if let Value::Integer(position) = value {
            return position.as_u64().map(Start::Position).ok_or_else(|| bad(position.to_string()));
        }
        let expected = "`new`, `oldest`, a position or an RFC 3339 time";
        match text(value, expected)?.as_str() {
            "new" => Ok(Start::New),
            "oldest" => Ok(Start::Oldest),
            given => given
                .parse::<u64>()
                .map(Start::Position)
                .or_else(|_| given.parse().map(|time: jiff::Timestamp| Start::TimeMs(time.as_millisecond())))
                .map_err(|_| bad(given.into())),
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Start::New => formatter.write_str("new"),
            Start::Oldest => formatter.write_str("oldest"),
            Start::Position(position) => write!(formatter, "{position}"),
            Start::TimeMs(time) => match jiff::Timestamp::from_millisecond(*time) {
                Ok(time) => write!(formatter, "{time}"),
                Err(_) => write!(formatter, "{time}"),
            },
        }
    }
}

/// How many energies a cast receives at once, and how long it waits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// A batch of this size is cast at once.
    pub size: u64,
    /// A smaller one when its first energy is this old, in milliseconds of the energies' time; `None`: at the end.
    pub within_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for text in ["commit", "os", "interval:250"] {
            assert_eq!(Durability::read(&Value::from(text)).unwrap().to_string(), text);
        }
        for (word, _) in Fault::WORDS {
            assert_eq!(Fault::read(&Value::from(*word)).unwrap().to_string(), *word);
        }
        for text in ["new", "oldest", "17", "2026-01-31T12:00:00Z"] {
            assert_eq!(Start::read(&Value::from(text)).unwrap().to_string(), text);
        }
        assert_eq!(Start::read(&Value::from(17)), Ok(Start::Position(17)));
        assert!(Start::read(&Value::from(-1)).is_err());
        let nearest = |error: OptionError| error.nearest();
        assert_eq!(Fault::read(&Value::from("quarantene")).map_err(nearest), Err(Some("quarantine")));
        assert!(Durability::read(&Value::from("interval:0")).is_err());
        assert!(Durability::read(&Value::from("interval:MS")).is_err());
    }
}
