//! The thread of a plane that appends: whatever waits is written, made durable by one sync, and acknowledged.
//!
//! A small commit that waits for no sync is written at once where it comes from: handing it over would take longer.
//!
//! While a sync runs the next commits queue up, so that any number of clients share syncs without a timer. The queue is
//! bounded: who finds it full waits, and is refused when that lasts.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::Error;
use crate::event::Uuid;
use crate::log::file::Durability;
use crate::log::{self, Appended, Commit, FileLog, Log};

/// Commits that share a sync at most.
const SHARED_MAX: usize = 1_024;

/// Bytes of energies that are written at once, where no sync is waited for.
const SMALL_BYTES: usize = 16 << 10;

/// A commit and who waits for it.
#[derive(Debug)]
struct Job {
    commit: Commit,
    /// Whose effect it is.
    cause: Option<Uuid>,
    reply: oneshot::Sender<Result<Appended, log::Error>>,
}

/// See the module.
#[derive(Debug)]
pub struct Appender {
    log: Arc<FileLog>,
    /// `None` once it takes nothing more.
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Option<JoinHandle<()>>,
}

/// Why a commit was not handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The queue stayed full.
    Busy,
    /// The server stops.
    Stopped,
}

impl Appender {
    /// Starts the thread. `commits` may wait at a time.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn start(plane: &str, log: Arc<FileLog>, commits: usize) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::channel(commits.max(1));
        let shared = log.clone();
        let thread = thread::Builder::new()
            .name(format!("append {plane}"))
            .spawn(move || run(&shared, receiver))
            .map_err(Error::Thread)?;
        Ok(Self { log, queue: Mutex::new(Some(sender)), thread: Some(thread) })
    }

    /// Appends a commit, as an effect of `cause` if there is one; completes when it is as durable as the log makes
    /// it. It is appended even if nobody waits for the end any more. `patience` bounds the wait for a place in the queue.
    ///
    /// # Errors
    /// [`Refused`] where it was not handed in, else what the log says.
    pub async fn append(
        &self,
        commit: Commit,
        cause: Option<Uuid>,
        patience: std::time::Duration,
    ) -> Result<Result<Appended, log::Error>, Refused> {
        if cause.is_none() && self.is_quick(&commit) {
            return Ok(self.log.append_unsynced(commit));
        }
        let queue =
            self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Refused::Stopped)?;
        let (reply, answer) = oneshot::channel();
        let job = Job { commit, cause, reply };
        match queue.try_send(job) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Refused::Stopped),
            Err(mpsc::error::TrySendError::Full(job)) => {
                queue.send_timeout(job, patience).await.map_err(|error| match error {
                    mpsc::error::SendTimeoutError::Timeout(_) => Refused::Busy,
                    mpsc::error::SendTimeoutError::Closed(_) => Refused::Stopped,
                })?
            }
        }
        drop(queue);
        answer.await.map_err(|_| Refused::Stopped)
    }

    /// Whether a commit is written in less time than it takes to hand it over: nothing is looked up for it.
    fn is_quick(&self, commit: &Commit) -> bool {
        let Commit { events, conditions, .. } = commit;
        let is_small = events.byte_len() <= SMALL_BYTES && !events.is_checked() && conditions.is_empty();
        is_small && self.log.options().durability != Durability::Commit
    }

    /// How many commits wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }
}

impl Drop for Appender {
    /// Takes nothing more, and returns when all that was handed in is appended.
    fn drop(&mut self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.take() {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

fn run(log: &FileLog, mut queue: mpsc::Receiver<Job>) {
    let mut written = Vec::new();
    while let Some(first) = queue.blocking_recv() {
        let mut next = Some(first);
        while let Some(Job { commit, cause, reply }) = next {
            match write(log, commit, cause) {
                Ok(appended) => written.push((appended, reply)),
                // Who does not wait any more does not want to know.
                Err(error) => drop(reply.send(Err(error))),
            }
            next = if written.len() < SHARED_MAX { queue.try_recv().ok() } else { None };
        }
        let synced = match log.options().durability {
            Durability::Commit if !written.is_empty() => log.sync(),
            _ => Ok(()),
        };
        let failed = synced.err().map(|error| error.to_string());
        for (appended, reply) in written.drain(..) {
            let result = match &failed {
                None => Ok(appended),
                Some(reason) => Err(log::Error::Poisoned(reason.clone())),
            };
            let _ = reply.send(result);
        }
    }
}

fn write(log: &FileLog, commit: Commit, cause: Option<Uuid>) -> Result<Appended, log::Error> {
    let Some(cause) = cause else { return log.append_unsynced(commit) };
    let position = log.position_of(cause)?.ok_or(log::Error::UnknownId(cause))?;
    match log.read(position)? {
        Some((batch, at)) if batch.get(at).head().id == cause => {
            log.append_unsynced(commit.caused_by(batch.get(at)))
        }
        _ => Err(log::Error::UnknownId(cause)),
    }
}
