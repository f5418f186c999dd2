//! A hash table of numbers, whose keys lie elsewhere.
//!
//! A slot keeps 32 bits of the key's hash and the number, so that a lookup goes to the key itself only for what
//! is almost surely it, and growing needs no key. Open addressing, at most half full; nothing is ever removed.
//! Limits: numbers below 2^32 - 1, and 2^31 slots.

const SLOTS_MIN: usize = 16;

/// Numbers by the hash of their key.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// 0: free; else the hash in the upper half and the number + 1 in the lower.
    slots: Vec<u64>,
    len: usize,
}

/// The half of a hash that a slot keeps. Multiplied once more, since callers' hashes differ in which bits are good.
fn tag_of(hash: u64) -> u32 {
    (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

impl Table {
    /// The first number with this hash for which `is_it`.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let tag = tag_of(hash);
        let mut at = tag as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            let value = (slot as u32).wrapping_sub(1);
            if (slot >> 32) as u32 == tag && is_it(value) {
                return Some(value);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a number, whether or not it is there.
    pub(super) fn insert(&mut self, hash: u64, value: u32) {
        if (self.len + 1) * 2 > self.slots.len() {
            self.grow();
        }
        self.put(u64::from(tag_of(hash)) << 32 | (u64::from(value) + 1));
        self.len += 1;
    }

    fn grow(&mut self) {
        let slots = vec![0; (self.slots.len() * 2).max(SLOTS_MIN)];
        for slot in std::mem::replace(&mut self.slots, slots) {
            if slot != 0 {
                self.put(slot);
            }
        }
    }

    fn put(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut at = (slot >> 32) as usize & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u64>()
    }
}
