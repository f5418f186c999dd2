//! Live readers that would rather miss energies than wait: each has a bounded buffer, and is told how many it
//! missed.
//!
//! A log holds a [`Bus`] and tells it of each append; [`Bus::subscribe`] gives a [`Subscription`]. Subscribers hear
//! of energies that are never stored (ttl `ephemeral`) as well; nobody else does. Whoever must not miss anything
//! follows the log instead ([`Follower`](super::follow::Follower)): the bus is never how history and live are joined.
//!
//! An appender never waits for a subscriber. A buffer that is full drops its oldest energies, so that what it
//! holds is the newest; the next thing that is received says how many were dropped. Without subscribers an
//! append costs one atomic load.
//!
//! A log in files tells its bus of energies that are never stored, and of nothing else: the rest is read.
//!
//! Limits: a buffer holds at most [`Capacity::events`] energies; it keeps the batches they came in alive, which
//! are at most [`Capacity::bytes`] together, or one batch.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::{Appended, Query};
use crate::event::{EventRef, Events, Head};

/// How much a subscription may be behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Energies, at least 1.
    pub events: usize,
    /// Bytes of the batches that hold them. The newest batch is kept whatever its size.
    pub bytes: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { events: 4_096, bytes: 16 << 20 }
    }
}

/// Who listens to a log. Shared by threads.
#[derive(Debug, Default)]
pub struct Bus {
    mailboxes: Mutex<Vec<Weak<Mailbox>>>,
    /// How many there may be: an append looks at this alone when there are none.
    count: AtomicUsize,
    /// Energies that subscribers have missed, all of them together.
    dropped: AtomicU64,
}

/// An energy as it was appended.
#[derive(Clone, Debug)]
pub struct Live {
    batch: Arc<Events>,
    index: usize,
    is_stored: bool,
}

impl Live {
    /// The energy. Its position and version mean nothing where it is not stored.
    #[must_use]
    pub fn event(&self) -> EventRef<'_> {
        self.batch.get(self.index)
    }

    /// Its position; `None` where the log does not store it.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.is_stored.then(|| self.event().head().position)
    }
}

/// What a subscription receives.
#[derive(Clone, Debug)]
pub enum Received {
    /// An energy.
    Live(Live),
    /// So many energies that match were dropped before the next one.
    Dropped(u64),
}

/// Rung when something has come, for who does not wait on a thread.
struct Bell(Option<Box<dyn Fn() + Send + Sync>>);

impl fmt::Debug for Bell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Bell")
    }
}

#[derive(Debug)]
struct Mailbox {
    query: Query,
    capacity: Capacity,
    bell: Bell,
    buffer: Mutex<Buffer>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Buffer {
    lives: VecDeque<Live>,
    /// Bytes of the batches in `lives`.
    bytes: usize,
    /// Dropped since the last time that it was said.
    dropped: u64,
    dropped_total: u64,
    is_closed: bool,
}

impl Mailbox {
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what matches; returns whether anything came, and how much was dropped for it.
    fn offer(&self, batch: &Arc<Events>, is_stored: bool) -> (bool, u64) {
        let mut buffer = self.buffer();
        let (before, dropped) = (buffer.lives.len(), buffer.dropped_total);
        for (index, event) in batch.iter().enumerate() {
            if self.query.matches(event) {
                buffer.push(Live { batch: batch.clone(), index, is_stored });
            }
        }
        buffer.keep(self.capacity);
        (buffer.lives.len() > before || buffer.dropped > 0, buffer.dropped_total - dropped)
    }
}

impl Buffer {
    fn push(&mut self, live: Live) {
        let shared = self.lives.back().is_some_and(|last| Arc::ptr_eq(&last.batch, &live.batch));
        self.bytes += if shared { 0 } else { live.batch.heap_bytes() };
        self.lives.push_back(live);
    }

    fn pop(&mut self) -> Option<Live> {
        let live = self.lives.pop_front()?;
        let shared = self.lives.front().is_some_and(|next| Arc::ptr_eq(&next.batch, &live.batch));
        self.bytes -= if shared { 0 } else { live.batch.heap_bytes() };
        Some(live)
    }

    /// Drops the oldest until the rest fits.
    fn keep(&mut self, capacity: Capacity) {
        let one_batch = |lives: &VecDeque<Live>| match (lives.front(), lives.back()) {
            (Some(first), Some(last)) => Arc::ptr_eq(&first.batch, &last.batch),
            _ => true,
        };
        while self.lives.len() > capacity.events.max(1)
            || (self.bytes > capacity.bytes && !one_batch(&self.lives))
        {
            self.pop();
            self.dropped += 1;
            self.dropped_total += 1;
        }
    }
}

impl Bus {
    /// Nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens to energies that match, from the next append on.
    #[must_use]
    pub fn subscribe(&self, query: Query, capacity: Capacity) -> Subscription {
        self.add(query, capacity, Bell(None))
    }

