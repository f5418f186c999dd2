//! The `$` keys that a producer sets, checked one by one.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{ConditionError, Expect, Ttl};
use crate::event::msgpack::{self, Reader, Token};
use crate::event::suggest::suggest;
use crate::event::topic::{self, TopicError};

/// What a producer may set.
pub const ALLOWED: [&str; 8] = ["$topic", "$stream", "$id", "$time", "$tags", "$ttl", "$expect", "$content"];

/// What only the log and the engine may set.
pub const LOG_ONLY: [&str; 5] = ["$position", "$version", "$correlation", "$causation", "$hops"];

/// The longest stream name and content digest, in bytes.
const TEXT_MAX: usize = 255;

/// Why a `$` key is refused. Each names the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Not an envelope field at all.
    #[error("unknown key `{key}`{}; allowed are {}", near(.key), ALLOWED.join(", "))]
    Unknown {
        /// The key.
        key: String,
    },
    /// A field that is not the producer's.
    #[error("only the log may set `{key}`; allowed are {}", ALLOWED.join(", "))]
    LogOnly {
        /// The key.
        key: String,
    },
    /// A value of the wrong type.
    #[error("`{key}` is {found}; it must be {wanted}")]
    Type {
        /// The key.
        key: &'static str,
        /// What its value is, with an article.
        found: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// A text that does not say what it should.
    #[error("`{key}` is {found:?}; it must be {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// The text, shortened.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// Not a topic.
    #[error("`$topic`: {0}")]
    Topic(#[from] TopicError),
    /// A topic of the engine's.
    #[error("`$topic` is `{0}`; topics that begin with `sanctum.` or `$` belong to the engine")]
    Reserved(String),
    /// A bad `$ttl` or `$expect`.
    #[error("`{key}`: {source}")]
    Condition {
        /// The key.
        key: &'static str,
        /// What is wrong.
        source: ConditionError,
    },
    /// Bytes that are not canonical MessagePack.
    #[error("`{key}`: {source}")]
    Data {
        /// The key.
        key: String,
        /// What is wrong.
        source: msgpack::Error,
    },
}

fn near(key: &str) -> String {
    suggest(key, ALLOWED).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

impl FieldError {
    /// The key that the error is about.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            FieldError::Unknown { key } | FieldError::LogOnly { key } | FieldError::Data { key, .. } => key,
            FieldError::Type { key, .. }
            | FieldError::Value { key, .. }
            | FieldError::Condition { key, .. } => key,
            FieldError::Topic(_) | FieldError::Reserved(_) => "$topic",
        }
    }
}

/// The envelope fields that a producer set. Reused from energy to energy without allocating.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// What happened.
    pub topic: Option<String>,
    /// Which entity it belongs to; `None` stands for the topic.
    pub stream: Option<String>,
    /// Identity; `None` leaves it to be derived.
    pub id: Option<Uuid>,
    /// Milliseconds since the epoch.
    pub time_ms: Option<i64>,
    /// Indexed labels.
    pub tags: BTreeMap<String, String>,
    /// How long the log keeps it.
    pub ttl: Ttl,
    /// Append condition on the stream.
    pub expect: Expect,
    /// Digest of a blob in the content store.
    pub content: Option<String>,
    /// Strings whose memory the next energy takes over.
    spare: Vec<String>,
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.topic == other.topic
            && self.stream == other.stream
            && self.id == other.id
            && self.time_ms == other.time_ms
            && self.tags == other.tags
            && self.ttl == other.ttl
            && self.expect == other.expect
            && self.content == other.content
    }
}

impl Eq for Fields {}

impl Fields {
    /// Forgets all fields, keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.spare.extend(self.topic.take());
        self.spare.extend(self.stream.take());
        self.spare.extend(self.content.take());
        self.spare.truncate(3);
        self.id = None;
        self.time_ms = None;
        if !self.tags.is_empty() {
            self.tags.clear();
        }
        self.ttl = Ttl::Forever;
        self.expect = Expect::Any;
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The fields that a [`Head`](crate::event::Head) has no room for, if any is set.
    #[must_use]
    pub fn extra(&self) -> Option<crate::event::Extra> {
        let none = self.tags.is_empty()
            && self.ttl == Ttl::Forever
            && self.expect == Expect::Any
            && self.content.is_none();
        (!none).then(|| crate::event::Extra {
            tags: self.tags.clone(),
            ttl: self.ttl,
            expect: self.expect,
            content: self.content.clone(),
        })
    }

