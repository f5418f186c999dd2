//! `msgpack.encode(value)` and `msgpack.decode(bytes)`, by the rules that energies have.
//!
//! The bytes are canonical: equal data gives equal bytes. `decode` takes any MessagePack of one value.

use crate::event::msgpack::{Reader, Token, canonicalize};
use crate::spell::raw::{EncodeError, Entry, Frame, Raise};

/// The table `msgpack`.
pub(crate) static FUNCTIONS: &[Entry] = &[("encode", encode), ("decode", decode)];

/// More than this is never built at once, whatever the VM's limit: its address range must hold it.
const BUILD_BYTES_MAX: usize = 1 << 30;
/// No text or bytes made of a value are larger.
const RESULT_BYTES_MAX: usize = 256 << 20;

/// The largest result that is worth making: what the VM's memory can hold.
pub(super) fn result_bytes_max(frame: &mut Frame<'_>) -> usize {
    frame.host().limits.memory_bytes.min(RESULT_BYTES_MAX as u64) as usize
}

/// Appends an argument as MessagePack; complains of the argument where it is no data.
pub(super) fn encode_argument(
    frame: &mut Frame<'_>,
    index: usize,
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), Raise> {
    frame.any(index)?;
    frame.encode(index as i32, out, bytes_max).map_err(|error| match error {
        EncodeError::Work => Raise::Limit,
        EncodeError::TooLarge(_) => Raise::Memory,
        error => Raise::argument(index, error.to_string()),
    })?;
    frame.charge(out.len() as u64 / 16)
}

/// `msgpack.encode(value)`
fn encode(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bytes_max = result_bytes_max(frame);
    let mut data = Vec::new();
    encode_argument(frame, 1, bytes_max, &mut data)?;
    frame.push_bytes(&data)?;
    Ok(1)
}

/// `msgpack.decode(bytes)`
fn decode(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bytes = frame.bytes(1)?;
    frame.charge(8 + bytes.len() as u64 / 16)?;
    let mut data = Vec::with_capacity(bytes.len());
    canonicalize(bytes, &mut data).map_err(|error| Raise::message(format!("msgpack.decode: {error}")))?;
    push_data(frame, &data)?;
    Ok(1)
}

/// Pushes canonical bytes as Lua data, once it is clear that the VM has room for what they become.
pub(super) fn push_data(frame: &mut Frame<'_>, data: &[u8]) -> Result<(), Raise> {
    let (values, bytes) = weigh(data).map_err(|error| Raise::message(error.to_string()))?;
    frame.charge(values)?;
    if bytes > BUILD_BYTES_MAX {
        return Err(Raise::Memory);
    }
    frame.check_memory(bytes)?;
    let nulls = frame.host().nulls;
    frame.push_value(data, nulls)
}

/// How many values the data holds, and about how many bytes of Lua memory they take.
fn weigh(data: &[u8]) -> Result<(u64, usize), crate::event::msgpack::Error> {
    const TABLE: usize = 72;
    const ELEMENT: usize = 16;
    const NODE: usize = 40;
    const STRING: usize = 32;
    let mut reader = Reader::new(data);
    let (mut values, mut bytes) = (0, 0_usize);
    while !reader.is_end() {
        values += 1;
        bytes += match reader.token()? {
            Token::Str(text) | Token::Bin(text) => STRING + text.len(),
            Token::Ext(_, payload) => TABLE + payload.len(),
            Token::Array(len) => TABLE + len as usize * ELEMENT,
            // Twice as many nodes as entries at most; half of it stands for the names, mostly shared.
            Token::Map(0) => TABLE,
            Token::Map(len) => TABLE + (len as usize).next_power_of_two() * NODE,
            _ => 0,
        };
    }
    Ok((values, bytes))
}
