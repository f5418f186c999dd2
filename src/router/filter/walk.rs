//! Passing over canonical bytes, as fast as a table look-up per value.
//!
//! Common formats are recognised by their first byte; the others are left to
//! [`Reader`]. Every access is checked: bytes that are no MessagePack give `None`.

use crate::event::msgpack::{Reader, Token};

/// Bytes that a value takes, by its first byte, for formats of a fixed size, and for the header of small
/// collections; 0 for the others.
static SIZES: [u8; 256] = sizes();

const fn sizes() -> [u8; 256] {
    let mut sizes = [0; 256];
    let mut marker = 0;
    while marker < 256 {
        sizes[marker] = match marker {
            0x00..=0x9f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 1,
            0xa0..=0xbf => 1 + (marker as u8 & 0x1f),
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 => 3,
            0xca | 0xce | 0xd2 => 5,
            0xcb | 0xcf | 0xd3 => 9,
            _ => 0,
        };
        marker += 1;
    }
    sizes
}

/// Where the value that begins at `at` ends.
#[inline]
pub(super) fn end_of(raw: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    let mut pending = 1;
    while pending > 0 {
        let marker = *raw.get(at)?;
        match SIZES[usize::from(marker)] {
            0 => at += long_size(raw, at)?,
            size => at += usize::from(size),
        }
        pending -= 1;
        match marker {
            0x80..=0x8f => pending += 2 * usize::from(marker & 0x0f),
            0x90..=0x9f => pending += usize::from(marker & 0x0f),
            _ => {}
        }
    }
    (at <= raw.len()).then_some(at)
}

fn long_size(raw: &[u8], at: usize) -> Option<usize> {
    match *raw.get(at)? {
        0xd9 => Some(2 + usize::from(*raw.get(at + 1)?)),
        _ => {
            let mut reader = Reader::new(&raw[at..]);
            reader.skip().ok()?;
            Some(reader.position())
        }
    }
}

/// A map's number of members, and where the first begins.
#[inline]
pub(super) fn map_header(raw: &[u8]) -> Option<(u32, usize)> {
    if let Some(marker @ 0x80..=0x8f) = raw.first() {
        return Some((u32::from(marker & 0x0f), 1));
    }
    let mut reader = Reader::new(raw);
    match reader.token() {
        Ok(Token::Map(count)) => Some((count, reader.position())),
        _ => None,
    }
}

/// An array's number of members, and where the first begins.
#[inline]
pub(super) fn array_header(raw: &[u8]) -> Option<(u32, usize)> {
    let mut reader = Reader::new(raw);
    match reader.token() {
        Ok(Token::Array(count)) => Some((count, reader.position())),
        _ => None,
    }
}

/// The map key at `at`, and where its value begins.
#[inline]
pub(super) fn key_at(raw: &[u8], at: usize) -> Option<(Token<'_>, usize)> {
    let marker = *raw.get(at)?;
    if let 0xa0..=0xbf = marker {
        let end = at + 1 + usize::from(marker & 0x1f);
        return Some((Token::Str(raw.get(at + 1..end)?), end));
    }
    let mut reader = Reader::new(&raw[at..]);
    let token = reader.token().ok()?;
    Some((token, at + reader.position()))
}

/// The first eight bytes, those that are missing as zeros: orders strings as their bytes do, but for ties.
#[inline]
pub(super) fn prefix_of(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => bytes.iter().fold(0, |prefix, &byte| prefix << 8 | u64::from(byte)) << short_by(bytes.len()),
    }
}

fn short_by(len: usize) -> u32 {
    // An empty string has no bits to move.
    if len == 0 { 0 } else { 64 - 8 * len as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_in_the_order_of_their_strings() {
        let strings: [&[u8]; 8] = [b"", b"\0", b"a", b"a\0", b"ab", b"abcdefg", b"abcdefgh", b"abcdefgi\xff"];
        for pair in strings.windows(2) {
            assert!(prefix_of(pair[0]) <= prefix_of(pair[1]), "{pair:?}");
        }
        assert_eq!(prefix_of(b"ab"), 0x6162_0000_0000_0000);
        assert_eq!(prefix_of(b"abcdefghi"), prefix_of(b"abcdefgh"));
    }

    #[test]
    fn every_format_is_passed_over_as_a_reader_does() {
        for marker in 0..=0xff_u8 {
            for fill in [0, 1, 3] {
                let mut bytes = vec![fill; 600];
                bytes[0] = marker;
                let mut reader = Reader::new(&bytes);
                let expected = reader.skip().is_ok().then(|| reader.position());
                assert_eq!(end_of(&bytes, 0), expected, "{marker:#x} {fill}");
                for cut in 0..expected.unwrap_or(20) {
                    assert_eq!(end_of(&bytes[..cut], 0), None, "{marker:#x} {fill} {cut}");
                }
            }
        }
    }
}
