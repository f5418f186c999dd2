//! What a log keeps beside energies: small tables of keys and values, changed by the same commits.
//!
//! A table is the fold of its changes: the last one of a key counts. Cursors, how far a seed file was read
//! and what spells keep are such tables, so that they move together with the energies they belong to.

use std::ops::Bound;

/// A table of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// A reader's name: the next position it wants, 8 bytes, little endian.
    Cursor = 1,
    /// A seed file's name: how far it was read.
    Seed = 2,
    /// A spell's name: the next position it wants.
    Spell = 3,
    /// What spells keep: spell, bucket, lane and key.
    State = 4,
    /// The id of a quarantined energy's record, 16 bytes: what became of it, one byte.
    Fault = 5,
    /// A spell's name, NUL, and a position, 8 bytes, the highest first: there a run of it ended, and its open
    /// batches were cast.
    Flush = 6,
    /// A spell's name: bytes of the state of each of its lanes, 8 bytes each, little endian. Absent where they are to
    /// be counted.
    Size = 7,
    /// A spell's name: the version of what it keeps, 8 bytes, little endian; where there is none it is 0.
    Version = 8,
    /// The name of a shadow: what a comparison with the other spell has found, as JSON.
    Shadow = 9,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 9] = [
        Table::Cursor,
        Table::Seed,
        Table::Spell,
        Table::State,
        Table::Fault,
        Table::Flush,
        Table::Size,
        Table::Version,
        Table::Shadow,
    ];

    /// The table with that number, as it is stored.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| *table as u8 == number)
    }
}

/// A key of a table and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// A range of keys: from, to.
pub type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Whether no key lies in a range; a `BTreeMap` panics on some of those.
#[must_use]
pub fn is_void(bounds: &Bounds<'_>) -> bool {
    match bounds {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
    }
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: &'a [u8],
    /// The new value; `None` removes the key.
    pub value: Option<&'a [u8]>,
}

/// Changes, in order, in one arena.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    bytes: Vec<u8>,
    /// Where key and value end; a value that ends before its key is none.
    entries: Vec<(Table, u32, Option<u32>)>,
}

impl Changes {
    /// Sets a key.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.push(Change { table, key, value: Some(value) });
    }

    /// Removes a key.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.push(Change { table, key, value: None });
    }

    /// Adds a change. All changes of a commit together are less than 4 GiB.
    pub fn push(&mut self, change: Change<'_>) {
        self.bytes.extend_from_slice(change.key);
        let key_end = self.bytes.len() as u32;
        let value_end = change.value.map(|value| {
            self.bytes.extend_from_slice(value);
            self.bytes.len() as u32
        });
        self.entries.push((change.table, key_end, value_end));
    }

    /// The changes, in order.
    pub fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        let mut start = 0;
        self.entries.iter().map(move |(table, key_end, value_end)| {
            let key = &self.bytes[start..*key_end as usize];
            let value = value_end.map(|end| &self.bytes[*key_end as usize..end as usize]);
            start = value_end.unwrap_or(*key_end) as usize;
            Change { table: *table, key, value }
        })
    }

    /// Adds the first `count` of other changes.
    pub fn extend_from(&mut self, other: &Self, count: usize) {
        other.iter().take(count).for_each(|change| self.push(change));
    }

    /// Keeps the first `count`.
    pub fn truncate(&mut self, count: usize) {
        self.entries.truncate(count);
        let end = self.entries.last().map_or(0, |(_, key, value)| value.unwrap_or(*key).max(*key));
        self.bytes.truncate(end as usize);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all keys and values.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets them, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }
}
