//! Keys of the state as bytes whose order is the order of the keys.
//!
//! A key is a boolean, a number, a string of bytes, or a tuple: a list of one or more of those. In order:
//! `false`, `true`, all numbers by value, all strings bytewise, all tuples, element by element, a tuple
//! before those that it begins. So `{10} <= {10, "x"} < {11}`, and a range over tuples is a range over their
//! first elements. A number is its value, as in Lua: 2, 2.0 and, for 0, -0.0 are one key, read back as an
//! integer where it fits in one. NaN is no key.
//!
//! Layout, each part self-delimiting:
//!
//! ```text
//! false       02
//! true        03
//! number      10 ± n, n bytes, mark      n: bytes of the integer part; negative: bytes inverted, tag 10 - n
//!             mark 02: an integer. 03: a fraction above it follows, as 8 bytes of an f64.
//!             mark 01: a fraction below it follows, its bits inverted
//!             07 / 19, 8 bytes           floats under / above all integers; under: bits inverted
//! string      20, bytes                  as a whole key
//!             20, bytes, 00              in a tuple; a 00 among the bytes is written 00 ff
//! tuple       30, elements
//! ```
//!
//! The caller holds keys as MessagePack, or writes them with the functions for single kinds.

use thiserror::Error;

use crate::event::msgpack::{self, Reader, Token};

/// Bytes of an encoded key at most.
pub const BYTES_MAX: usize = 4096;

const FALSE: u8 = 0x02;
const TRUE: u8 = 0x03;
const UNDER: u8 = 0x07;
const ZERO: u8 = 0x10;
const ABOVE: u8 = 0x19;
const STRING: u8 = 0x20;
const TUPLE: u8 = 0x30;
const ELEMENTS_END: u8 = 0x40;

const MARK_BELOW: u8 = 1;
const MARK_INTEGER: u8 = 2;
const MARK_ABOVE: u8 = 3;

/// 2^63, the first float above all integers.
const INTEGERS_END: f64 = 9_223_372_036_854_775_808.0;

/// Why a value cannot be a key.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// NaN is not equal to itself.
    #[error("NaN cannot be a key")]
    Nan,
    /// A kind that has no order.
    #[error("a key is a string, a number, a boolean or a list of those, not {0}")]
    Kind(&'static str),
    /// The same, within a tuple.
    #[error("a list that is a key holds strings, numbers and booleans; element {index} is {kind}")]
    Element {
        /// From 1.
        index: u32,
        /// With its article.
        kind: &'static str,
    },
    /// `{}`
    #[error("an empty list cannot be a key")]
    Empty,
    /// [`BYTES_MAX`]
    #[error("a key has at most {BYTES_MAX} bytes; this one has {0}")]
    TooLong(usize),
    /// Bytes that no key has.
    #[error("these bytes are not a key")]
    Malformed,
}

/// Appends the key that a MessagePack value stands for.
pub fn encode(value: &[u8], out: &mut Vec<u8>) -> Result<(), KeyError> {
    let start = out.len();
    encode_bound(value, out)?;
    match out.len() - start {
        1 if out[start] == TUPLE => Err(KeyError::Empty),
        len if len > BYTES_MAX => Err(KeyError::TooLong(len)),
        _ => Ok(()),
    }
}

/// As [`encode`] for the bound of a range: the empty list is allowed, and comes before all other lists.
pub fn encode_bound(value: &[u8], out: &mut Vec<u8>) -> Result<(), KeyError> {
    let mut reader = Reader::new(value);
    match reader.token().map_err(|_| KeyError::Malformed)? {
        Token::Str(bytes) | Token::Bin(bytes) => write_string(out, bytes),
        // The empty table of Lua is a map until something is in it.
        Token::Map(0) => begin_tuple(out),
        Token::Array(len) => {
            begin_tuple(out);
            for index in 1..=len {
                let token = reader.token().map_err(|_| KeyError::Malformed)?;
                match token {
                    Token::Str(bytes) | Token::Bin(bytes) => write_element(out, bytes),
                    token if !write_scalar(out, &token)? => {
                        return Err(KeyError::Element { index, kind: kind(&token) });
                    }
                    _ => {}
                }
            }
        }
        token if !write_scalar(out, &token)? => return Err(KeyError::Kind(kind(&token))),
        _ => {}
    }
    if reader.is_end() { Ok(()) } else { Err(KeyError::Malformed) }
}

