//! The content that a run has put, and where it is kept: in memory, or in a store on disk.

use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::FxHashMap;

use super::store::{self, ContentStore};
use super::{Content, Hash, Put};

/// What was put and committed, by digest. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    puts: Arc<RwLock<FxHashMap<Hash, Kept>>>,
    store: Option<Arc<ContentStore>>,
    /// Whether the store is only read.
    is_beside: bool,
}

/// Content that was put in this run.
#[derive(Debug)]
struct Kept {
    /// The lowest position of an energy for which it was put.
    position: u64,
    /// Its bytes, where there is no store for them.
    content: Option<Content>,
}

impl Contents {
    /// Content that outlives the run, in a store that nobody else writes to.
    #[must_use]
    pub fn stored(store: Arc<ContentStore>) -> Self {
        Self { store: Some(store), ..Self::default() }
    }

    /// Content beside a store that is only read: what is put stays in memory.
    #[must_use]
    pub fn beside(store: Arc<ContentStore>) -> Self {
        Self { store: Some(store), is_beside: true, ..Self::default() }
    }

    /// Adds what casts put. Once this returns it is durable, where there is a store: what names it may be
    /// appended.
    ///
    /// # Errors
    /// As [`ContentStore::put`] and [`ContentStore::sync`]; then nothing that names it may be.
    pub fn publish(&self, puts: &[Put]) -> store::Result<()> {
        for (hash, content, position) in puts {
            self.add(hash, content, *position)?;
        }
        match &self.store {
            Some(store) if !puts.is_empty() && !self.is_beside => store.sync(),
            _ => Ok(()),
        }
    }

    fn add(&self, hash: &Hash, content: &Content, position: u64) -> store::Result<()> {
        let mut kept = self.puts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.get_mut(hash) {
            kept.position = kept.position.min(position);
            return Ok(());
        }
        let Some(store) = self.store.as_ref().filter(|_| !self.is_beside) else {
            kept.insert(*hash, Kept { position, content: Some(content.clone()) });
            return Ok(());
        };
        // What was there before the run is seen by all; it is put again in case it was damaged.
        if !store.contains(hash)? {
            kept.insert(*hash, Kept { position, content: None });
        }
        store.put(content).map(|_| ())
    }

    /// Content put for an energy below `settled`, or before the run; of a store at most `bytes_max` bytes.
    ///
    /// # Errors
    /// As [`ContentStore::get`].
    pub fn get(&self, hash: &Hash, settled: u64, bytes_max: u64) -> store::Result<Option<Content>> {
        {
            let kept = self.puts.read().unwrap_or_else(PoisonError::into_inner);
            match kept.get(hash) {
                Some(kept) if kept.position >= settled => return Ok(None),
                Some(Kept { content: Some(content), .. }) => return Ok(Some(content.clone())),
                _ => {}
            }
        }
        let Some(store) = &self.store else { return Ok(None) };
        Ok(store.get(hash, bytes_max)?.map(Content::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::store::Access;
    use crate::disk::RealDisk;

    fn put(bytes: &[u8], position: u64) -> Put {
        (blake3::hash(bytes), bytes.into(), position)
    }

    #[test]
    fn the_lowest_position_counts() {
        let contents = Contents::default();
        contents.publish(&[put(b"x", 9), put(b"x", 3)]).unwrap();
        assert!(contents.get(&blake3::hash(b"x"), 3, 1).unwrap().is_none());
        assert!(contents.get(&blake3::hash(b"x"), 4, 1).unwrap().is_some());
    }

    #[test]
    fn a_store_shows_what_it_held_before_the_run_to_all() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let store = ContentStore::open(Arc::new(RealDisk), folder.path(), Access::Write).unwrap();
            Contents::stored(Arc::new(store))
        };
        let sees = |contents: &Contents, bytes: &[u8], settled| {
            contents.get(&blake3::hash(bytes), settled, 9).unwrap().as_deref() == Some(bytes)
        };
        let first = open();
        first.publish(&[put(b"old", 5)]).unwrap();
        assert!(!sees(&first, b"old", 5) && sees(&first, b"old", 6));
        drop(first);
        let second = open();
        second.publish(&[put(b"old", 8), put(b"new", 8)]).unwrap();
        assert!(sees(&second, b"old", 0) && !sees(&second, b"new", 8) && sees(&second, b"new", 9));
    }
}
