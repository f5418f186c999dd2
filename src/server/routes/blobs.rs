//! Content by digest, stored and read as it comes: never whole in memory where it is large.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::events::{answer, blocking};
use crate::blob::Hash;
use crate::server::body::length;
use crate::server::call::{Answer, Call, invalid};
use crate::server::media::Media;
use crate::server::problem::{Code, Problem};
use crate::server::stream::{self, Piece};
use crate::server::{Plane, Server};

/// Content that is read into memory, rather than passed on piece by piece.
const SMALL_BYTES: u64 = 256 << 10;
/// Bytes of a piece of larger content.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces of a body that wait to be stored.
const PIECES: usize = 4;

/// `POST /v1/{plane}/blobs`.
pub async fn put(call: Call, body: Body) -> Answer {
    let plane = call.plane()?.clone();
    let (digest, bytes) = store(&call.server, &plane, &call.headers, body).await?;
    let text = json!({ "digest": digest.to_hex().as_str(), "bytes": bytes });
    let mut response = answer(Media::Json, format!("{text}\n").into_bytes());
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Stores a body, durably, and returns its digest and its bytes.
///
/// # Errors
/// [`Code::TooLarge`], [`Code::Busy`], [`Code::Timeout`], and what the store says.
pub async fn store(
    server: &Arc<Server>,
    plane: &Arc<Plane>,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<(Hash, u64), Problem> {
    let max = server.limits.content_bytes;
    if length(headers)?.is_some_and(|length| length > max) {
        return Err(too_large(max));
    }
    let place = transfer(server).await?;
    let (sender, pieces) = mpsc::channel(PIECES);
    let contents = plane.contents().clone();
    let stored = spawn_blocking(move || {
        let _place = place;
        let stored = contents.put_stream(&mut Pieces { pieces, rest: Bytes::new() })?;
        contents.sync()?;
        Ok::<_, Problem>(stored)
    });
    let mut sum = 0;
    loop {
        let (piece, problem) = match server.piece(&mut body).await {
            Ok(None) => break,
            Ok(Some(piece)) => {
                sum += piece.len() as u64;
                if sum > max {
                    (Err(io::ErrorKind::FileTooLarge.into()), Some(too_large(max)))
                } else {
                    (Ok(piece), None)
                }
            }
            Err(problem) => (Err(io::ErrorKind::UnexpectedEof.into()), Some(problem)),
        };
        // Where the store failed it takes nothing more, and says so below.
        let is_taken = sender.send(piece).await.is_ok();
        if let Some(problem) = problem {
            return Err(problem);
        }
        if !is_taken {
            break;
        }
    }
    drop(sender);
    stored.await.unwrap_or_else(|_| Err(Problem::new(Code::Internal, "the server failed; its log says why")))
}

fn too_large(max: u64) -> Problem {
    Problem::new(Code::TooLarge, format!("the content has more than {max} bytes")).with("limit", max)
}

/// A place among the transfers that may be under way.
async fn transfer(server: &Server) -> Result<OwnedSemaphorePermit, Problem> {
    let asked = Semaphore::acquire_owned(server.transfers.clone());
    match timeout(server.limits.patience, asked).await {
        Ok(Ok(place)) => Ok(place),
        _ => Err(Problem::new(Code::Busy, "too many contents are under way already: come back in a moment")),
    }
}

/// What comes through a channel, as a reader for a thread.
struct Pieces {
    pieces: mpsc::Receiver<Result<Bytes, io::Error>>,
    rest: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.rest = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}

/// `GET /v1/{plane}/blobs/{digest}`.
pub async fn get(call: Call) -> Answer {
    let text = call.part("digest").to_owned();
    let digest =
        Hash::from_hex(&text).map_err(|_| invalid("digest", "it is BLAKE3, as 64 hexadecimal digits"))?;
    let plane = call.plane()?.clone();
    let is_head = call.method == hyper::Method::HEAD;
    let Some((bytes, body)) = self::body(&call.server, &plane, digest, is_head).await? else {
        let why = format!("there is no content {digest} in plane `{}`", plane.name());
        return Err(Problem::new(Code::NotFound, why));
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, bytes.into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    // Whatever it is, it is not to be run as a page of ours.
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{digest}\"")) {
        headers.insert(ETAG, tag);
    }
    Ok(response)
}

/// Content as a body, empty where only its size is asked for; and its size. `None` where it is not there.
///
/// # Errors
/// [`Code::Busy`], and what the store says.
pub async fn body(
    server: &Arc<Server>,
    plane: &Plane,
    digest: Hash,
    is_head: bool,
) -> Result<Option<(u64, Body)>, Problem> {
    let contents = plane.contents().clone();
    let found = blocking(move || {
        let bytes = contents.bytes(&digest)?;
        let whole = match bytes {
            Some(bytes) if bytes <= SMALL_BYTES && !is_head => contents.get(&digest, SMALL_BYTES)?,
            _ => None,
        };
        Ok(bytes.map(|bytes| (bytes, whole)))
    });
    let Some((bytes, whole)) = found.await? else { return Ok(None) };
    let body = match whole {
        Some(whole) => Body::from(whole),
        None if is_head => Body::empty(),
        None => {
            let contents = plane.contents().clone();
            let send = move |output: &mut dyn Write| {
                contents.get_stream(&digest, output).map(drop).map_err(io::Error::other)
            };
            pour(server, send).await?
        }
    };
    Ok(Some((bytes, body)))
}

/// A body that a thread writes. Who takes nothing of it for long is left.
///
/// # Errors
/// [`Code::Busy`] where too many are under way.
pub async fn pour(
    server: &Arc<Server>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Result<Body, Problem> {
    let place = transfer(server).await?;
    let (sender, body) = stream::body();
    let (runtime, silence) = (Handle::current(), server.limits.silence);
    drop(spawn_blocking(move || {
        let _place = place;
        let mut output = Output { sender, runtime, silence, buffer: Vec::with_capacity(PIECE_BYTES) };
        let sent = write(&mut output);
        if let Err(error) = sent.and_then(|()| output.flush()) {
            tracing::debug!(%error, "a content was not sent whole");
            let Output { sender, runtime, silence, .. } = output;
            // Who does not read any more needs no error.
            let _ = runtime.block_on(timeout(silence, sender.send(Err(error))));
        }
    }));
    Ok(body)
}

/// A body, as a writer for a thread.
struct Output {
    sender: mpsc::Sender<Piece>,
    runtime: Handle,
    silence: Duration,
    buffer: Vec<u8>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        match self.runtime.block_on(timeout(self.silence, self.sender.send(Ok(piece)))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
