//! Energies, read.

use axum::body::Body;
use axum::response::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::task::spawn_blocking;

use crate::event::Events;
use crate::log::place::Place;
use crate::server::call::{Answer, Call, invalid};
use crate::server::media::{Media, Writer};
use crate::server::problem::{Code, Problem};
use crate::server::reading::Reading;

/// `GET /v1/{plane}/events`.
pub async fn list(call: Call) -> Answer {
    let plane = call.plane()?.clone();
    let server = call.server.clone();
    let log = plane.log().clone();
    // Where reading begins may have to be looked up.
    let reading = blocking(move || Reading::of(&call, &log)).await?;
    let media = reading.media();
    let follows = reading.follows();
    let mut response = Response::new(reading.body(server, plane));
    response.headers_mut().insert(CONTENT_TYPE, media.content_type());
    if follows {
        // No proxy is to keep it, or to hold it back.
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    Ok(response)
}

/// `GET /v1/{plane}/events/{place}`.
pub async fn one(call: Call) -> Answer {
    at(call, "place").await
}

/// One energy, whose place is the part of the path with that name.
///
/// # Errors
/// [`Code::InvalidParameter`], [`Code::NotFound`], [`Code::Gone`].
pub async fn at(call: Call, part: &str) -> Answer {
    let place: Place = call.part(part).parse().map_err(|why: String| invalid(part, &why))?;
    let media = Media::choose(call.first("format"), &call.headers, &[Media::Json, Media::Msgpack])?;
    let log = call.plane()?.log().clone();
    let out = blocking(move || {
        let mut page = Events::default();
        place.read(&*log, &mut page)?;
        // One energy is an object, not a list of one.
        let mut writer = Writer::new(if media == Media::Json { Media::Ndjson } else { media });
        let mut out = Vec::new();
        page.iter().for_each(|event| writer.energy(event, &mut out));
        Ok(out)
    });
    Ok(answer(media, out.await?))
}

/// A body that is whole.
pub fn answer(media: Media, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, media.content_type());
    response
}

/// Runs what may read files on a thread for that.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Problem::new(Code::Internal, "the server failed; its log says why")))
}
