//! A dictionary: byte strings and their ids, 0, 1, 2 … in the order they came.
//!
//! The strings lie back to back in one arena, found by a hash table of ids.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use super::table::Table;

/// Byte strings and their ids.
#[derive(Debug, Default)]
pub(super) struct Names {
    arena: Vec<u8>,
    /// Where each ends in the arena, and the next begins.
    ends: Vec<u32>,
    table: Table,
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

impl Names {
    pub(super) fn len(&self) -> u32 {
        self.ends.len() as u32
    }

    /// The id of a string that is there.
    #[inline]
    pub(super) fn find(&self, bytes: &[u8]) -> Option<u32> {
        self.table.find(hash(bytes), |id| self.get(id) == Some(bytes))
    }

    /// The id of a string, a new one where it is not there.
    pub(super) fn add(&mut self, bytes: &[u8]) -> u32 {
        if let Some(id) = self.find(bytes) {
            return id;
        }
        let id = self.len();
        self.arena.extend_from_slice(bytes);
        self.ends.push(self.arena.len() as u32);
        self.table.insert(hash(bytes), id);
        id
    }

    /// The string with an id.
    #[inline]
    pub(super) fn get(&self, id: u32) -> Option<&[u8]> {
        let end = *self.ends.get(id as usize)?;
        let start = if id == 0 { 0 } else { self.ends[id as usize - 1] };
        self.arena.get(start as usize..end as usize)
    }

    /// Forgets all but the first `len`. Slow: meant for an append that failed.
    pub(super) fn cut(&mut self, len: u32) {
        if len >= self.len() {
            return;
        }
        self.ends.truncate(len as usize);
        self.arena.truncate(self.ends.last().map_or(0, |&end| end as usize));
        self.table = Table::default();
        for id in 0..len {
            let hash = self.get(id).map(hash).unwrap_or_default();
            self.table.insert(hash, id);
        }
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        self.arena.capacity() + self.ends.capacity() * size_of::<u32>() + self.table.bytes()
    }
}
