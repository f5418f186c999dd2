//! An answer, as a spell gives it: `status`, `headers`, `body` or content, and whether there is `more`.
//!
//! A body that is text or bytes is sent as it is, any other as JSON; `$content`, or the field `content`, names content
//! by its digest. With `more = true` the answer is a stream: each further energy with the same causation adds its
//! `body`, up to one without `more`. Those are read from the log at the pace of who takes them.
//!
//! Limits: `HEADERS` headers of `HEADERS_BYTES` in all; more make no sense of an answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, header};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::waiting::answers;
use crate::blob::Hash;
use crate::event::msgpack::{Reader, Token, field, token_at};
use crate::event::{EventRef, Events, Head, Uuid, json};
use crate::log::{self, FileLog, Follower, Heard, Query};
use crate::server::problem::{Code, Problem};
use crate::server::routes::blobs;
use crate::server::stream::{self, Piece};
use crate::server::{Plane, Server};

/// Headers that are the server's affair.
const OWN: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// Values of headers at most.
const HEADERS: usize = 256;
/// Bytes of their names and values at most, which is what clients take.
const HEADERS_BYTES: usize = 64 << 10;
/// Answers that have no body, and nothing that tells of one, whatever a spell says.
const BODILESS: [StatusCode; 3] =
    [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
/// Bytes of parts that are read at a time.
const PAGE_BYTES: usize = 256 << 10;
/// Positions that are looked through at once, without a thread for blocking work: they are in memory.
const NEAR: u64 = 128;

/// See the module.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    part: Part,
    content: Option<Hash>,
    position: u64,
}

/// What one energy adds to a body.
#[derive(Debug)]
struct Part {
    bytes: Vec<u8>,
    kind: &'static str,
    more: bool,
}

impl Answer {
    /// Reads the one energy of a batch.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(events: &Events) -> Result<Self, String> {
        let event = events.get(0);
        let data = event.data();
        let status = match field(data, b"status").map(token_at) {
            None => StatusCode::OK,
            Some(Ok(Token::Int(status @ 200..=599))) => {
                StatusCode::from_u16(status as u16).map_err(|error| error.to_string())?
            }
            Some(_) => return Err("`status` is a whole number from 200 to 599".to_owned()),
        };
        let part = Part::of(data);
        if part.more && event.head().position == Head::UNSTORED {
            return Err("an answer in parts (`more`) is stored: its `$ttl` is not `ephemeral`".to_owned());
        }
        Ok(Self {
            status,
            headers: headers(data)?,
            part,
            content: content(event)?,
            position: event.head().position,
        })
    }

    /// As the response to the request of that id. Each further part may take as long as `patience`.
    ///
    /// # Errors
    /// [`Code::BadAnswer`] where it names content that is not there, and what the store says.
    pub async fn send(
        mut self,
        server: &Arc<Server>,
        plane: &Arc<Plane>,
        id: Uuid,
        patience: Duration,
    ) -> Result<Response, Problem> {
        let mut length = None;
        let body = match self.content {
            _ if BODILESS.contains(&self.status) => {
                self.part.kind = "";
                Body::empty()
            }
            Some(digest) if !self.part.more => {
                let found = blobs::body(server, plane, digest, false).await?;
                let Some((bytes, body)) = found else {
                    let why = format!("the answer names content that is not there: {digest}");
                    return Err(Problem::new(Code::BadAnswer, why));
                };
                (self.part.kind, length) = ("application/octet-stream", Some(bytes));
                body
            }
            _ if self.part.more => {
                let query = Query { causation: Some(id), ..answers() };
                let follower = Follower::new(plane.log().clone(), query, self.position + 1);
                let (sender, body) = stream::body();
                let follower = Some(Box::new(follower.page_bytes(PAGE_BYTES)));
                let parts = Parts { follower, sender, visible: plane.visible(), patience };
                tokio::spawn(parts.run(server.clone(), std::mem::take(&mut self.part.bytes)));
                body
            }
            _ => Body::from(self.part.bytes),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        if !self.part.kind.is_empty() && !self.headers.contains_key(CONTENT_TYPE) {
            self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.part.kind));
        }
        if let Some(length) = length {
            self.headers.insert(CONTENT_LENGTH, length.into());
        }
        *response.headers_mut() = self.headers;
        Ok(response)
    }
}

impl Part {
    fn of(data: &[u8]) -> Self {
        let more = matches!(field(data, b"more").map(token_at), Some(Ok(Token::Bool(true))));
        let (bytes, kind) = match field(data, b"body").map(|raw| (raw, token_at(raw))) {
            None | Some((_, Ok(Token::Nil))) => (Vec::new(), ""),
            Some((_, Ok(Token::Str(text)))) => (text.to_vec(), "text/plain; charset=utf-8"),
            Some((_, Ok(Token::Bin(bytes)))) => (bytes.to_vec(), "application/octet-stream"),
            Some((raw, _)) => {
                let mut text = Vec::new();
                json::write_value(raw, &mut text);
                (text, "application/json")
            }
        };
        Self { bytes, kind, more }
    }
}

