//! Lines of text as energies: what programs write, and what stands in files.
//!
//! A JSON object is an energy, by the rules for energies that are appended: its `$` keys are the envelope, and it may name
//! a topic of its own, but none of the engine's. Any other line is the field `line` of one: nothing is lost because
//! it cannot be read. Blank lines are passed over.
//!
//! Limits: a line of more than [`LINE_BYTES`] is cut, which its field `cut` says; so is one that is no energy, at
//! [`TEXT_BYTES`].

use super::routes::append::read;
use crate::engine::seed::Kind;
use crate::event::{Events, Head, Uuid, msgpack};

/// Bytes of a line that are kept.
pub const LINE_BYTES: usize = 1 << 20;
/// Bytes of a line that is no energy.
pub const TEXT_BYTES: usize = 64 << 10;

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The line that has no end yet.
    rest: Vec<u8>,
    /// Its length, with what was cut.
    length: u64,
}

impl Splitter {
    /// Takes bytes, and gives each line that ends in them, without its end; and whether it was cut.
    pub fn take(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8], bool)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.keep(&bytes[..end]);
            self.end(&mut each);
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    /// Gives what has no end yet, if anything, as if it had.
    pub fn end(&mut self, mut each: impl FnMut(&[u8], bool)) {
        if self.length > 0 {
            each(&self.rest, self.length > self.rest.len() as u64);
        }
        (self.length, self.rest) = (0, Vec::new());
    }

    /// Bytes taken since the end of the last line.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.length
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let room = LINE_BYTES.saturating_sub(self.rest.len()).min(bytes.len());
        self.rest.extend_from_slice(&bytes[..room]);
    }
}

/// Adds the energy of a line, on that topic where it names none.
pub fn add(events: &mut Events, topic: &str, line: &[u8], is_cut: bool, now_ms: i64) {
    let line = line.trim_ascii();
    if line.is_empty() {
        return;
    }
    let energy = match line.first() {
        Some(b'{') if !is_cut => read(line.to_vec(), Kind::Object, topic.to_owned(), Some(now_ms)).ok(),
        _ => None,
    };
    let energy = energy.unwrap_or_else(|| text(topic, line, is_cut, now_ms));
    let first = events.len();
    energy.iter().for_each(|event| events.push_copy(event));
    for head in events.heads_mut()[first..].iter_mut().filter(|head| head.id.is_nil()) {
        head.id = Uuid::now_v7();
    }
    if energy.is_checked() {
        events.require_check();
    }
}

/// The energy of a line that is none by itself.
fn text(topic: &str, line: &[u8], is_cut: bool, now_ms: i64) -> Events {
    let kept = &line[..line.len().min(TEXT_BYTES)];
    let is_cut = is_cut || kept.len() < line.len();
    let (mut events, mut data) = (Events::default(), Vec::with_capacity(kept.len() + 16));
    msgpack::write_map_len(&mut data, if is_cut { 2 } else { 1 });
    if is_cut {
        msgpack::write_str(&mut data, "cut");
        msgpack::write_bool(&mut data, true);
    }
    msgpack::write_str(&mut data, "line");
    msgpack::write_bytes(&mut data, kept);
    let mut head = Head::seed(Uuid::nil(), now_ms);
    head.topic = events.store(topic.as_bytes());
    head.stream = head.topic;
    head.data = events.store(&data);
    events.push(head, None);
    events
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::event::json;

    fn split(parts: &[&[u8]]) -> (Vec<(String, bool)>, u64) {
        let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
        for part in parts {
            splitter.take(part, |line, cut| lines.push((String::from_utf8_lossy(line).into_owned(), cut)));
        }
        (lines, splitter.pending())
    }

    #[test]
    fn lines_are_found_however_they_come() {
        let (lines, pending) = split(&[b"a\nb", b"c\n\n", b"d"]);
        assert_eq!(lines, [("a".to_owned(), false), ("bc".to_owned(), false)]);
        assert_eq!(pending, 1);
        let long = vec![b'x'; LINE_BYTES];
        let (lines, pending) = split(&[&long, b"yz\nafter\n"]);
        assert_eq!(
            (lines[0].0.len(), lines[0].1, &lines[1].0, pending),
            (LINE_BYTES, true, &"after".to_owned(), 0)
        );
    }

    #[test]
    fn what_is_no_energy_is_a_line() {
        let data = |line: &str| {
            let (mut events, mut text) = (Events::default(), Vec::new());
            add(&mut events, "out", line.as_bytes(), false, 5);
            let event = events.get(0);
            json::write_value(event.data(), &mut text);
            (event.topic().unwrap().to_owned(), String::from_utf8(text).unwrap())
        };
        assert_eq!(data(r#" {"a":1} "#), ("out".into(), r#"{"a":1}"#.into()));
        assert_eq!(data(r#"{"$topic":"own","a":1}"#), ("own".into(), r#"{"a":1}"#.into()));
        for line in ["plain", "[1]", r#"{"a":"#, "7"] {
            let kept = serde_json::json!({ "line": line }).to_string();
            assert_eq!(data(line), ("out".into(), kept));
        }
        let (topic, text) = data(r#"{"$topic":"sanctum.exec.exited"}"#);
        assert!(topic == "out" && text.contains("line"), "{topic} {text}");
    }
}
