//! The partition key: which energies belong together.

use std::borrow::Cow;

use crate::event::msgpack::{self, PathPart, Reader, Token};

/// The key of an energy's data, as the bytes of the value at a path. An absent field and null are one
/// key, and so are 3 and 3.0, as they are in `state`.
#[must_use]
pub fn lane_key<'a>(data: &'a [u8], path: &[PathPart]) -> Cow<'a, [u8]> {
    let value = msgpack::path(data, path).unwrap_or_default();
    match Reader::new(value).token() {
        Ok(Token::Nil) => Cow::Borrowed(&[]),
        Ok(Token::Float(number)) if number.trunc() == number && number.abs() < 9e18 => {
            let mut key = Vec::with_capacity(9);
            msgpack::write_int(&mut key, number as i64);
            Cow::Owned(key)
        }
        _ => Cow::Borrowed(value),
    }
}
