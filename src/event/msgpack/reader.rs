//! Reads MessagePack token by token, without copying. Any bytes are safe to read: a length that exceeds
//! the buffer is an error before anything is done with it.

use super::Error;

/// One value, or the header of a collection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    /// Nil.
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer in the range of an `i64`.
    Int(i64),
    /// An integer above it.
    BigUint(u64),
    /// A float; 32-bit ones are widened.
    Float(f64),
    /// A `str`, which a careless producer may have filled with bytes that are not UTF-8.
    Str(&'a [u8]),
    /// A `bin`.
    Bin(&'a [u8]),
    /// An array; that many values follow.
    Array(u32),
    /// A map; that many keys and values follow, alternating.
    Map(u32),
    /// An extension value.
    Ext(i8, &'a [u8]),
}

/// How many bytes a value takes, where its first byte tells; 0 where it does not, and for collections.
const SIZES: [u8; 256] = {
    let mut sizes = [0; 256];
    let mut marker = 0;
    while marker < 256 {
        sizes[marker] = match marker as u8 {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => 1,
            len @ 0xa0..=0xbf => 1 + (len & 0x1f),
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 | 0xd4 => 3,
            0xd5 => 4,
            0xca | 0xce | 0xd2 => 5,
            0xd6 => 6,
            0xcb | 0xcf | 0xd3 => 9,
            0xd7 => 10,
            0xd8 => 18,
            _ => 0,
        };
        marker += 1;
    }
    sizes
};

/// The token at the start of `bytes`.
pub fn token_at(bytes: &[u8]) -> Result<Token<'_>, Error> {
    Reader::new(bytes).token()
}

/// A place in a buffer of MessagePack.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the start of `bytes`.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Back at a place that was read before.
    #[inline]
    pub(super) fn at(reader: &Reader<'a>, at: usize) -> Self {
        Self { bytes: reader.bytes, at }
    }

    /// The next byte; 0xc1 at the end.
    #[inline]
    pub(super) fn marker(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0xc1)
    }

    /// Bytes read so far.
    #[inline]
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether all has been read.
    #[inline]
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The next value, or the header of the next collection.
    #[inline]
    pub fn token(&mut self) -> Result<Token<'a>, Error> {
        let at = self.at;
        let Some(&marker) = self.bytes.get(at) else { return Err(Error::Truncated { at }) };
        self.at = at + 1;
        Ok(match marker {
            0x00..=0x7f => Token::Int(i64::from(marker)),
            0x80..=0x8f => Token::Map(self.elements(at, u32::from(marker & 0x0f), 2)?),
            0x90..=0x9f => Token::Array(self.elements(at, u32::from(marker & 0x0f), 1)?),
            0xa0..=0xbf => Token::Str(self.body(at, usize::from(marker & 0x1f))?),
            0xe0..=0xff => Token::Int(i64::from(marker as i8)),
            _ => return self.long_token(at, marker),
        })
    }

    fn long_token(&mut self, at: usize, marker: u8) -> Result<Token<'a>, Error> {
        Ok(match marker {
            0xc0 => Token::Nil,
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc4..=0xc6 => {
                let len = self.length(at, marker - 0xc4)?;
                Token::Bin(self.body(at, len)?)
            }
            0xc7..=0xc9 => {
                let len = self.length(at, marker - 0xc7)?;
                self.ext(at, len)?
            }
            0xca => Token::Float(f64::from(f32::from_be_bytes(self.fixed(at)?))),
            0xcb => Token::Float(f64::from_be_bytes(self.fixed(at)?)),
            0xcc => Token::Int(i64::from(u8::from_be_bytes(self.fixed(at)?))),
            0xcd => Token::Int(i64::from(u16::from_be_bytes(self.fixed(at)?))),
            0xce => Token::Int(i64::from(u32::from_be_bytes(self.fixed(at)?))),
            0xcf => {
                let value = u64::from_be_bytes(self.fixed(at)?);
                i64::try_from(value).map_or(Token::BigUint(value), Token::Int)
            }
            0xd0 => Token::Int(i64::from(i8::from_be_bytes(self.fixed(at)?))),
            0xd1 => Token::Int(i64::from(i16::from_be_bytes(self.fixed(at)?))),
            0xd2 => Token::Int(i64::from(i32::from_be_bytes(self.fixed(at)?))),
            0xd3 => Token::Int(i64::from_be_bytes(self.fixed(at)?)),
            0xd4..=0xd8 => self.ext(at, 1 << (marker - 0xd4))?,
            0xd9..=0xdb => {
                let len = self.length(at, marker - 0xd9)?;
                Token::Str(self.body(at, len)?)
            }
            0xdc | 0xdd => {
                let len = self.length(at, marker - 0xdb)?;
                Token::Array(self.elements(at, len as u32, 1)?)
            }
            0xde | 0xdf => {
                let len = self.length(at, marker - 0xdd)?;
                Token::Map(self.elements(at, len as u32, 2)?)
            }
            _ => {
                self.at = at;
                return Err(Error::Reserved { at });
            }
        })
    }

    /// Passes over one whole value, however deep, without recursion.
    #[inline]
    pub fn skip(&mut self) -> Result<(), Error> {
        // At most 2^33 are added for each byte that is read, so no input makes the count overflow.
        let mut pending: u64 = 1;
        while pending > 0 {
            pending -= 1;
            let marker = self.marker();
            let size = usize::from(SIZES[usize::from(marker)]);
            if size == 0 || size > self.remaining() {
                match self.token()? {
                    Token::Array(len) => pending += u64::from(len),
                    Token::Map(len) => pending += 2 * u64::from(len),
                    _ => {}
                }
            } else {
                self.at += size;
            }
        }
        Ok(())
    }

    /// The bytes of one whole value.
    #[inline]
    pub fn raw(&mut self) -> Result<&'a [u8], Error> {
        let start = self.at;
        self.skip()?;
        Ok(&self.bytes[start..self.at])
    }

    /// A big-endian number of `N` bytes.
    #[inline]
    fn fixed<const N: usize>(&mut self, at: usize) -> Result<[u8; N], Error> {
        let Some(bytes) = self.bytes[self.at..].first_chunk::<N>() else {
            self.at = at;
            return Err(Error::Truncated { at });
        };
        self.at += N;
        Ok(*bytes)
    }

    /// A length of 8, 16 or 32 bits: `width` 0, 1 or 2.
    #[inline]
    fn length(&mut self, at: usize, width: u8) -> Result<usize, Error> {
        Ok(match width {
            0 => usize::from(u8::from_be_bytes(self.fixed(at)?)),
            1 => usize::from(u16::from_be_bytes(self.fixed(at)?)),
            _ => u32::from_be_bytes(self.fixed(at)?) as usize,
        })
    }

    #[inline]
    fn body(&mut self, at: usize, len: usize) -> Result<&'a [u8], Error> {
        let Some(body) = self.bytes[self.at..].get(..len) else {
            let left = self.remaining();
            self.at = at;
            return Err(Error::Length { at, len: len as u64, left });
        };
        self.at += len;
        Ok(body)
    }

    fn ext(&mut self, at: usize, len: usize) -> Result<Token<'a>, Error> {
        let [kind] = self.fixed::<1>(at)?;
        Ok(Token::Ext(kind as i8, self.body(at, len)?))
    }

    /// Checks that `len` elements of at least `size` bytes can be there.
    #[inline]
    fn elements(&mut self, at: usize, len: u32, size: usize) -> Result<u32, Error> {
        let left = self.remaining();
        if len as usize > left / size {
            self.at = at;
            return Err(Error::Length { at, len: u64::from(len), left });
        }
        Ok(len)
    }
}
