//! How energies are written: NDJSON, a JSON array, or MessagePack.

use std::io::{self, Write};

use clap::ValueEnum;

use crate::event::envelope::{Members, write_record};
use crate::event::{EventRef, Ttl, json, msgpack};

/// How energies are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A JSON object a line.
    #[default]
    Ndjson,
    /// One JSON array.
    Json,
    /// A stream of MessagePack maps.
    Msgpack,
}

/// Writes energies one after the other.
#[derive(Debug, Default)]
pub struct Formatter {
    format: Format,
    /// Whole energies, not their data alone.
    envelope: bool,
    scratch: Vec<u8>,
    count: u64,
}

impl Formatter {
    /// Nothing is written yet.
    #[must_use]
    pub fn new(format: Format, envelope: bool) -> Self {
        Self { format, envelope, ..Self::default() }
    }

    /// Adds an energy to what is to be written.
    pub fn energy(&mut self, event: EventRef<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        match self.format {
            Format::Ndjson => {
                self.json(event, out);
                out.push(b'\n');
            }
            Format::Json => {
                out.extend_from_slice(if self.count == 0 { b"[\n" } else { b",\n" });
                self.json(event, out);
            }
            Format::Msgpack => self.msgpack(event, out)?,
        }
        self.count += 1;
        Ok(())
    }

    /// Adds a mark between energies: an object of one name and its number. An array of energies has none.
    pub fn mark(&mut self, name: &str, number: i64, out: &mut Vec<u8>) -> io::Result<()> {
        match self.format {
            Format::Ndjson => writeln!(out, "{{\"{name}\":{number}}}"),
            Format::Json => Ok(()),
            Format::Msgpack => {
                msgpack::write_map_len(out, 1);
                msgpack::write_str(out, name);
                msgpack::write_int(out, number);
                Ok(())
            }
        }
    }

    /// Adds what comes after the last energy.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.format == Format::Json {
            out.extend_from_slice(if self.count == 0 { b"[]\n" } else { b"\n]\n" });
        }
    }

    fn json(&mut self, event: EventRef<'_>, out: &mut Vec<u8>) {
        if self.envelope {
            json::write_event(event, out);
        } else {
            json::write_output(event, out);
        }
    }

    /// One map with canonical order of keys: the data with the `$` keys that are set, or the whole envelope.
    fn msgpack(&mut self, event: EventRef<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        if self.envelope {
            write_record(event, out);
            return Ok(());
        }
        self.scratch.clear();
        write_output(event, &mut self.scratch);
        msgpack::canonicalize(&self.scratch, out).map(|_| ()).map_err(io::Error::other)
    }
}

/// As `json::write_output`.
fn write_output(event: EventRef<'_>, out: &mut Vec<u8>) {
    let mut members = Members::default();
    if let Some(topic) = event.topic() {
        members.text("$topic", topic);
    }
    if let Some(stream) = event.stream()
        && event.stream_bytes() != event.topic_bytes()
    {
        members.text("$stream", stream);
    }
    if let Some(extra) = event.extra() {
        if !extra.tags.is_empty() {
            members.tags("$tags", Some(extra));
        }
        if extra.ttl != Ttl::Forever {
            members.text("$ttl", &extra.ttl.to_string());
        }
        if let Some(content) = &extra.content {
            members.text("$content", content);
        }
    }
    let mut reader = msgpack::Reader::new(event.data());
    if let Ok(msgpack::Token::Map(count)) = reader.token() {
        members.count += count as usize;
        members.bytes.extend_from_slice(&event.data()[reader.position()..]);
    }
    msgpack::write_map_len(out, members.count);
    out.extend_from_slice(&members.bytes);
}
