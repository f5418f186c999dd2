//! What bodies are written in, and which of it a client accepts.

use std::io::Write as _;

use hyper::HeaderMap;
use hyper::header::{ACCEPT, HeaderValue};

use super::problem::{Code, Problem};
use crate::event::envelope::write_record;
use crate::event::{EventRef, Head, json, msgpack};

/// How energies are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Media {
    /// A JSON object a line.
    #[default]
    Ndjson,
    /// One JSON array.
    Json,
    /// A stream of MessagePack maps.
    Msgpack,
    /// Server-sent events.
    Events,
}

/// What each is called: by parameter `format`, and by `Accept`.
const NAMES: [(Media, &str, &[&str]); 4] = [
    (
        Media::Ndjson,
        "ndjson",
        &["application/x-ndjson", "application/ndjson", "application/jsonl", "*/*", "application/*"],
    ),
    (Media::Json, "json", &["application/json"]),
    (Media::Msgpack, "msgpack", &["application/msgpack", "application/vnd.msgpack", "application/x-msgpack"]),
    (Media::Events, "sse", &["text/event-stream", "text/*"]),
];

impl Media {
    /// The one that a client prefers: by the parameter `format`, else by `Accept`, else the first of `offered`.
    ///
    /// # Errors
    /// [`Code::NotAcceptable`], [`Code::InvalidParameter`].
    pub fn choose(format: Option<&str>, headers: &HeaderMap, offered: &[Media]) -> Result<Self, Problem> {
        let offers = |media: &Media| offered.contains(media);
        if let Some(format) = format {
            let named = NAMES.iter().find(|(_, name, _)| *name == format).map(|(media, ..)| *media);
            return named.filter(offers).ok_or_else(|| {
                let names: Vec<_> = offered.iter().map(|media| media.name()).collect();
                super::call::invalid("format", &format!("it is {}", names.join(" or ")))
            });
        }
        let Some(accept) = headers.get(ACCEPT) else { return Ok(offered[0]) };
        let accept = accept.to_str().unwrap_or_default();
        let mut ranges: Vec<(u16, &str)> = accept.split(',').filter_map(range).collect();
        // A stable sort: of two that are wanted as much the first is taken.
        ranges.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        for (_, range) in ranges {
            if range == "*/*" {
                return Ok(offered[0]);
            }
            let media = offered.iter().find(|media| media.ranges().contains(&range));
            if let Some(media) = media {
                return Ok(*media);
            }
        }
        let names: Vec<_> = offered.iter().map(|media| media.ranges()[0]).collect();
        Err(Problem::new(Code::NotAcceptable, format!("this is given as {}", names.join(" or "))))
    }

    fn row(self) -> &'static (Media, &'static str, &'static [&'static str]) {
        &NAMES[self as usize]
    }

    /// Its short name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    fn ranges(self) -> &'static [&'static str] {
        self.row().2
    }

    /// As a header.
    #[must_use]
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(self.ranges()[0])
    }
}

/// A media range of `Accept` and its weight, in thousandths; `None` where it is not accepted at all.
fn range(text: &str) -> Option<(u16, &str)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let weight =
        parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |text| text.parse().unwrap_or(0.0));
    let weight: f32 = weight;
    (weight > 0.0).then_some(((weight.min(1.0) * 1_000.0) as u16, range))
}

/// Writes energies and the marks between them.
#[derive(Debug)]
pub struct Writer {
    media: Media,
    count: u64,
}

impl Writer {
    /// Nothing is written yet.
    #[must_use]
    pub fn new(media: Media) -> Self {
        Self { media, count: 0 }
    }

    /// Adds an energy. Writing to memory cannot fail.
    pub fn energy(&mut self, event: EventRef<'_>, out: &mut Vec<u8>) {
        match self.media {
            Media::Ndjson => {
                json::write_event(event, out);
                out.push(b'\n');
            }
            Media::Json => {
                out.extend_from_slice(if self.count == 0 { b"[\n" } else { b",\n" });
                json::write_event(event, out);
            }
            Media::Msgpack => write_record(event, out),
            Media::Events => {
                if event.head().position != Head::UNSTORED {
                    let _ = writeln!(out, "id: {}", event.head().position);
                }
                out.extend_from_slice(b"data: ");
                json::write_event(event, out);
                out.extend_from_slice(b"\n\n");
            }
        }
        self.count += 1;
    }

    /// Adds a mark: a name and its number. An array has none.
    pub fn mark(&mut self, name: &str, number: i64, out: &mut Vec<u8>) {
        match self.media {
            Media::Ndjson => drop(writeln!(out, "{{\"{name}\":{number}}}")),
            Media::Json => {}
            Media::Msgpack => {
                msgpack::write_map_len(out, 1);
                msgpack::write_str(out, name);
                msgpack::write_int(out, number);
            }
            Media::Events => drop(write!(out, "event: {name}\ndata: {number}\n\n")),
        }
    }

    /// Adds what comes after the last energy.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.media == Media::Json {
            out.extend_from_slice(if self.count == 0 { b"[]\n" } else { b"\n]\n" });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn chosen(accept: &str) -> Result<Media, Code> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        Media::choose(None, &headers, &[Media::Ndjson, Media::Json, Media::Msgpack, Media::Events])
            .map_err(|problem| problem.code())
    }

    #[test]
    fn what_is_accepted_is_given() {
        assert_eq!(chosen("*/*"), Ok(Media::Ndjson));
        assert_eq!(chosen("text/event-stream"), Ok(Media::Events));
        assert_eq!(chosen("application/json;q=0.5, application/msgpack"), Ok(Media::Msgpack));
        assert_eq!(chosen("text/html, */*;q=0.1"), Ok(Media::Ndjson));
        assert_eq!(chosen("text/html"), Err(Code::NotAcceptable));
        assert_eq!(chosen("application/json;q=0"), Err(Code::NotAcceptable));
    }

    #[test]
    fn rows_stand_in_the_order_of_the_kinds() {
        for (media, ..) in NAMES {
            assert_eq!(media.row().0, media);
        }
    }
}
