//! JSON in and out.
//!
//! MessagePack holds more than JSON, so JSON has spellings for the rest, which reading takes back:
//!
//! - bytes that are not UTF-8: `{"$bin":"<base64>"}`
//! - NaN and the infinities: `{"$float":"nan"}`, `{"$float":"inf"}`, `{"$float":"-inf"}`
//! - extension values: `{"$ext":[<type>,"<base64>"]}`
//!
//! A number with a point or an exponent is a float, any other an integer; an integer that 64 bits do not
//! hold becomes a float, which is counted. Of equal keys the last one counts. Floats are written with a
//! point or an exponent always, keys that are not strings as strings.

mod diagnose;
mod number;
mod order;
mod parser;
mod spelling;
mod string;
mod writer;

pub use parser::Parser;
pub use writer::{write_event, write_output, write_string, write_value};

/// Why a text is not one JSON value that data may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line}, column {column}")]
pub struct JsonError {
    /// What is wrong.
    pub message: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, in bytes from 1.
    pub column: usize,
}
