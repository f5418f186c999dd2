//! The public face: HTTP requests that become energies, and that spells answer.
//!
//! A request is an energy of the topic [`REQUEST_TOPIC`] ([`request`]). Its answer is the first energy of the topic
//! [`RESPONSE_TOPIC`] whose causation is that energy ([`answer`]): what a spell gives back when it casts it, or what a
//! client appends as its effect. One thread follows the log for all that wait ([`waiting`]). Files of a folder are
//! served before anybody is asked ([`files`]).
//!
//! This face asks for no token, whoever comes; so it is one of this machine alone unless it is said to be public.
//! Limits: what goes for the other sockets ([`Limits`](super::Limits)), a size of bodies of its own, and how many
//! requests wait at a time.

pub mod answer;
pub mod files;
pub mod request;
pub mod waiting;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::Method;
use hyper::http::request::Parts;
use tokio::time::timeout;
use tracing::Instrument;

use self::answer::Answer;
use self::files::Files;
use self::waiting::Waiting;
use super::appender::Refused;
use super::problem::{Code, Problem};
use super::telemetry::span;
use super::{Error, Plane, Server};
use crate::engine::Clock;
use crate::event::Uuid;
use crate::log::Commit;

/// Topic of requests.
pub const REQUEST_TOPIC: &str = "http.request";
/// Topic of answers.
pub const RESPONSE_TOPIC: &str = "http.response";

/// How the face is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The plane that has the requests.
    pub plane: String,
    /// Whether other machines may reach it.
    pub is_public: bool,
    /// How long an answer may take, and each further part of it.
    pub timeout: Duration,
    /// Bytes of a request's body at most.
    pub body_bytes: usize,
    /// Folder of files that are served first.
    pub files: Option<PathBuf>,
}

impl Options {
    /// Refuses an address that other machines reach, unless that is meant.
    ///
    /// # Errors
    /// [`Error::ExposedWeb`].
    pub fn check(&self) -> Result<(), Error> {
        match self.is_public || self.listen.ip().is_loopback() {
            true => Ok(()),
            false => Err(Error::ExposedWeb { address: self.listen }),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Web {
    server: Arc<Server>,
    plane: Arc<Plane>,
    waiting: Arc<Waiting>,
    files: Option<Files>,
    timeout: Duration,
    body_bytes: usize,
}

impl Web {
    /// A face on a plane of the server's.
    ///
    /// # Errors
    /// [`Error::NoPlane`], [`Error::Files`].
    pub fn new(server: &Arc<Server>, waiting: &Arc<Waiting>, options: &Options) -> Result<Self, Error> {
        Ok(Self {
            server: server.clone(),
            plane: server.plane(&options.plane)?.clone(),
            waiting: waiting.clone(),
            files: options.files.clone().map(Files::open).transpose()?,
            timeout: options.timeout,
            body_bytes: options.body_bytes,
        })
    }

    /// All paths and methods, as one.
    pub fn router(self) -> Router {
        let web = Arc::new(self);
        Router::new().fallback(move |request: Request| {
            let web = web.clone();
            async move {
                let span = span::request(None, &request);
                let answered = web.answer(request).instrument(span.clone()).await;
                let response = answered.unwrap_or_else(Problem::into_response);
                span::answered(&span, &response);
                web.server.metrics.web(response.status().as_u16());
                response
            }
        })
    }

    async fn answer(&self, request: Request) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        if let Some(files) =
            self.files.as_ref().filter(|_| [Method::GET, Method::HEAD].contains(&head.method))
            && let Some(response) = files.serve(&self.server, &head).await?
        {
            return Ok(response);
        }
        let taken = self.server.take(&head.headers, body, self.body_bytes).await?;
        let id = Uuid::now_v7();
        let place = self.waiting.enter(id).ok_or_else(|| {
            Problem::new(Code::Busy, "too many requests wait for an answer already: come back in a moment")
        })?;
        self.ask(id, &head, &taken.bytes).await?;
        let Ok(first) = timeout(self.timeout, place.first()).await else {
            return Err(
                Problem::new(Code::NoAnswer, "nobody answered in time").with("request", id.to_string())
            );
        };
        let first = first.ok_or_else(|| Problem::new(Code::Unavailable, "the server stops"))?;
        let answer = Answer::of(&first).map_err(|why| {
            tracing::warn!(request = %id, why, "an `http.response` makes no answer");
            Problem::new(Code::BadAnswer, format!("the answer makes no sense: {why}"))
        })?;
        answer.send(&self.server, &self.plane, id, self.timeout).await
    }

    /// Appends the request.
    async fn ask(&self, id: Uuid, head: &Parts, body: &[u8]) -> Result<(), Problem> {
        let content = request::content(&self.plane, body).await?;
        let body = if content.is_some() { &[][..] } else { body };
        let events = request::energy(id, Clock::System.now_ms(), head, body, content)?;
        let span = span::append(self.plane.name(), events.len());
        let appended = self.plane.appender().append(Commit::of(events), None, self.server.limits.patience);
        let appended = appended.instrument(span).await.map_err(|refused| match refused {
            Refused::Busy => Problem::new(Code::Busy, "too many appends wait already: come back in a moment"),
            Refused::Stopped => Problem::new(Code::Unavailable, "the server stops"),
        })??;
        self.server.metrics.appended(appended.count());
        Ok(())
    }
}
