//! What things are ranked by: numbers, the highest first.

use crate::event::msgpack::{self, Token};
use crate::spell::raw::{Frame, Kind, Raise};
use crate::state::key;

/// An integer or a float, but not NaN.
#[derive(Clone, Copy)]
pub(super) enum Score {
    Int(i64),
    Float(f64),
}

impl Score {
    /// Of an argument; none for nil.
    pub fn read(frame: &mut Frame<'_>, index: usize) -> Result<Option<Self>, Raise> {
        if frame.is_absent(index) {
            return Ok(None);
        }
        if frame.kind(index as i32) == Kind::Integer {
            return Ok(Some(Self::Int(frame.int(index)?)));
        }
        let score = frame.number(index)?;
        if score.is_nan() {
            Err(Raise::argument(index, "NaN is no score"))
        } else {
            Ok(Some(Self::Float(score)))
        }
    }

    /// Of a value that is kept; none where that is no number, or NaN.
    pub fn stored(bytes: &[u8]) -> Option<Self> {
        match msgpack::token_at(bytes) {
            Ok(Token::Int(score)) => Some(Self::Int(score)),
            Ok(Token::Float(score)) if !score.is_nan() => Some(Self::Float(score)),
            _ => None,
        }
    }

    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(9);
        match self {
            Self::Int(score) => msgpack::write_int(&mut out, score),
            Self::Float(score) => msgpack::write_float(&mut out, score),
        }
        out
    }

    /// `{-score, KEY}`: the highest comes first.
    pub fn place(self, name: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(name.len() + 16);
        key::begin_tuple(&mut out);
        let as_float = match self {
            Self::Int(score) => match score.checked_neg() {
                Some(score) => {
                    key::write_int(&mut out, score);
                    None
                }
                None => Some(-(score as f64)),
            },
            Self::Float(score) => Some(-score),
        };
        if let Some(score) = as_float {
            // NaN is no score.
            let _ = key::write_float(&mut out, score);
        }
        key::write_element(&mut out, name);
        out
    }
}
