//! A spell that goes on from another place in the log.

use super::inspection::{self, InspectionError};
use super::recall;
use super::resume::{Standing, first_since, forget_flushes, standing_in};
use crate::log::words::absolute;
use crate::log::{Commit, Error, Log, Table};
use crate::state::Address;

/// Why it does not.
#[derive(Debug, thiserror::Error)]
pub enum RewindError {
    /// The log could not be read or written, or has never seen the spell.
    #[error(transparent)]
    Inspection(#[from] InspectionError),
    /// A place that the log does not have yet.
    #[error("position {position} is beyond the end of the log, which is {head}")]
    Beyond {
        /// The place.
        position: u64,
        /// The end.
        head: u64,
    },
    /// A place that is none.
    #[error("`{0}` is neither a position nor a time such as 2026-01-31 or 2026-01-31T12:00:00Z")]
    Place(String),
}

impl From<Error> for RewindError {
    fn from(error: Error) -> Self {
        Self::Inspection(error.into())
    }
}

/// Moves a spell to a position or a time, and with `fresh` has it forget all that it keeps. No run may have the spell in
/// memory meanwhile.
///
/// # Errors
/// [`RewindError`]; nothing is changed then.
pub fn rewind(log: &dyn Log, spell: &str, to: &str, fresh: bool) -> Result<(), RewindError> {
    inspection::known(log, spell)?;
    let next = place_of(log, to)?;
    let epoch = standing_in(log, spell)?.map_or(0, |standing| standing.epoch) + 1;
    let mut commit = Commit::default();
    let standing = Standing { next, epoch, ..Standing::default() };
    commit.changes.put(Table::Spell, spell.as_bytes(), &standing.bytes());
    forget_flushes(log, spell, next, &mut commit.changes)?;
    if fresh {
        for (address, _) in log.values(Table::State, &Address::prefix_of(spell))? {
            commit.changes.delete(Table::State, &address);
        }
        recall::forget_sizes(spell, &mut commit.changes);
    }
    log.append(commit)?;
    Ok(())
}

/// A position of the log, or that of the first energy from a time on.
fn place_of(log: &dyn Log, text: &str) -> Result<u64, RewindError> {
    let head = log.head();
    if let Ok(position) = text.parse::<u64>() {
        return if position > head { Err(RewindError::Beyond { position, head }) } else { Ok(position) };
    }
    match absolute(text) {
        Some(time_ms) => Ok(first_since(log, time_ms)?),
        None => Err(RewindError::Place(text.to_owned())),
    }
}
