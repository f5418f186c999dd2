//! MessagePack values that follow one another, taken one by one: what comes over the socket is read so.
//!
//! Nothing is trusted: `None` is whatever is not there or is not of that kind, and no count takes memory beforehand.

use crate::event::Uuid;
use crate::event::msgpack::{self, Reader, Token, write_bin, write_int, write_nil};

/// See the module.
pub struct Parts<'a> {
    reader: Reader<'a>,
}

impl<'a> Parts<'a> {
    /// The values in these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes) }
    }

    /// Whether all were taken.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.reader.is_end()
    }

    /// An integer.
    pub fn int(&mut self) -> Option<i64> {
        match self.reader.token() {
            Ok(Token::Int(number)) => Some(number),
            _ => None,
        }
    }

    /// An integer that is not negative.
    pub fn count(&mut self) -> Option<u64> {
        self.int().and_then(|number| u64::try_from(number).ok())
    }

    /// An index.
    pub fn index(&mut self) -> Option<usize> {
        self.count().and_then(|number| usize::try_from(number).ok())
    }

    /// A boolean.
    pub fn flag(&mut self) -> Option<bool> {
        match self.reader.token() {
            Ok(Token::Bool(flag)) => Some(flag),
            _ => None,
        }
    }

    /// A text.
    pub fn text(&mut self) -> Option<String> {
        match self.reader.token() {
            Ok(Token::Str(text)) => std::str::from_utf8(text).ok().map(str::to_owned),
            _ => None,
        }
    }

    /// Bytes.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        match self.reader.token() {
            Ok(Token::Bin(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// An identity.
    pub fn id(&mut self) -> Option<Uuid> {
        self.bytes().and_then(|bytes| Uuid::from_slice(bytes).ok())
    }

    /// How many values are in the array that begins here.
    pub fn array(&mut self) -> Option<u32> {
        match self.reader.token() {
            Ok(Token::Array(count)) => Some(count),
            _ => None,
        }
    }

    /// Any value, as it is.
    pub fn raw(&mut self) -> Option<&'a [u8]> {
        self.reader.raw().ok()
    }

    /// A value, or nil.
    pub fn optional<T>(&mut self, read: impl Fn(&mut Parts<'a>) -> Option<T>) -> Option<Option<T>> {
        let value = self.raw()?;
        match msgpack::token_at(value) {
            Ok(Token::Nil) => Some(None),
            _ => read(&mut Parts::new(value)).map(Some),
        }
    }
}

/// An identity.
pub fn write_id(out: &mut Vec<u8>, id: Uuid) {
    write_bin(out, id.as_bytes());
}

/// An integer that is not negative; one above 2⁶³ becomes that.
pub fn write_count(out: &mut Vec<u8>, number: u64) {
    write_int(out, i64::try_from(number).unwrap_or(i64::MAX));
}

/// A value, or nil.
pub fn write_optional<T>(out: &mut Vec<u8>, value: Option<T>, write: impl Fn(&mut Vec<u8>, T)) {
    match value {
        Some(value) => write(out, value),
        None => write_nil(out),
    }
}