/// False for what is neither a boolean nor a number.
fn write_scalar(out: &mut Vec<u8>, token: &Token<'_>) -> Result<bool, KeyError> {
    match *token {
        Token::Bool(value) => write_bool(out, value),
        Token::Int(value) => write_int(out, value),
        Token::BigUint(value) => write_float(out, value as f64)?,
        Token::Float(value) => write_float(out, value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn kind(token: &Token<'_>) -> &'static str {
    match token {
        Token::Nil => "null",
        Token::Array(_) => "a list",
        Token::Map(_) => "a table with named fields",
        Token::Ext(..) => "an extension value",
        _ => "a plain value",
    }
}

/// A boolean.
#[inline]
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { TRUE } else { FALSE });
}

/// An integer.
#[inline]
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    write_whole(out, value);
    out.push(MARK_INTEGER);
}

/// A float. NaN is an error.
pub fn write_float(out: &mut Vec<u8>, value: f64) -> Result<(), KeyError> {
    if value.is_nan() {
        return Err(KeyError::Nan);
    }
    if value >= INTEGERS_END {
        out.push(ABOVE);
        out.extend_from_slice(&value.to_bits().to_be_bytes());
    } else if value < -INTEGERS_END {
        out.push(UNDER);
        out.extend_from_slice(&(!value.abs().to_bits()).to_be_bytes());
    } else {
        write_whole(out, value.trunc() as i64);
        let fraction = value.fract();
        if fraction == 0.0 {
            out.push(MARK_INTEGER);
        } else if fraction > 0.0 {
            out.push(MARK_ABOVE);
            out.extend_from_slice(&fraction.to_bits().to_be_bytes());
        } else {
            out.push(MARK_BELOW);
            out.extend_from_slice(&(!fraction.abs().to_bits()).to_be_bytes());
        }
    }
    Ok(())
}

#[inline]
fn write_whole(out: &mut Vec<u8>, value: i64) {
    let magnitude = value.unsigned_abs();
    let len = 8 - magnitude.leading_zeros() as usize / 8;
    let (tag, bits) = if value < 0 { (ZERO - len as u8, !magnitude) } else { (ZERO + len as u8, magnitude) };
    let mut bytes = [tag; 9];
    bytes[1..=len].copy_from_slice(&bits.to_be_bytes()[8 - len..]);
    out.extend_from_slice(&bytes[..=len]);
}

/// A string that is the whole key.
#[inline]
pub fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(STRING);
    out.extend_from_slice(bytes);
}

/// Begins a tuple; its elements follow.
#[inline]
pub fn begin_tuple(out: &mut Vec<u8>) {
    out.push(TUPLE);
}

/// A string that is an element of a tuple.
pub fn write_element(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(STRING);
    for (index, run) in bytes.split(|&byte| byte == 0).enumerate() {
        if index > 0 {
            out.extend_from_slice(&[0, 0xff]);
        }
        out.extend_from_slice(run);
    }
    out.push(0);
}

/// Turns the encoding of a string or of a tuple's first elements, which begins at `start`, into the first
/// encoding after all those that it begins.
pub fn end_of_prefix(out: &mut Vec<u8>, start: usize) {
    if out.get(start) == Some(&TUPLE) {
        // Above all tags, and below the ff that would make the end of a string one of its bytes.
        out.push(ELEMENTS_END);
        return;
    }
    while out.len() > start {
        match out.last_mut() {
            Some(0xff) => {
                out.pop();
            }
            Some(last) => {
                *last += 1;
                return;
            }
            None => return,
        }
    }
}

/// Appends the key as a MessagePack value.
pub fn decode(key: &[u8], out: &mut Vec<u8>) -> Result<(), KeyError> {
    match key.split_first() {
        Some((&STRING, bytes)) => msgpack::write_bytes(out, bytes),
        Some((&TUPLE, elements)) => {
            let mut rest = elements;
            let mut count = 0;
            while !rest.is_empty() {
                rest = skip(rest)?;
                count += 1;
            }
            msgpack::write_array_len(out, count);
            let mut rest = elements;
            let mut text = Vec::new();
            while !rest.is_empty() {
                rest = read(rest, &mut text, out)?;
            }
        }
        _ => {
            if !read(key, &mut Vec::new(), out)?.is_empty() {
                return Err(KeyError::Malformed);
            }
        }
    }
    Ok(())
}