    /// Sets the field that `key`, with its `$`, names from one MessagePack value. Nil unsets it.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<(), FieldError> {
        let Some(name) = ALLOWED.iter().copied().find(|name| *name == key) else {
            let key = key.to_owned();
            let log_only = LOG_ONLY.contains(&key.as_str());
            return Err(if log_only { FieldError::LogOnly { key } } else { FieldError::Unknown { key } });
        };
        let mut reader = Reader::new(value);
        let token = reader.token().map_err(|source| FieldError::Data { key: key.to_owned(), source })?;
        if token == Token::Nil {
            self.unset(name);
            return Ok(());
        }
        match name {
            "$topic" => {
                let text = text_of(name, token, "a topic")?;
                topic::validate(text)?;
                if topic::is_reserved(text) {
                    return Err(FieldError::Reserved(text.to_owned()));
                }
                let kept = self.keep(text);
                self.topic = Some(kept);
            }
            "$stream" => {
                let wanted = "a string of 1 to 255 bytes without control characters";
                let text = text_of(name, token, wanted)?;
                if text.is_empty() || text.len() > TEXT_MAX || text.chars().any(char::is_control) {
                    return Err(value_error(name, text, wanted));
                }
                let kept = self.keep(text);
                self.stream = Some(kept);
            }
            "$content" => {
                let wanted = "the digest of a blob";
                let text = text_of(name, token, wanted)?;
                if text.is_empty() || text.len() > TEXT_MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
                    return Err(value_error(name, text, wanted));
                }
                let kept = self.keep(text);
                self.content = Some(kept);
            }
            "$id" => {
                let wanted = "a UUID, not the nil one";
                let text = text_of(name, token, wanted)?;
                let id = Uuid::try_parse(text).ok().filter(|id| !id.is_nil());
                self.id = Some(id.ok_or_else(|| value_error(name, text, wanted))?);
            }
            "$time" => self.time_ms = Some(time_of(name, token)?),
            "$tags" => self.set_tags(name, token, reader)?,
            "$ttl" => {
                let text = text_of(name, token, "\"forever\", \"ephemeral\", \"time:MS\" or \"last:N\"")?;
                self.ttl = text.parse().map_err(|source| FieldError::Condition { key: name, source })?;
            }
            _ => {
                let wanted = "\"any\", \"none\" or the stream's last version";
                self.expect = match token {
                    Token::Int(version) => u64::try_from(version)
                        .map(Expect::Version)
                        .map_err(|_| value_error(name, &version.to_string(), wanted))?,
                    token => text_of(name, token, wanted)?
                        .parse()
                        .map_err(|source| FieldError::Condition { key: name, source })?,
                };
            }
        }
        Ok(())
    }

    fn unset(&mut self, name: &str) {
        match name {
            "$topic" => self.topic = None,
            "$stream" => self.stream = None,
            "$content" => self.content = None,
            "$id" => self.id = None,
            "$time" => self.time_ms = None,
            "$tags" => self.tags.clear(),
            "$ttl" => self.ttl = Ttl::Forever,
            _ => self.expect = Expect::Any,
        }
    }

    fn set_tags(
        &mut self,
        key: &'static str,
        token: Token<'_>,
        mut reader: Reader<'_>,
    ) -> Result<(), FieldError> {
        self.tags.clear();
        let wanted = "a map of strings to strings";
        let Token::Map(len) = token else {
            // An empty table may have been an array once.
            if token == Token::Array(0) {
                return Ok(());
            }
            return Err(FieldError::Type { key, found: kind(token), wanted });
        };
        let data = |source| FieldError::Data { key: key.to_owned(), source };
        for _ in 0..len {
            let tag = text_of(key, reader.token().map_err(data)?, wanted)?.to_owned();
            let value = text_of(key, reader.token().map_err(data)?, wanted)?.to_owned();
            self.tags.insert(tag, value);
        }
        Ok(())
    }

    fn keep(&mut self, text: &str) -> String {
        let mut kept = self.spare.pop().unwrap_or_default();
        kept.clear();
        kept.push_str(text);
        kept
    }
}

