//! JSON text to canonical MessagePack in one pass: each value is written as soon as it is read, and an
//! object whose keys do not ascend is put in order when it ends.
//!
//! For energies, which are short, that is faster than any parser that builds something in between, a tape
//! of simd-json's included. In the steady state nothing is allocated. Recursion is bounded by
//! [`DEPTH_MAX`].

use super::JsonError;
use super::diagnose::{diagnose, error_at};
use super::number;
use super::order::{Entry, order, prefix};
use super::string::{Piece, plain, unescape};
use crate::event::envelope::Fields;
use crate::event::msgpack::{
    DEPTH_MAX, Notes, write_array_len, write_bool, write_float, write_int, write_map_len, write_nil,
    write_str_bytes,
};

/// Reads JSON texts, one after the other.
#[derive(Debug, Default)]
pub struct Parser {
    scratch: Scratch,
}

/// Memory that is kept from text to text.
#[derive(Debug, Default)]
struct Scratch {
    /// The members of all objects that are open, the innermost last.
    entries: Vec<Entry>,
    /// An object while it is put in order, or bytes while they are decoded.
    bytes: Vec<u8>,
    /// A string without its escapes.
    unescaped: Vec<u8>,
}

impl Parser {
    /// A parser without buffers; they grow with the texts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the canonical form of one JSON value to `out`. On an error `out` is as before.
    pub fn to_msgpack(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<Notes, JsonError> {
        self.run(text, out, None)
    }

    /// As [`Parser::to_msgpack`], for an energy: the text must be an object, whose `$` keys set `fields`
    /// (cleared first) and are not written to `out`.
    pub fn to_event(
        &mut self,
        text: &[u8],
        out: &mut Vec<u8>,
        fields: &mut Fields,
    ) -> Result<Notes, JsonError> {
        fields.clear();
        self.run(text, out, Some(fields))
    }

    #[inline]
    fn run(
        &mut self,
        text: &[u8],
        out: &mut Vec<u8>,
        fields: Option<&mut Fields>,
    ) -> Result<Notes, JsonError> {
        let before = out.len();
        self.scratch.entries.clear();
        let mut reader = Reader { text, at: 0, out, scratch: &mut self.scratch, big_uints: 0 };
        let result = reader.text(fields);
        let Reader { big_uints, at, .. } = reader;
        result.map(|()| Notes { big_uints }).map_err(|fault| {
            out.truncate(before);
            match fault {
                Fault::Syntax => diagnose(text, at),
                Fault::At(at, message) => error_at(text, at, message),
            }
        })
    }
}

/// Why a text is refused.
pub(super) enum Fault {
    /// It is not JSON; where is where reading stopped.
    Syntax,
    /// It is JSON that says something wrong, at that byte.
    At(usize, String),
}

struct Reader<'t, 'p> {
    text: &'t [u8],
    at: usize,
    out: &'p mut Vec<u8>,
    scratch: &'p mut Scratch,
    big_uints: u32,
}

impl<'t> Reader<'t, '_> {
    /// The whole text.
    fn text(&mut self, fields: Option<&mut Fields>) -> Result<(), Fault> {
        if let Err(error) = std::str::from_utf8(self.text) {
            self.at = error.valid_up_to();
            return Err(Fault::Syntax);
        }
        self.out.reserve(self.text.len());
        let first = self.next();
        match fields {
            None => self.value(first, 0)?,
            Some(fields) if first == b'{' => self.object(0, Some(fields))?,
            Some(_) => {
                let start = self.at;
                self.value(first, 0)?;
                self.end()?;
                return Err(Fault::At(start, "an energy is a JSON object".to_owned()));
            }
        }
        self.end()
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.next();
        if self.at == self.text.len() { Ok(()) } else { Err(Fault::Syntax) }
    }

