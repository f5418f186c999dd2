//! The store itself, in memory: scopes of buckets of ordered entries, and what undoes a cast.
//!
//! Nothing that a spell sees depends on a hash: scopes are never iterated over, and entries in order.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use thiserror::Error;

use super::bucket::Bucket;
use super::bytes::Bytes;
use super::cursor::{CursorId, Cursors};

/// What an entry counts besides its key and value, so that many small ones are bounded as well.
pub const ENTRY_BYTES: u64 = 64;

/// The state would outgrow `limits.state_bytes`.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the state would have {bytes} bytes, more than the {bytes_max} that `limits.state_bytes` allows")]
pub struct Full {
    /// Bytes there would be.
    pub bytes: u64,
    /// Bytes there may be.
    pub bytes_max: u64,
}

/// One lane key's buckets. That with the empty name, `state` itself, is found without a search.
#[derive(Debug, Default)]
struct Scope {
    main: Bucket,
    named: BTreeMap<Bytes, Bucket>,
}

impl Scope {
    #[inline]
    fn bucket(&self, name: &[u8]) -> Option<&Bucket> {
        if name.is_empty() { Some(&self.main) } else { self.named.get(name) }
    }

    #[inline]
    fn bucket_mut(&mut self, name: &[u8]) -> Option<&mut Bucket> {
        if name.is_empty() { Some(&mut self.main) } else { self.named.get_mut(name) }
    }

    fn make_bucket(&mut self, name: &[u8]) -> &mut Bucket {
        if name.is_empty() { &mut self.main } else { self.named.entry(Bytes::new(name)).or_default() }
    }

    fn is_empty(&self) -> bool {
        self.main.is_empty() && self.named.is_empty()
    }
}

/// One write of the running cast: where, and what was there before.
#[derive(Debug)]
struct Undo {
    bucket: Bytes,
    key: Bytes,
    old: Option<Bytes>,
}

/// See [`crate::state`].
#[derive(Debug)]
pub struct Store {
    bytes: u64,
    bytes_max: u64,
    /// Slots of [`Store::slots`] by lane key. The empty one is slot 0, and not in here.
    scopes: HashMap<Box<[u8]>, usize>,
    slots: Vec<Scope>,
    free: Vec<usize>,
    /// The current lane key, and its slot once it holds something.
    scope: Vec<u8>,
    slot: Option<usize>,
    undo: Vec<Undo>,
    cursors: Cursors,
}