    /// As [`subscribe`](Bus::subscribe); `bell` is called whenever something has come. It must not block.
    #[must_use]
    pub fn subscribe_with(
        &self,
        query: Query,
        capacity: Capacity,
        bell: impl Fn() + Send + Sync + 'static,
    ) -> Subscription {
        self.add(query, capacity, Bell(Some(Box::new(bell))))
    }

    fn add(&self, query: Query, capacity: Capacity, bell: Bell) -> Subscription {
        let (buffer, grown) = (Mutex::default(), Condvar::new());
        let mailbox = Arc::new(Mailbox { query, capacity, bell, buffer, grown });
        let mut mailboxes = self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        mailboxes.retain(|mailbox| mailbox.strong_count() > 0);
        mailboxes.push(Arc::downgrade(&mailbox));
        self.count.store(mailboxes.len(), Ordering::Release);
        Subscription { mailbox }
    }

    /// How many energies subscribers have missed, all of them together.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Whether nobody listens.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Tells of an append. `ephemeral` are the energies of the commit that are never stored, see
    /// [`Bus::ephemeral_of`]; they come after those that are.
    ///
    /// To be called once for each append, in the order of positions, when the append is as durable as it is
    /// to be before readers may see it.
    pub fn publish(&self, appended: &Appended, ephemeral: Option<&Arc<Events>>) {
        if self.is_idle() {
            return;
        }
        let mut mailboxes = self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        mailboxes.retain(|mailbox| {
            let Some(mailbox) = mailbox.upgrade() else { return false };
            let batches = [(Some(&appended.batch), true), (ephemeral, false)];
            let mut has_grown = false;
            for (batch, is_stored) in batches {
                let Some(batch) = batch.filter(|batch| !batch.is_empty()) else { continue };
                let (grown, dropped) = mailbox.offer(batch, is_stored);
                has_grown |= grown;
                self.dropped.fetch_add(dropped, Ordering::Relaxed);
            }
            if has_grown {
                mailbox.grown.notify_all();
                mailbox.bell.0.iter().for_each(|bell| bell());
            }
            true
        });
        self.count.store(mailboxes.len(), Ordering::Release);
    }

    /// The energies of a commit that are never stored, for [`Bus::publish`]: to be taken before the commit is
    /// given away. `None` where there are none, or nobody listens.
    #[must_use]
    pub fn ephemeral_of(&self, events: &Events) -> Option<Arc<Events>> {
        if self.is_idle() || !events.has_ephemeral() {
            return None;
        }
        let mut batch = Events::default();
        events.iter().filter(|event| event.is_ephemeral()).for_each(|event| batch.push_copy(event));
        for head in batch.heads_mut() {
            (head.position, head.version) = (Head::UNSTORED, Head::UNSTORED);
        }
        Some(Arc::new(batch))
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let mailboxes = self.mailboxes.get_mut().unwrap_or_else(PoisonError::into_inner);
        for mailbox in mailboxes.iter().filter_map(Weak::upgrade) {
            mailbox.buffer().is_closed = true;
            mailbox.grown.notify_all();
        }
    }
}

/// A live reader's end. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    mailbox: Arc<Mailbox>,
}

impl Subscription {
    /// The next energy, or how many were dropped before it. Waits for at most `timeout`; `None` when there was
    /// nothing, or when the log is closed and all it had is received.
    #[must_use]
    pub fn next(&self, timeout: Duration) -> Option<Received> {
        let nothing =
            |buffer: &mut Buffer| buffer.lives.is_empty() && buffer.dropped == 0 && !buffer.is_closed;
        let buffer = self.mailbox.buffer();
        let waited = self.mailbox.grown.wait_timeout_while(buffer, timeout, nothing);
        let mut buffer = waited.unwrap_or_else(PoisonError::into_inner).0;
        if buffer.dropped > 0 {
            return Some(Received::Dropped(std::mem::take(&mut buffer.dropped)));
        }
        buffer.pop().map(Received::Live)
    }

    /// As [`Subscription::next`], without waiting.
    #[must_use]
    pub fn try_next(&self) -> Option<Received> {
        if self.has_any() { self.next(Duration::ZERO) } else { None }
    }

    /// Whether there is something to receive.
    #[must_use]
    pub fn has_any(&self) -> bool {
        let buffer = self.mailbox.buffer();
        !buffer.lives.is_empty() || buffer.dropped > 0
    }

    /// How many energies were dropped in all.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.mailbox.buffer().dropped_total
    }

    /// Whether the log is closed: nothing more is received than what waits.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.mailbox.buffer().is_closed
    }
}
