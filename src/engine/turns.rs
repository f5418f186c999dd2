//! Who is next: the order in which the lanes of a round take turns, for a simulator.
//!
//! Threads cast side by side, and how they interleave is the system's choice. Here one thread has lanes cast a few
//! tasks each in an order that follows from a seed (SplitMix64), so that whatever one of the orders brings to
//! light comes again with the seed. What a round gives must not depend on it.

/// Tasks of a turn, at most.
const TASKS_MAX: u64 = 4;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Turns(u64);

impl Turns {
    /// The turns of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Which of `count` lanes is next, and how many tasks it may cast.
    pub fn next(&mut self, count: usize) -> (usize, usize) {
        let number = self.number();
        ((number % count.max(1) as u64) as usize, 1 + (number >> 32) as usize % TASKS_MAX as usize)
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
