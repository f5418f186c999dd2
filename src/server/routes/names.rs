//! Topics and streams: what the log holds, by name.

use serde_json::{Value, json};

use super::events::{answer, blocking};
use crate::log::Log;
use crate::log::words::parse_pattern;
use crate::server::call::{Answer, Call};
use crate::server::media::Media;
use crate::server::problem::{Code, Problem};

/// `GET /v1/{plane}/topics`.
pub async fn topics(call: Call) -> Answer {
    let patterns = call.all("topic", parse_pattern)?;
    rows(call, move |call| {
        let wanted =
            |topic: &str| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(topic));
        let topics = call.plane()?.log().topics()?;
        let topics = topics.into_iter().filter(|row| wanted(&row.topic));
        Ok(topics.map(|row| json!({ "topic": row.topic, "events": row.events })).collect())
    })
    .await
}

/// `GET /v1/{plane}/streams`.
pub async fn streams(call: Call) -> Answer {
    let limit = limit(&call)?;
    rows(call, move |call| {
        let prefix = call.first("prefix").unwrap_or_default();
        let streams = call.plane()?.log().streams()?;
        let streams = streams.into_iter().filter(|row| row.stream.starts_with(prefix)).take(limit);
        let row = |row: crate::log::file::StreamState| {
            json!({ "stream": row.stream, "version": row.version, "events": row.events })
        };
        Ok(streams.map(row).collect())
    })
    .await
}

/// `GET /v1/{plane}/streams/{name}`.
pub async fn stream(call: Call) -> Answer {
    object(call, |call| {
        let name = call.part("name");
        match call.plane()?.log().version_of(name)? {
            Some(version) => Ok(json!({ "stream": name, "version": version })),
            None => Err(Problem::new(Code::NotFound, format!("no energy belongs to a stream `{name}`"))),
        }
    })
    .await
}

/// At most so many rows.
///
/// # Errors
/// [`Code::InvalidParameter`].
pub fn limit(call: &Call) -> Result<usize, Problem> {
    Ok(call.number("limit")?.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)))
}

/// Rows as NDJSON or as a JSON array, found on a thread for blocking work.
///
/// # Errors
/// Those of the work.
pub async fn rows(
    call: Call,
    work: impl FnOnce(&Call) -> Result<Vec<Value>, Problem> + Send + 'static,
) -> Answer {
    let media = Media::choose(call.first("format"), &call.headers, &[Media::Ndjson, Media::Json])?;
    let rows = blocking(move || work(&call)).await?;
    let mut out = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        if media == Media::Json {
            out.extend_from_slice(if index == 0 { b"[\n" } else { b",\n" });
        }
        out.extend_from_slice(row.to_string().as_bytes());
        if media == Media::Ndjson {
            out.push(b'\n');
        }
    }
    if media == Media::Json {
        out.extend_from_slice(if rows.is_empty() { b"[]\n" } else { b"\n]\n" });
    }
    Ok(answer(media, out))
}

/// One object, found on a thread for blocking work.
///
/// # Errors
/// Those of the work.
pub async fn object(
    call: Call,
    work: impl FnOnce(&Call) -> Result<Value, Problem> + Send + 'static,
) -> Answer {
    let object = blocking(move || work(&call)).await?;
    Ok(answer(Media::Json, format!("{object}\n").into_bytes()))
}
