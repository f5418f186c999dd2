//! Values as a filter sees them: what a path found in the bytes, and what a spell wrote to compare it with.
//!
//! A missing field reads as nil. Strings and binary strings are one type. Numbers are one type too,
//! and compare as mathematics has it: 2^53 + 1 is not the float 2^53, and 1 is 1.0.

use std::cmp::Ordering;

use super::walk::end_of;
use crate::event::msgpack::{Reader, Token};

/// A number in its one form: a float that holds an integer of 64 bits is that integer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    /// Fractional, beyond 64 bits, infinite or NaN.
    Float(f64),
}

/// One past the largest `i64`.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

impl Number {
    pub fn of_float(value: f64) -> Self {
        if value.trunc() == value && (-TWO_TO_63..TWO_TO_63).contains(&value) {
            Self::Int(value as i64)
        } else {
            Self::Float(value)
        }
    }

    pub fn of_unsigned(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Float(value as f64), Self::Int)
    }

    pub fn is_nan(self) -> bool {
        matches!(self, Self::Float(value) if value.is_nan())
    }

    /// Exact; `None` only for NaN.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Float(b)) => compare_mixed(a, b),
            (Self::Float(a), Self::Int(b)) => compare_mixed(b, a).map(Ordering::reverse),
        }
    }
}

/// `float` holds no integer of 64 bits, so the two are never equal.
fn compare_mixed(int: i64, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        None
    } else if float >= TWO_TO_63 {
        Some(Ordering::Less)
    } else if float < -TWO_TO_63 {
        Some(Ordering::Greater)
    } else {
        Some(if int <= float.floor() as i64 { Ordering::Less } else { Ordering::Greater })
    }
}

/// What a path found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// Nil, or nothing there.
    Nil,
    Bool(bool),
    Number(Number),
    /// A string, UTF-8 or not.
    Bytes(&'a [u8]),
    /// The whole encoding of an array.
    Array(&'a [u8]),
    /// The whole encoding of a map.
    Map(&'a [u8]),
    Ext(i8, &'a [u8]),
}

impl<'a> Value<'a> {
    /// The value that begins at `at`, which is moved behind it. `None` for bytes that are no value,
    /// which the data of an energy never is.
    #[inline(always)]
    pub fn read(raw: &'a [u8], at: &mut usize) -> Option<Self> {
        let start = *at;
        match *raw.get(start)? {
            marker @ 0x00..=0x7f => {
                *at = start + 1;
                Some(Self::Number(Number::Int(i64::from(marker))))
            }
            marker @ 0xa0..=0xbf => {
                *at = start + 1 + usize::from(marker & 0x1f);
                Some(Self::Bytes(raw.get(start + 1..*at)?))
            }
            0x80..=0x8f | 0xde | 0xdf => {
                *at = end_of(raw, start)?;
                Some(Self::Map(&raw[start..*at]))
            }
            0x90..=0x9f | 0xdc | 0xdd => {
                *at = end_of(raw, start)?;
                Some(Self::Array(&raw[start..*at]))
            }
            _ => {
                let mut reader = Reader::new(&raw[start..]);
                let token = reader.token().ok()?;
                *at = start + reader.position();
                Some(scalar(token))
            }
        }
    }

    /// The value that some bytes hold.
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        Self::read(bytes, &mut 0)
    }

    /// The type's name, as an error message says it.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Bytes(_) => "a string",
            Self::Array(_) => "a list",
            Self::Map(_) => "a table",
            Self::Ext(..) => "an extension value",
        }
    }

    /// Equal in type and value, numbers by mathematics, collections member by member.
    ///
    /// By reference, here and where tests pass values on: a copy of one just written costs a stall.
    #[inline]
    pub fn equals(&self, other: &Value<'_>) -> bool {
        match (*self, *other) {
            (Self::Nil, Value::Nil) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Number(a), Value::Number(b)) => a.compare(b) == Some(Ordering::Equal),
            (Self::Bytes(a), Value::Bytes(b)) => a == b,
            (Self::Ext(a, x), Value::Ext(b, y)) => a == b && x == y,
            (Self::Array(a), Value::Array(b)) | (Self::Map(a), Value::Map(b)) => equal_tokens(a, b),
            _ => false,
        }
    }

    /// Order within numbers and within strings; `None` for all else.
    #[inline]
    pub fn order(&self, other: &Value<'_>) -> Option<Ordering> {
        match (*self, *other) {
            (Self::Number(a), Value::Number(b)) => a.compare(b),
            (Self::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// Two canonical values are equal when their tokens are, so no recursion is needed.
fn equal_tokens(a: &[u8], b: &[u8]) -> bool {
    let (mut a, mut b) = (Reader::new(a), Reader::new(b));
    while !a.is_end() && !b.is_end() {
        let (Ok(x), Ok(y)) = (a.token(), b.token()) else { return false };
        let equal = match (x, y) {
            (Token::Array(x), Token::Array(y)) | (Token::Map(x), Token::Map(y)) => x == y,
            (Token::Array(_) | Token::Map(_), _) | (_, Token::Array(_) | Token::Map(_)) => false,
            (x, y) => scalar(x).equals(&scalar(y)),
        };
        if !equal {
            return false;
        }
    }
    a.is_end() && b.is_end()
}

/// The value of a token that is no collection's header.
#[inline]
fn scalar(token: Token<'_>) -> Value<'_> {
    match token {
        Token::Bool(value) => Value::Bool(value),
        Token::Int(value) => Value::Number(Number::Int(value)),
        Token::BigUint(value) => Value::Number(Number::of_unsigned(value)),
        Token::Float(value) => Value::Number(Number::of_float(value)),
        Token::Str(value) | Token::Bin(value) => Value::Bytes(value),
        Token::Ext(kind, value) => Value::Ext(kind, value),
        Token::Nil | Token::Array(_) | Token::Map(_) => Value::Nil,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_compare_exactly() {
        let cases = [
            (Number::Int(1), 1.0, Ordering::Equal),
            (Number::Int(0), -0.0, Ordering::Equal),
            (Number::Int((1 << 53) + 1), (1_i64 << 53) as f64, Ordering::Greater),
            (Number::Int(i64::MAX), TWO_TO_63, Ordering::Less),
            (Number::Int(i64::MIN), -TWO_TO_63, Ordering::Equal),
            (Number::Int(i64::MIN), -1e19, Ordering::Greater),
            (Number::Int(2), 2.5, Ordering::Less),
            (Number::Int(3), 2.5, Ordering::Greater),
            (Number::Int(-3), -2.5, Ordering::Less),
            (Number::Int(-2), -2.5, Ordering::Greater),
            (Number::Int(i64::MAX), f64::INFINITY, Ordering::Less),
            (Number::Int(i64::MIN), f64::NEG_INFINITY, Ordering::Greater),
        ];
        for (int, float, expected) in cases {
            let float = Number::of_float(float);
            assert_eq!(int.compare(float), Some(expected), "{int:?} {float:?}");
            assert_eq!(float.compare(int), Some(expected.reverse()), "{float:?} {int:?}");
        }
        assert_eq!(Number::Int(1).compare(Number::of_float(f64::NAN)), None);
    }
}
