//! Numbers in as few bytes as they need: LEB128, seven bits a byte, the lowest first.

/// The most bytes that a number takes.
pub const BYTES_MAX: usize = 10;

/// Writes a number.
#[inline]
pub fn write(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a number that may be negative: small ones of either sign are short ("zigzag").
#[inline]
pub fn write_signed(out: &mut Vec<u8>, value: i64) {
    write(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Reads a number at `at` and moves past it; `None` where the bytes end or do not fit 64 bits.
#[inline]
pub fn read(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    *at += 1;
    if first < 0x80 {
        return Some(u64::from(first));
    }
    let mut value = u64::from(first & 0x7f);
    for shift in 1..BYTES_MAX {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if shift == BYTES_MAX - 1 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Reads what [`write_signed`] wrote.
#[inline]
pub fn read_signed(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let value = read(bytes, at)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// Reads a length and as many bytes.
#[inline]
pub fn read_bytes<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let len = usize::try_from(read(bytes, at)?).ok()?;
    let found = bytes.get(*at..at.checked_add(len)?)?;
    *at += len;
    Some(found)
}

/// Writes a length and the bytes.
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
