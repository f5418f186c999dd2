//! Amounts as people write them: `32MiB`, `500ms`, `10m`, `10_000_000`, `10M`.
//!
//! An amount is a decimal number, then, with or without a space, a unit. A bare number is in the base
//! unit: bytes, milliseconds or just a count. Arithmetic is exact; what is not a whole number of base
//! units, or does not fit, is an error, never rounded.

use rmpv::Value;
use thiserror::Error;

use crate::event::suggest::suggest;

/// What an amount counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes; `KiB` is 1,024 and `KB` is 1,000 of them.
    Bytes,
    /// Milliseconds, written with `ms`, `s`, `m`, `h`, `d` or `w`.
    Milliseconds,
    /// A plain number, which may end in `k`, `M` or `G`.
    Count,
}

/// An amount that an option takes: its unit, its default and the bounds it is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// What is counted.
    pub unit: Unit,
    /// The value where nothing is said.
    pub default: u64,
    /// The least value allowed.
    pub min: u64,
    /// The greatest value allowed.
    pub max: u64,
}

/// Why an amount was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UnitError {
    /// Neither a number nor a string.
    #[error("expected {expected}, got {found}")]
    WrongType {
        /// What is taken here.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// Text that does not begin with a number.
    #[error("`{text}` is not {expected}")]
    NotANumber {
        /// The text.
        text: String,
        /// What is taken here.
        expected: &'static str,
    },
    /// A number with a unit that is not known.
    #[error("unknown unit `{unit}`; known units: {known}")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// All units, largest last.
        known: String,
        /// The nearest one.
        nearest: Option<&'static str>,
    },
    /// A number below zero.
    #[error("`{0}` is negative")]
    Negative(String),
    /// `0.5ms`, `1.3` energies.
    #[error("`{text}` is not a whole number{base}")]
    Fraction {
        /// The text.
        text: String,
        /// The base unit, as the message goes on; empty for a count.
        base: &'static str,
    },
    /// More than 64 bits.
    #[error("`{0}` is too large")]
    TooLarge(String),
    /// Outside the option's bounds.
    #[error("{value} is out of range: {min} to {max}")]
    OutOfRange {
        /// The value, in the largest unit that fits.
        value: String,
        /// The least value allowed.
        min: String,
        /// The greatest value allowed.
        max: String,
    },
}

impl UnitError {
    /// The unit that was probably meant.
    #[must_use]
    pub fn nearest(&self) -> Option<&'static str> {
        match self {
            UnitError::UnknownUnit { nearest, .. } => *nearest,
            _ => None,
        }
    }
}

