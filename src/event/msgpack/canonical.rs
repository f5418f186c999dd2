//! Checks one value of any origin and appends its canonical form. Bytes that are canonical already, which
//! is what Sanctum itself writes, are checked in one pass and copied.

use std::cmp::Ordering;

use super::reader::{Reader, Token};
use super::writer::{
    write_array_len, write_bool, write_bytes, write_ext, write_float, write_int, write_map_len, write_nil,
};
use super::{DEPTH_MAX, Error, Notes};

/// Appends the canonical form of `input`, which must be exactly one value. On an error `out` is as before.
pub fn canonicalize(input: &[u8], out: &mut Vec<u8>) -> Result<Notes, Error> {
    let before = out.len();
    let (read, notes) = canonicalize_prefix(input, out)?;
    if read < input.len() {
        out.truncate(before);
        return Err(Error::Trailing { at: read });
    }
    Ok(notes)
}

/// As [`canonicalize`], for a stream of values: gives back how many bytes the first one takes.
pub fn canonicalize_prefix(input: &[u8], out: &mut Vec<u8>) -> Result<(usize, Notes), Error> {
    let mut reader = Reader::new(input);
    if is_canonical(&mut reader, 0)? {
        out.extend_from_slice(&input[..reader.position()]);
        return Ok((reader.position(), Notes::default()));
    }
    let before = out.len();
    let mut rewrite = Rewrite {
        reader: Reader::new(input),
        out,
        entries: Vec::new(),
        scratch: Vec::new(),
        notes: Notes::default(),
    };
    match rewrite.value(0) {
        Ok(()) => Ok((rewrite.reader.position(), rewrite.notes)),
        Err(error) => {
            out.truncate(before);
            Err(error)
        }
    }
}

/// A map key, in the order that keys have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key<'a> {
    Int(i64),
    Float(f64),
    Bool(bool),
    Str(&'a [u8]),
}

impl<'a> Key<'a> {
    /// The key that `token` is. A whole float is an integer, as in Lua.
    #[inline]
    pub(super) fn of(token: Token<'a>, at: usize) -> Result<Self, Error> {
        Ok(match token {
            Token::Str(bytes) | Token::Bin(bytes) => Key::Str(bytes),
            Token::Int(value) => Key::Int(value),
            Token::Bool(value) => Key::Bool(value),
            Token::BigUint(value) => Key::Float(value as f64),
            Token::Float(value) if value.is_nan() => return Err(Error::NanKey { at }),
            Token::Float(value) => whole(value).map_or(Key::Float(value), Key::Int),
            Token::Nil => return Err(Error::Key { at, kind: "nil" }),
            Token::Array(_) => return Err(Error::Key { at, kind: "an array" }),
            Token::Map(_) => return Err(Error::Key { at, kind: "a map" }),
            Token::Ext(..) => return Err(Error::Key { at, kind: "an extension value" }),
        })
    }

