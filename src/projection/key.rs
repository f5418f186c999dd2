//! Keys of a projection as bytes whose order is the order of the keys.
//!
//! ```text
//! 00                    no key: no stream, no such field, null, or a projection without `by`
//! 02 ... 3f, as state   what can be a key of state: booleans, numbers, strings, lists of them
//! f0, MessagePack       anything else that a field may hold: maps, lists of lists, long strings
//! ```

use crate::event::msgpack::{self, Reader, Token};
use crate::spell::By;
use crate::state::key;

const NONE: u8 = 0x00;
const OTHER: u8 = 0xf0;

/// The key of a value in MessagePack. As keys of a lane, 3 and 3.0 are one.
#[must_use]
pub fn of_value(value: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(value.len() + 4);
    match Reader::new(value).token() {
        Err(_) | Ok(Token::Nil) => key.push(NONE),
        Ok(Token::Float(number)) if number.trunc() == number && number.abs() < 9e18 => {
            let mut whole = Vec::with_capacity(9);
            msgpack::write_int(&mut whole, number as i64);
            return of_value(&whole);
        }
        Ok(token) => {
            // State takes for one key what are two values: text and bytes, and within lists 3 and 3.0.
            let is_plain = matches!(token, Token::Str(_) | Token::Int(_) | Token::Bool(_));
            if key::encode(value, &mut key).is_err() || !(is_plain || self::value(&key) == value) {
                key.clear();
                key.push(OTHER);
                key.extend_from_slice(value);
            }
        }
    }
    key
}

/// The key of what a fold is by: see [`Fold::scope`](crate::spell::Fold::scope).
#[must_use]
pub fn of_scope(by: &By, scope: &[u8]) -> Vec<u8> {
    match by {
        By::Stream if !scope.is_empty() => {
            let mut value = Vec::with_capacity(scope.len() + 5);
            msgpack::write_str_bytes(&mut value, scope);
            of_value(&value)
        }
        By::Stream | By::One => vec![NONE],
        By::Path(_) => of_value(scope),
    }
}

/// The value that a key stands for, as MessagePack.
#[must_use]
pub fn value(key: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(key.len() + 4);
    match key {
        [OTHER, rest @ ..] => value.extend_from_slice(rest),
        key => {
            if key == [NONE] || key::decode(key, &mut value).is_err() {
                value.clear();
                msgpack::write_nil(&mut value);
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_keys_have_the_order_of_their_values() {
        let values: [&[u8]; 8] = [
            &[0xc0],
            &[0xc2],
            &[0x07],
            &[0xcc, 0xff],
            b"\xa1b",
            b"\xa2aa",
            &[0x92, 0x01, 0xa1, b'x'],
            &[0x81, 0xa1, b'k', 0x01],
        ];
        let keys: Vec<_> = values.iter().map(|value| of_value(value)).collect();
        for (key, of) in keys.iter().zip(values) {
            assert_eq!(value(key), of);
        }
        let mut sorted = keys.clone();
        sorted.sort();
        sorted.swap(4, 5);
        assert_eq!(sorted, keys);
        assert_eq!(of_value(&[]), of_value(&[0xc0]));
        // What is not equal has keys that are not.
        let max = |last| [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, last];
        assert_ne!(of_value(&max(0xff)), of_value(&max(0xfe)));
        assert_eq!(value(&of_value(&max(0xfe))), max(0xfe));
        assert_ne!(of_value(b"\xa1a"), of_value(b"\xc4\x01a"));
        assert_ne!(of_value(b"\x91\xa1a"), of_value(b"\x91\xc4\x01a"));
        let mut float = Vec::new();
        msgpack::write_float(&mut float, 3.0);
        assert_eq!(of_value(&float), of_value(&[3]));
        assert_eq!(of_scope(&By::Stream, b"user-1"), of_value(b"\xa6user-1"));
    }
}
