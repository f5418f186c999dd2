//! An energy with its envelope as one map: how it leaves a log and enters another.
//!
//! The map has the names that an energy printed as JSON has. What is left out, nil or unset stays so. A log that
//! takes it in gives position and version anew; id, time, ancestors and all else are kept.

use super::fields::{FieldError, Fields, split};
use crate::event::msgpack::{self, Reader, Token};
use crate::event::{EventRef, Events, Extra, Head, Span, Ttl, Uuid, topic};

/// Why a map is no energy with its envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not a map.
    #[error("it is no map of an energy and its envelope, such as `sanctum export` writes")]
    NoMap,
    /// Something is missing.
    #[error(
        "it has no `{0}`: only energies with their whole envelope are imported, as `sanctum export` writes them"
    )]
    Missing(&'static str),
    /// A name that an envelope does not have.
    #[error("`{0}` is no part of an envelope, and data belongs in `data`")]
    Unknown(String),
    /// A value that its field cannot have.
    #[error("{0}")]
    Field(#[from] FieldError),
    /// A topic that is none.
    #[error("{0}")]
    Topic(#[from] topic::TopicError),
    /// An ancestor, or the count of them.
    #[error("`{name}` must be {wanted}")]
    Value {
        /// The field.
        name: &'static str,
        /// What it has to be.
        wanted: &'static str,
    },
    /// Data with `$` keys: they are for producers.
    #[error("`data` has a key that begins with `$`, which no stored energy has")]
    Dollar,
    /// The bytes are no MessagePack.
    #[error("{0}")]
    Data(#[from] msgpack::Error),
}

/// Writes an energy as one map, which is canonical: its keys are written in their order. One that is not stored has no
/// position and no version.
pub fn write_record(event: EventRef<'_>, out: &mut Vec<u8>) {
    let (head, extra) = (event.head(), event.extra());
    let content = extra.and_then(|extra| extra.content.as_deref());
    let is_stored = head.position != Head::UNSTORED;
    let optional = [
        !head.causation.is_nil(),
        content.is_some(),
        !head.correlation.is_nil(),
        event.stream().is_some(),
        event.topic().is_some(),
        is_stored,
        is_stored,
    ];
    msgpack::write_map_len(out, 6 + optional.iter().filter(|is_there| **is_there).count());
    member_id("causation", head.causation, out);
    member_text("content", content, out);
    member_id("correlation", head.correlation, out);
    msgpack::write_str(out, "data");
    out.extend_from_slice(event.data());
    member_int("hops", u64::from(head.hops), out);
    msgpack::write_str(out, "id");
    write_id(head.id, out);
    if is_stored {
        member_int("position", head.position, out);
    }
    member_text("stream", event.stream(), out);
    msgpack::write_str(out, "tags");
    write_tags(extra, out);
    msgpack::write_str(out, "time");
    msgpack::write_int(out, head.time_ms);
    member_text("topic", event.topic(), out);
    match extra.map_or(Ttl::Forever, |extra| extra.ttl) {
        Ttl::Forever => member_text("ttl", Some("forever"), out),
        ttl => member_text("ttl", Some(&ttl.to_string()), out),
    }
    if is_stored {
        member_int("version", head.version, out);
    }
}

fn member_text(name: &str, text: Option<&str>, out: &mut Vec<u8>) {
    if let Some(text) = text {
        msgpack::write_str(out, name);
        msgpack::write_str(out, text);
    }
}

fn member_int(name: &str, number: u64, out: &mut Vec<u8>) {
    msgpack::write_str(out, name);
    msgpack::write_int(out, i64::try_from(number).unwrap_or(i64::MAX));
}

fn member_id(name: &str, id: Uuid, out: &mut Vec<u8>) {
    if !id.is_nil() {
        msgpack::write_str(out, name);
        write_id(id, out);
    }
}

fn write_id(id: Uuid, out: &mut Vec<u8>) {
    msgpack::write_str(out, id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
}

/// Tags as a map, in their order.
fn write_tags(extra: Option<&Extra>, out: &mut Vec<u8>) {
    msgpack::write_map_len(out, extra.map_or(0, |extra| extra.tags.len()));
    for (tag, value) in extra.iter().flat_map(|extra| &extra.tags) {
        msgpack::write_str(out, tag);
        msgpack::write_str(out, value);
    }
}

/// Members of a map, in any order.
#[derive(Debug, Default)]
pub struct Members {
    /// How many there are.
    pub count: usize,
    /// Keys and values.
    pub bytes: Vec<u8>,
}

impl Members {
    /// Adds a key; its value is to be written next.
    pub fn key(&mut self, name: &str) -> &mut Vec<u8> {
        self.count += 1;
        msgpack::write_str(&mut self.bytes, name);
        &mut self.bytes
    }

    /// Adds a text.
    pub fn text(&mut self, name: &str, text: &str) {
        msgpack::write_str(self.key(name), text);
    }

    /// Adds tags, if only none.
    pub fn tags(&mut self, name: &str, extra: Option<&Extra>) {
        write_tags(extra, self.key(name));
    }
}

/// Reads energies from maps; keeps its memory.
#[derive(Debug, Default)]
pub struct RecordReader {
    fields: Fields,
    inner: Fields,
}

impl RecordReader {
    /// Adds the energy that a canonical map describes. On an error the batch is as before. Returns the position that
    /// it had in the log it came from, if it is said.
    pub fn read(&mut self, map: &[u8], events: &mut Events) -> Result<Option<u64>, RecordError> {
        let before = events.byte_len();
        let read = self.read_map(map, events);
        if read.is_err() {
            events.arena().truncate(before);
        }
        read
    }

    fn read_map(&mut self, map: &[u8], events: &mut Events) -> Result<Option<u64>, RecordError> {
        self.fields.clear();
        let mut reader = Reader::new(map);
        let Token::Map(count) = reader.token()? else { return Err(RecordError::NoMap) };
        let (mut head, mut position, mut data) = (Head::seed(Uuid::nil(), 0), None, None);
        let mut is_timed = false;
        for _ in 0..count {
            let key = reader.token()?;
            let value = reader.raw()?;
            let Token::Str(key) = key else { return Err(RecordError::NoMap) };
            let is_nil = value == [0xc0];
            match key {
                b"data" => data = Some(value),
                b"topic" if !is_nil => head.topic = events.store_topic(topic_of(value)?.as_bytes()),
                b"position" if !is_nil => position = Some(number("position", value)?),
                b"version" if !is_nil => drop(number("version", value)?),
                b"hops" if !is_nil => {
                    head.hops = u32::try_from(number("hops", value)?)
                        .map_err(|_| RecordError::Value { name: "hops", wanted: "below 2^32" })?;
                }
                b"correlation" if !is_nil => head.correlation = id("correlation", value)?,
                b"causation" if !is_nil => head.causation = id("causation", value)?,
                b"id" | b"time" | b"stream" | b"tags" | b"ttl" | b"content" => {
                    is_timed |= key == b"time" && !is_nil;
                    self.fields.set(&format!("${}", String::from_utf8_lossy(key)), value)?;
                }
                b"topic" | b"position" | b"version" | b"hops" | b"correlation" | b"causation" => {}
                key => return Err(RecordError::Unknown(String::from_utf8_lossy(key).into_owned())),
            }
        }
        head.id = self.fields.id.ok_or(RecordError::Missing("id"))?;
        head.time_ms = self.fields.time_ms.filter(|_| is_timed).ok_or(RecordError::Missing("time"))?;
        let start = events.byte_len();
        let data = data.ok_or(RecordError::Missing("data"))?;
        if !matches!(msgpack::token_at(data)?, Token::Map(_)) {
            return Err(RecordError::Value { name: "data", wanted: "an object" });
        }
        if split(data, events.arena(), &mut self.inner).is_err() || !self.inner.is_default() {
            return Err(RecordError::Dollar);
        }
        head.data = Span::new(start, events.byte_len());
        head.stream = match &self.fields.stream {
            None => head.topic,
            Some(stream) => events.store(stream.as_bytes()),
        };
        events.push(head, self.fields.extra());
        Ok(position)
    }
}

fn topic_of(value: &[u8]) -> Result<&str, RecordError> {
    let wrong = RecordError::Value { name: "topic", wanted: "a string" };
    let Token::Str(text) = msgpack::token_at(value)? else { return Err(wrong) };
    let text = std::str::from_utf8(text).map_err(|_| wrong)?;
    topic::validate(text)?;
    Ok(text)
}

fn number(name: &'static str, value: &[u8]) -> Result<u64, RecordError> {
    match msgpack::token_at(value)? {
        Token::Int(number) if number >= 0 => Ok(number as u64),
        _ => Err(RecordError::Value { name, wanted: "an integer that is not negative" }),
    }
}

fn id(name: &'static str, value: &[u8]) -> Result<Uuid, RecordError> {
    let wrong = RecordError::Value { name, wanted: "a UUID" };
    let Token::Str(text) = msgpack::token_at(value)? else { return Err(wrong) };
    std::str::from_utf8(text).ok().and_then(|text| Uuid::try_parse(text).ok()).ok_or(wrong)
}
