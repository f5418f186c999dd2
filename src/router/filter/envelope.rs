//! The `$` paths: envelope fields as a filter reads them.
//!
//! `$id`, `$correlation` and `$causation` are read as 36 lower-case characters, `$ttl` as it is
//! written (`forever`, `time:1000`), all without an allocation. `$tags.x` is one tag; what follows the
//! first dot is its name, further dots included. A field that an energy does not have is missing:
//! the topic of an untitled energy, the ancestors of a seed.

use std::io::Write;

use super::value::{Number, Value};
use crate::event::suggest::suggest;
use crate::event::{EventRef, Ttl, Uuid};

/// Room for the longest text that has to be made: an id.
pub(super) const TEXT_BYTES_MAX: usize = 64;

/// One envelope field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Topic,
    Stream,
    Version,
    Position,
    Id,
    Time,
    Correlation,
    Causation,
    Hops,
    Tag(String),
    Ttl,
    Content,
}

/// What a message lists as known.
pub(super) const KNOWN: &str = "$topic, $stream, $version, $position, $id, $time, $correlation, $causation, $hops, $tags.NAME, $ttl, $content";

const NAMES: [&str; 11] = [
    "$topic",
    "$stream",
    "$version",
    "$position",
    "$id",
    "$time",
    "$correlation",
    "$causation",
    "$hops",
    "$ttl",
    "$content",
];

impl Field {
    /// The field that a path names.
    pub fn parse(path: &str) -> Option<Self> {
        if let Some(name) = path.strip_prefix("$tags.") {
            return (!name.is_empty()).then(|| Self::Tag(name.to_owned()));
        }
        Some(match path {
            "$topic" => Self::Topic,
            "$stream" => Self::Stream,
            "$version" => Self::Version,
            "$position" => Self::Position,
            "$id" => Self::Id,
            "$time" => Self::Time,
            "$correlation" => Self::Correlation,
            "$causation" => Self::Causation,
            "$hops" => Self::Hops,
            "$ttl" => Self::Ttl,
            "$content" => Self::Content,
            _ => return None,
        })
    }

    /// The field that an unknown path probably means.
    pub fn nearest(path: &str) -> Option<&'static str> {
        if path.starts_with("$tag") {
            return Some("$tags.NAME");
        }
        suggest(path, NAMES)
    }

    /// Its value; `text` is where one that has to be made is written.
    pub fn value<'a>(&self, event: EventRef<'a>, text: &'a mut [u8; TEXT_BYTES_MAX]) -> Value<'a> {
        let head = event.head();
        match self {
            Self::Topic => text_or_nil(event.topic_bytes()),
            Self::Stream => text_or_nil(event.stream_bytes()),
            Self::Version => Value::Number(Number::of_unsigned(head.version)),
            Self::Position => Value::Number(Number::of_unsigned(head.position)),
            Self::Time => Value::Number(Number::Int(head.time_ms)),
            Self::Hops => Value::Number(Number::Int(i64::from(head.hops))),
            Self::Id => Value::Bytes(write_id(head.id, text)),
            Self::Correlation if head.correlation.is_nil() => Value::Nil,
            Self::Correlation => Value::Bytes(write_id(head.correlation, text)),
            Self::Causation if head.causation.is_nil() => Value::Nil,
            Self::Causation => Value::Bytes(write_id(head.causation, text)),
            Self::Tag(name) => {
                event.extra().and_then(|extra| extra.tags.get(name)).map_or(Value::Nil, |tag| tag_value(tag))
            }
            Self::Ttl => Value::Bytes(write_ttl(event.extra().map(|extra| &extra.ttl), text)),
            Self::Content => {
                event.extra().and_then(|extra| extra.content.as_deref()).map_or(Value::Nil, tag_value)
            }
        }
    }
}

fn text_or_nil(bytes: &[u8]) -> Value<'_> {
    if bytes.is_empty() { Value::Nil } else { Value::Bytes(bytes) }
}

fn tag_value(text: &str) -> Value<'_> {
    Value::Bytes(text.as_bytes())
}

fn write_id(id: Uuid, text: &mut [u8; TEXT_BYTES_MAX]) -> &[u8] {
    id.hyphenated().encode_lower(text).as_bytes()
}

fn write_ttl<'a>(ttl: Option<&Ttl>, text: &'a mut [u8; TEXT_BYTES_MAX]) -> &'a [u8] {
    let Some(ttl) = ttl else { return b"forever" };
    let mut rest = &mut text[..];
    let written = match write!(rest, "{ttl}") {
        Ok(()) => TEXT_BYTES_MAX - rest.len(),
        Err(_) => 0,
    };
    &text[..written]
}
