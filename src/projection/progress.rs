//! Brings a store up to a position: what is new is folded, snapshot by snapshot.
//!
//! A snapshot is made after every `snapshot_every` energies and at the end, so that nothing between two has to be
//! kept. A transaction holds as many snapshots as make up [`COMMIT_BYTES`]: after a kill, that much is folded again.

use std::collections::HashMap;
use std::sync::Arc;

use super::Error;
use super::folding::Folding;
use super::store::{Batch, Kept, Progress, Store};
use crate::event::{Events, Uuid};
use crate::log::{FileLog, Log, Pages};
use crate::spell::{Clocks, Fold};

/// Bytes of states after which they are written: pages of the file are then written to seldom, whatever the keys.
const COMMIT_BYTES: usize = 64 << 20;
/// Positions without an energy of the projection's that are not worth a write.
const IDLE_POSITIONS: u64 = 100_000;

/// What a catch-up did.
#[derive(Debug, Default)]
pub struct Caught {
    /// Where it began: as far as the store was.
    pub from: u64,
    /// What was printed.
    pub prints: Vec<u8>,
}

/// What waits to be written.
#[derive(Default)]
struct Pending {
    batch: Batch,
    bytes: usize,
}

impl Pending {
    fn snapshot(&mut self, boundary: u64, touched: HashMap<Vec<u8>, Kept>) {
        if touched.is_empty() {
            return;
        }
        self.batch.snapshots.push(boundary);
        for (key, kept) in touched {
            self.bytes += 2 * (key.len() + kept.state.as_ref().map_or(0, Vec::len) + size_of::<Kept>());
            self.batch.history.push((key.clone(), boundary, kept.clone()));
            self.batch.states.insert(key, kept);
        }
    }
}

/// Whether a store was folded from this log, and by this text.
pub fn fits(progress: &Progress, fold: &Fold, log: &FileLog) -> Result<bool, Error> {
    if progress.digest != fold.digest || progress.plane != log.id() || progress.position > log.visible() {
        return Ok(false);
    }
    // An energy that is no longer kept tells nothing.
    match progress.anchor {
        Some((position, id)) => Ok(anchor(log, position + 1)?.is_none_or(|(_, found)| found == id)),
        None => Ok(true),
    }
}

/// The energy before a position, by which the log is known again: a crash may take away what was read before it was
/// durable, and something else then gets its position.
fn anchor(log: &FileLog, position: u64) -> Result<Option<(u64, Uuid)>, Error> {
    let Some(before) = position.checked_sub(1) else { return Ok(None) };
    let found = log.read(before)?;
    let head = found.as_ref().map(|(batch, at)| *batch.get(*at).head());
    Ok(head.filter(|head| head.position == before).map(|head| (before, head.id)))
}

/// Whether nothing is left to fold below `until`, or to write.
pub fn is_done(progress: &Progress, fold: &Fold, log: &FileLog, until: u64) -> Result<bool, Error> {
    if progress.position >= until {
        return Ok(true);
    }
    let mut pages = Pages::forward(progress.position, until).limit(1);
    Ok(until - progress.position < IDLE_POSITIONS
        && !pages.next(log, &fold.query(), &mut Events::default())?)
}

/// Folds into a store what lies between its position and `until`. `tell` hears of every key that changed, at the end
/// or before each write. On an error the store is as it was at some snapshot.
pub fn catch_up(
    store: &Store,
    (fold, clocks): (&Fold, Clocks),
    log: &FileLog,
    until: u64,
    tell: &mut dyn FnMut(&[u8], &Kept),
) -> Result<Caught, Error> {
    let fresh = Progress { digest: fold.digest, plane: log.id(), position: 0, anchor: None };
    let mut progress = store.progress()?.unwrap_or(fresh);
    let (from, query) = (progress.position, fold.query());
    let (mut folding, mut pending) = (Folding::new(fold, clocks), Pending::default());
    let (mut states, mut page) = (store.states()?, Arc::new(Events::default()));
    while progress.position < until {
        let (mut pages, mut end) =
            (Pages::forward(progress.position, until).limit(fold.snapshot_every), until);
        while pages.next(log, &query, own(&mut page))? {
            folding.page(&page, &mut |key| match pending.batch.states.get(key) {
                Some(kept) => Ok(kept.state.clone()),
                None => Ok(store.state_in(&states, key)?.and_then(|kept| kept.state)),
            })?;
            end = page.iter().last().map_or(end, |event| event.head().position + 1);
        }
        progress.position = if pages.left() == 0 { end } else { until };
        pending.snapshot(progress.position, folding.take_touched());
        let is_idle = pending.batch.snapshots.is_empty() && progress.position - from < IDLE_POSITIONS;
        if pending.bytes >= COMMIT_BYTES || (progress.position == until && !is_idle) {
            pending.batch.states.iter().for_each(|(key, kept)| tell(key, kept));
            progress.anchor = anchor(log, progress.position)?.or(progress.anchor);
            store.commit(&mut pending.batch, progress)?;
            (pending, states) = (Pending::default(), store.states()?);
        }
    }
    Ok(Caught { from, prints: folding.take_prints() })
}

/// The page, to be filled again. A new one where somebody still holds it.
pub fn own(page: &mut Arc<Events>) -> &mut Events {
    if Arc::strong_count(page) > 1 {
        *page = Arc::default();
    }
    Arc::get_mut(page).unwrap_or_else(|| unreachable!("it was just made"))
}
