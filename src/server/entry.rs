//! A line in the server's log for a request: what it asked, what came of it, how long that took.
//!
//! Queries and headers are not told: they may hold what is nobody else's business. Without somebody who reads the log
//! nothing is measured.

use axum::extract::Request;
use axum::response::Response;
use hyper::Method;
use hyper::body::Body as _;

use crate::engine::clock::steady_ns;

/// A request that is under way.
#[derive(Debug)]
pub struct Entry {
    method: Method,
    path: String,
    begin_ns: u64,
}

impl Entry {
    /// Begins one, if anybody reads the log.
    #[must_use]
    pub fn begin(request: &Request) -> Option<Self> {
        tracing::enabled!(tracing::Level::INFO).then(|| Self {
            method: request.method().clone(),
            path: request.uri().path().chars().take(256).collect(),
            begin_ns: steady_ns(),
        })
    }

    /// The answer begins: its body may go on for long.
    pub fn end(self, response: &Response) {
        let us = steady_ns().saturating_sub(self.begin_ns) / 1_000;
        let (method, path, status) = (self.method.as_str(), self.path, response.status().as_u16());
        // Of a body that is made while it is sent the length is not known.
        match response.body().size_hint().exact() {
            Some(bytes) => tracing::info!(method, path, status, us, bytes, "request"),
            None => tracing::info!(method, path, status, us, "request"),
        }
    }
}
