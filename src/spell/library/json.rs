//! `json.encode(value [, { pretty = true }])` and `json.decode(text)`.
//!
//! Keys are written in the order that energies have, so equal data gives equal text. Floats keep their
//! point, and what JSON cannot say (bytes that are not UTF-8, NaN, infinities) has the spellings of
//! [`crate::event::json`], which `decode` takes back. A `null` in an object is an absent field, or `null` in a
//! spell with `nulls = true`; in an array it is always `null`. Errors name line and column.

use std::cell::RefCell;

use super::msgpack;
use crate::event::json::{self, Parser};
use crate::spell::raw::{Entry, Frame, Kind, Raise};

/// The table `json`.
pub(crate) static FUNCTIONS: &[Entry] = &[("encode", encode), ("decode", decode)];

/// Buffers that grew with a larger text are given back.
const KEPT_BYTES_MAX: usize = 1 << 20;

thread_local! {
    /// The parser's buffers are worth keeping; they hold no state between two texts.
    static PARSER: RefCell<Parser> = RefCell::new(Parser::new());
}

/// Appends the argument as compact JSON; complains of the argument where it is none.
pub(super) fn append(
    frame: &mut Frame<'_>,
    index: usize,
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), Raise> {
    let mut data = Vec::new();
    msgpack::encode_argument(frame, index, bytes_max, &mut data)?;
    json::write_value(&data, out);
    Ok(())
}

/// `json.encode(value [, options])`
fn encode(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let mut pretty = false;
    if !frame.is_absent(2) {
        frame.table(2)?;
        super::state::check_options(frame, 2, &["pretty"])?;
        frame.get_field(2, "pretty");
        pretty = frame.truthy(-1);
        frame.pop(1);
    }
    let bytes_max = msgpack::result_bytes_max(frame);
    let mut text = Vec::new();
    append(frame, 1, bytes_max, &mut text)?;
    frame.charge(text.len() as u64 / 16)?;
    if pretty {
        let mut lines = Vec::with_capacity(text.len() * 2);
        indent(&text, bytes_max, &mut lines)?;
        frame.charge(lines.len() as u64 / 16)?;
        text = lines;
    }
    frame.push_bytes(&text)?;
    Ok(1)
}

/// Spreads compact JSON over lines, two spaces a level.
fn indent(text: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Result<(), Raise> {
    let mut level = 0;
    let mut in_string = false;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        out.push(byte);
        at += 1;
        match byte {
            b'\\' if in_string => {
                out.extend(text.get(at));
                at += 1;
            }
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                if let Some(close @ (b']' | b'}')) = text.get(at) {
                    out.push(*close);
                    at += 1;
                } else {
                    level += 1;
                    new_line(level, out);
                }
            }
            b',' => new_line(level, out),
            b':' => out.push(b' '),
            _ => {}
        }
        if let (false, Some(b']' | b'}')) = (in_string, text.get(at)) {
            level = level.saturating_sub(1);
            new_line(level, out);
        }
        if out.len() > bytes_max {
            return Err(Raise::Memory);
        }
    }
    Ok(())
}

fn new_line(level: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', 2 * level));
}

/// `json.decode(text)`
fn decode(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let text = match frame.kind(1) {
        Kind::String => frame.bytes(1)?,
        _ => return Err(Raise::argument(1, format!("string expected, got {}", frame.type_name(1)))),
    };
    frame.charge(8 + text.len() as u64 / 16)?;
    let mut data = Vec::with_capacity(text.len());
    PARSER
        .with_borrow_mut(|parser| {
            let parsed = parser.to_msgpack(text, &mut data);
            if text.len() > KEPT_BYTES_MAX {
                *parser = Parser::new();
            }
            parsed
        })
        .map_err(|error| Raise::message(format!("json.decode: {error}")))?;
    msgpack::push_data(frame, &data)?;
    Ok(1)
}
