//! `--output`: what a run produced, as NDJSON, JSON or MessagePack.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use clap::ValueEnum;

use crate::event::{EventRef, Extra, Ttl, json, msgpack};
use crate::router::pattern::Pattern;

/// How energies are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A JSON object a line.
    #[default]
    Ndjson,
    /// One JSON array; faults on standard error become JSON objects too.
    Json,
    /// A stream of MessagePack maps.
    Msgpack,
}

/// Writes the energies that are wanted.
pub struct Export {
    /// `None` for standard output, where the lines stand among those that spells print.
    file: Option<BufWriter<File>>,
    format: Format,
    envelope: bool,
    /// Without a pattern: what no spell consumed.
    topic: Option<Pattern>,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
    count: u64,
}

impl Export {
    /// An export to a file, which is made or emptied, or to `-`.
    pub fn create(path: &Path, format: Format, envelope: bool, topic: Option<Pattern>) -> io::Result<Self> {
        let stdout = path == Path::new("-");
        let file = if stdout { None } else { Some(BufWriter::new(File::create(path)?)) };
        Ok(Self { file, format, envelope, topic, buffer: Vec::new(), scratch: Vec::new(), count: 0 })
    }

    /// Writes an energy that the run produced, if it is wanted.
    pub fn take(&mut self, event: EventRef<'_>, consumed: bool, stdout: &mut dyn Write) -> io::Result<()> {
        let wanted = match &self.topic {
            Some(pattern) => event.topic().is_some_and(|topic| pattern.matches(topic)),
            None => !consumed,
        };
        if !wanted || event.head().hops == 0 {
            return Ok(());
        }
        self.buffer.clear();
        match self.format {
            Format::Ndjson => {
                self.write_json(event);
                self.buffer.push(b'\n');
            }
            Format::Json => {
                self.buffer.extend_from_slice(if self.count == 0 { b"[\n" } else { b",\n" });
                self.write_json(event);
            }
            Format::Msgpack => self.write_msgpack(event)?,
        }
        self.count += 1;
        self.flush_buffer(stdout)
    }

    /// Writes what ends the file.
    pub fn finish(&mut self, stdout: &mut dyn Write) -> io::Result<()> {
        self.buffer.clear();
        if self.format == Format::Json {
            self.buffer.extend_from_slice(if self.count == 0 { b"[]\n" } else { b"\n]\n" });
        }
        self.flush_buffer(stdout)?;
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }

    fn flush_buffer(&mut self, stdout: &mut dyn Write) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(&self.buffer),
            None => stdout.write_all(&self.buffer),
        }
    }

    fn write_json(&mut self, event: EventRef<'_>) {
        if self.envelope {
            json::write_event(event, &mut self.buffer);
        } else {
            json::write_output(event, &mut self.buffer);
        }
    }

    /// One map with canonical order of keys: the data with the `$` keys that are set, or the whole envelope.
    fn write_msgpack(&mut self, event: EventRef<'_>) -> io::Result<()> {
        let mut members = Members { count: 0, bytes: std::mem::take(&mut self.scratch) };
        members.bytes.clear();
        if self.envelope {
            members.envelope(event);
        } else {
            members.output(event);
        }
        let mut map = Vec::with_capacity(members.bytes.len() + 5);
        msgpack::write_map_len(&mut map, members.count);
        map.extend_from_slice(&members.bytes);
        self.scratch = members.bytes;
        msgpack::canonicalize(&map, &mut self.buffer).map(|_| ()).map_err(io::Error::other)
    }
}

/// Members of a map, in any order.
struct Members {
    count: usize,
    bytes: Vec<u8>,
}

impl Members {
    fn key(&mut self, name: &str) -> &mut Vec<u8> {
        self.count += 1;
        msgpack::write_str(&mut self.bytes, name);
        &mut self.bytes
    }

    fn text(&mut self, name: &str, text: &str) {
        msgpack::write_str(self.key(name), text);
    }

    fn int(&mut self, name: &str, number: i64) {
        msgpack::write_int(self.key(name), number);
    }

    fn tags(&mut self, name: &str, extra: Option<&Extra>) {
        let bytes = self.key(name);
        msgpack::write_map_len(bytes, extra.map_or(0, |extra| extra.tags.len()));
        for (tag, value) in extra.iter().flat_map(|extra| &extra.tags) {
            msgpack::write_str(bytes, tag);
            msgpack::write_str(bytes, value);
        }
    }

    /// As `json::write_event`.
    fn envelope(&mut self, event: EventRef<'_>) {
        let head = event.head();
        self.int("position", i64::try_from(head.position).unwrap_or(i64::MAX));
        self.text("id", &head.id.to_string());
        self.int("time", head.time_ms);
        if let Some(topic) = event.topic() {
            self.text("topic", topic);
        }
        if let Some(stream) = event.stream() {
            self.text("stream", stream);
        }
        self.int("version", i64::try_from(head.version).unwrap_or(i64::MAX));
        for (name, id) in [("correlation", head.correlation), ("causation", head.causation)] {
            if !id.is_nil() {
                self.text(name, &id.to_string());
            }
        }
        self.int("hops", i64::from(head.hops));
        self.tags("tags", event.extra());
        self.text("ttl", &event.extra().map_or(Ttl::Forever, |extra| extra.ttl).to_string());
        if let Some(content) = event.extra().and_then(|extra| extra.content.as_deref()) {
            self.text("content", content);
        }
        self.key("data").extend_from_slice(event.data());
    }

    /// As `json::write_output`.
    fn output(&mut self, event: EventRef<'_>) {
        if let Some(topic) = event.topic() {
            self.text("$topic", topic);
        }
        if let Some(stream) = event.stream()
            && event.stream_bytes() != event.topic_bytes()
        {
            self.text("$stream", stream);
        }
        if let Some(extra) = event.extra() {
            if !extra.tags.is_empty() {
                self.tags("$tags", Some(extra));
            }
            if extra.ttl != Ttl::Forever {
                self.text("$ttl", &extra.ttl.to_string());
            }
            if let Some(content) = &extra.content {
                self.text("$content", content);
            }
        }
        let mut reader = msgpack::Reader::new(event.data());
        if let Ok(msgpack::Token::Map(count)) = reader.token() {
            self.count += count as usize;
            self.bytes.extend_from_slice(&event.data()[reader.position()..]);
        }
    }
}
