//! Where content is: digest to pack, offset and length, in memory.
//!
//! About 64 bytes a content. Only small content is here: large content is found by the name of its file.

use rustc_hash::FxHashMap;

use super::scan::Found;
use crate::blob::Hash;

/// Where packed content is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Number of its pack.
    pub pack: u32,
    /// Of its frame.
    pub offset: u32,
    /// Of the content, in bytes.
    pub len: u32,
    /// When it was last put in this session, counted in puts from 1; 0 if it was not.
    pub put: u64,
}

impl Entry {
    pub fn found(&self, hash: Hash) -> Found {
        Found { hash, offset: self.offset, len: self.len }
    }
}

/// The digests of all packs.
#[derive(Debug, Default)]
pub(super) struct Index(FxHashMap<Hash, Entry>);

impl Index {
    pub fn get(&self, hash: &Hash) -> Option<&Entry> {
        self.0.get(hash)
    }

    /// Content known, which is put again.
    pub fn touch(&mut self, hash: &Hash, put: u64) -> Option<Entry> {
        let entry = self.0.get_mut(hash)?;
        entry.put = entry.put.max(put);
        Some(*entry)
    }

    /// A frame of a pack; it takes the place of one found before with the same content.
    pub fn insert(&mut self, pack: u32, found: &Found, put: u64) {
        let put = self.0.get(&found.hash).map_or(put, |entry| entry.put.max(put));
        self.0.insert(found.hash, Entry { pack, offset: found.offset, len: found.len, put });
    }

    /// Drops what was in a pack that is removed.
    pub fn remove_from<'a>(&mut self, pack: u32, hashes: impl Iterator<Item = &'a Hash>) {
        for hash in hashes {
            if self.0.get(hash).is_some_and(|entry| entry.pack == pack) {
                self.0.remove(hash);
            }
        }
    }

    /// Drops what is in packs that `keep` refuses.
    pub fn retain_packs(&mut self, keep: impl Fn(u32) -> bool) {
        self.0.retain(|_, entry| keep(entry.pack));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Hash, &Entry)> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}
