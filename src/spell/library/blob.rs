//! `blob.put(bytes)` and `blob.get(digest)`: content that is too large for an energy.
//!
//! `put` returns the digest (BLAKE3, hexadecimal), which an output carries as `$content` or in its data. `get`
//! returns the bytes, or nil for content that is not there or that the cast may not see: see [`crate::blob`] for
//! which it may. Content that is there and cannot be read, damaged say, is an error. Content put by a cast that
//! faults never was.

use crate::blob::Hash;
use crate::spell::host::Phase;
use crate::spell::raw::{Entry, Frame, Raise, Stop};

/// The table `blob`.
pub(crate) static FUNCTIONS: &[Entry] = &[("put", put), ("get", get)];

fn check_phase(frame: &mut Frame<'_>, name: &str) -> Result<(), Raise> {
    match frame.host().phase {
        Phase::Cast => Ok(()),
        _ => Err(Raise::message(format!(
            "blob.{name} works only inside cast or tick, not in a filter or another hook"
        ))),
    }
}

/// `blob.put(bytes)`
fn put(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    check_phase(frame, "put")?;
    let bytes = frame.bytes(1)?;
    frame.charge(64 + bytes.len() as u64 / 4)?;
    let host = frame.host();
    let position = host.input.cause().map_or(0, |event| event.head().position);
    let (hash, new) = host.blobs.put(host.state.scope(), bytes);
    // What a spell puts is kept like its state, and bounded like it.
    if host.blobs.own_bytes() > host.limits.state_bytes {
        return Err(frame.stop(Stop::State));
    }
    if let Some(content) = new {
        host.round.blobs.push((hash, content, position));
    }
    frame.push_str(&hash.to_hex())?;
    Ok(1)
}

/// `blob.get(digest)`
fn get(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    check_phase(frame, "get")?;
    let digest = frame.bytes(1)?;
    let hash = Hash::from_hex(digest)
        .map_err(|_| Raise::argument(1, "a digest of 64 hexadecimal digits expected"))?;
    frame.charge(16)?;
    let host = frame.host();
    let settled = host.input.cause().map_or(0, |event| event.head().settled);
    let content = host.blobs.get(host.state.scope(), &hash, settled, host.limits.memory_bytes);
    match content.map_err(|error| Raise::message(format!("blob.get: {error}")))? {
        Some(content) => {
            frame.charge(content.len() as u64 / 16)?;
            frame.push_bytes(&content)?;
        }
        None => frame.push_nil(),
    }
    Ok(1)
}
