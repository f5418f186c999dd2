//! What of a commit is stored: decided energy by energy, as if those before it were stored already.
//!
//! In this order: what is ephemeral is never stored; what is known (same id, same content) is not stored again,
//! whatever its condition, so that a retry succeeds; then come the conditions. Logs give what they know of the
//! past, the rules are the same for all.

use rustc_hash::FxHashMap;

use super::{Absent, Appended, Commit, Conflict, Error, Receipt, same_content};
use crate::event::{EventRef, Events, Expect, Uuid};

/// What a log knows of an energy's id.
pub(super) enum Found {
    /// The same energy is stored.
    Same(Receipt),
    /// Another energy has its id.
    Other(u64),
}

/// The past of a log, as far as conditions ask.
pub(super) trait Past {
    /// Looks for an energy with the same id.
    fn find(&mut self, event: EventRef<'_>) -> Result<Option<Found>, Error>;

    /// The version that the stream's next energy gets.
    fn next_version(&mut self, stream: &[u8]) -> Result<u64, Error>;

    /// The first position at which a condition is violated.
    fn violation(&mut self, condition: &Absent) -> Result<Option<u64>, Error>;

    /// The next position to be given.
    fn head(&self) -> u64;

    /// Whether ephemeral energies are stored all the same.
    fn keeps_ephemeral(&self) -> bool;
}

/// Takes out of a commit what is not stored, and says why. What is left in the commit is to be stored.
pub(super) fn judge(past: &mut dyn Past, commit: &mut Commit) -> Result<Appended, Error> {
    let mut appended = Appended::default();
    let ephemeral = commit.events.has_ephemeral() && !past.keeps_ephemeral();
    if !commit.events.is_checked() && commit.conditions.is_empty() && !ephemeral {
        return Ok(appended);
    }
    appended = judge_events(past, &commit.events)?;
    let all_known = !commit.events.is_empty() && appended.known.len() == commit.events.len();
    for condition in commit.conditions.iter().filter(|_| !all_known) {
        if let Some(position) = past.violation(condition)? {
            let conflict = Conflict::Query { position, after: condition.after };
            commit.events.clear();
            commit.changes.clear();
            return Ok(Appended { conflicts: vec![(0, conflict)], ..Appended::default() });
        }
    }
    if commit.atomic && !appended.conflicts.is_empty() {
        commit.events.clear();
        commit.changes.clear();
        return Ok(appended);
    }
    if !appended.known.is_empty() || !appended.ephemeral.is_empty() || !appended.conflicts.is_empty() {
        commit.events = kept_of(&commit.events, &appended);
    }
    Ok(appended)
}

/// Judges energies alone.
pub(super) fn judge_events(past: &mut dyn Past, events: &Events) -> Result<Appended, Error> {
    let mut appended = Appended::default();
    let mut ahead: FxHashMap<&[u8], u64> = FxHashMap::default();
    let mut fresh: FxHashMap<Uuid, (usize, Receipt)> = FxHashMap::default();
    for (index, event) in events.iter().enumerate() {
        let id = event.head().id;
        if event.is_ephemeral() && !past.keeps_ephemeral() {
            appended.ephemeral.push(index);
            continue;
        }
        // An energy of this very batch may be the one that is known.
        if let Some((earlier, receipt)) = fresh.get(&id) {
            if same_content(events.get(*earlier), event) {
                appended.known.push((index, *receipt));
            } else {
                appended.conflicts.push((index, Conflict::Id { id, position: receipt.position }));
            }
            continue;
        }
        match past.find(event)? {
            Some(Found::Same(receipt)) => {
                appended.known.push((index, receipt));
                continue;
            }
            Some(Found::Other(position)) => {
                appended.conflicts.push((index, Conflict::Id { id, position }));
                continue;
            }
            None => {}
        }
        let before = ahead.entry(event.stream_bytes()).or_default();
        let version = past.next_version(event.stream_bytes())? + *before;
        let expect = event.extra().map_or(Expect::Any, |extra| extra.expect);
        if let Some(conflict) = Conflict::of_version(expect, version, event.stream().unwrap_or_default()) {
            appended.conflicts.push((index, conflict));
            continue;
        }
        *before += 1;
        let position = past.head() + fresh.len() as u64;
        fresh.insert(id, (index, Receipt { position, version, id }));
    }
    Ok(appended)
}

/// The energies of a batch that are to be stored.
fn kept_of(batch: &Events, appended: &Appended) -> Events {
    let mut kept = Events::with_capacity(batch.len(), batch.byte_len());
    let mut left_out: Vec<usize> = appended.known.iter().map(|(index, _)| *index).collect();
    left_out.extend(appended.conflicts.iter().map(|(index, _)| *index));
    left_out.extend(&appended.ephemeral);
    left_out.sort_unstable();
    for (index, event) in batch.iter().enumerate() {
        if left_out.binary_search(&index).is_err() {
            kept.push_copy(event);
        }
    }
    kept
}