const BYTES: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];
const MILLISECONDS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
const COUNT: &[(&str, u64)] = &[("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];

impl Unit {
    /// The unit's names and what each is worth, smallest first.
    #[must_use]
    pub fn names(self) -> &'static [(&'static str, u64)] {
        match self {
            Unit::Bytes => BYTES,
            Unit::Milliseconds => MILLISECONDS,
            Unit::Count => COUNT,
        }
    }

    /// What an amount of this unit is called in messages.
    #[must_use]
    pub fn expected(self) -> &'static str {
        match self {
            Unit::Bytes => "a size such as 32MiB",
            Unit::Milliseconds => "a duration such as 500ms or 10s",
            Unit::Count => "a whole number",
        }
    }

    fn base(self) -> &'static str {
        match self {
            Unit::Bytes => " of bytes",
            Unit::Milliseconds => " of milliseconds",
            Unit::Count => "",
        }
    }

    /// Reads an amount.
    pub fn parse(self, text: &str) -> Result<u64, UnitError> {
        let trimmed = text.trim();
        if trimmed.starts_with('-') && trimmed[1..].starts_with(|char: char| char.is_ascii_digit()) {
            return Err(UnitError::Negative(trimmed.into()));
        }
        let end = trimmed
            .find(|char: char| !char.is_ascii_digit() && char != '_' && char != '.')
            .unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(end);
        let not_a_number = || UnitError::NotANumber { text: trimmed.into(), expected: self.expected() };
        if !number.starts_with(|char: char| char.is_ascii_digit()) || number.ends_with(['_', '.']) {
            return Err(not_a_number());
        }
        let factor = self.factor(unit.trim_start())?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains(['.', '_']) {
            return Err(not_a_number());
        }
        let too_large = || UnitError::TooLarge(trimmed.into());
        let mut value: u128 = 0;
        for digit in whole.bytes().filter(u8::is_ascii_digit) {
            value = value * 10 + u128::from(digit - b'0');
            if value > u128::from(u64::MAX) {
                return Err(too_large());
            }
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 18 {
            return Err(UnitError::Fraction { text: trimmed.into(), base: self.base() });
        }
        let mut scale: u128 = 1;
        for digit in fraction.bytes() {
            value = value * 10 + u128::from(digit - b'0');
            scale *= 10;
        }
        let value = value.checked_mul(u128::from(factor)).ok_or_else(too_large)?;
        if value % scale != 0 {
            return Err(UnitError::Fraction { text: trimmed.into(), base: self.base() });
        }
        u64::try_from(value / scale).map_err(|_| too_large())
    }

    fn factor(self, unit: &str) -> Result<u64, UnitError> {
        if unit.is_empty() {
            return Ok(1);
        }
        if let Some((_, factor)) = self.names().iter().find(|(name, _)| *name == unit) {
            return Ok(*factor);
        }
        let names = self.names().iter().map(|(name, _)| *name);
        let known = names.clone().collect::<Vec<_>>().join(", ");
        let nearest = names
            .clone()
            .find(|name| name.eq_ignore_ascii_case(unit))
            .or_else(|| {
                let long = ["seconds", "minutes", "hours", "days", "weeks"];
                let short = unit.to_ascii_lowercase();
                let begins = |word: &&str| short.len() > 1 && word.starts_with(short.trim_end_matches('s'));
                long.into_iter().find(begins).and_then(|word| names.clone().find(|name| *name == &word[..1]))
            })
            .or_else(|| suggest(unit, names.clone()));
        Err(UnitError::UnknownUnit { unit: unit.into(), known, nearest })
    }

    /// Writes an amount in the largest unit that gives a whole number: `32MiB`, `5s`, `10000000`.
    #[must_use]
    pub fn format(self, value: u64) -> String {
        let units: &[(&str, u64)] = match self {
            Unit::Bytes => {
                &[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)]
            }
            Unit::Milliseconds => {
                &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)]
            }
            Unit::Count => return value.to_string(),
        };
        let fitting = units.iter().find(|(_, factor)| value != 0 && value.is_multiple_of(*factor));
        match fitting.or(units.last()) {
            Some((name, factor)) => format!("{}{name}", value / factor),
            None => value.to_string(),
        }
    }
}

impl Measure {
    /// Reads an amount from text and holds it to the bounds.
    pub fn parse(self, text: &str) -> Result<u64, UnitError> {
        self.unit.parse(text).and_then(|value| self.check(value))
    }

    /// Reads an amount from a value of a runeset or a spell's table: a number or a string.
    pub fn read(self, value: &Value) -> Result<u64, UnitError> {
        match value {
            Value::String(text) if text.as_str().is_some() => self.parse(text.as_str().unwrap_or_default()),
            Value::Integer(number) => match number.as_u64() {
                Some(number) => self.check(number),
                None => Err(UnitError::Negative(number.to_string())),
            },
            Value::F64(number) if number.fract() == 0.0 && (0.0..1.8e19).contains(number) => {
                self.check(*number as u64)
            }
            Value::F64(number) if *number < 0.0 => Err(UnitError::Negative(number.to_string())),
            Value::F64(number) if number.is_finite() => {
                Err(UnitError::Fraction { text: number.to_string(), base: self.unit.base() })
            }
            other => {
                Err(UnitError::WrongType { expected: self.unit.expected(), found: kind_of(other).into() })
            }
        }
    }