    /// The next byte that is not white space; 0, which JSON has nowhere, at the end.
    #[inline]
    fn next(&mut self) -> u8 {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(&byte) => return byte,
                None => return 0,
            }
        }
    }

    /// The value that begins with `byte`, at the current place.
    #[inline]
    fn value(&mut self, byte: u8, depth: usize) -> Result<(), Fault> {
        match byte {
            b'"' => {
                let piece = self.string()?;
                self.write(piece);
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b'{' => self.object(depth, None)?,
            b'[' => self.array(depth)?,
            b't' => {
                self.literal(b"true")?;
                write_bool(self.out, true);
            }
            b'f' => {
                self.literal(b"false")?;
                write_bool(self.out, false);
            }
            b'n' => {
                self.literal(b"null")?;
                write_nil(self.out);
            }
            _ => return Err(Fault::Syntax),
        }
        Ok(())
    }

    fn literal(&mut self, expected: &[u8]) -> Result<(), Fault> {
        if !self.text[self.at..].starts_with(expected) {
            return Err(Fault::Syntax);
        }
        self.at += expected.len();
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<(), Fault> {
        let (number, end) = number::read(self.text, self.at).ok_or(Fault::Syntax)?;
        self.at = end;
        match number {
            number::Number::Int(value) => write_int(self.out, value),
            number::Number::Float(value) => write_float(self.out, value),
            number::Number::BigInt(value) => {
                self.big_uints += 1;
                write_float(self.out, value);
            }
        }
        Ok(())
    }

    /// Reads the string whose quote is at the current place. If it has escapes, its bytes are in the scratch.
    ///
    /// Inlined, since a result of this size goes through memory, where it is read wider than it was written:
    /// that stall was a quarter of all time.
    #[inline(always)]
    fn string(&mut self) -> Result<Piece, Fault> {
        let start = self.at + 1;
        let end = plain(self.text, start);
        self.at = end;
        match self.text.get(end) {
            Some(b'"') => {
                self.at = end + 1;
                Ok(Piece { start, end, escaped: false })
            }
            Some(b'\\') => {
                self.at =
                    unescape(self.text, start, end, &mut self.scratch.unescaped).ok_or(Fault::Syntax)?;
                Ok(Piece { start, end: self.at - 1, escaped: true })
            }
            _ => Err(Fault::Syntax),
        }
    }

    /// Writes a string that was just read.
    #[inline(always)]
    fn write(&mut self, piece: Piece) {
        if piece.escaped {
            return write_str_bytes(self.out, &self.scratch.unescaped);
        }
        let len = piece.end - piece.start;
        // Short strings are copied whole with what follows them, which is cut off again: a copy of a fixed
        // size is a few instructions, one of any size a call.
        if len <= 16
            && let Some(window) = self.text[piece.start..].first_chunk::<16>()
        {
            let mut block = [0; 17];
            block[0] = 0xa0 | len as u8;
            block[1..].copy_from_slice(window);
            self.out.extend_from_slice(&block);
            self.out.truncate(self.out.len() - 16 + len);
        } else {
            write_str_bytes(self.out, &self.text[piece.start..piece.end]);
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        self.descend(depth)?;
        let header = self.out.len();
        self.out.push(0x90);
        let mut len = 0;
        let mut byte = self.next();
        if byte != b']' {
            loop {
                self.value(byte, depth + 1)?;
                len += 1;
                match self.next() {
                    b',' => self.at += 1,
                    b']' => break,
                    _ => return Err(Fault::Syntax),
                }
                byte = self.next();
            }
        }
        self.at += 1;
        self.header(header, len, 0x90, write_array_len);
        Ok(())
    }

    /// Past the bracket, unless that is too deep.
    #[inline]
    fn descend(&mut self, depth: usize) -> Result<(), Fault> {
        if depth == DEPTH_MAX {
            return Err(Fault::At(self.at, format!("JSON nests deeper than {DEPTH_MAX} levels")));
        }
        self.at += 1;
        Ok(())
    }

    /// Completes the header of a collection, for which one byte was written at `at`.
    #[inline]
    fn header(&mut self, at: usize, len: usize, short: u8, write: fn(&mut Vec<u8>, usize)) {
        if len < 16 {
            self.out[at] = short | len as u8;
            return;
        }
        let body = &mut self.scratch.bytes;
        body.clear();
        body.extend_from_slice(&self.out[at + 1..]);
        self.out.truncate(at);
        write(self.out, len);
        self.out.extend_from_slice(body);
    }

    fn object(&mut self, depth: usize, mut fields: Option<&mut Fields>) -> Result<(), Fault> {
        let header = self.out.len();
        let first = self.scratch.entries.len();
        self.descend(depth)?;
        self.out.push(0x80);
        let mut ascending = true;
        let mut last = 0;
        let mut spelling = None;
        let mut byte = self.next();
        if byte != b'}' {
            loop {
                if byte != b'"' {
                    return Err(Fault::Syntax);
                }
                let start = self.out.len();
                let key = self.string()?;
                let prefix = self.prefix(key);
                if prefix >> 56 == u64::from(b'$') {
                    if let Some(fields) = fields.as_deref_mut() {
                        self.field(key, fields)?;
                        match self.next() {
                            b',' => self.at += 1,
                            b'}' => break,
                            _ => return Err(Fault::Syntax),
                        }
                        byte = self.next();
                        continue;
                    }
                    spelling = Some(key);
                }
                self.write(key);
                self.member(depth)?;
                // Keys that begin alike are left to the sort; the empty key is, too.
                ascending &= prefix > last;
                last = prefix;
                self.scratch.entries.push(Entry { prefix, start, end: self.out.len() });
                match self.next() {
                    b',' => self.at += 1,
                    b'}' => break,
                    _ => return Err(Fault::Syntax),
                }
                byte = self.next();
            }
        }
        self.at += 1;
        let len = self.scratch.entries.len() - first;
        if ascending {
            self.header(header, len, 0x80, write_map_len);
        } else {
            order(&mut self.scratch.entries, first, header, self.out, &mut self.scratch.bytes);
        }
        self.scratch.entries.truncate(first);
        if len == 1
            && let Some(key) = spelling
        {
            super::spelling::apply(self.out, header, &mut self.scratch.bytes)
                .map_err(|message| Fault::At(key.start - 1, message))?;
        }
        Ok(())
    }

    /// The colon and the value after a key.
    #[inline]
    fn member(&mut self, depth: usize) -> Result<(), Fault> {
        if self.next() != b':' {
            return Err(Fault::Syntax);
        }
        self.at += 1;
        let byte = self.next();
        self.value(byte, depth + 1)
    }

    /// A `$` key of an energy, with its value.
    fn field(&mut self, key: Piece, fields: &mut Fields) -> Result<(), Fault> {
        let unescaped;
        let name: &[u8] = if key.escaped {
            unescaped = self.scratch.unescaped.clone();
            &unescaped
        } else {
            &self.text[key.start..key.end]
        };
        let start = self.out.len();
        self.member(0)?;
        // The text was checked to be UTF-8, and escapes give nothing else.
        let name = std::str::from_utf8(name).unwrap_or_default();
        fields.set(name, &self.out[start..]).map_err(|error| Fault::At(key.start - 1, error.to_string()))?;
        self.out.truncate(start);
        Ok(())
    }

    #[inline]
    fn prefix(&self, key: Piece) -> u64 {
        if key.escaped {
            return prefix(&self.scratch.unescaped);
        }
        let len = key.end - key.start;
        match self.text[key.start..].first_chunk::<8>() {
            Some(window) if len >= 8 => u64::from_be_bytes(*window),
            Some(window) => u64::from_be_bytes(*window) & !(u64::MAX >> (8 * len)),
            None => prefix(&self.text[key.start..key.end]),
        }
    }
}
