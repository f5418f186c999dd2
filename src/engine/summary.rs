//! What a run did, per spell.

use hdrhistogram::Histogram;

/// Casts of one spell.
#[derive(Debug)]
pub struct SpellSummary {
    /// Its name.
    pub name: String,
    /// Energies that reached a cast.
    pub energies_in: u64,
    /// Energies produced.
    pub energies_out: u64,
    /// Energies of its topics that its filter rejected.
    pub filtered: u64,
    /// Casts, batches and ticks run.
    pub casts: u64,
    /// Casts that faulted.
    pub faults: u64,
    /// Work units of all casts.
    pub instructions: u64,
    /// Bytes of the energies produced.
    pub bytes_out: u64,
    /// Cast times in nanoseconds, where they were measured.
    pub cast_ns: Histogram<u64>,
    /// Sum of the cast times.
    pub cast_ns_total: u64,
    /// Bytes that its VMs use, and the most they ever did.
    pub memory_bytes: (usize, usize),
}

impl SpellSummary {
    pub(super) fn new(name: &str) -> Self {
        let cast_ns = Histogram::new_with_bounds(1, 60_000_000_000, 2)
            .or_else(|_| Histogram::new(2))
            .unwrap_or_else(|_| unreachable!("two digits are always allowed"));
        Self {
            name: name.to_owned(),
            energies_in: 0,
            energies_out: 0,
            filtered: 0,
            casts: 0,
            faults: 0,
            instructions: 0,
            bytes_out: 0,
            cast_ns,
            cast_ns_total: 0,
            memory_bytes: (0, 0),
        }
    }
}

/// What a whole run did.
#[derive(Debug, Default)]
pub struct Summary {
    /// Energies that came from seeds.
    pub seeds: u64,
    /// Energies that spells produced.
    pub produced: u64,
    /// Casts in all.
    pub casts: u64,
    /// Integers beyond 64 bits that became floats.
    pub big_uints: u64,
    /// Per spell, in spell order.
    pub spells: Vec<SpellSummary>,
}
