//! What is appended as one, and what became of it.

use std::sync::Arc;

use super::change::Changes;
use super::query::Query;
use crate::event::{EventRef, Events, Expect, Uuid};

/// Energies that are appended together, in order, with the changes that go with them.
#[derive(Debug, Default)]
pub struct Commit {
    /// The energies. A nil id is replaced by one of version 7; positions and versions are set by the log.
    pub events: Events,
    /// All of them or none: one that is refused keeps out the others. Without it those that are refused or
    /// known are left out.
    pub atomic: bool,
    /// What must not have happened in the meantime. Where one fails nothing is stored, atomic or not.
    pub conditions: Vec<Absent>,
    /// Changes of what the log keeps beside energies. They stand unless a condition or a conflict keeps out all
    /// of the energies.
    pub changes: Changes,
}

impl Commit {
    /// Energies without conditions other than their own.
    #[must_use]
    pub fn of(events: Events) -> Self {
        Self { events, ..Self::default() }
    }

    /// All of the energies or none.
    #[must_use]
    pub fn atomic(mut self) -> Self {
        self.atomic = true;
        self
    }

    /// Adds a condition.
    #[must_use]
    pub fn unless(mut self, query: Query, after: Option<u64>) -> Self {
        self.conditions.push(Absent { query, after });
        self
    }

    /// Makes the energies reactions to `cause`: they get its id as their causation, its correlation, or
    /// its id where it has none, and one hop more.
    #[must_use]
    pub fn caused_by(mut self, cause: EventRef<'_>) -> Self {
        let cause = *cause.head();
        for head in self.events.heads_mut() {
            head.causation = cause.id;
            head.correlation = if cause.correlation.is_nil() { cause.id } else { cause.correlation };
            head.hops = cause.hops.saturating_add(1);
        }
        self
    }
}

/// A condition on a query, a dynamic consistency boundary: no energy that matches lies after a position.
#[derive(Clone, Debug)]
pub struct Absent {
    /// What must not be there.
    pub query: Query,
    /// Energies up to this position, which the caller has seen, do not count. `None`: none at all.
    pub after: Option<u64>,
}

/// Why an energy was not appended.
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
    /// A query's condition does not hold.
    #[error("the energy at position {position} matches what must not have happened{}", since(*after))]
    Query {
        /// The first energy that matches.
        position: u64,
        /// The position that the caller had seen.
        after: Option<u64>,
    },
}

fn at_version(version: Option<u64>) -> String {
    version.map_or_else(|| "empty".to_owned(), |version| format!("at version {version}"))
}

fn since(after: Option<u64>) -> String {
    after.map_or_else(String::new, |after| format!(" since position {after}"))
}

impl Conflict {
    /// The conflict of `$expect`, if it does not hold for a stream whose next version is `next`.
    #[must_use]
    pub fn of_version(expect: Expect, next: u64, stream: &str) -> Option<Self> {
        let holds = match expect {
            Expect::Any => true,
            Expect::None => next == 0,
            Expect::Version(version) => next == version.wrapping_add(1),
        };
        (!holds).then(|| Self::Version {
            stream: stream.to_owned(),
            actual: next.checked_sub(1),
            expected: match expect {
                Expect::Version(version) => Some(version),
                Expect::Any | Expect::None => None,
            },
        })
    }
}

/// Where an energy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its position.
    pub position: u64,
    /// Its version in its stream.
    pub version: u64,
    /// Its id.
    pub id: Uuid,
}

/// What an append did.
#[derive(Clone, Debug, Default)]
pub struct Appended {
    /// What was stored, in order, with positions and versions. The first has the position that was the head.
    pub batch: Arc<Events>,
    /// Energies of the commit, by index, that were known already (same id, same content), with their first
    /// receipt.
    pub known: Vec<(usize, Receipt)>,
    /// Energies of the commit, by index, that are never stored: those whose ttl is `ephemeral`.
    pub ephemeral: Vec<usize>,
    /// Energies of the commit, by index, that were refused.
    pub conflicts: Vec<(usize, Conflict)>,
}

impl Appended {
    /// How many energies were stored.
    #[must_use]
    pub fn count(&self) -> usize {
        self.batch.len()
    }

    /// The receipts of the stored and the known, by index in the commit. Indices of what was refused or is
    /// not stored are left out.
    pub fn receipts(&self) -> impl Iterator<Item = (usize, Receipt)> {
        let mut stored = self.batch.iter().map(|event| Receipt::of(event));
        let mut known = self.known.iter().peekable();
        let count = self.batch.len() + self.known.len() + self.ephemeral.len() + self.conflicts.len();
        let absent = |index: usize| {
            self.ephemeral.contains(&index) || self.conflicts.iter().any(|(refused, _)| *refused == index)
        };
        (0..count).filter_map(move |index| match known.peek() {
            Some((at, receipt)) if *at == index => {
                known.next();
                Some((index, *receipt))
            }
            _ if absent(index) => None,
            _ => stored.next().map(|receipt| (index, receipt)),
        })
    }
}

impl Receipt {
    /// An energy's receipt.
    #[must_use]
    pub fn of(event: EventRef<'_>) -> Self {
        let head = event.head();
        Self { position: head.position, version: head.version, id: head.id }
    }
}
