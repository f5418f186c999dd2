//! What the engine says of itself in the log: energies on topics that are its own.

use std::collections::BTreeMap;

use crate::event::{Events, Extra, Head, Uuid, msgpack};

/// A spell runs from here on: `spell`, `path`, `hash`, which is also its content: the source; and `from`, the first
/// position that this source is given, which is before that of the notice where the spell lagged behind.
pub const BOUND_TOPIC: &str = "sanctum.spell.bound";
/// A spell runs no longer: `spell`.
pub const UNBOUND_TOPIC: &str = "sanctum.spell.unbound";
/// Spells could not be loaded, and those that run go on: `report`.
pub const REFUSED_TOPIC: &str = "sanctum.spell.refused";
/// A fault ended a spell, and the others go on: `spell`, `report`.
pub const STOPPED_TOPIC: &str = "sanctum.spell.stopped";

/// A program was started: `name`, `pid`, and `restarts`, how often it was started before.
pub const STARTED_TOPIC: &str = "sanctum.exec.started";
/// A program ended: `name`; `code`, `signal` or `error`; `stderr`, its last lines; `restart_ms`, after which it is
/// started again, if it is.
pub const EXITED_TOPIC: &str = "sanctum.exec.exited";

/// The longest text of a notice, in bytes: a report that is longer is cut.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// One energy, still to be written.
#[derive(Clone, Debug)]
pub struct Notice {
    topic: &'static str,
    /// Values as MessagePack.
    fields: BTreeMap<&'static str, Vec<u8>>,
    content: Option<String>,
}

impl Notice {
    /// A notice that says nothing but its time.
    #[must_use]
    pub fn new(topic: &'static str) -> Self {
        Self { topic, fields: BTreeMap::new(), content: None }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, text: &str) -> Self {
        let longest = text.len().min(TEXT_BYTES_MAX);
        let end = (0..=longest).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        let mut value = Vec::new();
        msgpack::write_str(&mut value, &text[..end]);
        self.fields.insert(name, value);
        self
    }

    /// Adds a field with a number.
    #[must_use]
    pub fn number(mut self, name: &'static str, number: i64) -> Self {
        let mut value = Vec::new();
        msgpack::write_int(&mut value, number);
        self.fields.insert(name, value);
        self
    }

    /// Names content that is kept with it.
    #[must_use]
    pub fn content(mut self, hash: String) -> Self {
        self.content = Some(hash);
        self
    }

    /// As energies to append, at a time in milliseconds since the epoch.
    #[must_use]
    pub fn into_events(self, now_ms: i64) -> Events {
        let mut data = Vec::new();
        msgpack::write_map_len(&mut data, self.fields.len());
        for (name, value) in &self.fields {
            msgpack::write_str(&mut data, name);
            data.extend_from_slice(value);
        }
        let mut events = Events::default();
        // The log gives it an id.
        let mut head = Head::seed(Uuid::nil(), now_ms);
        head.topic = events.store(self.topic.as_bytes());
        head.stream = head.topic;
        head.data = events.store(&data);
        let extra = self.content.map(|hash| Extra { content: Some(hash), ..Extra::default() });
        events.push(head, extra);
        events
    }
}
