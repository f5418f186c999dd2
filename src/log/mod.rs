//! What is remembered: an ordered, append-only log of energies.
//!
//! The trait is small enough to fake: append with conditions, read, wait. An append is atomic and sets what
//! only a log can set: position, and version within the stream. Readers read the log, never a broadcast, so
//! history and live join without a gap; what they get is the batch as it was stored, shared, without a copy.
//!
//! [`MemoryLog`] keeps everything in memory and is the model for the others; [`FileLog`] is the durable one.
//! The same suite of tests runs over both (`tests/log_contract.rs`).
//!
//! A log never reads a clock or a spell, and never delivers: who wants energies asks.

mod change;
mod commit;
pub mod cursor;
pub mod defaults;
mod error;
pub mod export;
pub mod file;
pub mod follow;
pub mod import;
mod judge;
pub mod memory;
pub mod pages;
pub mod place;
mod query;
pub mod receipts;
pub mod subscription;
pub mod trace;
pub mod words;

use std::sync::Arc;
use std::time::Duration;

use crate::event::{EventRef, Events, Ttl, Uuid};

pub use change::{Bounds, Change, Changes, Pair, Table, is_void};
pub use commit::{Absent, Appended, Commit, Conflict, Receipt};
pub use error::Error;
pub use export::{ExportError, Exported, RecordFormat, export};
pub use file::FileLog;
pub use follow::{Follower, Heard};
pub use import::{ImportError, Imported, import};
pub use memory::MemoryLog;
pub use pages::Pages;
pub use query::{Direction, Query};
pub use subscription::{Bus, Capacity, Live, Received, Subscription};
pub use trace::Trace;

/// A log of one plane. Shared by threads: appends are ordered by the log.
pub trait Log: Send + Sync {
    /// Appends a commit, and returns when it is as durable as the log was told to make it.
    ///
    /// Energies with a known id and the same content are not stored again; that is checked before any
    /// condition, so that a retry of what succeeded succeeds. What is refused is told in the result, as a
    /// value. An error means that it is not known whether the commit was stored.
    fn append(&self, commit: Commit) -> Result<Appended, Error>;

    /// As [`append`](Log::append), without waiting: [`sync`](Log::sync) makes it durable. Readers may see it
    /// only then.
    fn append_unsynced(&self, commit: Commit) -> Result<Appended, Error> {
        self.append(commit)
    }

    /// Makes all that was appended durable.
    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The first conflict that appending these energies together would meet; nothing is appended.
    fn check(&self, events: &mut dyn Iterator<Item = EventRef<'_>>) -> Result<Option<Conflict>, Error>;

    /// The next position to be given.
    fn head(&self) -> u64;

    /// Up to where scanning readers see: the head, or what of it is durable.
    fn visible(&self) -> u64 {
        self.head()
    }

    /// A stored batch and the index in it of the first energy at `position` or, where that is no longer
    /// kept, after it. `None` at the head. Within the batch positions ascend, with gaps where energies
    /// are no longer kept.
    fn read(&self, position: u64) -> Result<Option<(Arc<Events>, usize)>, Error>;

    /// Copies energies that match `query` to the end of `events`, at most `limit` of them.
    ///
    /// Forward: those at `from` and above, ascending, below [`visible`](Log::visible); returns where to go on,
    /// which is that when there is nothing more. Backward: those below `from`, descending; returns where to go on, 0 at the end.
    /// May return early with less than `limit`: only where to go on tells whether there may be more.
    fn scan(
        &self,
        from: u64,
        direction: Direction,
        query: &Query,
        limit: usize,
        events: &mut Events,
    ) -> Result<u64, Error>;

    /// Where the energy with that id is.
    fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error>;

    /// The version of the stream's last energy; `None` for a stream that never had one.
    fn version_of(&self, stream: &str) -> Result<Option<u64>, Error>;

    /// The value of a key in a table.
    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// The keys of a table in a range with their values, in order, at most `limit` of them, all of one moment. To
    /// go on, begin after the last (or, backward, end before it) with `Bound::Excluded`.
    fn range(
        &self,
        table: Table,
        bounds: Bounds<'_>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, Error>;

    /// All keys of a table that begin with `prefix`, in order, with their values.
    fn values(&self, table: Table, prefix: &[u8]) -> Result<Vec<Pair>, Error>;

    /// Waits until what is [`visible`](Log::visible) is beyond `position`, at most `timeout`; returns it.
    fn wait(&self, position: u64, timeout: Duration) -> u64;

    /// As [`wait`](Log::wait), but only as long as `is_enough` does not hold, which is asked whenever an energy comes
    /// that is never stored.
    fn wait_unless(&self, position: u64, timeout: Duration, is_enough: &dyn Fn() -> bool) -> u64 {
        if is_enough() { self.visible() } else { self.wait(position, timeout) }
    }

    /// Listens to energies that are never stored; `None` where the log gives them to nobody.
    fn subscribe(&self, query: Query, capacity: Capacity) -> Option<Subscription> {
        let _nobody = (query, capacity);
        None
    }

    /// Says that nothing below `position` will be read by the engine again; a log that keeps nothing
    /// may forget it.
    fn release(&self, position: u64);

    /// Appends energies as reactions to the one with the id `cause`: see [`Commit::caused_by`].
    fn append_reaction(&self, cause: Uuid, commit: Commit) -> Result<Appended, Error> {
        let position = self.position_of(cause)?.ok_or(Error::UnknownId(cause))?;
        match self.read(position)? {
            Some((batch, at)) if batch.get(at).head().id == cause => {
                self.append(commit.caused_by(batch.get(at)))
            }
            _ => Err(Error::UnknownId(cause)),
        }
    }
}

/// Whether two energies say the same: all but what the log and the engine set, and conditions.
#[must_use]
pub fn same_content(left: EventRef<'_>, right: EventRef<'_>) -> bool {
    left.topic_bytes() == right.topic_bytes()
        && left.stream_bytes() == right.stream_bytes()
        && left.data() == right.data()
        && match (left.extra(), right.extra()) {
            (None, None) => true,
            (Some(one), None) | (None, Some(one)) => {
                // An extra may say nothing but a condition.
                one.tags.is_empty() && one.ttl == Ttl::Forever && one.content.is_none()
            }
            (Some(left), Some(right)) => {
                (&left.tags, left.ttl, &left.content) == (&right.tags, right.ttl, &right.content)
            }
        }
}
