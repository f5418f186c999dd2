//! What is remembered: an ordered, append-only log of energies.
//!
//! The trait is small enough to fake. An append is atomic and sets what only a log can set: position,
//! and version within the stream. Readers read the log, never a broadcast; what they get is the batch
//! as it was stored, shared, without a copy.

pub mod memory;

use std::sync::Arc;

use crate::event::{EventRef, Events, Uuid};

pub use memory::MemoryLog;

/// Why an energy of a batch was not appended; the others were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// `$expect` does not hold.
    #[error("stream `{stream}` is {}, not {} as `$expect` says", at_version(*actual), at_version(*expected))]
    Version {
        /// The stream.
        stream: String,
        /// The version of its last energy; `None` for an empty stream.
        actual: Option<u64>,
        /// What the append asked for.
        expected: Option<u64>,
    },
    /// The id belongs to an energy with other content.
    #[error("id {id} is taken by the energy at position {position}, whose content differs")]
    Id {
        /// The id.
        id: Uuid,
        /// Where it is.
        position: u64,
    },
}

fn at_version(version: Option<u64>) -> String {
    version.map_or_else(|| "empty".to_owned(), |version| format!("at version {version}"))
}

/// What an append did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Position of the first energy stored.
    pub first: u64,
    /// Energies stored.
    pub count: usize,
    /// Energies of the batch, by index, that were known already: same id, same content.
    pub known: Vec<usize>,
    /// Energies of the batch, by index, that were refused.
    pub conflicts: Vec<(usize, Conflict)>,
}

/// A log of one plane.
pub trait Log {
    /// Appends a batch, in order. Energies whose id is known or whose condition fails are left out, and
    /// named in the result.
    fn append(&mut self, batch: Events) -> Appended;

    /// The first conflict that appending these energies together would meet; nothing is appended.
    fn check(&mut self, batch: &mut dyn Iterator<Item = EventRef<'_>>) -> Option<Conflict>;

    /// The next position to be given.
    fn head(&self) -> u64;

    /// The stored batch that holds `position`, and the energy's index in it. `None` beyond the head,
    /// and for what is not kept.
    fn read(&self, position: u64) -> Option<(Arc<Events>, usize)>;

    /// Says that nothing below `position` will be read by the engine again; a log that keeps nothing
    /// may forget it.
    fn release(&mut self, position: u64);
}
