//! The record of an energy whose cast faulted, on a topic of its own.

use crate::event::envelope::output_id;
use crate::event::{EventRef, Events, Head, Uuid, msgpack};
use crate::spell::{Fault, Spell};

/// The topic on which quarantined energies are recorded.
pub const FAULT_TOPIC: &str = "sanctum.fault";
/// Keeps the id of a fault record apart from those of outputs.
const FAULT_INDEX: u32 = u32::MAX;

/// The id of the record of a fault: of an energy, an attempt and a task.
pub fn fault_id(energy: Uuid, key: &[u8; 16], salt: u32) -> Uuid {
    output_id(energy, key, FAULT_INDEX - salt)
}

/// Records an energy whose cast faulted. `key` stands for the attempt, `salt` tells the tasks apart that one energy
/// brought.
pub(super) fn quarantine(
    spell: &Spell,
    fault: &Fault,
    (key, salt): (&[u8; 16], u32),
    cause: EventRef<'_>,
    out: &mut Events,
) {
    let origin = *cause.head();
    let mut data = Vec::new();
    let line = fault.trace.get(fault.named).map_or(0, |frame| i64::from(frame.line));
    msgpack::write_map_len(&mut data, 8);
    msgpack::write_str(&mut data, "error");
    msgpack::write_str(&mut data, &fault.message);
    msgpack::write_str(&mut data, "event");
    data.extend_from_slice(cause.data());
    msgpack::write_str(&mut data, "id");
    msgpack::write_str(&mut data, &origin.id.to_string());
    msgpack::write_str(&mut data, "kind");
    msgpack::write_str(&mut data, fault.kind.name());
    msgpack::write_str(&mut data, "line");
    msgpack::write_int(&mut data, line);
    msgpack::write_str(&mut data, "position");
    msgpack::write_int(&mut data, origin.position as i64);
    msgpack::write_str(&mut data, "spell");
    msgpack::write_str(&mut data, &spell.name);
    msgpack::write_str(&mut data, "topic");
    match cause.topic() {
        Some(topic) => msgpack::write_str(&mut data, topic),
        None => msgpack::write_nil(&mut data),
    }
    let mut head = Head::seed(fault_id(origin.id, key, salt), origin.time_ms);
    head.causation = origin.id;
    head.correlation = if origin.correlation == Uuid::nil() { origin.id } else { origin.correlation };
    head.hops = origin.hops + 1;
    head.settled = origin.position + 1;
    head.topic = out.store(FAULT_TOPIC.as_bytes());
    head.stream = head.topic;
    head.data = out.store(&data);
    out.push(head, None);
}
