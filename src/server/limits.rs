//! What requests may take: the one place of these numbers.

use std::time::Duration;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more are taken when one of them ends.
    pub connections: usize,
    /// Of these, those of the public face: strangers are not to take the place of the owner.
    pub web_connections: usize,
    /// Bytes of a request's first line and headers together.
    pub head_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// Bytes of a body of energies.
    pub body_bytes: usize,
    /// Bytes of the bodies of energies of all requests, at a time.
    pub bodies_bytes: usize,
    /// Bytes of one content.
    pub content_bytes: u64,
    /// Bytes of a value in the key-value store.
    pub value_bytes: usize,
    /// Large contents that are read or written at a time.
    pub transfers: usize,
    /// Commits that wait for the log.
    pub commits: usize,
    /// Requests of the public face that wait for their answer at a time.
    pub answers: usize,
    /// How long a client may take for a request's head, and stay without a request.
    pub head: Duration,
    /// How long a client may be silent within a body, or take nothing of a content.
    pub silence: Duration,
    /// How long a client may take nothing of an answer that waits for it.
    pub stall: Duration,
    /// How long a client may take for a body of energies.
    pub body: Duration,
    /// How long a request waits for room before it is refused.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            web_connections: 2_048,
            head_bytes: 64 << 10,
            headers: 100,
            body_bytes: 64 << 20,
            bodies_bytes: 256 << 20,
            content_bytes: 4 << 30,
            value_bytes: 1 << 20,
            transfers: 32,
            commits: 1_024,
            answers: 1_024,
            head: Duration::from_secs(30),
            silence: Duration::from_secs(30),
            stall: Duration::from_secs(60),
            body: Duration::from_secs(120),
            patience: Duration::from_secs(5),
        }
    }
}
