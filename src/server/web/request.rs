//! A request as an energy: `method`, `path`, `query`, `headers`, `body`.
//!
//! The path is decoded; names of headers are in lower case, and values of one name are joined as HTTP joins them. A
//! query is a map; a name that stands several times has a list. A body is text or bytes, up to [`BODY_BYTES`]; a larger
//! one is content, to which the energy refers (`$content`). What is empty is left out, but for `headers` and `query`.

use std::collections::BTreeMap;

use hyper::http::request::Parts;
use percent_encoding::percent_decode;

use super::REQUEST_TOPIC;
use crate::event::{Events, Extra, Head, Uuid, msgpack};
use crate::server::Plane;
use crate::server::problem::{Code, Problem};
use crate::server::routes::events::blocking;

/// Bytes of a body that is in the energy itself.
pub const BODY_BYTES: usize = 64 << 10;
/// Parameters in one query at most.
const PARAMETERS_MAX: usize = 256;

/// Stores a body that is too large for the energy, durably.
///
/// # Errors
/// What the store says.
pub async fn content(plane: &Plane, body: &[u8]) -> Result<Option<String>, Problem> {
    if body.len() <= BODY_BYTES {
        return Ok(None);
    }
    let (contents, bytes) = (plane.contents().clone(), body.to_vec());
    let stored = blocking(move || {
        let hash = contents.put(&bytes)?;
        contents.sync()?;
        Ok(hash)
    });
    Ok(Some(stored.await?.to_hex().to_string()))
}

/// The energy of a request.
///
/// # Errors
/// [`Code::InvalidParameter`] for a query that has too many parameters.
pub fn energy(
    id: Uuid,
    now_ms: i64,
    head: &Parts,
    body: &[u8],
    content: Option<String>,
) -> Result<Events, Problem> {
    let mut events = Events::with_capacity(1, 1_024 + body.len());
    let mut event = Head::seed(id, now_ms);
    event.topic = events.store(REQUEST_TOPIC.as_bytes());
    event.stream = event.topic;
    let mut data = Vec::with_capacity(1_024 + body.len());
    msgpack::write_map_len(&mut data, if body.is_empty() { 4 } else { 5 });
    // In the order of canonical data.
    if !body.is_empty() {
        msgpack::write_str(&mut data, "body");
        msgpack::write_bytes(&mut data, body);
    }
    msgpack::write_str(&mut data, "headers");
    write_headers(head, &mut data);
    msgpack::write_str(&mut data, "method");
    msgpack::write_str(&mut data, head.method.as_str());
    msgpack::write_str(&mut data, "path");
    msgpack::write_bytes(&mut data, &decoded(head.uri.path().as_bytes()));
    msgpack::write_str(&mut data, "query");
    write_query(head.uri.query().unwrap_or_default(), &mut data)?;
    event.data = events.store(&data);
    events.push(event, content.map(|digest| Extra { content: Some(digest), ..Extra::default() }));
    Ok(events)
}

fn decoded(text: &[u8]) -> Vec<u8> {
    percent_decode(text).collect()
}

fn write_headers(head: &Parts, data: &mut Vec<u8>) {
    let mut headers: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for (name, value) in &head.headers {
        match headers.get_mut(name.as_str()) {
            Some(joined) => {
                joined.extend_from_slice(if name == "cookie" { b"; " } else { b", " });
                joined.extend_from_slice(value.as_bytes());
            }
            None => drop(headers.insert(name.as_str(), value.as_bytes().to_vec())),
        }
    }
    msgpack::write_map_len(data, headers.len());
    for (name, value) in headers {
        msgpack::write_str(data, name);
        msgpack::write_bytes(data, &value);
    }
}

fn write_query(text: &str, data: &mut Vec<u8>) -> Result<(), Problem> {
    let mut query: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    for (index, pair) in pairs.enumerate() {
        if index == PARAMETERS_MAX {
            let why = format!("there are over {PARAMETERS_MAX} parameters");
            return Err(Problem::new(Code::InvalidParameter, why));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let [name, value] = [name, value].map(|text| decoded(text.replace('+', " ").as_bytes()));
        query.entry(name).or_default().push(value);
    }
    msgpack::write_map_len(data, query.len());
    for (name, values) in query {
        msgpack::write_bytes(data, &name);
        if values.len() > 1 {
            msgpack::write_array_len(data, values.len());
        }
        values.iter().for_each(|value| msgpack::write_bytes(data, value));
    }
    Ok(())
}