/// Copies canonical data to `out` without its top-level `$` keys, which set `fields` instead. `fields` is
/// cleared first. `data` must be a map; on an error `out` is as before.
pub fn split(data: &[u8], out: &mut Vec<u8>, fields: &mut Fields) -> Result<(), FieldError> {
    fields.clear();
    let source = |source| FieldError::Data { key: "energy".to_owned(), source };
    let mut reader = Reader::new(data);
    let token = reader.token().map_err(source)?;
    let Token::Map(len) = token else {
        return Err(FieldError::Type { key: "energy", found: kind(token), wanted: "a map" });
    };
    let start = reader.position();
    // Keys that begin with `$` are neighbours, as all strings are sorted.
    let (mut first, mut last, mut found) = (data.len(), data.len(), 0);
    for _ in 0..len {
        let at = reader.position();
        let key = reader.token().map_err(source)?;
        let value = reader.raw().map_err(source)?;
        match key {
            Token::Str(key) if key.first() == Some(&b'$') => {
                fields.set(&String::from_utf8_lossy(key), value)?;
                if found == 0 {
                    first = at;
                }
                found += 1;
                last = reader.position();
            }
            Token::Bin(key) if key.first() == Some(&b'$') => {
                return Err(FieldError::Unknown { key: String::from_utf8_lossy(key).into_owned() });
            }
            Token::Str(key) | Token::Bin(key) if key > b"$".as_slice() => break,
            _ => {}
        }
    }
    if found == 0 {
        out.extend_from_slice(data);
    } else {
        msgpack::write_map_len(out, len as usize - found);
        out.extend_from_slice(&data[start..first]);
        out.extend_from_slice(&data[last..]);
    }
    Ok(())
}

fn time_of(key: &'static str, token: Token<'_>) -> Result<i64, FieldError> {
    let wanted = "milliseconds since the epoch, or an RFC 3339 time such as \"2026-01-31T12:00:00Z\"";
    match token {
        Token::Int(ms) => Ok(ms),
        // Lua's `/` gives floats even where the result is whole. 2^53: beyond, floats skip integers.
        Token::Float(ms) if ms.fract() == 0.0 && ms.abs() <= 9_007_199_254_740_992.0 => Ok(ms as i64),
        token => {
            let text = text_of(key, token, wanted)?;
            let time: jiff::Timestamp = text.parse().map_err(|_| value_error(key, text, wanted))?;
            Ok(time.as_millisecond())
        }
    }
}

fn text_of<'a>(key: &'static str, token: Token<'a>, wanted: &'static str) -> Result<&'a str, FieldError> {
    match token {
        Token::Str(bytes) => {
            std::str::from_utf8(bytes).map_err(|_| value_error(key, &String::from_utf8_lossy(bytes), wanted))
        }
        Token::Bin(bytes) => Err(value_error(key, &String::from_utf8_lossy(bytes), wanted)),
        token => Err(FieldError::Type { key, found: kind(token), wanted }),
    }
}

fn value_error(key: &'static str, found: &str, wanted: &'static str) -> FieldError {
    const SHOWN_MAX: usize = 80;
    let mut shown: String = found.chars().take(SHOWN_MAX).collect();
    if shown.len() < found.len() {
        shown.push('…');
    }
    FieldError::Value { key, found: shown, wanted }
}

/// A value's type, with its article.
fn kind(token: Token<'_>) -> &'static str {
    match token {
        Token::Nil => "nil",
        Token::Bool(_) => "a boolean",
        Token::Int(_) | Token::BigUint(_) => "an integer",
        Token::Float(_) => "a float",
        Token::Str(_) | Token::Bin(_) => "a string",
        Token::Array(_) => "an array",
        Token::Map(_) => "a map",
        Token::Ext(..) => "an extension value",
    }
}