    #[inline]
    pub(super) fn order(&self, other: &Key<'_>) -> Ordering {
        match (self, other) {
            (Key::Str(a), Key::Str(b)) => a.cmp(b),
            (Key::Int(a), Key::Int(b)) => a.cmp(b),
            (Key::Float(a), Key::Float(b)) => a.total_cmp(b),
            (Key::Bool(a), Key::Bool(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Key::Int(_) => 0,
            Key::Float(_) => 1,
            Key::Bool(_) => 2,
            Key::Str(_) => 3,
        }
    }
}

/// The integer that a float is, if it is one and an `i64` holds it.
fn whole(value: f64) -> Option<i64> {
    // Both bounds are powers of two, so they are exact; the upper one is excluded.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    (fits && value.fract() == 0.0).then_some(value as i64)
}

/// Whether the next value is canonical; reads it whole if so. `false` says nothing of what is left unread.
fn is_canonical(reader: &mut Reader<'_>, depth: usize) -> Result<bool, Error> {
    let at = reader.position();
    let token = reader.token()?;
    let size = reader.position() - at;
    Ok(match token {
        Token::Array(len) => {
            if depth == DEPTH_MAX {
                return Err(Error::TooDeep { at });
            }
            if size != collection_header(len) {
                return Ok(false);
            }
            for _ in 0..len {
                if !is_canonical(reader, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        Token::Map(len) => {
            if depth == DEPTH_MAX {
                return Err(Error::TooDeep { at });
            }
            if size != collection_header(len) {
                return Ok(false);
            }
            let mut last: Option<Key<'_>> = None;
            for _ in 0..len {
                let at = reader.position();
                let mut ahead = *reader;
                let token = ahead.token()?;
                let key = Key::of(token, at)?;
                let kept = !matches!((key, token), (Key::Int(_), Token::Float(_)));
                if !kept || !scalar_is_canonical(token, reader, &ahead) {
                    return Ok(false);
                }
                *reader = ahead;
                if last.is_some_and(|last| last.order(&key) != Ordering::Less) {
                    return Ok(false);
                }
                last = Some(key);
                if !is_canonical(reader, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        scalar => {
            let start = Reader::at(reader, at);
            scalar_is_canonical(scalar, &start, reader)
        }
    })
}

/// Whether a scalar that was read between two places is in canonical form.
#[inline]
fn scalar_is_canonical(token: Token<'_>, start: &Reader<'_>, end: &Reader<'_>) -> bool {
    let size = end.position() - start.position();
    match token {
        Token::Nil | Token::Bool(_) => true,
        Token::Int(value) => start.marker() == int_marker(value),
        Token::BigUint(_) | Token::Array(_) | Token::Map(_) => false,
        Token::Float(_) => size == 9,
        Token::Str(bytes) => {
            let header = if bytes.len() < 32 { 1 } else { body_header(bytes.len()) };
            size - bytes.len() == header && (bytes.is_ascii() || std::str::from_utf8(bytes).is_ok())
        }
        Token::Bin(bytes) => {
            size - bytes.len() == body_header(bytes.len()) && std::str::from_utf8(bytes).is_err()
        }
        Token::Ext(_, bytes) => {
            let len = bytes.len();
            let header = if matches!(len, 1 | 2 | 4 | 8 | 16) { 2 } else { body_header(len) + 1 };
            size - len == header
        }
    }
}

/// The first byte of an integer's shortest form.
#[inline]
fn int_marker(value: i64) -> u8 {
    match value {
        -32..=127 => value as u8,
        128..=0xff => 0xcc,
        0x100..=0xffff => 0xcd,
        0x1_0000..=0xffff_ffff => 0xce,
        0x1_0000_0000.. => 0xcf,
        -0x80..=-33 => 0xd0,
        -0x8000..=-0x81 => 0xd1,
        -0x8000_0000..=-0x8001 => 0xd2,
        _ => 0xd3,
    }
}

#[inline]
fn collection_header(len: u32) -> usize {
    match len {
        0..=15 => 1,
        16..=0xffff => 3,
        _ => 5,
    }
}

#[inline]
fn body_header(len: usize) -> usize {
    match len {
        0..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    }
}

/// One entry of a map that is being written: its key begins at `start`, its value ends at `end`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    end: usize,
}

/// Writes the canonical form of a value that is not in it.
struct Rewrite<'a, 'o> {
    reader: Reader<'a>,
    out: &'o mut Vec<u8>,
    /// The entries of all maps that are open, the innermost last.
    entries: Vec<Entry>,
    scratch: Vec<u8>,
    notes: Notes,
}

impl Rewrite<'_, '_> {
    fn value(&mut self, depth: usize) -> Result<(), Error> {
        let at = self.reader.position();
        match self.reader.token()? {
            Token::Array(_) | Token::Map(_) if depth == DEPTH_MAX => return Err(Error::TooDeep { at }),
            Token::Nil => write_nil(self.out),
            Token::Bool(value) => write_bool(self.out, value),
            Token::Int(value) => write_int(self.out, value),
            Token::BigUint(value) => {
                self.notes.big_uints += 1;
                write_float(self.out, value as f64);
            }
            Token::Float(value) => write_float(self.out, value),
            Token::Str(bytes) | Token::Bin(bytes) => write_bytes(self.out, bytes),
            Token::Ext(kind, bytes) => write_ext(self.out, kind, bytes),
            Token::Array(len) => {
                write_array_len(self.out, len as usize);
                for _ in 0..len {
                    self.value(depth + 1)?;
                }
            }
            Token::Map(len) => self.map(len, depth)?,
        }
        Ok(())
    }

    fn map(&mut self, len: u32, depth: usize) -> Result<(), Error> {
        let header = self.out.len();
        let first = self.entries.len();
        write_map_len(self.out, len as usize);
        let mut sorted = true;
        for _ in 0..len {
            let at = self.reader.position();
            let token = self.reader.token()?;
            let key = Key::of(token, at)?;
            if matches!(token, Token::BigUint(_)) {
                self.notes.big_uints += 1;
            }
            let start = self.out.len();
            if let (true, Some(last)) = (sorted, self.entries[first..].last()) {
                sorted = key_at(self.out, last.start).order(&key) == Ordering::Less;
            }
            write_key(self.out, key);
            self.value(depth + 1)?;
            self.entries.push(Entry { start, end: self.out.len() });
        }
        if !sorted {
            self.sort(header, first);
        }
        self.entries.truncate(first);
        Ok(())
    }

    /// Writes the entries from `first` again, in order, the last of equal keys only.
    fn sort(&mut self, header: usize, first: usize) {
        let Self { out, entries, scratch, .. } = self;
        let entries = &mut entries[first..];
        // Of equal keys the later one comes first.
        entries.sort_unstable_by(|a, b| {
            key_at(out, a.start).order(&key_at(out, b.start)).then(b.start.cmp(&a.start))
        });
        let mut kept = 0;
        for index in 0..entries.len() {
            let twin = index > 0
                && key_at(out, entries[index].start).order(&key_at(out, entries[kept - 1].start)).is_eq();
            if !twin {
                entries[kept] = entries[index];
                kept += 1;
            }
        }
        scratch.clear();
        for entry in &entries[..kept] {
            scratch.extend_from_slice(&out[entry.start..entry.end]);
        }
        out.truncate(header);
        write_map_len(out, kept);
        out.extend_from_slice(scratch);
    }
}

fn write_key(out: &mut Vec<u8>, key: Key<'_>) {
    match key {
        Key::Int(value) => write_int(out, value),
        Key::Float(value) => write_float(out, value),
        Key::Bool(value) => write_bool(out, value),
        Key::Str(bytes) => write_bytes(out, bytes),
    }
}

/// The key that was written at `start`.
fn key_at(out: &[u8], start: usize) -> Key<'_> {
    Reader::new(&out[start..]).token().and_then(|token| Key::of(token, start)).unwrap_or(Key::Str(b""))
}
