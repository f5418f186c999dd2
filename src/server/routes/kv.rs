//! A key-value store of energies: the value of a key is that of its last energy.
//!
//! A key `K` is the stream `kv:K`; setting it appends to the topic `kv.set`, deleting it to `kv.deleted`. So all that
//! holds for energies holds for keys: they are durable, they have a history, and whoever follows `kv.>` sees every
//! change. A key's version is that of its stream. JSON values are in the data; any other value as bytes with its type.

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use serde_json::json;

use super::append::{commit_to, field};
use super::events::{answer, blocking};
use super::names::{limit, rows};
use crate::engine::Clock;
use crate::event::msgpack::{self, Reader, Token, parse_path, path};
use crate::event::{Events, Expect, Extra, Head, Uuid, json as text};
use crate::log::{Commit, FileLog, Log, Pages, Query};
use crate::router::Pattern;
use crate::server::Plane;
use crate::server::call::{Answer, Call, invalid};
use crate::server::media::Media;
use crate::server::problem::{Code, Problem};
use crate::server::reading::Reading;

const SET: &str = "kv.set";
const DELETED: &str = "kv.deleted";
/// What the stream of a key begins with.
const PREFIX: &str = "kv:";

/// What a key has.
#[derive(Debug)]
struct Entry {
    version: u64,
    /// The data of its last energy; `None` where that deleted it.
    data: Option<Vec<u8>>,
}

/// `GET /v1/{plane}/kv`.
pub async fn list(call: Call) -> Answer {
    if call.flag("follow")? {
        return changes(call, None).await;
    }
    let limit = limit(&call)?;
    rows(call, move |call| {
        let prefix = format!("{PREFIX}{}", call.first("prefix").unwrap_or_default());
        let log = call.plane()?.log();
        let mut rows = Vec::new();
        for stream in log.streams()?.into_iter().filter(|row| row.stream.starts_with(&prefix)) {
            if rows.len() == limit {
                break;
            }
            if let Some(Entry { version, data: Some(_) }) = find(log, &stream.stream)? {
                rows.push(json!({ "key": stream.stream[PREFIX.len()..], "version": version }));
            }
        }
        Ok(rows)
    })
    .await
}

/// `GET /v1/{plane}/kv/{key}`.
pub async fn get(call: Call) -> Answer {
    let stream = stream_of(&call)?;
    if call.flag("follow")? {
        return changes(call, Some(stream)).await;
    }
    let log = call.plane()?.log().clone();
    let known = call.header("if-none-match")?.map(str::to_owned);
    let key = call.part("key").to_owned();
    let entry = blocking(move || find(&log, &stream)).await?;
    let Some(Entry { version, data: Some(data) }) = entry else {
        let version = entry.map(|entry| entry.version);
        return Err(Problem::new(Code::NotFound, format!("nothing is kept under the key `{key}`"))
            .with("version", version));
    };
    if known.is_some_and(|known| version_of(&known) == Some(Some(version))) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(tagged(response, version));
    }
    Ok(tagged(value_of(&data), version))
}

/// `PUT` and `POST /v1/{plane}/kv/{key}`.
pub async fn put(call: Call, body: Body) -> Answer {
    let (plane, stream) = (call.plane()?.clone(), stream_of(&call)?);
    let kind = call.header("content-type")?.unwrap_or_default().to_owned();
    if kind.len() > 255 {
        return Err(Problem::new(Code::InvalidHeader, "`Content-Type` is longer than 255 bytes"));
    }
    let taken = call.server.take(&call.headers, body, call.server.limits.value_bytes).await?;
    let data = data_of(call.part("key"), &kind, &taken.bytes)?;
    change(&call, &plane, stream, SET, data).await
}

/// `DELETE /v1/{plane}/kv/{key}`.
pub async fn delete(call: Call) -> Answer {
    let (plane, stream) = (call.plane()?.clone(), stream_of(&call)?);
    let mut data = Vec::new();
    msgpack::write_map_len(&mut data, 1);
    msgpack::write_str(&mut data, "key");
    msgpack::write_str(&mut data, call.part("key"));
    change(&call, &plane, stream, DELETED, data).await
}

/// Appends a change of a key, if its version is as the call wants it.
async fn change(call: &Call, plane: &Plane, stream: String, topic: &str, data: Vec<u8>) -> Answer {
    let (log, wanted) = (plane.log().clone(), Wanted::of(call)?);
    let asked = stream.clone();
    let entry = blocking(move || find(&log, &asked)).await?;
    let kept = entry.as_ref().filter(|entry| entry.data.is_some());
    if topic == DELETED && kept.is_none() {
        return Err(Problem::new(
            Code::NotFound,
            format!("nothing is kept under the key `{}`", call.part("key")),
        ));
    }
    let version = kept.map(|entry| entry.version);
    let expect = match wanted {
        Wanted::Any => Expect::Any,
        Wanted::Version(wanted) if version == Some(wanted) => Expect::Version(wanted),
        Wanted::Some if version.is_some() => version.map_or(Expect::Any, Expect::Version),
        // Of a key that was deleted the stream goes on.
        Wanted::None if version.is_none() => {
            entry.map_or(Expect::None, |entry| Expect::Version(entry.version))
        }
        _ => return Err(moved(version)),
    };
    let mut events = Events::default();
    let mut head = Head::seed(Uuid::now_v7(), Clock::System.now_ms());
    head.topic = events.store_topic(topic.as_bytes());
    head.stream = events.store(stream.as_bytes());
    head.data = events.store(&data);
    if expect != Expect::Any {
        events.require_check();
    }
    events.push(head, (expect != Expect::Any).then(|| Extra { expect, ..Extra::default() }));
    let appended = commit_to(call, plane, Commit::of(events).atomic(), None).await;
    let appended = appended.map_err(|problem| match problem.code() {
        Code::VersionConflict => moved(problem.member("actual").and_then(serde_json::Value::as_u64)),
        _ => problem,
    })?;
    let Some((_, receipt)) = appended.receipts().next() else {
        return Err(Problem::new(Code::Internal, "the log gave no receipt"));
    };
    let text = json!({ "key": call.part("key"), "version": receipt.version, "position": receipt.position });
    let mut response = answer(Media::Json, format!("{text}\n").into_bytes());
    if version.is_none() && topic == SET {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(tagged(response, receipt.version))
}

/// Which version a change is of.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    Any,
    /// There is a value.
    Some,
    /// There is none.
    None,
    Version(u64),
}

