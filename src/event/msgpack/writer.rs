//! Writes canonical values, one at a time, at the end of a vector. Lengths must fit in 32 bits, as all of
//! an arena does.

/// Nil.
#[inline]
pub fn write_nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// A boolean.
#[inline]
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(0xc2 | u8::from(value));
}

/// An integer, in its shortest form.
#[inline]
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    if (-32..128).contains(&value) {
        out.push(value as u8);
    } else {
        write_long_int(out, value);
    }
}

fn write_long_int(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = u64::try_from(value) {
        if let Ok(short) = u8::try_from(value) {
            out.extend_from_slice(&[0xcc, short]);
        } else if let Ok(short) = u16::try_from(value) {
            let [a, b] = short.to_be_bytes();
            out.extend_from_slice(&[0xcd, a, b]);
        } else if let Ok(short) = u32::try_from(value) {
            marked4(out, 0xce, short.to_be_bytes());
        } else {
            marked8(out, 0xcf, value.to_be_bytes());
        }
    } else if let Ok(short) = i8::try_from(value) {
        out.extend_from_slice(&[0xd0, short as u8]);
    } else if let Ok(short) = i16::try_from(value) {
        let [a, b] = short.to_be_bytes();
        out.extend_from_slice(&[0xd1, a, b]);
    } else if let Ok(short) = i32::try_from(value) {
        marked4(out, 0xd2, short.to_be_bytes());
    } else {
        marked8(out, 0xd3, value.to_be_bytes());
    }
}

/// A float, 64 bit, with its bits as they are.
#[inline]
pub fn write_float(out: &mut Vec<u8>, value: f64) {
    marked8(out, 0xcb, value.to_bits().to_be_bytes());
}

/// A string of bytes: `str` if it is valid UTF-8, else `bin`.
#[inline]
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
        write_str_bytes(out, bytes);
    } else {
        write_bin(out, bytes);
    }
}

/// A `str`.
#[inline]
pub fn write_str(out: &mut Vec<u8>, text: &str) {
    write_str_bytes(out, text.as_bytes());
}

/// A `str` of bytes that the caller knows to be valid UTF-8.
#[inline]
pub fn write_str_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() < 32 {
        out.push(0xa0 | bytes.len() as u8);
    } else {
        write_len(out, bytes.len(), 0xd9);
    }
    out.extend_from_slice(bytes);
}

/// A `bin` of bytes that the caller knows not to be valid UTF-8.
#[inline]
pub fn write_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    write_len(out, bytes.len(), 0xc4);
    out.extend_from_slice(bytes);
}

/// An array's header; its elements follow.
#[inline]
pub fn write_array_len(out: &mut Vec<u8>, len: usize) {
    if len < 16 {
        out.push(0x90 | len as u8);
    } else {
        write_long_len(out, len, 0xdc);
    }
}

/// A map's header; its keys and values follow, alternating, in key order.
#[inline]
pub fn write_map_len(out: &mut Vec<u8>, len: usize) {
    if len < 16 {
        out.push(0x80 | len as u8);
    } else {
        write_long_len(out, len, 0xde);
    }
}

/// An extension value.
#[inline]
pub fn write_ext(out: &mut Vec<u8>, kind: i8, bytes: &[u8]) {
    match bytes.len() {
        1 => out.push(0xd4),
        2 => out.push(0xd5),
        4 => out.push(0xd6),
        8 => out.push(0xd7),
        16 => out.push(0xd8),
        len => write_len(out, len, 0xc7),
    }
    out.push(kind as u8);
    out.extend_from_slice(bytes);
}

/// A length whose markers for 8, 16 and 32 bits begin at `marker`.
#[inline]
fn write_len(out: &mut Vec<u8>, len: usize, marker: u8) {
    if let Ok(short) = u8::try_from(len) {
        out.extend_from_slice(&[marker, short]);
    } else {
        write_long_len(out, len, marker + 1);
    }
}

/// A length whose markers for 16 and 32 bits begin at `marker`.
fn write_long_len(out: &mut Vec<u8>, len: usize, marker: u8) {
    if let Ok(short) = u16::try_from(len) {
        let [a, b] = short.to_be_bytes();
        out.extend_from_slice(&[marker, a, b]);
    } else {
        debug_assert!(u32::try_from(len).is_ok(), "a length over 32 bits");
        marked4(out, marker + 1, (len as u32).to_be_bytes());
    }
}

#[inline]
fn marked4(out: &mut Vec<u8>, marker: u8, bytes: [u8; 4]) {
    let mut marked = [marker; 5];
    marked[1..].copy_from_slice(&bytes);
    out.extend_from_slice(&marked);
}

#[inline]
fn marked8(out: &mut Vec<u8>, marker: u8, bytes: [u8; 8]) {
    let mut marked = [marker; 9];
    marked[1..].copy_from_slice(&bytes);
    out.extend_from_slice(&marked);
}
