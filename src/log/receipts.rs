//! Receipts of an append, as JSON: `{"position":7,"id":"…","stream":"orders","version":3}`.
//!
//! One that is not stored (ttl `ephemeral`) has neither position nor version.

use std::io::Write as _;

use super::Appended;
use crate::event::{EventRef, Events, Uuid, json};

/// Writes a receipt for each energy, in order, one a line. `kept` are all energies of the commit, where the log may
/// not have stored them all.
pub fn write_receipts(appended: &Appended, kept: Option<&Events>, out: &mut Vec<u8>) {
    let events = kept.unwrap_or(&appended.batch);
    let mut receipts = appended.receipts().peekable();
    for (index, event) in events.iter().enumerate() {
        let receipt = receipts.next_if(|(at, _)| *at == index).map(|(_, receipt)| receipt);
        match receipt {
            Some(receipt) => write(receipt.id, Some((receipt.position, receipt.version)), event, out),
            None => write(event.head().id, None, event, out),
        }
        out.push(b'\n');
    }
}

/// `place` is position and version. Writing to memory cannot fail.
fn write(id: Uuid, place: Option<(u64, u64)>, event: EventRef<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    if let Some((position, _)) = place {
        let _ = write!(out, "\"position\":{position},");
    }
    let _ = write!(out, "\"id\":\"{id}\"");
    if let Some(stream) = event.stream() {
        out.extend_from_slice(b",\"stream\":");
        json::write_string(stream, out);
    }
    if let Some((_, version)) = place {
        let _ = write!(out, ",\"version\":{version}");
    }
    out.push(b'}');
}
