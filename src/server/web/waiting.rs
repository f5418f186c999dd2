//! Requests that wait for an answer, and who follows the log for all of them: a thread for answers that are stored, and
//! one for those that are not.
//!
//! An answer is told by its causation, which is the id of the request; a request waits before it is appended, so that
//! no answer comes too early. What nobody waits for, any more, is passed over.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use super::RESPONSE_TOPIC;
use crate::engine::clock::steady_ms;
use crate::event::{EventRef, Events, Uuid};
use crate::log::{Capacity, FileLog, Follower, Heard, Log, Query, Received, Subscription};
use crate::router::Pattern;
use crate::server::Error;

/// How often the thread looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(250);
/// How long it rests where the log, which has failed, does not make it wait.
const REST: Duration = Duration::from_millis(200);

type Places = HashMap<Uuid, oneshot::Sender<Events>>;

/// See the module. Shared by threads.
#[derive(Debug)]
pub struct Waiting {
    places: Mutex<Places>,
    /// How many may wait at a time.
    most: usize,
}

impl Waiting {
    /// Nobody waits yet.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { places: Mutex::default(), most }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the request of that id wait from now on; `None` where too many do.
    #[must_use]
    pub fn enter(self: &Arc<Self>, id: Uuid) -> Option<Place> {
        let mut places = self.places();
        if places.len() >= self.most {
            return None;
        }
        let (sender, answer) = oneshot::channel();
        places.insert(id, sender);
        Some(Place { waiting: self.clone(), id, answer })
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places().len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places().is_empty()
    }

    /// Hands answers to those who wait for them.
    fn hand_out<'a>(&self, page: impl Iterator<Item = EventRef<'a>>) {
        let mut places = self.places();
        for event in page {
            if let Some(sender) = places.remove(&event.head().causation) {
                let mut answer = Events::default();
                answer.push_copy(event);
                // Who does not wait any more does not want to know.
                let _ = sender.send(answer);
            }
        }
    }
}

/// A request that waits. Dropping it ends that.
#[derive(Debug)]
pub struct Place {
    waiting: Arc<Waiting>,
    id: Uuid,
    answer: oneshot::Receiver<Events>,
}

impl Place {
    /// The first answer, alone in its batch; `None` when the server stops.
    pub async fn first(mut self) -> Option<Events> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.places().remove(&self.id);
    }
}

/// The threads that follow a log; dropping it ends them.
#[derive(Debug)]
pub struct Dispatcher {
    threads: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl Dispatcher {
    /// Starts them.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn start(waiting: &Arc<Waiting>, log: &Arc<FileLog>) -> Result<Self, Error> {
        let passing = log.bus().subscribe(answers(), Capacity::default());
        let mut dispatcher = Self { threads: Vec::new(), is_over: Arc::default() };
        let (waiters, log, over) = (waiting.clone(), log.clone(), dispatcher.is_over.clone());
        dispatcher.spawn("http answers", move || follow(&waiters, log, &over))?;
        let (waiters, over) = (waiting.clone(), dispatcher.is_over.clone());
        dispatcher.spawn("http passing", move || listen(&waiters, &passing, &over))?;
        Ok(dispatcher)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work).map_err(Error::Thread)?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

/// What answers have in common.
pub(super) fn answers() -> Query {
    Query { topics: Pattern::parse(RESPONSE_TOPIC).into_iter().collect(), ..Query::default() }
}

fn follow(waiting: &Waiting, log: Arc<FileLog>, is_over: &AtomicBool) {
    let from = log.visible();
    let mut follower = Follower::new(log, answers(), from);
    let (mut page, mut seen) = (Events::default(), from);
    while !is_over.load(Ordering::Acquire) {
        let asked = steady_ms();
        match follower.next(&mut page, LOOK) {
            Ok(Heard::Events) => waiting.hand_out(page.iter()),
            Ok(_) if follower.position() > seen || steady_ms().saturating_sub(asked) >= 10 => {}
            Ok(_) => thread::sleep(REST),
            Err(error) => {
                tracing::error!(%error, "answers to HTTP requests cannot be read");
                thread::sleep(REST);
            }
        }
        seen = follower.position();
    }
}

/// Hands out answers that are never stored.
fn listen(waiting: &Waiting, passing: &Subscription, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        match passing.next(LOOK) {
            Some(Received::Live(answer)) => waiting.hand_out(std::iter::once(answer.event())),
            Some(Received::Dropped(count)) => tracing::warn!(count, "answers to HTTP requests were dropped"),
            None => {}
        }
    }
}
