//! Events by id: ids are not ordered by position, since a spell's outputs have derived ones.
//!
//! Whoever appends chooses ids, so both hashes are salted: the active table's with a number of this process, a sealed
//! index's with a digest of all ids in it.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use super::table::Table;
use crate::event::Uuid;

/// Hash of an id: two rounds of a folded 128-bit product, each with both halves salted, so that no half that makes the
/// product zero can be chosen.
#[inline]
pub(super) fn mix(id: &Uuid, salt: u64) -> u64 {
    let (high, low) = id.as_u64_pair();
    let first = fold(high ^ salt, low ^ salt.rotate_left(32) ^ 0x9E37_79B9_7F4A_7C15);
    fold(first ^ salt.rotate_left(17), high ^ low.rotate_left(29) ^ 0xE703_7ED1_A0B4_28DB)
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Ordinals by id, for the segment being written: made at the first lookup and caught up at each, so that appends
/// that look up no id pay only for a list.
#[derive(Debug)]
pub(super) struct ActiveIds {
    ids: Vec<Uuid>,
    salt: u64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    table: Table,
    /// How many of the ids are in the table.
    len: usize,
}

impl ActiveIds {
    pub(super) fn new() -> Self {
        Self { ids: Vec::new(), salt: RandomState::new().hash_one(0_u8), known: Mutex::default() }
    }

    /// Takes room for that many more.
    pub(super) fn reserve(&mut self, count: usize) {
        self.ids.reserve(count);
    }

    #[inline]
    pub(super) fn push(&mut self, id: Uuid) {
        self.ids.push(id);
    }

    pub(super) fn as_slice(&self) -> &[Uuid] {
        &self.ids
    }

    /// The ordinal of the event with an id.
    pub(super) fn find(&self, id: &Uuid) -> Option<u32> {
        // Nothing in here leaves the table half changed but running out of memory, which ends the process.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(id) = self.ids.get(known.len) {
            let ordinal = known.len as u32;
            known.table.insert(mix(id, self.salt), ordinal);
            known.len += 1;
        }
        known.table.find(mix(id, self.salt), |ordinal| self.ids.get(ordinal as usize) == Some(id))
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.ids.capacity() * size_of::<Uuid>() + known.table.bytes()
    }
}
