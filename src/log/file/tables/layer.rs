//! Changes in memory: of each key the last one.
//!
//! Spells change their state far more often than anybody reads it here, so keys are found by a hash; their order is made
//! when a range is first asked for, a checkpoint say, and kept from then on.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use crate::log::{Bounds, Change, Changes, Direction, Table};

/// Bytes that an entry takes beside its key and value, about.
const ENTRY_BYTES: usize = 80;

/// The last change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The commit that made it.
    pub sequence: u64,
    /// The value; `None` when the key was removed.
    pub value: Option<Box<[u8]>>,
}

/// The fold of the commits in a stretch of the log.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// The sequence of the first commit.
    pub from: u64,
    /// The sequence after the last.
    pub next: u64,
    bytes: usize,
    tables: [Entries; Table::ALL.len()],
}

/// The entries of a table. The hash map is iterated over only where the order does not show.
#[derive(Clone, Debug, Default)]
struct Entries {
    slots: HashMap<Arc<[u8]>, Slot>,
    /// All keys, once they were asked for in order.
    order: OnceLock<BTreeSet<Arc<[u8]>>>,
}

impl Entries {
    fn insert(&mut self, key: &[u8], slot: Slot) {
        let key: Arc<[u8]> = key.into();
        if let Some(order) = self.order.get_mut() {
            order.insert(key.clone());
        }
        self.slots.insert(key, slot);
    }

    fn range<'a>(
        &'a self,
        bounds: Bounds<'_>,
    ) -> impl DoubleEndedIterator<Item = (&'a [u8], &'a Slot)> + use<'a> {
        let order = self.order.get_or_init(|| self.slots.keys().cloned().collect());
        order.range::<[u8], _>(bounds).filter_map(|key| self.slots.get(key).map(|slot| (&**key, slot)))
    }
}

impl Layer {
    /// Of no commit, before the one with that sequence.
    #[must_use]
    pub fn new(sequence: u64) -> Self {
        Self { from: sequence, next: sequence, ..Self::default() }
    }

    /// Bytes that its entries take, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Takes over the changes of the next commit.
    pub fn apply(&mut self, sequence: u64, changes: &Changes) {
        for change in changes.iter() {
            self.put(change, sequence);
        }
        self.next = sequence + 1;
    }

    fn put(&mut self, Change { table, key, value }: Change<'_>, sequence: u64) {
        let len = value.map_or(0, <[u8]>::len);
        if let Some(slot) = self.tables[table as usize - 1].slots.get_mut(key) {
            self.bytes -= slot.value.as_ref().map_or(0, |old| old.len());
            slot.sequence = sequence;
            match (&mut slot.value, value) {
                (Some(old), Some(new)) if old.len() == new.len() => old.copy_from_slice(new),
                (old, new) => *old = new.map(Box::from),
            }
        } else {
            self.bytes += key.len() + ENTRY_BYTES;
            let slot = Slot { sequence, value: value.map(Box::from) };
            self.tables[table as usize - 1].insert(key, slot);
        }
        self.bytes += len;
    }

    /// Takes over a later layer.
    pub fn absorb(&mut self, later: &Self) {
        for table in Table::ALL {
            for (key, slot) in &later.tables[table as usize - 1].slots {
                let change = Change { table, key, value: slot.value.as_deref() };
                self.put(change, slot.sequence);
            }
        }
        self.next = later.next;
    }

    /// The last change of a key.
    #[must_use]
    pub fn get(&self, table: Table, key: &[u8]) -> Option<&Slot> {
        self.tables[table as usize - 1].slots.get(key)
    }

    /// The last changes of the keys in a range, which must not be empty by its bounds.
    pub fn range<'a>(
        &'a self,
        table: Table,
        bounds: Bounds<'_>,
        direction: Direction,
    ) -> Box<dyn Iterator<Item = (&'a [u8], &'a Slot)> + 'a> {
        let range = self.tables[table as usize - 1].range(bounds);
        match direction {
            Direction::Forward => Box::new(range),
            Direction::Backward => Box::new(range.rev()),
        }
    }
}

/// What comes after all keys that begin with `prefix`.
#[must_use]
pub fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut after = prefix[..=keep].to_vec();
    after[keep] += 1;
    Some(after)
}
