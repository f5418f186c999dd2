//! What is in memory of one bucket: found by a hash, in order once somebody asks for that.
//!
//! Most spells look up and count; an ordered map alone would compare a dozen keys for each of that. So the order,
//! a set of the keys, is made when a range is first asked for, and kept from then on. The hash has a secret
//! key, since keys are chosen by strangers; the hash map is iterated over where the order does not show, so nothing
//! that a spell sees depends on it.
//!
//! Where part of the bucket lies elsewhere, a key may be known to have no value.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

use super::bytes::Bytes;
use super::store::memory_bytes;
use crate::log::Bounds;

/// A value, or none.
pub(super) type Known = Option<Bytes>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    entries: HashMap<Bytes, Known>,
    /// All keys, once they were asked for in order.
    order: OnceCell<BTreeSet<Bytes>>,
    /// How many keys have a value, here and elsewhere, once that was asked for.
    pub count: Option<usize>,
}

impl Bucket {
    /// Keys in memory.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is known of it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.count.is_none()
    }

    /// Keys in memory that have a value.
    pub fn live(&self) -> usize {
        self.entries.values().flatten().count()
    }

    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&Known> {
        self.entries.get(key)
    }

    /// The place of what is known of a key.
    #[inline]
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut Known> {
        self.entries.get_mut(key)
    }

    /// Keeps what is known of a key, and gives back what was.
    pub fn insert(&mut self, key: Bytes, value: Known) -> Option<Known> {
        if let Some(order) = self.order.get_mut()
            && !self.entries.contains_key(&key)
        {
            order.insert(key.clone());
        }
        self.entries.insert(key, value)
    }

    /// Forgets a key, and gives it back with what was known.
    pub fn remove(&mut self, key: &[u8]) -> Option<(Bytes, Known)> {
        let entry = self.entries.remove_entry(key)?;
        if let Some(order) = self.order.get_mut() {
            order.remove(key);
        }
        Some(entry)
    }

    /// The first key in a range with what is known of it, the last one if `reverse`. The range is not void.
    pub fn next(&self, bounds: Bounds<'_>, reverse: bool) -> Option<(&Bytes, &Known)> {
        let order = self.order.get_or_init(|| self.entries.keys().cloned().collect());
        let mut range = order.range::<[u8], _>(bounds);
        let key = if reverse { range.next_back() } else { range.next() };
        self.entries.get_key_value(key?.as_slice())
    }

    /// A key that had a value, or had none, now has one, or has none.
    #[inline]
    pub fn recount(&mut self, before: bool, after: bool) {
        if let Some(count) = &mut self.count {
            *count = *count + usize::from(after) - usize::from(before);
        }
    }

    /// Forgets every other key, and returns the bytes that they took. `keep` says whether the last one was kept.
    pub fn halve(&mut self, keep: &mut bool) -> u64 {
        let mut freed = 0;
        self.entries.retain(|key, value| {
            *keep = !*keep;
            if !*keep {
                freed += memory_bytes(key.len(), value.as_ref());
            }
            *keep
        });
        self.entries.shrink_to_fit();
        self.order = OnceCell::new();
        freed
    }
}
