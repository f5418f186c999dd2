//! The log in memory: the model for the others, and what a batch run uses.
//!
//! Batches are kept as they came. With [`MemoryLog::transient`] a batch is forgotten once the engine
//! is past it, so that a run of any length needs the memory of a few batches, plus a counter for each
//! stream. Ids are indexed from the first append on that names one; ids that were all derived cannot clash.
//!
//! Retention is not applied: what has a ttl is kept, but for `ephemeral`, which is kept only for a run in
//! memory ([`MemoryLog::keeping_ephemeral`]), where the engine is the live reader.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::judge::{Found, Past, judge, judge_events};
use super::{
    Absent, Appended, Bounds, Commit, Conflict, Direction, Error, Log, Pair, Query, Receipt, Table, is_void,
    same_content,
};
use crate::event::{EventRef, Events, Uuid};

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryLog {
    inner: Mutex<Inner>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    batches: VecDeque<(u64, Arc<Events>)>,
    head: u64,
    versions: Versions,
    ids: Option<FxHashMap<Uuid, u64>>,
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
    transient: bool,
    keeps_ephemeral: bool,
}

/// The next version of each stream, with the last stream at hand.
#[derive(Debug, Default)]
struct Versions {
    index: FxHashMap<Box<[u8]>, usize>,
    next: Vec<u64>,
    last: (Vec<u8>, usize),
}

impl Versions {
    fn of(&mut self, stream: &[u8]) -> &mut u64 {
        if self.next.is_empty() || self.last.0 != stream {
            let slot = match self.index.get(stream) {
                Some(&slot) => slot,
                None => {
                    self.next.push(0);
                    self.index.insert(stream.into(), self.next.len() - 1);
                    self.next.len() - 1
                }
            };
            self.last.0.clear();
            self.last.0.extend_from_slice(stream);
            self.last.1 = slot;
        }
        &mut self.next[self.last.1]
    }
}

impl MemoryLog {
    /// A log that keeps everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A log that forgets what the engine is done with.
    #[must_use]
    pub fn transient() -> Self {
        Self { inner: Mutex::new(Inner { transient: true, ..Inner::default() }), ..Self::default() }
    }

    /// Stores ephemeral energies as well, for an engine to find.
    #[must_use]
    pub fn keeping_ephemeral(self) -> Self {
        self.inner().keeps_ephemeral = true;
        self
    }

    /// All batches kept, in order.
    #[must_use]
    pub fn batches(&self) -> Vec<Arc<Events>> {
        self.inner().batches.iter().map(|(_, batch)| batch.clone()).collect()
    }

    /// Heap bytes that the kept batches hold.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.inner().batches.iter().map(|(_, batch)| batch.heap_bytes()).sum()
    }

    /// A panic elsewhere leaves the log as it was before or after a batch.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn index_ids(&mut self) {
        if self.ids.is_none() {
            let known = self.batches.iter().flat_map(|(_, batch)| batch.iter());
            self.ids = Some(known.map(|event| (event.head().id, event.head().position)).collect());
        }
    }

    fn append(&mut self, mut commit: Commit) -> Result<Appended, Error> {
        if commit.events.is_checked() {
            self.index_ids();
        }
        let mut appended = judge(self, &mut commit)?;
        for change in commit.changes.iter() {
            let table = self.tables.entry(change.table).or_default();
            match change.value {
                Some(value) => drop(table.insert(change.key.to_vec(), value.to_vec())),
                None => drop(table.remove(change.key)),
            }
        }
        appended.batch = self.store(commit.events);
        Ok(appended)
    }

    /// Sets what a log sets, and keeps the batch.
    fn store(&mut self, mut batch: Events) -> Arc<Events> {
        let first = self.head;
        for index in 0..batch.len() {
            let version = {
                let next = self.versions.of(batch.get(index).stream_bytes());
                *next += 1;
                *next - 1
            };
            let head = &mut batch.heads_mut()[index];
            (head.position, head.version) = (first + index as u64, version);
            if let Some(ids) = &mut self.ids {
                ids.insert(head.id, head.position);
            }
        }
        self.head += batch.len() as u64;
        if !batch.is_empty() && !self.transient {
            batch.shrink();
        }
        let batch = Arc::new(batch);
        if !batch.is_empty() {
            self.batches.push_back((first, batch.clone()));
        }
        batch
    }

    fn read(&self, position: u64) -> Option<(Arc<Events>, usize)> {
        let at = self.batches.partition_point(|(first, _)| *first <= position).checked_sub(1)?;
        let (first, batch) = &self.batches[at];
        let index = (position - first) as usize;
        (index < batch.len()).then(|| (batch.clone(), index))
    }
}