    /// Holds a value to the bounds.
    pub fn check(self, value: u64) -> Result<u64, UnitError> {
        if (self.min..=self.max).contains(&value) {
            return Ok(value);
        }
        let [value, min, max] = [value, self.min, self.max].map(|amount| self.unit.format(amount));
        Err(UnitError::OutOfRange { value, min, max })
    }

    /// The default as text.
    #[must_use]
    pub fn default_text(self) -> String {
        self.unit.format(self.default)
    }
}

/// What a value is called in messages: "a string", "a list" ...
#[must_use]
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nothing",
        Value::Boolean(_) => "a boolean",
        Value::Integer(_) => "an integer",
        Value::F32(_) | Value::F64(_) => "a float",
        Value::String(_) => "a string",
        Value::Binary(_) => "binary data",
        Value::Array(_) => "a list",
        Value::Map(_) => "a map",
        Value::Ext(..) => "an extension value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (unit, text, expected) in [
            (Unit::Bytes, "32MiB", 32 << 20),
            (Unit::Bytes, "32 MiB", 32 << 20),
            (Unit::Bytes, "1.5GiB", 3 << 29),
            (Unit::Bytes, "12", 12),
            (Unit::Bytes, "1KB", 1000),
            (Unit::Milliseconds, "1s", 1000),
            (Unit::Milliseconds, "500ms", 500),
            (Unit::Milliseconds, "10m", 600_000),
            (Unit::Milliseconds, "0.25s", 250),
            (Unit::Milliseconds, "2w", 1_209_600_000),
            (Unit::Count, "10_000_000", 10_000_000),
            (Unit::Count, "10M", 10_000_000),
            (Unit::Count, "18446744073709551615", u64::MAX),
        ] {
            assert_eq!(unit.parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refusals_say_why() {
        for (unit, text, message) in [
            (Unit::Bytes, "32mb", "unknown unit `mb`; known units: B, KB, KiB, MB, MiB, GB, GiB, TB, TiB"),
            (Unit::Bytes, "", "`` is not a size such as 32MiB"),
            (Unit::Bytes, "much", "`much` is not a size such as 32MiB"),
            (Unit::Bytes, "0.3B", "`0.3B` is not a whole number of bytes"),
            (Unit::Bytes, "99999999999TiB", "`99999999999TiB` is too large"),
            (Unit::Milliseconds, "-1s", "`-1s` is negative"),
            (Unit::Milliseconds, "1.2.3s", "`1.2.3s` is not a duration such as 500ms or 10s"),
            (Unit::Milliseconds, "10sec", "unknown unit `sec`; known units: ms, s, m, h, d, w"),
            (Unit::Count, "18446744073709551616", "`18446744073709551616` is too large"),
            (Unit::Count, "1.5", "`1.5` is not a whole number"),
        ] {
            assert_eq!(unit.parse(text).map_err(|error| error.to_string()), Err(message.to_string()));
        }
        assert_eq!(Unit::Milliseconds.parse("10sec").map_err(|error| error.nearest()), Err(Some("s")));
        assert_eq!(Unit::Milliseconds.parse("10mins").map_err(|error| error.nearest()), Err(Some("m")));
        assert_eq!(Unit::Bytes.parse("10mib").map_err(|error| error.nearest()), Err(Some("MiB")));
    }

    #[test]
    fn written_amounts_read_back() {
        for unit in [Unit::Bytes, Unit::Milliseconds, Unit::Count] {
            for value in [0, 1, 999, 1000, 1024, 60_000, 1 << 20, 5_000, 86_400_000, u64::MAX] {
                assert_eq!(unit.parse(&unit.format(value)), Ok(value));
            }
        }
    }
}
