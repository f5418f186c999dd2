//! Strings in a JSON text: where they end, and what their escapes stand for.

/// A string of the text, without its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether the bytes are not what the string says.
    pub(super) escaped: bool,
}

/// The same byte eight times.
const fn all(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Where the first quote, backslash or control character is from `at` on, or the end.
#[inline]
pub(super) fn plain(text: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = text[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // A byte's high bit is set where it is less than a bound, here 0x20 and, after the exclusive or
        // that makes the sought byte 0, 1. Higher bytes may be wrong through the borrow, the lowest is not.
        let quote = word ^ all(b'"');
        let backslash = word ^ all(b'\\');
        let found = (word.wrapping_sub(all(0x20)) & !word
            | quote.wrapping_sub(all(1)) & !quote
            | backslash.wrapping_sub(all(1)) & !backslash)
            & all(0x80);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    text[at..]
        .iter()
        .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')
        .map_or(text.len(), |more| at + more)
}

/// Puts what the string from `start` says into `out`; its first backslash is at `at`. Gives back the place
/// after its closing quote.
#[cold]
pub(super) fn unescape(text: &[u8], start: usize, mut at: usize, out: &mut Vec<u8>) -> Option<usize> {
    out.clear();
    let mut run = start;
    loop {
        out.extend_from_slice(&text[run..at]);
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => {}
            _ => return None,
        }
        let escape = *text.get(at + 1)?;
        at += 2;
        match escape {
            b'"' | b'\\' | b'/' => out.push(escape),
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let mut code = hex(text, at)?;
                at += 4;
                if (0xd800..0xdc00).contains(&code) && text.get(at..at + 2) == Some(b"\\u") {
                    let low = hex(text, at + 2).filter(|low| (0xdc00..0xe000).contains(low))?;
                    code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    at += 6;
                }
                // A surrogate without its other half is no character.
                let char = char::from_u32(code)?;
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
        run = at;
        at = plain(text, at);
    }
}

/// Four hexadecimal digits.
fn hex(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..at + 4)?.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
}