fn headers(data: &[u8]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let Some(raw) = field(data, b"headers") else { return Ok(headers) };
    let wrong = || "`headers` is a map of names to texts, or to lists of them".to_owned();
    let mut reader = Reader::new(raw);
    let mut bytes = 0;
    let count = match reader.token() {
        Ok(Token::Map(count)) => count,
        // An empty Lua table may be either.
        Ok(Token::Array(0)) => 0,
        _ => return Err(wrong()),
    };
    for _ in 0..count {
        let Ok(Token::Str(name)) = reader.token() else { return Err(wrong()) };
        let shown = String::from_utf8_lossy(name);
        let name = HeaderName::from_bytes(name).map_err(|_| format!("`{shown}` is no name of a header"))?;
        let token = reader.token().map_err(|_| wrong())?;
        let values = if let Token::Array(count) = token {
            (0..count).map(|_| reader.token().map_err(|_| wrong())).collect::<Result<Vec<_>, _>>()?
        } else {
            vec![token]
        };
        for value in values {
            let value = match value {
                Token::Str(bytes) | Token::Bin(bytes) => HeaderValue::from_bytes(bytes),
                Token::Int(number) => Ok(number.into()),
                _ => return Err(wrong()),
            };
            let value =
                value.map_err(|_| format!("the header `{name}` has a character that none may have"))?;
            bytes += name.as_str().len() + value.len();
            if headers.len() == HEADERS || bytes > HEADERS_BYTES {
                return Err(format!("`headers` has over {HEADERS} of them, or {HEADERS_BYTES} bytes"));
            }
            if !OWN.contains(&name) {
                headers.append(&name, value);
            }
        }
    }
    Ok(headers)
}

fn content(event: EventRef<'_>) -> Result<Option<Hash>, String> {
    let named = match field(event.data(), b"content").map(token_at) {
        Some(Ok(Token::Str(digest))) => Some(String::from_utf8_lossy(digest).into_owned()),
        Some(Ok(_)) => return Err("`content` is a digest".to_owned()),
        _ => event.extra().and_then(|extra| extra.content.clone()),
    };
    let digest = |text: String| Hash::from_hex(&text).map_err(|_| format!("`{text}` is no digest"));
    named.map(digest).transpose()
}

/// Sends the further parts of an answer.
struct Parts {
    /// `None` while it is on a thread for blocking work.
    follower: Option<Box<Follower<Arc<FileLog>>>>,
    sender: mpsc::Sender<Piece>,
    visible: watch::Receiver<u64>,
    patience: Duration,
}

impl Parts {
    async fn run(mut self, server: Arc<Server>, first: Vec<u8>) {
        if !first.is_empty() && self.sender.send(Ok(first.into())).await.is_err() {
            return;
        }
        if let Err(error) = self.send(&server).await {
            tracing::debug!(%error, "an answer breaks off");
            // Who does not read any more needs no error.
            let _ = self.sender.send(Err(error)).await;
        }
    }

    async fn send(&mut self, server: &Server) -> io::Result<()> {
        let mut patience = Box::pin(sleep(self.patience));
        loop {
            let sender = self.sender.clone();
            let Ok(room) = sender.reserve().await else { return Ok(()) };
            self.visible.mark_unchanged();
            let (page, heard) = self.next().await.map_err(io::Error::other)?;
            if heard == Heard::Events {
                let (bytes, more) = joined(&page);
                if !bytes.is_empty() {
                    room.send(Ok(bytes));
                }
                if !more {
                    return Ok(());
                }
                patience = Box::pin(sleep(self.patience));
            } else if heard == Heard::End {
                return Ok(());
            } else if heard == Heard::Nothing {
                drop(room);
                tokio::select! {
                    changed = self.visible.changed() => changed.map_err(io::Error::other)?,
                    () = sender.closed() => return Ok(()),
                    () = server.stopped() => return Err(io::Error::other("the server stops")),
                    () = patience.as_mut() => return Err(io::ErrorKind::TimedOut.into()),
                }
            }
        }
    }

    async fn next(&mut self) -> Result<(Events, Heard), log::Error> {
        let Some(mut follower) = self.follower.take() else { return Ok((Events::default(), Heard::End)) };
        let is_near = self.visible.borrow().saturating_sub(follower.position()) <= NEAR;
        let read = move || {
            let mut page = Events::default();
            let heard = follower.next(&mut page, Duration::ZERO);
            (follower, page, heard)
        };
        let (follower, page, heard) = if is_near {
            read()
        } else {
            let Ok(read) = spawn_blocking(read).await else {
                // The runtime ends, or a panic was reported.
                return Ok((Events::default(), Heard::End));
            };
            read
        };
        self.follower = Some(follower);
        Ok((page, heard?))
    }
}

/// The bytes of all parts up to the last, and whether more are to come.
fn joined(page: &Events) -> (Bytes, bool) {
    let (mut bytes, mut more) = (Vec::new(), true);
    for part in page.iter().map(|event| Part::of(event.data())) {
        bytes.extend_from_slice(&part.bytes);
        more = part.more;
        if !more {
            break;
        }
    }
    (bytes.into(), more)
}
