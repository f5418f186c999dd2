//! Energies, appended.

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use tracing::Instrument;

use super::events::{answer, blocking};
use crate::engine::seed::{Input, Kind, Purpose, SeedOptions, Seeds, Source};
use crate::engine::{Clock, Intake};
use crate::event::envelope::FieldError;
use crate::event::msgpack::write_str;
use crate::event::{Events, Expect, Fields, Ttl, Uuid, topic};
use crate::log::defaults::Defaults;
use crate::log::place::within;
use crate::log::receipts::write_receipts;
use crate::log::words::{absolute, parse_id, parse_pattern, parse_tag};
use crate::log::{Appended, Commit, Query};
use crate::runeset::Diagnostic;
use crate::server::Plane;
use crate::server::appender::Refused;
use crate::server::call::{Answer, Call, invalid};
use crate::server::media::Media;
use crate::server::problem::{Code, Problem};
use crate::server::telemetry::span;
use crate::spell::Modules;

/// What energies get that do not say it themselves.
pub const ENVELOPE: &[&str] = &["stream", "tag", "ttl", "id", "time", "content", "causation", "expect"];
/// What must hold.
pub const CONDITIONS: &[&str] = &["unless-topic", "unless-stream", "unless-tag", "unless-after"];

/// Bytes of a body that is read at once, without a thread for blocking work.
const SHORT_BYTES: usize = 16 << 10;
/// What a body is called in messages.
const SHOWN: &str = "<body>";

/// `POST /v1/{plane}/append/{topic}`.
pub async fn append(call: Call, body: Body) -> Answer {
    let plane = call.plane()?.clone();
    let topic = call.part("topic").to_owned();
    check_topic(&topic)?;
    let envelope = Envelope::of(&call)?;
    let kind = kind(&call)?;
    let taken = call.server.take(&call.headers, body, call.server.limits.body_bytes).await?;
    let is_one = kind == Kind::Object || (kind == Kind::Json && is_object(&taken.bytes));
    if envelope.defaults.id.is_some() && !is_one {
        return Err(invalid("id", "it names one energy; several name theirs by `$id`"));
    }
    let time = envelope.time;
    let read = move || read(taken.bytes, kind, topic, time);
    let events = if call_is_short(&call) { read()? } else { blocking(read).await? };
    if events.is_empty() {
        return Err(Problem::new(Code::InvalidBody, "the body has no energy"));
    }
    let receipts = envelope.append(&call, &plane, events).await?;
    Ok(receipts_of(&receipts, is_one))
}

/// Whether a body says that it is short.
fn call_is_short(call: &Call) -> bool {
    matches!(crate::server::body::length(&call.headers), Ok(Some(bytes)) if bytes <= SHORT_BYTES as u64)
}

fn is_object(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_none_or(|byte| *byte != b'[')
}

/// A topic that clients may append to.
///
/// # Errors
/// [`Code::InvalidTopic`], [`Code::ReservedTopic`].
pub fn check_topic(text: &str) -> Result<(), Problem> {
    topic::validate(text).map_err(|error| Problem::new(Code::InvalidTopic, error.to_string()))?;
    if topic::is_reserved(text) {
        let why =
            format!("topic `{text}` belongs to the engine, as all do that begin with `sanctum.` or `$`");
        return Err(Problem::new(Code::ReservedTopic, why));
    }
    Ok(())
}

/// What the body is.
fn kind(call: &Call) -> Result<Kind, Problem> {
    let Some(value) = call.headers.get(CONTENT_TYPE) else { return Ok(Kind::Json) };
    let text = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match text.to_ascii_lowercase().as_str() {
        // What curl says by itself is no choice of anybody's.
        "" | "application/json" | "application/x-www-form-urlencoded" | "text/plain" => Ok(Kind::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Kind::Ndjson),
        "application/msgpack" | "application/vnd.msgpack" | "application/x-msgpack" => Ok(Kind::Msgpack),
        _ => Err(Problem::new(
            Code::UnsupportedMediaType,
            "energies are application/json, application/x-ndjson or application/msgpack",
        )),
    }
}

/// What the query says about the energies.
#[derive(Debug)]
pub struct Envelope {
    /// What they get that do not say it themselves.
    pub defaults: Defaults,
    /// Their time.
    pub time: Option<i64>,
    causation: Option<Uuid>,
    unless: Query,
    after: Option<u64>,
}

impl Envelope {
    /// Reads it.
    ///
    /// # Errors
    /// [`Code::InvalidParameter`].
    pub fn of(call: &Call) -> Result<Self, Problem> {
        let text = |text: &str| Ok(text.to_owned());
        let time = |text: &str| {
            absolute(text).ok_or_else(|| "it is RFC 3339, a date, or milliseconds since 1970".to_owned())
        };
        let unless = Query {
            topics: call.all("unless-topic", parse_pattern)?,
            stream: call.one("unless-stream", text)?,
            tags: call.all("unless-tag", parse_tag)?,
            ..Query::default()
        };
        let after = call.number("unless-after")?;
        if after.is_some() && unless.is_all() {
            return Err(invalid(
                "unless-after",
                "it says up to where the other unless parameters do not count",
            ));
        }
        Ok(Self {
            defaults: Defaults {
                stream: call.one("stream", |text| field("$stream", text))?,
                id: call.one("id", parse_id)?,
                tags: call.all("tag", parse_tag)?,
                ttl: call
                    .one("ttl", |text| text.parse::<Ttl>().map_err(|error| error.to_string()))?
                    .unwrap_or_default(),
                content: call.one("content", |text| field("$content", text))?,
                expect: call
                    .one("expect", |text| text.parse::<Expect>().map_err(|error| error.to_string()))?
                    .unwrap_or_default(),
            },
            time: call.one("time", time)?,
            causation: call.one("causation", parse_id)?,
            unless,
            after,
        })
    }