impl Past for Inner {
    fn find(&mut self, event: EventRef<'_>) -> Result<Option<Found>, Error> {
        let id = event.head().id;
        let Some(&position) = self.ids.as_ref().and_then(|ids| ids.get(&id)) else { return Ok(None) };
        let Some((batch, at)) = self.read(position) else {
            return Ok(Some(Found::Same(Receipt { position, version: 0, id })));
        };
        let known = batch.get(at);
        let same = same_content(known, event);
        Ok(Some(if same { Found::Same(Receipt::of(known)) } else { Found::Other(position) }))
    }

    fn next_version(&mut self, stream: &[u8]) -> Result<u64, Error> {
        Ok(*self.versions.of(stream))
    }

    fn violation(&mut self, condition: &Absent) -> Result<Option<u64>, Error> {
        let from = condition.after.map_or(0, |after| after.saturating_add(1));
        let at = self.batches.partition_point(|(first, batch)| *first + batch.len() as u64 <= from);
        let mut events = self.batches.iter().skip(at).flat_map(|(_, batch)| batch.iter());
        let found = events.find(|event| event.head().position >= from && condition.query.matches(*event));
        Ok(found.map(|event| event.head().position))
    }

    fn head(&self) -> u64 {
        self.head
    }

    fn keeps_ephemeral(&self) -> bool {
        self.keeps_ephemeral
    }
}

impl Log for MemoryLog {
    fn append(&self, mut commit: Commit) -> Result<Appended, Error> {
        for head in commit.events.heads_mut() {
            if head.id.is_nil() {
                head.id = Uuid::now_v7();
            }
        }
        let appended = self.inner().append(commit)?;
        self.grown.notify_all();
        Ok(appended)
    }

    fn check(&self, events: &mut dyn Iterator<Item = EventRef<'_>>) -> Result<Option<Conflict>, Error> {
        let mut batch = Events::default();
        events.for_each(|event| batch.push_copy(event));
        let mut inner = self.inner();
        inner.index_ids();
        let appended = judge_events(&mut *inner, &batch)?;
        Ok(appended.conflicts.into_iter().next().map(|(_, conflict)| conflict))
    }

    fn head(&self) -> u64 {
        self.inner().head
    }

    fn read(&self, position: u64) -> Result<Option<(Arc<Events>, usize)>, Error> {
        Ok(self.inner().read(position))
    }

    fn scan(
        &self,
        from: u64,
        direction: Direction,
        query: &Query,
        limit: usize,
        events: &mut Events,
    ) -> Result<u64, Error> {
        let inner = self.inner();
        let mut at = from.min(inner.head);
        let mut left = limit;
        while left > 0 && (if direction == Direction::Forward { at < inner.head } else { at > 0 }) {
            let position = if direction == Direction::Forward { at } else { at - 1 };
            let Some((batch, index)) = inner.read(position) else { break };
            let event = batch.get(index);
            at = if direction == Direction::Forward { at + 1 } else { at - 1 };
            if query.matches(event) {
                events.push_copy(event);
                left -= 1;
            }
        }
        Ok(at)
    }

    fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error> {
        let mut inner = self.inner();
        inner.index_ids();
        Ok(inner.ids.as_ref().and_then(|ids| ids.get(&id)).copied())
    }

    fn version_of(&self, stream: &str) -> Result<Option<u64>, Error> {
        Ok(self.inner().versions.of(stream.as_bytes()).checked_sub(1))
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.inner().tables.get(&table).and_then(|table| table.get(key)).cloned())
    }

    fn range(
        &self,
        table: Table,
        bounds: Bounds<'_>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, Error> {
        let inner = self.inner();
        let Some(table) = inner.tables.get(&table).filter(|_| !is_void(&bounds)) else {
            return Ok(Vec::new());
        };
        let pair = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        let range = table.range::<[u8], _>(bounds).map(pair);
        Ok(match direction {
            Direction::Forward => range.take(limit).collect(),
            Direction::Backward => range.rev().take(limit).collect(),
        })
    }

    fn values(&self, table: Table, prefix: &[u8]) -> Result<Vec<Pair>, Error> {
        let mut all =
            self.range(table, (Bound::Included(prefix), Bound::Unbounded), Direction::Forward, usize::MAX)?;
        all.truncate(all.partition_point(|(key, _)| key.starts_with(prefix)));
        Ok(all)
    }

    fn wait(&self, position: u64, timeout: Duration) -> u64 {
        let grown = self.grown.wait_timeout_while(self.inner(), timeout, |inner| inner.head <= position);
        grown.map_or_else(|poisoned| poisoned.into_inner().0.head, |(inner, _)| inner.head)
    }

    fn release(&self, position: u64) {
        let mut inner = self.inner();
        while inner.transient
            && inner.batches.front().is_some_and(|(first, batch)| first + batch.len() as u64 <= position)
        {
            inner.batches.pop_front();
        }
    }
}