impl Store {
    /// An empty store of at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        Self {
            bytes: 0,
            bytes_max,
            scopes: HashMap::new(),
            slots: vec![Scope::default()],
            free: Vec::new(),
            scope: Vec::new(),
            slot: Some(0),
            undo: Vec::new(),
            cursors: Cursors::default(),
        }
    }

    /// Bytes of all keys and values in all scopes, and [`ENTRY_BYTES`] for each.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The lane key that keys belong to; empty for none.
    #[must_use]
    pub fn scope(&self) -> &[u8] {
        &self.scope
    }

    /// Turns to the state of a lane key; the empty one is that of spells without lanes. Not within a cast.
    pub fn set_scope(&mut self, scope: &[u8]) {
        if scope == self.scope {
            return;
        }
        debug_assert!(self.undo.is_empty(), "the scope changes within a cast");
        self.commit();
        self.scope.clear();
        self.scope.extend_from_slice(scope);
        self.slot = if scope.is_empty() { Some(0) } else { self.scopes.get(scope).copied() };
    }

    /// Begins a cast. What was written before stays; cursors of earlier casts are gone.
    pub fn begin(&mut self) {
        self.commit();
        self.cursors.clear();
    }

    /// A cursor over the keys of a bucket from `from` on, before `to`: at most `limit` of them, from the back if
    /// `reverse`. It lives until the cast ends, and the bucket may change under it: what is written or
    /// deleted ahead of it is seen.
    pub fn open(&mut self, bucket: &[u8], from: &[u8], to: &[u8], limit: u64, reverse: bool) -> CursorId {
        self.cursors.open(bucket, from, to, limit, reverse)
    }

    /// Moves a cursor on, and writes the key and the value it found; `Some(false)` at the end, when the cursor is
    /// given up, and `None` for one that was given up before.
    pub fn step(&mut self, id: CursorId, key: &mut Vec<u8>, value: &mut Vec<u8>) -> Option<bool> {
        let cursor = self.cursors.get(id)?;
        let (from, to) = cursor.bounds();
        let bucket = self.slot.and_then(|slot| self.slots[slot].bucket(cursor.bucket()));
        let found = bucket.filter(|_| !is_void(from, to)).and_then(|bucket| {
            let mut range = bucket.range(from, to);
            if cursor.is_reverse() { range.next_back() } else { range.next() }
        });
        if let Some((at, found)) = found {
            key.extend_from_slice(at.as_slice());
            value.extend_from_slice(found.as_slice());
            cursor.pass(at.as_slice());
            Some(true)
        } else {
            self.cursors.close(id);
            Some(false)
        }
    }

    /// What the cast has written so far, in order: bucket, key, and the value that is there now. A key that
    /// was written twice is there twice.
    pub fn written(&self) -> impl Iterator<Item = (&[u8], &[u8], Option<&[u8]>)> {
        self.undo.iter().map(|undo| {
            let (bucket, key) = (undo.bucket.as_slice(), undo.key.as_slice());
            (bucket, key, self.get(bucket, key))
        })
    }

    /// Puts back an entry of an earlier run, whatever the limit. Not within a cast.
    pub fn restore(&mut self, scope: &[u8], bucket: &[u8], key: &[u8], value: &[u8]) {
        self.set_scope(scope);
        let slot = self.make_slot();
        let entries = self.slots[slot].make_bucket(bucket);
        if let Some(old) = entries.insert(Bytes::new(key), Bytes::new(value)) {
            self.bytes -= size(key.len(), old.len());
        }
        self.bytes += size(key.len(), value.len());
    }

    /// Keeps what the cast wrote.
    #[inline]
    pub fn commit(&mut self) {
        if !self.undo.is_empty() {
            self.tidy();
            self.undo.clear();
        }
    }

    /// Takes back what the cast wrote.
    pub fn rollback(&mut self) {
        let Some(slot) = self.slot else { return };
        for at in (0..self.undo.len()).rev() {
            let Undo { bucket, key, old } = &mut self.undo[at];
            let entries = self.slots[slot].make_bucket(bucket.as_slice());
            let now = match old.take() {
                Some(old) => {
                    self.bytes += size(key.len(), old.len());
                    entries.insert(key.clone(), old)
                }
                None => entries.remove(key.as_slice()).map(|(_, value)| value),
            };
            if let Some(now) = now {
                self.bytes -= size(key.len(), now.len());
            }
        }
        self.tidy();
        self.undo.clear();
    }

    /// Gives up buckets and scopes that the cast left empty.
    fn tidy(&mut self) {
        let Some(slot) = self.slot else { return };
        let scope = &mut self.slots[slot];
        for undo in &self.undo {
            let name = undo.bucket.as_slice();
            if !name.is_empty() && scope.named.get(name).is_some_and(Bucket::is_empty) {
                scope.named.remove(name);
            }
        }
        if slot != 0 && scope.is_empty() {
            self.scopes.remove(self.scope.as_slice());
            self.free.push(slot);
            self.slot = None;
        }
    }

    #[inline]
    fn bucket(&self, name: &[u8]) -> Option<&Bucket> {
        self.slots[self.slot?].bucket(name)
    }

    /// The slot of the current scope, made if it has none.
    fn make_slot(&mut self) -> usize {
        if let Some(slot) = self.slot {
            return slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Scope::default());
            self.slots.len() - 1
        });
        self.scopes.insert(self.scope.as_slice().into(), slot);
        self.slot = Some(slot);
        slot
    }

    /// The value under a key.
    #[inline]
    #[must_use]
    pub fn get(&self, bucket: &[u8], key: &[u8]) -> Option<&[u8]> {
        self.bucket(bucket)?.get(key).map(Bytes::as_slice)
    }

    /// Keeps a value under a key, in place of the one that is there.
    pub fn put(&mut self, bucket: &[u8], key: &[u8], value: &[u8]) -> Result<(), Full> {
        let slot = self.make_slot();
        let Self { bytes, bytes_max, slots, undo, .. } = self;
        let entries = slots[slot].make_bucket(bucket);
        let room = |bytes: u64| {
            if bytes > *bytes_max { Err(Full { bytes, bytes_max: *bytes_max }) } else { Ok(bytes) }
        };
        let old = match entries.get_mut(key) {
            Some(place) => {
                *bytes = room(*bytes - place.len() as u64 + value.len() as u64)?;
                Some(std::mem::replace(place, Bytes::new(value)))
            }
            None => {
                match room(*bytes + size(key.len(), value.len())) {
                    Ok(room) => *bytes = room,
                    Err(full) => {
                        // A bucket or scope that was made for nothing is found by `tidy`.
                        undo.push(Undo { bucket: Bytes::new(bucket), key: Bytes::new(key), old: None });
                        return Err(full);
                    }
                }
                entries.insert(Bytes::new(key), Bytes::new(value));
                None
            }
        };
        undo.push(Undo { bucket: Bytes::new(bucket), key: Bytes::new(key), old });
        Ok(())
    }

    /// Forgets a key; false when it was not there.
    pub fn delete(&mut self, bucket: &[u8], key: &[u8]) -> bool {
        let Some(slot) = self.slot else { return false };
        let Some(entries) = self.slots[slot].bucket_mut(bucket) else { return false };
        let Some((key, old)) = entries.remove(key) else { return false };
        self.bytes -= size(key.len(), old.len());
        self.undo.push(Undo { bucket: Bytes::new(bucket), key, old: Some(old) });
        true
    }

    /// How many keys a bucket has.
    #[must_use]
    pub fn count(&self, bucket: &[u8]) -> usize {
        self.bucket(bucket).map_or(0, Bucket::len)
    }

    /// The entries of a bucket between two keys, in order; from the back with `next_back`.
    pub fn range<'a>(
        &'a self,
        bucket: &[u8],
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let entries = self.bucket(bucket).filter(|_| !is_void(from, to));
        let range = entries.map(|entries| entries.range(from, to));
        range.into_iter().flatten().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

/// Whether no key lies between two bounds, for which a `BTreeMap` panics.
fn is_void(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
    }
}

fn size(key: usize, value: usize) -> u64 {
    ENTRY_BYTES + key as u64 + value as u64
}
