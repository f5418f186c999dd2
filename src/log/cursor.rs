//! A reader's place, kept by the log under a name: where it goes on, also after a restart.
//!
//! A cursor holds the next position that its reader wants. It moves by a commit of its own or, for a reader that
//! appends what it makes of energies, in the same commit as those. A reader that dies between taking energies
//! and moving its cursor is given them again: at least once, or exactly once where both are one commit.

use super::{Changes, Commit, Error, Log, Table};

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// Where the cursor of that name stands; `None` for a new one.
pub fn position(log: &dyn Log, name: &str) -> Result<Option<u64>, Error> {
    let value = log.value(Table::Cursor, name.as_bytes())?;
    Ok(value.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes))
}

/// All cursors, by name.
pub fn all(log: &dyn Log) -> Result<Vec<(String, u64)>, Error> {
    let read = |(name, value): (Vec<u8>, Vec<u8>)| {
        let position = value.try_into().map(u64::from_le_bytes).ok()?;
        Some((String::from_utf8_lossy(&name).into_owned(), position))
    };
    Ok(log.values(Table::Cursor, b"")?.into_iter().filter_map(read).collect())
}

/// Adds to the changes of a commit that the cursor moves to `position`.
pub fn moved(changes: &mut Changes, name: &str, position: u64) {
    changes.put(Table::Cursor, name.as_bytes(), &position.to_le_bytes());
}

/// Moves the cursor by a commit of its own; done when that is as durable as the log makes it.
pub fn advance(log: &dyn Log, name: &str, position: u64) -> Result<(), Error> {
    let mut commit = Commit::default();
    moved(&mut commit.changes, name, position);
    log.append(commit).map(drop)
}
