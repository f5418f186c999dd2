//! What a run did, per spell.

use hdrhistogram::Histogram;

use crate::spell::Usage;

/// Where the numbers of each spell are traced, at the end of a run and on demand; at the level `info`.
pub const TARGET: &str = "sanctum::spell";

/// Where spans are opened: what takes a while, for who traces it; at the level `info`. Nobody else tells them.
pub const SPANS: &str = "sanctum::span";

/// Whether anybody listens to [`TARGET`]: then cast times are measured.
#[must_use]
pub fn is_traced() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::INFO)
}

/// A round that casts: the plane, the position of its first energy, how many it has; `sanctum.casts` is told at its end.
pub(super) fn round_span(plane: &str, position: u64, energies: usize) -> tracing::Span {
    tracing::info_span!(
        target: SPANS,
        parent: None,
        "round",
        sanctum.plane = plane,
        sanctum.position = position as i64,
        sanctum.energies = energies as i64,
        sanctum.casts = tracing::field::Empty,
    )
}

/// What several VMs take.
pub(super) fn total<'a>(usages: impl Iterator<Item = &'a Usage>) -> Usage {
    usages.fold(Usage::default(), |sum, usage| Usage {
        memory_bytes: sum.memory_bytes + usage.memory_bytes,
        peak_bytes: sum.peak_bytes.max(usage.peak_bytes),
        state_bytes: sum.state_bytes + usage.state_bytes,
    })
}

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
    /// Casts that were tried again.
    pub retries: u64,
    /// What its VMs take: bytes of all of them, the most of any one.
    pub usage: Usage,
    /// Positions that the log is ahead of it.
    pub lag: u64,
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
            retries: 0,
            usage: Usage::default(),
            lag: 0,
        }
    }
}

impl SpellSummary {
    /// A cast time in nanoseconds; 0 where none was measured.
    #[must_use]
    pub fn cast_ns_at(&self, quantile: f64) -> u64 {
        if self.cast_ns.is_empty() { 0 } else { self.cast_ns.value_at_quantile(quantile) }
    }

    /// Traces the numbers.
    pub fn trace(&self) {
        tracing::info!(
            target: TARGET,
            spell = self.name,
            casts = self.casts,
            energies_in = self.energies_in,
            energies_out = self.energies_out,
            filtered = self.filtered,
            faults = self.faults,
            retries = self.retries,
            instructions = self.instructions,
            cast_ns_p50 = self.cast_ns_at(0.5),
            cast_ns_p99 = self.cast_ns_at(0.99),
            cast_ns_max = self.cast_ns_at(1.0),
            memory_bytes = self.usage.memory_bytes,
            memory_peak_bytes = self.usage.peak_bytes,
            state_bytes = self.usage.state_bytes,
            lag = self.lag,
        );
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
