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
//! With a [`store::ContentStore`] behind it, content outlives the run. What the store held when the run began
//! is visible to every cast: what earlier runs put, and what was put from outside. An energy names content
//! only after it was put, so what a cast learns a digest of from its energies or its state it sees, however
//! often the run was interrupted. Only a spell that knows a digest by other means can tell that a run was.
//!
//! Limits: what one VM puts is held in memory, at most `limits.state_bytes` of it in a run; without a store,
//! all that is put. Content in a store is read whenever it is asked for, and verified.

mod contents;
pub mod store;

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

pub use blake3::Hash;
pub use contents::Contents;

/// Bytes of content, shared.
pub type Content = Arc<[u8]>;

/// Content that was put: its digest, its bytes, and the position of the energy for which it was.
pub type Put = (Hash, Content, u64);

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

    /// Content that a cast for `scope`, whose input has `settled`, may see; at most `bytes_max` bytes are read
    /// from a store.
    ///
    /// # Errors
    /// As [`store::ContentStore::get`].
    pub fn get(
        &self,
        scope: &[u8],
        hash: &Hash,
        settled: u64,
        bytes_max: u64,
    ) -> store::Result<Option<Content>> {
        match self.own.get(hash) {
            Some(own) if own.scopes.contains(scope) => Ok(Some(own.content.clone())),
            _ => self.contents.get(hash, settled, bytes_max),
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

    fn get(blobs: &Blobs, scope: &[u8], hash: &Hash, settled: u64) -> Option<Content> {
        blobs.get(scope, hash, settled, u64::MAX).unwrap()
    }

    #[test]
    fn content_is_seen_by_position() {
        let contents = Contents::default();
        let (mut one, two) = (Blobs::new(contents.clone()), Blobs::new(contents.clone()));
        let (hash, content) = one.put(b"", b"abc");
        assert!(get(&one, b"", &hash, 0).is_some());
        assert!(get(&one, b"other key", &hash, 0).is_none());
        one.commit();
        contents.publish(&[(hash, content.unwrap(), 7)]).unwrap();
        assert!(get(&two, b"", &hash, 7).is_none());
        assert_eq!(get(&two, b"", &hash, 8).as_deref(), Some(b"abc".as_slice()));
        assert!(get(&one, b"other key", &hash, 8).is_some());
    }

    #[test]
    fn a_faulting_cast_puts_nothing() {
        let mut blobs = Blobs::default();
        let (kept, _) = blobs.put(b"", b"kept");
        blobs.commit();
        let (lost, _) = blobs.put(b"", b"lost");
        assert_eq!(blobs.put(b"", b"kept").1, None);
        blobs.rollback();
        assert!(get(&blobs, b"", &kept, 0).is_some());
        assert!(get(&blobs, b"", &lost, 0).is_none());
    }
}
