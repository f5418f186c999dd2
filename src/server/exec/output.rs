//! What a program writes: lines of its standard output become energies, the last of its standard error are kept.
//!
//! Whoever writes faster than the log takes it waits, in its own pipe.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Clock;
use crate::event::Events;
use crate::log::{Commit, Log};
use crate::server::Plane;
use crate::server::lines::{self, Splitter};

/// Bytes that are read at a time; the lines in them are one commit.
const READ_BYTES: usize = 64 << 10;
/// Lines of standard error that are kept.
const LINES: usize = 20;
/// Bytes of each that are.
const LINE_BYTES: usize = 1 << 10;

/// Reads a pipe to its end, and appends its lines.
pub(super) fn read(mut pipe: impl Read, topic: &str, plane: &Plane) {
    let (mut buffer, mut splitter) = (vec![0; READ_BYTES], Splitter::default());
    loop {
        let count = pipe.read(&mut buffer).unwrap_or(0);
        let (mut events, now_ms) = (Events::default(), Clock::System.now_ms());
        let mut add = |line: &[u8], is_cut| lines::add(&mut events, topic, line, is_cut, now_ms);
        splitter.take(&buffer[..count], &mut add);
        if count == 0 {
            splitter.end(&mut add);
        }
        if !append(plane, events) || count == 0 {
            return;
        }
    }
}

/// Appends energies; false where the log takes nothing more.
fn append(plane: &Plane, events: Events) -> bool {
    if events.is_empty() {
        return true;
    }
    match plane.log().append(Commit::of(events)) {
        Ok(appended) => {
            for (_, conflict) in &appended.conflicts {
                tracing::warn!(%conflict, "an energy that a program wrote was refused");
            }
            true
        }
        Err(error) => {
            tracing::error!(%error, "what a program writes cannot be appended");
            false
        }
    }
}

/// The last lines of standard error. Shared by threads.
#[derive(Clone, Debug, Default)]
pub(super) struct Last {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Last {
    /// Reads a pipe to its end.
    pub fn read(&self, mut pipe: impl Read) {
        let (mut buffer, mut splitter) = (vec![0; READ_BYTES], Splitter::default());
        loop {
            let count = pipe.read(&mut buffer).unwrap_or(0);
            splitter.take(&buffer[..count], |line, _| self.keep(line));
            if count == 0 {
                return splitter.end(|line, _| self.keep(line));
            }
        }
    }

    fn keep(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES)]).trim_end().to_owned();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(text);
        if lines.len() > LINES {
            lines.pop_front();
        }
    }

    /// All of them.
    pub fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}
