//! The store itself: scopes of buckets of ordered entries, and what undoes a cast.
//!
//! Nothing that a spell sees depends on a hash: scopes are never iterated over but to forget, and entries in order.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use thiserror::Error;

use super::Base;
use super::bucket::{Bucket, Known};
use super::bytes::Bytes;
use super::cursor::{CursorId, Cursors};
use crate::log::{self, is_void};

/// What an entry counts besides its key and value, so that many small ones are bounded as well.
pub const ENTRY_BYTES: u64 = 64;

/// What a lane key takes in memory besides its entries, about.
const SCOPE_BYTES: u64 = 400;

/// Keys of a bucket from which on their number is kept, rather than counted again.
const COUNTED_KEYS: usize = 1_024;

/// No key of a bucket is at or after it.
const END: [u8; 1] = [0xff];

/// Entries that are counted at a time.
const PAGE_KEYS: usize = 512;

/// The state could not be read: [`Store::take_failure`] says why. What was written so far must not be kept.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the state cannot be read")]
pub struct Unread;

/// A value was not kept.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Denied {
    /// The state would outgrow `limits.state_bytes`.
    #[error("the state would have {bytes} bytes, more than the {bytes_max} that `limits.state_bytes` allows")]
    Full {
        /// Bytes there would be.
        bytes: u64,
        /// Bytes there may be.
        bytes_max: u64,
    },
    /// What is there could not be read.
    #[error(transparent)]
    Unread(#[from] Unread),
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
    old: Known,
}

/// Where the part of a state lies that is not in memory.
#[derive(Debug)]
struct Rest {
    base: Base,
    /// Bytes in memory above which [`Store::relieve`] forgets.
    cache_bytes: u64,
}

