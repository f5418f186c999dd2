//! What makes it move: seeds in, rounds of casts, one commit after the other.
//!
//! One ordering thread owns every decision and is the only writer. A round takes the next energies of
//! the log, routes them, hands each lane its share in order, collects what the casts did, and commits
//! it sorted by (input position, spell order, output index). Outputs always go to the tail, so neither
//! the log nor what is printed depends on where rounds end or how many workers there are.
//!
//! Seeds are taken in chunks of a fixed size, each once everything before it has settled: a run needs
//! memory for a chunk, however long its input is.
//!
//! Bounds: `max_casts` until everything has settled, and each spell's own limits, `hops` among them.

pub mod batch;
pub mod clock;
mod cycle;
mod delivery;
mod difference;
mod forgetting;
pub mod inspection;
pub mod live;
mod ordering;
pub mod projected;
mod quarantine;
pub mod recall;
pub mod release;
pub mod replay;
pub mod resume;
pub mod rewinding;
pub mod seed;
pub mod sink;
pub mod summary;
pub mod turns;
mod unopened;
mod worker;

use std::io;
use std::sync::Arc;

use crate::blob::store::{self, ContentStore};
use crate::log;
use crate::runeset::Diagnostic;

pub use clock::Clock;
pub use forgetting::Forgets;
pub use ordering::Engine;
pub use seed::Intake;
pub use sink::Sink;
pub use summary::{SpellSummary, Summary};
pub use turns::Turns;
pub use unopened::Unopened;

/// Energies of a chunk of seeds.
pub const INTAKE_EVENTS: usize = 4_096;
/// Bytes after which a chunk of seeds is closed.
pub const INTAKE_BYTES: usize = 4 << 20;
/// Energies of a round, unless a test asks for another size: the results do not depend on it.
pub const ROUND_EVENTS: usize = 512;
/// Bytes of energies produced that are committed as one, about, unless a test asks for fewer.
pub const COMMIT_BYTES: usize = 64 << 20;

/// How a run is made. None of these but the bounds, and what the log and the store hold, shows in the results.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that cast; 0 for as many as there are processors.
    pub workers: usize,
    /// Has one thread do the work of several, in this order.
    pub turns: Option<Turns>,
    /// Casts after which a run is taken for a loop, counted anew with each chunk of seeds: input that goes on
    /// settles in between, a loop does not.
    pub max_casts: u64,
    /// Whether the log keeps what every spell is past.
    pub keep: bool,
    /// Whether every instruction is counted.
    pub exact: bool,
    /// Whether spells go on where they stood in the log, and say in it where they stand.
    pub resume: bool,
    /// Whether cast times are measured.
    pub timed: bool,
    /// Energies of a round.
    pub round_events: usize,
    /// Bytes of energies produced after which what a round did so far is committed, at the next boundary between
    /// two of its energies; with [`resume`](Options::resume).
    pub commit_bytes: usize,
    /// Whose VMs are made anew after each round, for who wants to know what is kept in them; with
    /// [`resume`](Options::resume).
    pub forgets: Forgets,
    /// Where content is kept that outlives the run; `None` for memory.
    pub store: Option<Arc<ContentStore>>,
    /// The plane of the log, for spans; empty where it has no name.
    pub plane: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 0,
            turns: None,
            max_casts: 1_000_000,
            keep: true,
            exact: false,
            resume: false,
            timed: false,
            round_events: ROUND_EVENTS,
            commit_bytes: COMMIT_BYTES,
            forgets: Forgets::Nobody,
            store: None,
            plane: String::new(),
        }
    }
}

/// Why a run ended before its time.
#[derive(Debug)]
pub enum Failure {
    /// A fault of a spell or a seed, or a bound.
    Diagnostic(Box<Diagnostic>),
    /// Nobody takes the effects any more.
    Sink(io::Error),
    /// The log failed.
    Log(log::Error),
    /// Content could not be stored.
    Content(store::Error),
    /// Another writer of the log came between the check of a cast's outputs and their append. Nothing of the round
    /// was stored: it is to be run again.
    Outrun,
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Content(error)
    }
}

impl From<log::Error> for Failure {
    fn from(error: log::Error) -> Self {
        Self::Log(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Sink(error)
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Diagnostic(Box::new(diagnostic))
    }
}
