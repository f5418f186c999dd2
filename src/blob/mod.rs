//! Content by digest: bytes that energies refer to by `$content` instead of carrying them.
//!
//! What a spell sees must not depend on how far other spells have come. So content is visible to a cast
//! in two cases only: the same spell put it in an earlier cast of the same lane key (or in this one), or
//! it was put for an energy whose casts were all committed when the input was appended
//! (`Head::settled`). Both follow from the log alone.
//!
//! The committed set ([`Contents`]) is shared by all VMs of a run; since visibility is decided by
//! position, it makes no difference when a VM comes to see that it has grown. A digest that is put
//! twice counts from its lowest position.
//!
//! Limits: all content is held in memory.

use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::{FxHashMap, FxHashSet};

pub use blake3::Hash;

/// Bytes of content, shared.
pub type Content = Arc<[u8]>;

/// What was put and committed, by digest, with the position of the energy for which it was.
#[derive(Clone, Debug, Default)]
pub struct Contents(Arc<RwLock<FxHashMap<Hash, (Content, u64)>>>);

impl Contents {
    /// Adds what casts put, with the positions of their inputs.
    pub fn publish(&self, puts: &[(Hash, Content, u64)]) {
        if puts.is_empty() {
            return;
        }
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (hash, content, position) in puts {
            let entry = map.entry(*hash).or_insert_with(|| (content.clone(), *position));
            entry.1 = entry.1.min(*position);
        }
    }

    /// Content put for an energy below `settled`.
    #[must_use]
    pub fn get(&self, hash: &Hash, settled: u64) -> Option<Content> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        map.get(hash).filter(|(_, position)| *position < settled).map(|(content, _)| content.clone())
    }

    /// How many digests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nothing was put.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One VM's view of content.
#[derive(Debug, Default)]
pub struct Blobs {
    contents: Contents,
    own: FxHashMap<Hash, Own>,
    /// What the running cast put: with the scope, and whether the digest was new to the VM.
    pending: Vec<(Hash, Box<[u8]>)>,
    own_bytes: u64,
}

/// Content that this VM put, and for which lane keys.
#[derive(Debug)]
struct Own {
    content: Content,
    scopes: FxHashSet<Box<[u8]>>,
}

impl Blobs {
    /// A view of what is committed in `contents`.
    #[must_use]
    pub fn new(contents: Contents) -> Self {
        Self { contents, ..Self::default() }
    }

    /// Adds what was committed, by any spell, to the set that this view sees.
    pub fn publish(&mut self, puts: &[(Hash, Content, u64)]) {
        self.contents.publish(puts);
    }

    /// Keeps content for `scope`, the lane key, until the cast is rolled back. `None` where this VM has put
    /// it for that key before.
    pub fn put(&mut self, scope: &[u8], bytes: &[u8]) -> (Hash, Option<Content>) {
        let hash = blake3::hash(bytes);
        let own_bytes = &mut self.own_bytes;
        let own = self.own.entry(hash).or_insert_with(|| {
            *own_bytes += bytes.len() as u64;
            Own { content: bytes.into(), scopes: FxHashSet::default() }
        });
        if !own.scopes.insert(scope.into()) {
            return (hash, None);
        }
        self.pending.push((hash, scope.into()));
        (hash, Some(own.content.clone()))
    }

    /// Bytes of all that this VM put, each content once.
    #[must_use]
    pub fn own_bytes(&self) -> u64 {
        self.own_bytes
    }

    /// Content that a cast for `scope`, whose input has `settled`, may see.
    #[must_use]
    pub fn get(&self, scope: &[u8], hash: &Hash, settled: u64) -> Option<Content> {
        match self.own.get(hash) {
            Some(own) if own.scopes.contains(scope) => Some(own.content.clone()),
            _ => self.contents.get(hash, settled),
        }
    }

    /// The running cast's puts stand.
    pub fn commit(&mut self) {
        self.pending.clear();
    }

    /// The running cast's puts never were.
    pub fn rollback(&mut self) {
        for (hash, scope) in self.pending.drain(..) {
            if let Some(own) = self.own.get_mut(&hash) {
                own.scopes.remove(&scope);
                if own.scopes.is_empty() {
                    self.own_bytes -= own.content.len() as u64;
                    self.own.remove(&hash);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_seen_by_position() {
        let contents = Contents::default();
        let (mut one, two) = (Blobs::new(contents.clone()), Blobs::new(contents));
        let (hash, content) = one.put(b"", b"abc");
        assert!(one.get(b"", &hash, 0).is_some());
        assert!(one.get(b"other key", &hash, 0).is_none());
        one.commit();
        one.publish(&[(hash, content.unwrap(), 7)]);
        assert!(two.get(b"", &hash, 7).is_none());
        assert_eq!(two.get(b"", &hash, 8).as_deref(), Some(b"abc".as_slice()));
        assert!(one.get(b"other key", &hash, 8).is_some());
    }

    #[test]
    fn a_faulting_cast_puts_nothing() {
        let mut blobs = Blobs::default();
        let (kept, _) = blobs.put(b"", b"kept");
        blobs.commit();
        let (lost, _) = blobs.put(b"", b"lost");
        assert_eq!(blobs.put(b"", b"kept").1, None);
        blobs.rollback();
        assert!(blobs.get(b"", &kept, 0).is_some());
        assert!(blobs.get(b"", &lost, 0).is_none());
    }

    #[test]
    fn the_lowest_position_counts() {
        let contents = Contents::default();
        let (hash, content): (Hash, Content) = (blake3::hash(b"x"), b"x".as_slice().into());
        contents.publish(&[(hash, content.clone(), 9), (hash, content, 3)]);
        assert!(contents.get(&hash, 4).is_some());
    }
}
