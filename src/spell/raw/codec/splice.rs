//! What a cast changed, put into the bytes it came from.
//!
//! A spell that declares what it `reads` gets only those fields. When it returns the same table, its
//! fields are merged with the original map: both are sorted by key, so one pass over both suffices, and
//! what the spell never saw is copied as it is.

use crate::event::msgpack::{self, Reader, Token};

/// An entry of a map: its key, and the bytes of key and value.
struct Entry<'a> {
    key: &'a [u8],
    raw: &'a [u8],
    is_nil: bool,
}

/// The entries of a map whose keys are all strings.
struct Entries<'a> {
    bytes: &'a [u8],
    reader: Reader<'a>,
    left: u32,
}

impl<'a> Entries<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        match reader.token() {
            Ok(Token::Map(left)) => Some(Self { bytes, reader, left }),
            _ => None,
        }
    }

    /// `Err` for a key that is no string.
    fn next(&mut self) -> Result<Option<Entry<'a>>, ()> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let start = self.reader.position();
        let Ok(Token::Str(key) | Token::Bin(key)) = self.reader.token() else { return Err(()) };
        let is_nil = self.bytes.get(self.reader.position()) == Some(&0xc0);
        self.reader.skip().map_err(|_| ())?;
        Ok(Some(Entry { key, raw: &self.bytes[start..self.reader.position()], is_nil }))
    }
}

/// Appends to `out` the original map with the fields of `changed`. A declared field that `changed` lacks
/// is gone, but for a nil, which the spell never saw (with `nulls` it did). `body` is scratch.
pub fn splice(
    original: &[u8],
    changed: &[u8],
    reads: &[Box<[u8]>],
    nulls: bool,
    body: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), msgpack::Error> {
    body.clear();
    if let Some(count) = merge(original, changed, reads, nulls, body) {
        msgpack::write_map_len(out, count);
        out.extend_from_slice(body);
        return Ok(());
    }
    // Some key is no string: rare enough to be sorted anew.
    body.clear();
    let kept = append_entries(original, body, |key, is_nil| {
        let declared = reads.binary_search_by(|name| (**name).cmp(key)).is_ok();
        !declared || (is_nil && !nulls)
    })?;
    let count = kept + append_entries(changed, body, |_, _| true)?;
    let mut map = Vec::with_capacity(body.len() + 5);
    msgpack::write_map_len(&mut map, count);
    map.extend_from_slice(body);
    msgpack::canonicalize(&map, out).map(drop)
}

/// Appends the entries of a map that `keep` wants, keys that are no strings always; returns how many.
fn append_entries(
    map: &[u8],
    body: &mut Vec<u8>,
    keep: impl Fn(&[u8], bool) -> bool,
) -> Result<usize, msgpack::Error> {
    let mut reader = Reader::new(map);
    let Token::Map(len) = reader.token()? else { return Ok(0) };
    let mut count = 0;
    for _ in 0..len {
        let start = reader.position();
        let key = reader.token()?;
        let is_nil = map.get(reader.position()) == Some(&0xc0);
        reader.skip()?;
        let kept = match key {
            Token::Str(key) | Token::Bin(key) => keep(key, is_nil),
            _ => true,
        };
        if kept {
            body.extend_from_slice(&map[start..reader.position()]);
            count += 1;
        }
    }
    Ok(count)
}

fn merge(
    original: &[u8],
    changed: &[u8],
    reads: &[Box<[u8]>],
    nulls: bool,
    body: &mut Vec<u8>,
) -> Option<usize> {
    let (mut old, mut new) = (Entries::new(original)?, Entries::new(changed)?);
    let (mut left, mut right) = (old.next().ok()?, new.next().ok()?);
    let mut count = 0;
    loop {
        let take_right = match (&left, &right) {
            (None, None) => return Some(count),
            (Some(left), Some(right)) => right.key <= left.key,
            (None, Some(_)) => true,
            (Some(_), None) => false,
        };
        if take_right {
            let entry = right.take()?;
            if left.as_ref().is_some_and(|left| left.key == entry.key) {
                left = old.next().ok()?;
            }
            body.extend_from_slice(entry.raw);
            count += 1;
            right = new.next().ok()?;
        } else {
            let entry = left.take()?;
            let declared = reads.binary_search_by(|name| (**name).cmp(entry.key)).is_ok();
            if !declared || (entry.is_nil && !nulls) {
                body.extend_from_slice(entry.raw);
                count += 1;
            }
            left = old.next().ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::{Parser, write_value};

    fn spliced(original: &str, changed: &str, reads: &[&str]) -> String {
        let packed = |text: &str| {
            let mut out = Vec::new();
            Parser::default().to_msgpack(text.as_bytes(), &mut out).expect("JSON");
            out
        };
        let reads: Vec<Box<[u8]>> = reads.iter().map(|name| name.as_bytes().into()).collect();
        let (mut body, mut out, mut text) = (Vec::new(), Vec::new(), Vec::new());
        splice(&packed(original), &packed(changed), &reads, false, &mut body, &mut out).expect("maps");
        write_value(&out, &mut text);
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn keys_of_any_kind_are_merged() {
        let packed = |pairs: &[(i64, i64)]| {
            let mut out = Vec::new();
            msgpack::write_map_len(&mut out, pairs.len());
            pairs
                .iter()
                .flat_map(|&(key, value)| [key, value])
                .for_each(|int| msgpack::write_int(&mut out, int));
            out
        };
        let (mut body, mut out) = (Vec::new(), Vec::new());
        let (original, changed) = (packed(&[(1, 1), (3, 3)]), packed(&[(2, 2), (3, 4)]));
        splice(&original, &changed, &[], false, &mut body, &mut out).expect("maps");
        assert_eq!(out, packed(&[(1, 1), (2, 2), (3, 4)]));
    }

    #[test]
    fn what_was_not_read_stays_and_what_was_is_as_the_cast_left_it() {
        let original = r#"{"a":1,"b":[{"x":null}],"c":null,"d":2,"z":3}"#;
        assert_eq!(
            spliced(original, r#"{"a":5}"#, &["a", "c", "d"]),
            r#"{"a":5,"b":[{"x":null}],"c":null,"z":3}"#
        );
        assert_eq!(
            spliced(original, r#"{"a":1,"aa":0,"b":2,"d":2,"zz":4}"#, &["a", "d"]),
            r#"{"a":1,"aa":0,"b":2,"c":null,"d":2,"z":3,"zz":4}"#
        );
        assert_eq!(spliced("{}", r#"{"n":1}"#, &["n"]), r#"{"n":1}"#);
    }
}
