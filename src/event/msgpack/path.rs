//! Finds fields in canonical maps, on the bytes, without allocating.

use std::cmp::Ordering;

use super::reader::{Reader, Token};

/// One step of a dotted path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPart {
    /// A string key of a map.
    Key(Box<[u8]>),
    /// A number: an element of an array, the first being 1 as in Lua; in a map an integer key, or else
    /// the string key with the same text.
    Number(i64, Box<[u8]>),
}

impl PathPart {
    /// The step that one token of a dotted path is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let bytes = text.as_bytes().into();
        match text.parse::<i64>() {
            // `+1` and `01` are names, not numbers.
            Ok(number) if number.to_string() == text => PathPart::Number(number, bytes),
            _ => PathPart::Key(bytes),
        }
    }
}

/// The steps of a path such as `items.1.price`. An empty text is one empty key.
#[must_use]
pub fn parse_path(text: &str) -> Vec<PathPart> {
    text.split('.').map(PathPart::new).collect()
}

/// Whether a path has nothing between two dots, or before the first or after the last of them.
#[must_use]
pub fn has_empty_part(path: &str) -> bool {
    path.split('.').any(str::is_empty)
}

/// The bytes of the value that the string `key` has in a canonical map; `None` if there is no such key or
/// `map` is not a map.
#[inline]
#[must_use]
pub fn field<'a>(map: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let mut reader = Reader::new(map);
    let Ok(Token::Map(len)) = reader.token() else { return None };
    for _ in 0..len {
        if let Token::Str(name) | Token::Bin(name) = reader.token().ok()? {
            match name.cmp(key) {
                Ordering::Less => {}
                Ordering::Equal => return reader.raw().ok(),
                // Strings are sorted, and last.
                Ordering::Greater => return None,
            }
        }
        reader.skip().ok()?;
    }
    None
}

/// The bytes of the value at a path in canonical data.
#[inline]
#[must_use]
pub fn path<'a>(data: &'a [u8], parts: &[PathPart]) -> Option<&'a [u8]> {
    parts.iter().try_fold(data, step)
}

fn step<'a>(data: &'a [u8], part: &PathPart) -> Option<&'a [u8]> {
    let (number, key) = match part {
        PathPart::Key(key) => return field(data, key),
        PathPart::Number(number, key) => (*number, key),
    };
    let mut reader = Reader::new(data);
    match reader.token().ok()? {
        Token::Array(len) => {
            let index = u32::try_from(number.checked_sub(1)?).ok()?;
            if index >= len {
                return None;
            }
            for _ in 0..index {
                reader.skip().ok()?;
            }
            reader.raw().ok()
        }
        Token::Map(len) => {
            for _ in 0..len {
                // Integers are sorted, and first.
                match reader.token().ok()? {
                    Token::Int(found) if found == number => return reader.raw().ok(),
                    Token::Int(found) if found < number => reader.skip().ok()?,
                    _ => break,
                }
            }
            field(data, key)
        }
        _ => None,
    }
}
