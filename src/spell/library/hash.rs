//! `hash.blake3`, `hash.sha256` (lower-case hexadecimal) and `hash.crc32` (an integer, as in zlib).

use sha2::{Digest, Sha256};

use crate::spell::raw::{Entry, Frame, Raise};

/// The table `hash`.
pub(crate) static FUNCTIONS: &[Entry] = &[("blake3", blake3), ("sha256", sha256), ("crc32", crc32)];

/// The bytes to digest, their cost charged: one unit is `divisor` bytes.
fn input<'l>(frame: &mut Frame<'l>, divisor: u64) -> Result<&'l [u8], Raise> {
    let bytes = frame.bytes(1)?;
    frame.charge(16 + bytes.len() as u64 / divisor)?;
    Ok(bytes)
}

/// `hash.blake3(bytes)`
fn blake3(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bytes = input(frame, 8)?;
    frame.push_str(&::blake3::hash(bytes).to_hex())?;
    Ok(1)
}

/// `hash.sha256(bytes)`
fn sha256(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = input(frame, 2)?;
    let mut text = Vec::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        text.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    frame.push_bytes(&text)?;
    Ok(1)
}

/// `hash.crc32(bytes)`
fn crc32(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bytes = input(frame, 16)?;
    frame.push_int(i64::from(crc32fast::hash(bytes)));
    Ok(1)
}