    /// Appends energies, all of them or none, and gives the receipts, one a line.
    ///
    /// # Errors
    /// Conflicts, and what the log says.
    pub async fn append(self, call: &Call, plane: &Plane, events: Events) -> Result<Vec<u8>, Problem> {
        let mut events = self.defaults.complete(events, true);
        for head in events.heads_mut().iter_mut().filter(|head| head.id.is_nil()) {
            head.id = Uuid::now_v7();
        }
        // What the log knows or does not store is not given back by it.
        let kept = (events.is_checked() || events.has_ephemeral()).then(|| copy(&events));
        let mut commit = Commit::of(events).atomic();
        if !self.unless.is_all() {
            if let Some(after) = self.after {
                within(&**plane.log(), after).map_err(|error| invalid("unless-after", &error.to_string()))?;
            }
            commit = commit.unless(self.unless, self.after);
        }
        let appended = commit_to(call, plane, commit, self.causation).await?;
        let mut receipts = Vec::new();
        write_receipts(&appended, kept.as_ref(), &mut receipts);
        Ok(receipts)
    }
}

/// Hands a commit in and waits until it is as durable as it is to be.
///
/// # Errors
/// The first conflict, [`Code::Busy`], and what the log says.
pub async fn commit_to(
    call: &Call,
    plane: &Plane,
    commit: Commit,
    cause: Option<Uuid>,
) -> Result<Appended, Problem> {
    let is_one = commit.events.len() == 1;
    let appended = hand_in(call, plane, commit, cause).await?;
    let Some((index, conflict)) = appended.conflicts.first().cloned() else { return Ok(appended) };
    let problem = Problem::from(conflict);
    Err(if is_one { problem } else { problem.with("index", index) })
}

/// As [`commit_to`], with conflicts as a part of the result.
///
/// # Errors
/// [`Code::Busy`], and what the log says.
pub async fn hand_in(
    call: &Call,
    plane: &Plane,
    commit: Commit,
    cause: Option<Uuid>,
) -> Result<Appended, Problem> {
    let span = span::append(plane.name(), commit.events.len());
    let appending = plane.appender().append(commit, cause, call.server.limits.patience);
    let appended = appending.instrument(span).await.map_err(|refused| match refused {
        Refused::Busy => Problem::new(Code::Busy, "too many appends wait already: come back in a moment"),
        Refused::Stopped => Problem::new(Code::Unavailable, "the server stops"),
    })??;
    if appended.conflicts.is_empty() {
        call.server.metrics.appended(appended.count());
    } else {
        call.server.metrics.conflict();
    }
    Ok(appended)
}

/// Receipts as an answer: an object for one energy, else an array.
#[must_use]
pub fn receipts_of(lines: &[u8], is_one: bool) -> Response {
    let body = if is_one {
        lines.to_vec()
    } else {
        let mut body = Vec::with_capacity(lines.len() + 4);
        body.push(b'[');
        let trimmed = lines.strip_suffix(b"\n").unwrap_or(lines);
        for (index, line) in trimmed.split(|byte| *byte == b'\n').enumerate() {
            body.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
            body.extend_from_slice(line);
        }
        body.extend_from_slice(b"\n]\n");
        body
    };
    let mut response = answer(Media::Json, body);
    *response.status_mut() = StatusCode::CREATED;
    response
}

/// A text that the `$` key would take.
///
/// # Errors
/// What is wrong.
pub fn field(key: &str, text: &str) -> Result<String, String> {
    let mut value = Vec::new();
    write_str(&mut value, text);
    let set = Fields::default().set(key, &value);
    set.map(|()| text.to_owned()).map_err(|error: FieldError| error.to_string())
}

/// Reads a body.
///
/// # Errors
/// [`Code::InvalidBody`], [`Code::TooLarge`].
pub fn read(bytes: Vec<u8>, kind: Kind, topic: String, time: Option<i64>) -> Result<Events, Problem> {
    let input = Input::Bytes(bytes.into());
    let source = Source { shown: SHOWN.to_owned(), input, kind, modules: Modules::default() };
    let options = SeedOptions {
        topic: Some(topic),
        clock: time.map_or(Clock::System, Clock::FixedMs),
        purpose: Purpose::Append,
        ..SeedOptions::default()
    };
    let mut seeds = Seeds::new(vec![source], options);
    let mut all = Events::default();
    loop {
        let mut events = Events::default();
        let more = seeds.fill(&mut events).map_err(|diagnostic| unreadable(&diagnostic))?;
        if all.is_empty() {
            all = events;
        } else {
            events.iter().for_each(|event| all.push_copy(event));
            if events.is_checked() {
                all.require_check();
            }
        }
        if !more {
            return Ok(all);
        }
        if all.is_full() {
            return Err(Problem::new(Code::TooLarge, "the body is too large for one commit"));
        }
    }
}

fn unreadable(diagnostic: &Diagnostic) -> Problem {
    let limit = diagnostic.fields.get("limit");
    let code = if limit.is_some() { Code::TooLarge } else { Code::InvalidBody };
    let mut problem = Problem::new(code, diagnostic.message.clone());
    if let Some(limit) = limit {
        problem = problem.with("limit", limit.clone());
    }
    match &diagnostic.place {
        Some(place) => problem.with("line", place.line).with("column", place.column),
        None => problem,
    }
}

fn copy(events: &Events) -> Events {
    let mut out = Events::with_capacity(events.len(), events.byte_len());
    events.iter().for_each(|event| out.push_copy(event));
    if events.is_checked() {
        out.require_check();
    }
    out
}
