//! What the tables say: single values, ranges in both directions, what is current.

use std::ops::Bound;
use std::sync::Arc;

use super::layer::{self, Layer, Slot};
use super::merge;
use super::store::{Failure, Snapshot, Store};
use super::{Base, State, Tables};
use crate::log::file::FileLog;
use crate::log::file::plane::Plane;
use crate::log::{Bounds, Change, Direction, Error, Pair, Table, is_void};

/// Keys that are looked at while appends wait; a longer range is read from a state that is put aside first.
const PAGE_KEYS: usize = 512;

/// Attempts to read, each but the last followed by opening the file anew.
const ATTEMPTS: usize = 3;

impl State {
    /// The last change of a key in the layers.
    fn slot(&self, table: Table, key: &[u8]) -> Option<&Slot> {
        let frozen = || self.frozen.iter().rev().find_map(|layer| layer.get(table, key));
        self.recent.get(table, key).or_else(frozen)
    }
}

impl Plane {
    /// Has somebody look at the state, with the file open; where the file fails it is opened or made anew.
    fn look_at_tables<T>(
        &self,
        mut look: impl FnMut(&State, Option<&Arc<Store>>) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let tables = &self.tables;
        let mut attempt = 1;
        loop {
            let failed = {
                let state = tables.state();
                let store = match &state.base {
                    Base::Unread => None,
                    Base::Nothing => Some(None),
                    Base::Stored(store) => Some(Some(store)),
                };
                match store.map(|store| (look(&state, store), store.cloned())) {
                    None => None,
                    Some((Ok(found), _)) => return Ok(found),
                    Some((Err(failure), store)) => Some((failure, store)),
                }
            };
            let _storing = tables.storing();
            if let Some((failure, store)) = failed {
                if attempt == ATTEMPTS {
                    return Err(tables.error(&failure));
                }
                attempt += 1;
                tables.replace(self, store.as_ref(), &failure)?;
            }
            self.prepare_tables()?;
        }
    }

    /// The value of a key.
    pub fn table_value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        // What the layers have needs no file.
        if let Some(slot) = self.tables.state().slot(table, key) {
            return Ok(slot.value.as_deref().map(<[u8]>::to_vec));
        }
        self.look_at_tables(|state, store| match (state.slot(table, key), store) {
            (Some(slot), _) => Ok(slot.value.as_deref().map(<[u8]>::to_vec)),
            (None, Some(store)) => Ok(store.snapshot().get(table, key)?.map(|(_, value)| value)),
            (None, None) => Ok(None),
        })
    }

    /// The keys in a range with their values, at most `limit` of them, all of one moment.
    pub fn table_range(
        &self,
        table: Table,
        bounds: Bounds<'_>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, Error> {
        if limit == 0 || is_void(&bounds) {
            return Ok(Vec::new());
        }
        let asked = (table, bounds, direction);
        let page = self.look_at_tables(|state, store| {
            let layers: Vec<&Layer> =
                state.frozen.iter().map(|layer| &**layer).chain([&state.recent]).collect();
            let snapshot = store.map(|store| store.snapshot());
            let (pairs, is_whole) = collect(snapshot.as_ref(), &layers, asked, limit, PAGE_KEYS)?;
            Ok(is_whole.then_some(pairs))
        })?;
        if let Some(pairs) = page {
            return Ok(pairs);
        }
        let mut attempt = 1;
        loop {
            self.tables.state_mut().freeze();
            self.tables.tidy();
            let (layers, store) = self.look_at_tables(|state, store| {
                // What was appended since is of a later moment, and not asked for.
                Ok((state.frozen.clone(), store.cloned().map(|store| (store.snapshot(), store))))
            })?;
            let layers: Vec<&Layer> = layers.iter().map(|layer| &**layer).collect();
            let snapshot = store.as_ref().map(|(snapshot, _)| snapshot);
            match collect(snapshot, &layers, asked, limit, usize::MAX) {
                Ok((pairs, _)) => return Ok(pairs),
                Err(failure) if attempt == ATTEMPTS => return Err(self.tables.error(&failure)),
                Err(failure) => {
                    attempt += 1;
                    let _storing = self.tables.storing();
                    self.tables.replace(self, store.as_ref().map(|(_, store)| store), &failure)?;
                }
            }
        }
    }

    /// All keys that begin with `prefix`.
    pub fn table_values(&self, table: Table, prefix: &[u8]) -> Result<Vec<Pair>, Error> {
        let after = layer::after_prefix(prefix);
        let to = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.table_range(table, (Bound::Included(prefix), to), Direction::Forward, usize::MAX)
    }

    /// Whether a change of the commit with that sequence still counts, or would after a loss of power: whether no
    /// later change of its key is durable. Compaction may drop what does not count.
    ///
    /// A removal counts until the key is set again: it hides what older segments may still have.
    pub fn is_current(&self, change: &Change<'_>, sequence: u64) -> Result<bool, Error> {
        let (table, key) = (change.table, change.key);
        let last = self.look_at_tables(|state, store| match (state.slot(table, key), store) {
            (Some(slot), _) => Ok(Some(slot.sequence)),
            (None, Some(store)) => Ok(store.snapshot().get(table, key)?.map(|(last, _)| last)),
            (None, None) => Ok(None),
        })?;
        Ok(match last {
            Some(last) => last <= sequence || last >= self.syncer.durable().sequence,
            None => change.value.is_none(),
        })
    }
}

impl FileLog {
    /// Writes the tables to their file now; [`Error::ReadOnly`] when the log was opened to read.
    pub fn checkpoint(&self) -> Result<(), Error> {
        if self.is_read_only() { Err(Error::ReadOnly) } else { self.plane.checkpoint() }
    }

    /// Whether a change of the commit with that sequence still counts: whether no later change of its key is durable.
    pub fn is_current(&self, change: &Change<'_>, sequence: u64) -> Result<bool, Error> {
        self.plane.is_current(change, sequence)
    }
}

impl Tables {
    /// Puts aside a file that failed; one that is damaged is removed.
    fn replace(&self, plane: &Plane, store: Option<&Arc<Store>>, failure: &Failure) -> Result<(), Error> {
        let is_current = match (&self.state().base, store) {
            (Base::Stored(current), Some(store)) => Arc::ptr_eq(current, store),
            // Somebody else has done it.
            _ => false,
        };
        if is_current { self.failed(&*plane.options.disk, failure) } else { Ok(()) }
    }
}

/// Vec<Pair> of a range, and whether they are all that was asked for; not when more than `page` keys were met.
fn collect(
    stored: Option<&Snapshot>,
    layers: &[&Layer],
    asked: (Table, Bounds<'_>, Direction),
    limit: usize,
    page: usize,
) -> Result<(Vec<Pair>, bool), Failure> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut is_whole = true;
    merge::values(stored, layers, asked, |key, value| {
        is_whole = pairs.len() < page;
        if is_whole {
            pairs.push((key.to_vec(), value.to_vec()));
        }
        is_whole && pairs.len() < limit
    })?;
    Ok((pairs, is_whole))
}