/// The string that an element is, and what follows it; for tuples whose shape the caller knows.
pub fn read_element(bytes: &[u8], text: &mut Vec<u8>) -> Result<usize, KeyError> {
    let Some((&STRING, mut rest)) = bytes.split_first() else { return Err(KeyError::Malformed) };
    loop {
        let at = rest.iter().position(|&byte| byte == 0).ok_or(KeyError::Malformed)?;
        text.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.first() {
            Some(0xff) => {
                text.push(0);
                rest = &rest[1..];
            }
            _ => return Ok(bytes.len() - rest.len()),
        }
    }
}

/// The integer that an element is, and how many bytes it takes.
pub fn read_int(bytes: &[u8]) -> Result<(i64, usize), KeyError> {
    let (whole, len) = read_whole(bytes)?;
    if bytes.get(len) == Some(&MARK_INTEGER) { Ok((whole, len + 1)) } else { Err(KeyError::Malformed) }
}

/// The bytes of a key that is a string.
#[inline]
#[must_use]
pub fn as_string(key: &[u8]) -> Option<&[u8]> {
    key.strip_prefix(&[STRING])
}

/// The elements of a tuple's encoding.
#[must_use]
pub fn elements(key: &[u8]) -> Option<&[u8]> {
    key.strip_prefix(&[TUPLE])
}

fn read_whole(bytes: &[u8]) -> Result<(i64, usize), KeyError> {
    let tag = *bytes.first().ok_or(KeyError::Malformed)?;
    let len = usize::from(tag.abs_diff(ZERO));
    if len > 8 {
        return Err(KeyError::Malformed);
    }
    let digits = bytes.get(1..=len).ok_or(KeyError::Malformed)?;
    let invert = if tag < ZERO { 0xff } else { 0 };
    let magnitude = digits.iter().fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte ^ invert));
    let whole = if tag < ZERO { 0_i128 - i128::from(magnitude) } else { i128::from(magnitude) };
    Ok((i64::try_from(whole).map_err(|_| KeyError::Malformed)?, len + 1))
}

fn read_bits(bytes: &[u8], at: usize) -> Result<u64, KeyError> {
    let bits = bytes.get(at..at + 8).and_then(|bits| bits.first_chunk::<8>()).ok_or(KeyError::Malformed)?;
    Ok(u64::from_be_bytes(*bits))
}

/// Appends one element as MessagePack; gives what follows it.
fn read<'a>(bytes: &'a [u8], text: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<&'a [u8], KeyError> {
    let used = match *bytes.first().ok_or(KeyError::Malformed)? {
        tag @ (FALSE | TRUE) => {
            msgpack::write_bool(out, tag == TRUE);
            1
        }
        STRING => {
            text.clear();
            let used = read_element(bytes, text)?;
            msgpack::write_bytes(out, text);
            used
        }
        ABOVE => {
            msgpack::write_float(out, f64::from_bits(read_bits(bytes, 1)?));
            9
        }
        UNDER => {
            msgpack::write_float(out, -f64::from_bits(!read_bits(bytes, 1)?));
            9
        }
        _ => {
            let (whole, len) = read_whole(bytes)?;
            match bytes.get(len) {
                Some(&MARK_INTEGER) => {
                    msgpack::write_int(out, whole);
                    len + 1
                }
                Some(&MARK_ABOVE) => {
                    msgpack::write_float(out, whole as f64 + f64::from_bits(read_bits(bytes, len + 1)?));
                    len + 9
                }
                Some(&MARK_BELOW) => {
                    msgpack::write_float(out, whole as f64 - f64::from_bits(!read_bits(bytes, len + 1)?));
                    len + 9
                }
                _ => return Err(KeyError::Malformed),
            }
        }
    };
    Ok(&bytes[used..])
}

/// What follows an element.
pub fn skip(bytes: &[u8]) -> Result<&[u8], KeyError> {
    let used = match *bytes.first().ok_or(KeyError::Malformed)? {
        FALSE | TRUE => 1,
        ABOVE | UNDER => 9,
        STRING => read_element(bytes, &mut Vec::new())?,
        _ => {
            let (_, len) = read_whole(bytes)?;
            if bytes.get(len) == Some(&MARK_INTEGER) { len + 1 } else { len + 9 }
        }
    };
    bytes.get(used..).ok_or(KeyError::Malformed)
}
