//! The only place that reads a clock.
//!
//! Time reaches spells through energies alone. The engine asks a clock twice: for the time of an energy
//! that has none, and for the limits and statistics of casts.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Gives energies without a time of their own one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The system's.
    System,
    /// Always the same: tests and golden cases.
    FixedMs(i64),
}

/// The time of golden cases: 2001-09-09T01:46:40Z.
pub const GOLDEN_MS: i64 = 1_000_000_000_000;

impl Clock {
    /// Milliseconds since the epoch.
    #[must_use]
    pub fn now_ms(self) -> i64 {
        match self {
            Self::FixedMs(now) => now,
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Milliseconds on a steady clock, from an arbitrary start.
#[must_use]
pub fn steady_ms() -> u64 {
    start().elapsed().as_millis() as u64
}

/// Nanoseconds on a steady clock, from an arbitrary start.
#[must_use]
pub fn steady_ns() -> u64 {
    start().elapsed().as_nanos() as u64
}
