//! Walks over a bucket that may change while they go on: a cursor remembers a key, not a place in memory.

use std::ops::Bound;

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
}

impl Cursor {
    pub fn bucket(&self) -> &[u8] {
        &self.bucket
    }

    pub fn is_reverse(&self) -> bool {
        self.reverse
    }

    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let to = if self.limit == 0 { &self.from } else { &self.to };
        (Bound::Included(&self.from), Bound::Excluded(to))
    }

    /// Leaves a key behind.
    pub fn pass(&mut self, key: &[u8]) {
        self.limit -= 1;
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
            return CursorId { slot, serial };
        }
        self.list.push(Cursor {
            serial,
            bucket: bucket.to_vec(),
            from: from.to_vec(),
            to: to.to_vec(),
            limit,
            reverse,
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
