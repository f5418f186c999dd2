//! MessagePack to compact JSON text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::string::plain;
use crate::event::msgpack::{DEPTH_MAX, Reader, Token};
use crate::event::{EventRef, Extra, Head, Ttl};

/// Appends one MessagePack value as compact JSON. Keys keep the order of the bytes. What is not MessagePack,
/// or nested too deep to be data, is written as `null`.
pub fn write_value(data: &[u8], out: &mut Vec<u8>) {
    value(&mut Reader::new(data), 0, out);
}

/// Appends an energy with its envelope, as one line without its end. One that is not stored has no position and no
/// version.
pub fn write_event(event: EventRef<'_>, out: &mut Vec<u8>) {
    let head = event.head();
    let extra = event.extra();
    let is_stored = head.position != Head::UNSTORED;
    out.push(b'{');
    if is_stored {
        out.extend_from_slice(b"\"position\":");
        write_unsigned(head.position, out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"id\":");
    write_uuid(head.id, out);
    out.extend_from_slice(b",\"time\":");
    write_int(head.time_ms, out);
    if let Some(topic) = event.topic() {
        out.extend_from_slice(b",\"topic\":");
        write_string(topic, out);
    }
    if let Some(stream) = event.stream() {
        out.extend_from_slice(b",\"stream\":");
        write_string(stream, out);
    }
    if is_stored {
        out.extend_from_slice(b",\"version\":");
        write_unsigned(head.version, out);
    }
    if !head.correlation.is_nil() {
        out.extend_from_slice(b",\"correlation\":");
        write_uuid(head.correlation, out);
    }
    if !head.causation.is_nil() {
        out.extend_from_slice(b",\"causation\":");
        write_uuid(head.causation, out);
    }
    out.extend_from_slice(b",\"hops\":");
    write_unsigned(u64::from(head.hops), out);
    out.extend_from_slice(b",\"tags\":");
    match extra {
        Some(extra) => write_tags(extra, out),
        None => out.extend_from_slice(b"{}"),
    }
    out.extend_from_slice(b",\"ttl\":");
    write_ttl(extra.map_or(Ttl::Forever, |extra| extra.ttl), out);
    if let Some(content) = extra.and_then(|extra| extra.content.as_deref()) {
        out.extend_from_slice(b",\"content\":");
        write_string(content, out);
    }
    out.extend_from_slice(b",\"data\":");
    write_value(event.data(), out);
    out.push(b'}');
}

/// Appends an energy's data alone, with the `$` keys that are set as its first ones: `$topic`, `$stream` if
/// it is not the topic, `$tags` if there are any, `$ttl` if it is not forever, `$content`. Reading the line
/// back gives the same energy.
pub fn write_output(event: EventRef<'_>, out: &mut Vec<u8>) {
    let before = out.len();
    out.push(b'{');
    if let Some(topic) = event.topic() {
        key(b"$topic", before, out);
        write_string(topic, out);
    }
    if let Some(stream) = event.stream()
        && event.stream_bytes() != event.topic_bytes()
    {
        key(b"$stream", before, out);
        write_string(stream, out);
    }
    if let Some(extra) = event.extra() {
        if !extra.tags.is_empty() {
            key(b"$tags", before, out);
            write_tags(extra, out);
        }
        if extra.ttl != Ttl::Forever {
            key(b"$ttl", before, out);
            write_ttl(extra.ttl, out);
        }
        if let Some(content) = &extra.content {
            key(b"$content", before, out);
            write_string(content, out);
        }
    }
    let mut reader = Reader::new(event.data());
    if let Ok(Token::Map(len)) = reader.token() {
        members(&mut reader, len, before, 1, out);
    }
    out.push(b'}');
}

/// Appends `name` as a key of the object that was begun at `start`.
fn key(name: &[u8], start: usize, out: &mut Vec<u8>) {
    if out.len() > start + 1 {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
}

fn write_tags(extra: &Extra, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (tag, value)) in extra.tags.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(tag, out);
        out.push(b':');
        write_string(value, out);
    }
    out.push(b'}');
}

fn write_ttl(ttl: Ttl, out: &mut Vec<u8>) {
    match ttl {
        Ttl::Forever => out.extend_from_slice(b"\"forever\""),
        Ttl::Ephemeral => out.extend_from_slice(b"\"ephemeral\""),
        Ttl::TimeMs(ms) => {
            out.extend_from_slice(b"\"time:");
            write_unsigned(ms, out);
            out.push(b'"');
        }
        Ttl::Last(count) => {
            out.extend_from_slice(b"\"last:");
            write_unsigned(count, out);
            out.push(b'"');
        }
    }
}