/// See [`crate::state`].
#[derive(Debug)]
pub struct Store {
    bytes: u64,
    bytes_max: u64,
    /// Bytes of what is in memory.
    held_bytes: u64,
    /// What is not in memory lies there; without it all is in memory.
    rest: Option<Rest>,
    /// Whether all is in memory.
    is_whole: bool,
    failure: Option<log::Error>,
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
            held_bytes: 0,
            rest: None,
            is_whole: true,
            failure: None,
            scopes: HashMap::new(),
            slots: vec![Scope::default()],
            free: Vec::new(),
            scope: Vec::new(),
            slot: Some(0),
            undo: Vec::new(),
            cursors: Cursors::default(),
        }
    }

    /// Lets it hold less than all, about `cache_bytes`: what it does not hold is read when it is asked for. Nothing was
    /// restored where `bytes` says how much there is, else everything.
    pub fn rest_on(&mut self, base: Base, bytes: Option<u64>, cache_bytes: u64) {
        if let Some(bytes) = bytes {
            (self.is_whole, self.bytes) = (false, bytes);
        }
        self.rest = Some(Rest { base, cache_bytes });
    }

    /// Bytes of all keys and values in all scopes, and [`ENTRY_BYTES`] for each.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Why the state could not be read, once.
    pub fn take_failure(&mut self) -> Option<log::Error> {
        self.failure.take()
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
        self.slot = self.find_slot();
    }

    fn find_slot(&self) -> Option<usize> {
        if self.scope.is_empty() { Some(0) } else { self.scopes.get(self.scope.as_slice()).copied() }
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
    pub fn step(
        &mut self,
        id: CursorId,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<Option<bool>, Unread> {
        let Self { cursors, slots, slot, scope, rest, is_whole, failure, .. } = self;
        let Some(cursor) = cursors.get(id) else { return Ok(None) };
        let rest = rest.as_ref().filter(|_| !*is_whole);
        let reverse = cursor.is_reverse();
        while !is_void(&cursor.bounds()) {
            let bucket = slot.and_then(|slot| slots[slot].bucket(cursor.bucket()));
            let near = bucket.and_then(|bucket| bucket.next(cursor.bounds(), reverse));
            let far = rest.map(|rest| cursor.peek(&rest.base, scope)).transpose();
            let far = far.map_err(|error| {
                failure.get_or_insert(error);
                Unread
            })?;
            let is_near = |far: &[u8], near: &[u8]| if reverse { near >= far } else { near <= far };
            match (near, far.flatten()) {
                (None, None) => break,
                // What was written lately counts.
                (Some((at, known)), far) if far.is_none_or(|(far, _)| is_near(far, at.as_slice())) => {
                    let Some(known) = known else {
                        cursor.skip(at.as_slice());
                        continue;
                    };
                    key.extend_from_slice(at.as_slice());
                    value.extend_from_slice(known.as_slice());
                }
                (_, Some(far)) => {
                    key.extend_from_slice(&far.0);
                    value.extend_from_slice(&far.1);
                }
                (Some(_), None) => break,
            }
            cursor.pass(key);
            return Ok(Some(true));
        }
        cursors.close(id);
        Ok(Some(false))
    }

    /// What the cast has written so far, in order: bucket, key, and the value that is there now. A key that
    /// was written twice is there twice.
    pub fn written(&self) -> impl Iterator<Item = (&[u8], &[u8], Option<&[u8]>)> {
        self.undo.iter().map(|undo| {
            let (bucket, key) = (undo.bucket.as_slice(), undo.key.as_slice());
            (bucket, key, self.held(bucket, key))
        })
    }

    /// Puts back an entry of an earlier run, whatever the limit. Not within a cast.
    pub fn restore(&mut self, scope: &[u8], bucket: &[u8], key: &[u8], value: &[u8]) {
        self.set_scope(scope);
        let slot = self.make_slot();
        let old = self.slots[slot].make_bucket(bucket).insert(Bytes::new(key), Some(Bytes::new(value)));
        self.resize(key, old.flatten().as_ref().map(Bytes::len), Some(value.len()));
    }

    /// Forgets entries where too many are in memory. Between two rounds: all that was written is in the log.
    pub fn relieve(&mut self) {
        let Some(rest) = self.rest.as_ref().filter(|rest| self.held_bytes > rest.cache_bytes) else { return };
        let target = rest.cache_bytes / 4 * 3;
        self.commit();
        for bucket in
            self.slots.iter_mut().flat_map(|scope| scope.named.values_mut().chain([&mut scope.main]))
        {
            if self.is_whole && bucket.len() >= COUNTED_KEYS {
                bucket.count = Some(bucket.len());
            }
        }
        self.is_whole = false;
        let mut keep = true;
        while self.held_bytes > target {
            let held_bytes = self.held_bytes;
            for scope in &mut self.slots {
                for bucket in scope.named.values_mut().chain([&mut scope.main]) {
                    self.held_bytes -= bucket.halve(&mut keep);
                    bucket.count = bucket.count.filter(|count| *count >= COUNTED_KEYS);
                }
                scope.named.retain(|_, bucket| !bucket.is_empty());
            }
            self.give_up_scopes();
            if self.held_bytes == held_bytes {
                break;
            }
        }
        self.slot = self.find_slot();
    }

    fn give_up_scopes(&mut self) {
        let Self { scopes, slots, free, held_bytes, .. } = self;
        scopes.retain(|_, slot| {
            let is_empty = slots[*slot].is_empty();
            if is_empty {
                free.push(*slot);
                *held_bytes -= SCOPE_BYTES;
            }
            !is_empty
        });
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
        for Undo { bucket, key, old } in std::mem::take(&mut self.undo).into_iter().rev() {
            let len = old.as_ref().map(Bytes::len);
            let entries = self.slots[slot].make_bucket(bucket.as_slice());
            let now = match old {
                None if self.is_whole => entries.remove(key.as_slice()).and_then(|(_, now)| now),
                old => entries.insert(key.clone(), old).flatten(),
            };
            entries.recount(now.is_some(), len.is_some());
            self.resize(key.as_slice(), now.as_ref().map(Bytes::len), len);
            self.undo.push(Undo { bucket, key, old: None });
        }
        self.tidy();
        self.undo.clear();
    }

    /// Gives up buckets and scopes that the cast left empty.
    fn tidy(&mut self) {
        let Some(slot) = self.slot.filter(|_| self.is_whole) else { return };
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
            self.held_bytes -= SCOPE_BYTES;
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
        self.held_bytes += SCOPE_BYTES;
        self.slot = Some(slot);
        slot
    }

    /// A value that is in memory.
    #[inline]
    fn held(&self, bucket: &[u8], key: &[u8]) -> Option<&[u8]> {
        self.bucket(bucket)?.get(key)?.as_ref().map(Bytes::as_slice)
    }

    /// Has what is known of a key in memory.
    #[inline]
    fn fetch(&mut self, bucket: &[u8], key: &[u8]) -> Result<(), Unread> {
        if self.is_whole { Ok(()) } else { self.fetch_far(bucket, key) }
    }

    fn fetch_far(&mut self, bucket: &[u8], key: &[u8]) -> Result<(), Unread> {
        let Some(rest) = &self.rest else { return Ok(()) };
        if self.bucket(bucket).is_some_and(|bucket| bucket.get(key).is_some()) {
            return Ok(());
        }
        let found = match rest.base.value(&self.scope, bucket, key) {
            Ok(found) => found.map(|value| Bytes::new(&value)),
            Err(error) => return Err(self.fail(error)),
        };
        let slot = self.make_slot();
        self.held_bytes += memory_bytes(key.len(), found.as_ref());
        self.slots[slot].make_bucket(bucket).insert(Bytes::new(key), found);
        Ok(())
    }

    fn fail(&mut self, error: log::Error) -> Unread {
        self.failure.get_or_insert(error);
        Unread
    }

    /// Counts that a value of one length, or none, became one of another, or none.
    #[inline]
    fn resize(&mut self, key: &[u8], before: Option<usize>, after: Option<usize>) {
        let bytes = |len: Option<usize>| len.map_or(0, |len| size(key.len(), len));
        self.bytes = self.bytes - bytes(before) + bytes(after);
        if self.is_whole {
            self.held_bytes = self.held_bytes - bytes(before) + bytes(after);
        } else {
            // The key stays in memory, with or without a value.
            let len = |len: Option<usize>| len.unwrap_or_default() as u64;
            self.held_bytes = self.held_bytes - len(before) + len(after);
        }
    }

    /// The value under a key.
    #[inline]
    pub fn get(&mut self, bucket: &[u8], key: &[u8]) -> Result<Option<&[u8]>, Unread> {
        self.fetch(bucket, key)?;
        Ok(self.held(bucket, key))
    }

    /// Keeps a value under a key, in place of the one that is there.
    pub fn put(&mut self, bucket: &[u8], key: &[u8], value: &[u8]) -> Result<(), Denied> {
        self.fetch(bucket, key)?;
        let slot = self.make_slot();
        let Self { bytes, bytes_max, slots, undo, .. } = self;
        let entries = slots[slot].make_bucket(bucket);
        let place = entries.get_mut(key);
        let before = place.as_ref().and_then(|place| place.as_ref().map(Bytes::len));
        let bytes = *bytes - before.map_or(0, |len| size(key.len(), len)) + size(key.len(), value.len());
        if bytes > *bytes_max {
            if place.is_none() {
                // A bucket or scope that was made for nothing is found by `tidy`.
                undo.push(Undo { bucket: Bytes::new(bucket), key: Bytes::new(key), old: None });
            }
            return Err(Denied::Full { bytes, bytes_max: *bytes_max });
        }
        let value = Some(Bytes::new(value));
        let after = value.as_ref().map(Bytes::len);
        let old = match place {
            Some(place) => std::mem::replace(place, value),
            None => entries.insert(Bytes::new(key), value).flatten(),
        };
        entries.recount(old.is_some(), true);
        undo.push(Undo { bucket: Bytes::new(bucket), key: Bytes::new(key), old });
        self.resize(key, before, after);
        Ok(())
    }

    /// Forgets a key; false when it was not there.
    pub fn delete(&mut self, bucket: &[u8], key: &[u8]) -> Result<bool, Unread> {
        self.fetch(bucket, key)?;
        let Some(slot) = self.slot else { return Ok(false) };
        let Some(entries) = self.slots[slot].bucket_mut(bucket) else { return Ok(false) };
        let old = match self.is_whole {
            true => entries.remove(key).and_then(|(_, old)| old),
            false => entries.get_mut(key).and_then(Option::take),
        };
        let Some(old) = old else { return Ok(false) };
        entries.recount(true, false);
        self.resize(key, Some(old.len()), None);
        self.undo.push(Undo { bucket: Bytes::new(bucket), key: Bytes::new(key), old: Some(old) });
        Ok(true)
    }

    /// How many keys a bucket has. Where the bucket is not in memory they are counted at the first call.
    pub fn count(&mut self, bucket: &[u8]) -> Result<usize, Unread> {
        if self.is_whole {
            return Ok(self.bucket(bucket).map_or(0, Bucket::len));
        }
        if let Some(count) = self.bucket(bucket).and_then(|bucket| bucket.count) {
            return Ok(count);
        }
        let count = self.count_all(bucket).map_err(|error| self.fail(error))?;
        let slot = self.make_slot();
        self.slots[slot].make_bucket(bucket).count = Some(count);
        Ok(count)
    }

    fn count_all(&self, name: &[u8]) -> Result<usize, log::Error> {
        let bucket = self.bucket(name);
        let mut count = bucket.map_or(0, Bucket::live);
        let Some(rest) = &self.rest else { return Ok(count) };
        let mut from = Vec::new();
        loop {
            let page = rest.base.page(
                (&self.scope, name),
                (Bound::Included(&from), Bound::Excluded(&END)),
                false,
                PAGE_KEYS,
            )?;
            let is_far = |key: &[u8]| bucket.is_none_or(|bucket| bucket.get(key).is_none());
            count += page.iter().filter(|(key, _)| is_far(key)).count();
            let Some((last, _)) = page.last().filter(|_| page.len() == PAGE_KEYS) else { return Ok(count) };
            from.clone_from(last);
            from.push(0);
        }
    }
}

/// Bytes that what is known of a key takes in memory.
pub(super) fn memory_bytes(key: usize, known: Option<&Bytes>) -> u64 {
    size(key, known.map_or(0, Bytes::len))
}

/// What an entry counts, by the lengths of its key and its value.
#[must_use]
pub fn size(key: usize, value: usize) -> u64 {
    ENTRY_BYTES + key as u64 + value as u64
}
