//! The entries of one bucket: found by a hash, in order once somebody asks for that.
//!
//! Most spells look up and count; an ordered map alone would compare a dozen keys for each of that. So the order,
//! a set of the keys, is made when a range is first asked for, and kept from then on. The hash has a secret
//! key, since keys are chosen by strangers; the hash map is iterated over for sorting alone, so nothing that a
//! spell sees depends on it.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use super::bytes::Bytes;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    entries: HashMap<Bytes, Bytes>,
    /// All keys, once they were asked for in order.
    order: OnceCell<BTreeSet<Bytes>>,
}

impl Bucket {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.entries.get(key)
    }

    /// The place of a value that is there.
    #[inline]
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut Bytes> {
        self.entries.get_mut(key)
    }

    /// Keeps a value, and gives back the one that was there.
    pub fn insert(&mut self, key: Bytes, value: Bytes) -> Option<Bytes> {
        if let Some(order) = self.order.get_mut()
            && !self.entries.contains_key(&key)
        {
            order.insert(key.clone());
        }
        self.entries.insert(key, value)
    }

    /// Forgets a key, and gives it back with its value.
    pub fn remove(&mut self, key: &[u8]) -> Option<(Bytes, Bytes)> {
        let entry = self.entries.remove_entry(key)?;
        if let Some(order) = self.order.get_mut() {
            order.remove(key);
        }
        Some(entry)
    }

    /// The entries between two keys, in order; the bounds leave room for a key.
    pub fn range<'a>(
        &'a self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = (&'a Bytes, &'a Bytes)> + use<'a> {
        let order = self.order.get_or_init(|| self.entries.keys().cloned().collect());
        order.range::<[u8], _>((from, to)).filter_map(|key| self.entries.get_key_value(key.as_slice()))
    }
}
