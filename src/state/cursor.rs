//! Walks over a bucket that may change while they go on: a cursor remembers a key, not a place in memory.

use std::collections::VecDeque;
use std::ops::Bound;

use super::Base;
use crate::log::{Bounds, Error, Pair};

/// Entries that are read ahead: at first, and at most. Each time twice as many.
const PAGE: (usize, usize) = (16, 512);

/// Names a cursor of a store; never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorId {
    /// Its place in the list.
    pub slot: u32,
    /// Tells it from others that had the place.
    pub serial: u64,
}

/// What is left of a walk: the keys from `from` on, before `to`.
#[derive(Debug)]
pub(super) struct Cursor {
    serial: u64,
    bucket: Vec<u8>,
    from: Vec<u8>,
    to: Vec<u8>,
    limit: u64,
    reverse: bool,
    ahead: Ahead,
}

/// What was read ahead of what is not in memory. It does not change while a cast runs.
#[derive(Debug, Default)]
struct Ahead {
    page: VecDeque<Pair>,
    /// How many were asked for last.
    size: usize,
    /// There is nothing after the page.
    is_last: bool,
}

impl Cursor {
    pub fn bucket(&self) -> &[u8] {
        &self.bucket
    }

    pub fn is_reverse(&self) -> bool {
        self.reverse
    }

    pub fn bounds(&self) -> Bounds<'_> {
        let to = if self.limit == 0 { &self.from } else { &self.to };
        (Bound::Included(&self.from), Bound::Excluded(to))
    }

    /// The next entry of those that are not in memory.
    pub fn peek(&mut self, base: &Base, scope: &[u8]) -> Result<Option<&Pair>, Error> {
        let is_behind = |(key, _): &Pair| match self.reverse {
            true => key >= &self.to,
            false => key < &self.from,
        };
        while self.ahead.page.front().is_some_and(is_behind) {
            self.ahead.page.pop_front();
        }
        if self.ahead.page.is_empty() && !self.ahead.is_last {
            let size = (self.ahead.size * 2).clamp(PAGE.0, PAGE.1);
            let page = base.page((scope, &self.bucket), self.bounds(), self.reverse, size)?;
            self.ahead = Ahead { is_last: page.len() < size, page: page.into(), size };
        }
        Ok(self.ahead.page.front())
    }

    /// Gives out a key and leaves it behind.
    pub fn pass(&mut self, key: &[u8]) {
        self.limit -= 1;
        self.skip(key);
    }

    /// Leaves a key behind.
    pub fn skip(&mut self, key: &[u8]) {
        if self.reverse {
            self.to.clear();
            self.to.extend_from_slice(key);
        } else {
            self.from.clear();
            self.from.extend_from_slice(key);
            // The first key after it that there can be.
            self.from.push(0);
        }
    }
}

/// The cursors of the running cast.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    list: Vec<Cursor>,
    free: Vec<u32>,
    serial: u64,
}

impl Cursors {
    pub fn open(&mut self, bucket: &[u8], from: &[u8], to: &[u8], limit: u64, reverse: bool) -> CursorId {
        self.serial += 1;
        let serial = self.serial;
        if let Some(slot) = self.free.pop() {
            let cursor = &mut self.list[slot as usize];
            for (place, bytes) in
                [(&mut cursor.bucket, bucket), (&mut cursor.from, from), (&mut cursor.to, to)]
            {
                place.clear();
                place.extend_from_slice(bytes);
            }
            (cursor.serial, cursor.limit, cursor.reverse) = (serial, limit, reverse);
            cursor.ahead = Ahead::default();
            return CursorId { slot, serial };
        }
        self.list.push(Cursor {
            serial,
            bucket: bucket.to_vec(),
            from: from.to_vec(),
            to: to.to_vec(),
            limit,
            reverse,
            ahead: Ahead::default(),
        });
        CursorId { slot: self.list.len() as u32 - 1, serial }
    }

    pub fn get(&mut self, id: CursorId) -> Option<&mut Cursor> {
        self.list.get_mut(id.slot as usize).filter(|cursor| cursor.serial == id.serial)
    }

    pub fn close(&mut self, id: CursorId) {
        if let Some(cursor) = self.get(id) {
            cursor.serial = 0;
            self.free.push(id.slot);
        }
    }

    pub fn clear(&mut self) {
        self.list.clear();
        self.free.clear();
    }
}
