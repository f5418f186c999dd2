//! How long an energy is kept, and on what condition it is appended.

use std::fmt;
use std::str::FromStr;

/// Why a text is neither a ttl nor an expectation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// Not a ttl.
    #[error("`{0}` is not a ttl; it is \"forever\", \"ephemeral\", \"time:MS\" or \"last:N\"")]
    Ttl(String),
    /// `last:0` would keep nothing.
    #[error("\"last:0\" keeps nothing; the least is \"last:1\"")]
    LastZero,
    /// Not an expectation.
    #[error("`{0}` is not a condition; it is \"any\", \"none\" or the stream's last version")]
    Expect(String),
}

/// How long the log keeps an energy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ttl {
    /// For good.
    #[default]
    Forever,
    /// Not at all: it reaches live readers only.
    Ephemeral,
    /// For that many milliseconds.
    TimeMs(u64),
    /// Until that many newer ones have the same topic.
    Last(u64),
}

impl FromStr for Ttl {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        match text.split_once(':') {
            None if text == "forever" => return Ok(Ttl::Forever),
            None if text == "ephemeral" => return Ok(Ttl::Ephemeral),
            Some(("time", number)) => {
                if let Some(ms) = digits(number) {
                    return Ok(Ttl::TimeMs(ms));
                }
            }
            Some(("last", number)) => match digits(number) {
                Some(0) => return Err(ConditionError::LastZero),
                Some(count) => return Ok(Ttl::Last(count)),
                None => {}
            },
            _ => {}
        }
        Err(ConditionError::Ttl(text.to_owned()))
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ttl::Forever => f.write_str("forever"),
            Ttl::Ephemeral => f.write_str("ephemeral"),
            Ttl::TimeMs(ms) => write!(f, "time:{ms}"),
            Ttl::Last(count) => write!(f, "last:{count}"),
        }
    }
}

/// The condition on its stream under which an energy is appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Expect {
    /// No condition.
    #[default]
    Any,
    /// The stream is empty.
    None,
    /// The stream's last version is this one.
    Version(u64),
}

impl FromStr for Expect {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        match text {
            "any" => Ok(Expect::Any),
            "none" => Ok(Expect::None),
            _ => digits(text).map(Expect::Version).ok_or_else(|| ConditionError::Expect(text.to_owned())),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Any => f.write_str("any"),
            Expect::None => f.write_str("none"),
            Expect::Version(version) => write!(f, "{version}"),
        }
    }
}

/// A number of decimal digits alone: no sign, no space.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
