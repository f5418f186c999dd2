//! The short form, for curl by hand: the stream, a topic, an energy, content, a key.

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;

use super::append::{Envelope, check_topic, read, receipts_of};
use super::{blobs, events};
use crate::engine::seed::Kind;
use crate::server::call::{Answer, Call};
use crate::server::problem::{Code, Problem};

/// The header whose members are kept as tags.
const META: &str = "xs-meta";

/// `POST /{name}`: an object is an energy's data; anything else is content, to which an energy refers.
pub async fn append(call: Call, body: Body) -> Answer {
    let plane = call.plane()?.clone();
    let topic = call.part("name").to_owned();
    check_topic(&topic)?;
    let mut envelope = Envelope::of(&call)?;
    if let Some(meta) = call.header(META)? {
        envelope.defaults.tags.extend(tags(meta)?);
    }
    let is_json = call.header("content-type")?.is_some_and(|kind| kind.starts_with("application/json"));
    let short = crate::server::body::length(&call.headers)?.is_some_and(|length| length <= SHORT_BYTES);
    let data = if is_json || short {
        let taken = call.server.take(&call.headers, body, call.server.limits.body_bytes).await?;
        let first = taken.bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        match (first, is_json) {
            (None, _) => b"{}".to_vec(),
            (Some(b'{'), _) if is_json || serde_json::from_slice::<Value>(&taken.bytes).is_ok() => {
                taken.bytes
            }
            (Some(_), true) => return Err(Problem::new(Code::InvalidBody, "the body is no JSON object")),
            _ => refer(&call, &plane, &mut envelope, Body::from(taken.bytes)).await?,
        }
    } else {
        refer(&call, &plane, &mut envelope, body).await?
    };
    let time = envelope.time;
    let energies = events::blocking(move || read(data, Kind::Object, topic, time)).await?;
    let receipts = envelope.append(&call, &plane, energies).await?;
    Ok(receipts_of(&receipts, true))
}

/// Bodies of at most so many bytes are looked at; larger ones are content.
const SHORT_BYTES: u64 = 64 << 10;

/// Stores a body as the content of the energy, which has no data of its own.
async fn refer(
    call: &Call,
    plane: &std::sync::Arc<crate::server::Plane>,
    envelope: &mut Envelope,
    body: Body,
) -> Result<Vec<u8>, Problem> {
    let (digest, _) = blobs::store(&call.server, plane, &call.headers, body).await?;
    envelope.defaults.content = Some(digest.to_hex().to_string());
    Ok(b"{}".to_vec())
}

/// The members of the header: JSON, or the base64 of it.
fn tags(meta: &str) -> Result<Vec<(String, String)>, Problem> {
    let wrong = || Problem::new(Code::InvalidHeader, "`xs-meta` is a JSON object, plain or in base64");
    let text = match meta.trim_start().starts_with('{') {
        true => meta.as_bytes().to_vec(),
        false => {
            STANDARD.decode(meta.trim()).or_else(|_| URL_SAFE.decode(meta.trim())).map_err(|_| wrong())?
        }
    };
    let object: serde_json::Map<String, Value> = serde_json::from_slice(&text).map_err(|_| wrong())?;
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(object.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// `GET /{name}`.
pub async fn energy(call: Call) -> Answer {
    events::at(call, "name").await
}

/// `GET /`.
pub async fn stream(call: Call) -> Result<Response, Problem> {
    events::list(call).await
}
