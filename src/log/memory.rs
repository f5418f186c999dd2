//! The log in memory: the reference for the others, and what a batch run uses.
//!
//! Batches are kept as they came. With [`MemoryLog::transient`] a batch is forgotten once the engine
//! is past it, so that a run of any length needs the memory of a few batches, plus a counter for each
//! stream. Ids are indexed from the first append on that names one; ids that were all derived cannot clash.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Appended, Conflict, Log};
use crate::event::{EventRef, Events, Expect, Uuid};

/// See the module.
#[derive(Default)]
pub struct MemoryLog {
    batches: VecDeque<(u64, Arc<Events>)>,
    head: u64,
    versions: Versions,
    ids: Option<FxHashMap<Uuid, u64>>,
    transient: bool,
}

/// The next version of each stream, with the last stream at hand.
#[derive(Default)]
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
        Self { transient: true, ..Self::default() }
    }

    /// All energies kept, in order.
    pub fn batches(&self) -> impl Iterator<Item = &Arc<Events>> {
        self.batches.iter().map(|(_, batch)| batch)
    }

    /// Heap bytes that the kept batches hold.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.batches().map(|batch| batch.heap_bytes()).sum()
    }

    /// The reason to leave an energy out: `Some(None)` when it is known already. `ahead` energies of its
    /// stream come before it, not appended yet.
    fn refusal(&mut self, event: EventRef<'_>, ahead: u64) -> Option<Option<Conflict>> {
        let id = event.head().id;
        if let Some(&position) = self.ids.as_ref().and_then(|ids| ids.get(&id)) {
            let same = self.read(position).is_none_or(|(batch, at)| same_content(batch.get(at), event));
            return Some((!same).then_some(Conflict::Id { id, position }));
        }
        let expect = event.extra()?.expect;
        let next = *self.versions.of(event.stream_bytes()) + ahead;
        let holds = match expect {
            Expect::Any => true,
            Expect::None => next == 0,
            Expect::Version(version) => next == version.wrapping_add(1),
        };
        (!holds).then(|| {
            Some(Conflict::Version {
                stream: event.stream().unwrap_or_default().to_owned(),
                actual: next.checked_sub(1),
                expected: match expect {
                    Expect::Version(version) => Some(version),
                    Expect::Any | Expect::None => None,
                },
            })
        })
    }

    fn index_ids(&mut self) {
        if self.ids.is_none() {
            let known = self.batches.iter().flat_map(|(_, batch)| batch.iter());
            self.ids = Some(known.map(|event| (event.head().id, event.head().position)).collect());
        }
    }

    /// Appends a batch in which some energies have to be checked: one by one, into a new batch.
    fn append_checked(&mut self, batch: &Events) -> Appended {
        self.index_ids();
        let mut appended = Appended { first: self.head, ..Appended::default() };
        let mut kept = Events::with_capacity(batch.len(), batch.byte_len());
        let first = self.head;
        for (index, event) in batch.iter().enumerate() {
            // An energy of this very batch may be the one that is known.
            let position = self.ids.as_ref().and_then(|ids| ids.get(&event.head().id)).copied();
            let refusal = match position.filter(|&position| position >= first) {
                Some(position) => {
                    let same = same_content(kept.get((position - first) as usize), event);
                    Some((!same).then_some(Conflict::Id { id: event.head().id, position }))
                }
                None => self.refusal(event, 0),
            };
            match refusal {
                Some(None) => appended.known.push(index),
                Some(Some(conflict)) => appended.conflicts.push((index, conflict)),
                None => {
                    kept.push_copy(event);
                    let position = self.head;
                    self.head += 1;
                    let version = self.versions.of(event.stream_bytes());
                    if let Some(head) = kept.heads_mut().last_mut() {
                        (head.position, head.version) = (position, *version);
                    }
                    *version += 1;
                    if let Some(ids) = &mut self.ids {
                        ids.insert(event.head().id, position);
                    }
                }
            }
        }
        appended.count = kept.len();
        self.store(appended.first, kept);
        appended
    }

    fn store(&mut self, first: u64, mut batch: Events) {
        if !batch.is_empty() {
            if !self.transient {
                batch.shrink();
            }
            self.batches.push_back((first, Arc::new(batch)));
        }
    }
}

impl Log for MemoryLog {
    fn append(&mut self, mut batch: Events) -> Appended {
        if batch.is_checked() {
            return self.append_checked(&batch);
        }
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
        let count = batch.len();
        self.store(first, batch);
        Appended { first, count, ..Appended::default() }
    }

    fn check(&mut self, batch: &mut dyn Iterator<Item = EventRef<'_>>) -> Option<Conflict> {
        self.index_ids();
        let mut streams: FxHashMap<Vec<u8>, u64> = FxHashMap::default();
        let mut seen: Vec<EventRef<'_>> = Vec::new();
        for event in batch {
            let id = event.head().id;
            if let Some(at) = seen.iter().position(|earlier| earlier.head().id == id) {
                if !same_content(seen[at], event) {
                    return Some(Conflict::Id { id, position: self.head + at as u64 });
                }
                continue;
            }
            let ahead = streams.entry(event.stream_bytes().to_vec()).or_default();
            match self.refusal(event, *ahead) {
                Some(Some(conflict)) => return Some(conflict),
                Some(None) => {}
                None => *ahead += 1,
            }
            seen.push(event);
        }
        None
    }

    fn head(&self) -> u64 {
        self.head
    }

    fn read(&self, position: u64) -> Option<(Arc<Events>, usize)> {
        let at = self.batches.partition_point(|(first, _)| *first <= position).checked_sub(1)?;
        let (first, batch) = &self.batches[at];
        let index = (position - first) as usize;
        (index < batch.len()).then(|| (batch.clone(), index))
    }

    fn release(&mut self, position: u64) {
        while self.transient
            && self.batches.front().is_some_and(|(first, batch)| first + batch.len() as u64 <= position)
        {
            self.batches.pop_front();
        }
    }
}

/// Whether two energies say the same: all but what the log sets.
fn same_content(left: EventRef<'_>, right: EventRef<'_>) -> bool {
    left.topic_bytes() == right.topic_bytes()
        && left.stream_bytes() == right.stream_bytes()
        && left.data() == right.data()
        && left.extra().map(|extra| (&extra.tags, extra.ttl, &extra.content))
            == right.extra().map(|extra| (&extra.tags, extra.ttl, &extra.content))
}