fn value(reader: &mut Reader<'_>, depth: usize, out: &mut Vec<u8>) {
    match reader.token() {
        Ok(Token::Nil) | Err(_) => out.extend_from_slice(b"null"),
        Ok(Token::Bool(true)) => out.extend_from_slice(b"true"),
        Ok(Token::Bool(false)) => out.extend_from_slice(b"false"),
        Ok(Token::Int(number)) => write_int(number, out),
        Ok(Token::BigUint(number)) => write_unsigned(number, out),
        Ok(Token::Float(number)) => write_float(number, out),
        Ok(Token::Str(bytes) | Token::Bin(bytes)) => write_bytes(bytes, out),
        Ok(Token::Ext(kind, bytes)) => {
            out.extend_from_slice(b"{\"$ext\":[");
            write_int(i64::from(kind), out);
            out.extend_from_slice(b",\"");
            write_base64(bytes, out);
            out.extend_from_slice(b"\"]}");
        }
        // Nothing canonical is so deep.
        Ok(Token::Array(len)) if depth == DEPTH_MAX => pass_over(reader, u64::from(len), out),
        Ok(Token::Map(len)) if depth == DEPTH_MAX => pass_over(reader, 2 * u64::from(len), out),
        Ok(Token::Array(len)) => {
            out.push(b'[');
            for index in 0..len {
                if index > 0 {
                    out.push(b',');
                }
                value(reader, depth + 1, out);
            }
            out.push(b']');
        }
        Ok(Token::Map(len)) => {
            let start = out.len();
            out.push(b'{');
            members(reader, len, start, depth + 1, out);
            out.push(b'}');
        }
    }
}

fn pass_over(reader: &mut Reader<'_>, values: u64, out: &mut Vec<u8>) {
    let _cut_off = (0..values).try_for_each(|_| reader.skip());
    out.extend_from_slice(b"null");
}

/// Appends the members of a map to the object that was begun at `start`.
fn members(reader: &mut Reader<'_>, len: u32, start: usize, depth: usize, out: &mut Vec<u8>) {
    for _ in 0..len {
        if out.len() > start + 1 {
            out.push(b',');
        }
        match reader.token() {
            Ok(Token::Str(key)) => match std::str::from_utf8(key) {
                Ok(key) => write_string(key, out),
                Err(_) => write_string(&String::from_utf8_lossy(key), out),
            },
            Ok(Token::Bin(key)) => write_string(&String::from_utf8_lossy(key), out),
            Ok(Token::Int(key)) => quoted(out, |out| write_int(key, out)),
            Ok(Token::BigUint(key)) => quoted(out, |out| write_unsigned(key, out)),
            Ok(Token::Bool(key)) => write_string(if key { "true" } else { "false" }, out),
            Ok(Token::Float(key)) if key.is_finite() => quoted(out, |out| write_float(key, out)),
            Ok(Token::Float(key)) => write_string(unfinite(key), out),
            _ => write_string("null", out),
        }
        out.push(b':');
        value(reader, depth, out);
    }
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return write_string(text, out);
    }
    out.extend_from_slice(b"{\"$bin\":\"");
    write_base64(bytes, out);
    out.extend_from_slice(b"\"}");
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // Four characters for each three bytes begun.
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // Cannot fail: the room is what padded base64 takes.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

fn unfinite(number: f64) -> &'static str {
    if number.is_nan() {
        "nan"
    } else if number > 0.0 {
        "inf"
    } else {
        "-inf"
    }
}

fn write_float(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        // Ryu's shortest form always has a point or an exponent.
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    } else {
        out.extend_from_slice(b"{\"$float\":\"");
        out.extend_from_slice(unfinite(number).as_bytes());
        out.extend_from_slice(b"\"}");
    }
}

fn write_int(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    write_unsigned(number.unsigned_abs(), out);
}

fn write_unsigned(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

fn write_uuid(id: Uuid, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
    out.push(b'"');
}

/// How a byte that cannot stand for itself is written after a backslash; `u` stands for `u00XX`.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escapes[byte] = b'u';
        byte += 1;
    }
    escapes[0x08] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[0x0c] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

/// Appends a JSON string.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    loop {
        let at = plain(bytes, start);
        out.extend_from_slice(&bytes[start..at]);
        let Some(&byte) = bytes.get(at) else { break };
        start = at + 1;
        match ESCAPES[usize::from(byte)] {
            b'u' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            escape => out.extend_from_slice(&[b'\\', escape]),
        }
    }
    out.push(b'"');
}