impl Wanted {
    fn of(call: &Call) -> Result<Self, Problem> {
        let header = |name: hyper::header::HeaderName| -> Result<_, Problem> {
            let Some(text) = call.header(name.as_str())? else { return Ok(None) };
            let why = format!("`{name}` is a version in quotes, such as \"3\", or *");
            version_of(text).map(Some).ok_or_else(|| Problem::new(Code::InvalidHeader, why))
        };
        match (header(IF_MATCH)?, header(IF_NONE_MATCH)?) {
            (None, None) => Ok(Self::Any),
            (Some(Some(version)), None) => Ok(Self::Version(version)),
            (Some(None), None) => Ok(Self::Some),
            (None, Some(None)) => Ok(Self::None),
            _ => Err(Problem::new(Code::InvalidHeader, "of `If-None-Match` only * makes sense here, alone")),
        }
    }
}

/// The version of a tag; `Some(None)` for `*`.
fn version_of(text: &str) -> Option<Option<u64>> {
    match text.trim() {
        "*" => Some(None),
        text => text.trim_matches('"').parse().ok().map(Some),
    }
}

fn moved(version: Option<u64>) -> Problem {
    let stands = version.map_or_else(
        || "has no value, or has another".to_owned(),
        |version| format!("is at version {version}"),
    );
    Problem::new(Code::PreconditionFailed, format!("the key {stands}: read it and decide again"))
        .with("actual", version)
}

fn tagged(mut response: Response, version: u64) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// The stream of the key.
fn stream_of(call: &Call) -> Result<String, Problem> {
    let stream = format!("{PREFIX}{}", call.part("key"));
    field("$stream", &stream).map_err(|_| invalid("key", "it is 1 to 252 bytes"))
}

fn patterns() -> Vec<Pattern> {
    [SET, DELETED].into_iter().filter_map(|topic| Pattern::parse(topic).ok()).collect()
}

/// The last change of a key.
fn find(log: &FileLog, stream: &str) -> Result<Option<Entry>, Problem> {
    let query = Query { stream: Some(stream.to_owned()), topics: patterns(), ..Query::default() };
    let mut page = Events::default();
    if !Pages::backward(log.visible(), 0).limit(1).next(log, &query, &mut page)? {
        return Ok(None);
    }
    let event = page.get(0);
    let data = (event.topic() == Some(SET)).then(|| event.data().to_vec());
    Ok(Some(Entry { version: event.head().version, data }))
}

/// Changes, as they come.
async fn changes(call: Call, stream: Option<String>) -> Answer {
    let plane = call.plane()?.clone();
    let query = Query { stream, topics: patterns(), ..Query::default() };
    let (server, log) = (call.server.clone(), plane.log().clone());
    let reading = blocking(move || Reading::of_query(&call, &log, query)).await?;
    let media = reading.media();
    let mut response = Response::new(reading.body(server, plane));
    response.headers_mut().insert(CONTENT_TYPE, media.content_type());
    Ok(response)
}

/// The data of an energy that sets a key.
fn data_of(key: &str, kind: &str, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let is_json =
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    let mut data = Vec::new();
    msgpack::write_map_len(&mut data, if is_json { 2 } else { 3 });
    if !is_json {
        msgpack::write_str(&mut data, "bytes");
        msgpack::write_bin(&mut data, bytes);
    }
    msgpack::write_str(&mut data, "key");
    msgpack::write_str(&mut data, key);
    if is_json {
        msgpack::write_str(&mut data, "value");
        let read = text::Parser::new().to_msgpack(bytes, &mut data);
        read.map_err(|error| {
            Problem::new(Code::InvalidBody, error.message.clone()).with("line", error.line)
        })?;
    } else {
        msgpack::write_str(&mut data, "type");
        msgpack::write_str(&mut data, kind);
    }
    let mut canonical = Vec::new();
    let made = msgpack::canonicalize(&data, &mut canonical);
    made.map_err(|error| Problem::new(Code::InvalidBody, error.to_string()))?;
    Ok(canonical)
}

/// The value that such data has.
fn value_of(data: &[u8]) -> Response {
    let member = |name: &str| path(data, &parse_path(name));
    if let Some(value) = member("value") {
        let mut out = Vec::new();
        text::write_value(value, &mut out);
        out.push(b'\n');
        return answer(Media::Json, out);
    }
    let bytes = match member("bytes").map(|value| Reader::new(value).token()) {
        Some(Ok(Token::Bin(bytes) | Token::Str(bytes))) => bytes.to_vec(),
        _ => Vec::new(),
    };
    let kind = match member("type").map(|value| Reader::new(value).token()) {
        Some(Ok(Token::Str(kind))) => HeaderValue::from_bytes(kind).ok(),
        _ => None,
    };
    let mut response = Response::new(Body::from(bytes));
    let kind = kind.filter(|kind| !kind.is_empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
