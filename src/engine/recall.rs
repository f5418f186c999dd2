//! What spells remember: their state in the log, handed to the VMs of their lanes.
//!
//! A state that fits in its lane's cache is read whole, so that a spell with little state never waits for the log. Of a
//! larger one nothing is read until a cast asks for it. To know which, without reading all of it, and for
//! `limits.state_bytes`, commits that change state say how many bytes each lane has; where that is not
//! known, after a fault or a change from outside, entries are counted.

use std::ops::Bound;
use std::sync::Arc;

use super::resume::{forebear_of, standing_in};
use crate::log::{Changes, Direction, Error, Log, Pair, Table};
use crate::spell::{Memory, Spell};
use crate::state::store::size;
use crate::state::{Address, Base};

/// Entries that are read at a time.
const PAGE_ENTRIES: usize = 512;

/// What each lane of a spell remembers. One whose state is to be migrated has all of it in memory.
pub fn memories_of(
    log: &Arc<dyn Log>,
    spell: &Spell,
    lane_of: &dyn Fn(&[u8]) -> usize,
    epoch: u64,
    is_migrated: bool,
) -> Result<Vec<Memory>, Error> {
    let base = Base::new(log.clone(), spell.name.clone());
    let memory = Memory { is_recorded: true, epoch, base: Some(base), ..Memory::default() };
    let mut memories = vec![memory; spell.lanes];
    // What it takes over is in the log by another name until the run has begun: it is read whole.
    let is_known = standing_in(&**log, &spell.name)?.is_some();
    let forebear = if is_known { None } else { forebear_of(&**log, spell)?.map(|(_, name)| name) };
    let is_whole = is_migrated || forebear.is_some();
    let cache_bytes = if is_whole { u64::MAX } else { spell.limits.state_cache_bytes };
    let is_large = |sizes: &[u64]| sizes.iter().any(|bytes| *bytes > cache_bytes);
    let known = sizes_of(&**log, &spell.name, spell.lanes)?;
    let mut sizes = vec![0; spell.lanes];
    let mut is_read = true;
    if let Some(known) = known.filter(|known| is_large(known)) {
        (sizes, is_read) = (known, false);
    } else {
        each_entry(&**log, forebear.as_deref().unwrap_or(&spell.name), &mut |(address, value)| {
            let Some(at) = Address::read(&address) else { return };
            // What belongs to no lane key is seen by the hooks of every lane.
            let lanes =
                if at.scope.is_empty() { 0..spell.lanes } else { lane_of(at.scope)..lane_of(at.scope) + 1 };
            for lane in lanes {
                sizes[lane] += size(at.key.len(), value.len());
                if is_read {
                    memories[lane].entries.push((address.clone(), value.clone()));
                }
            }
            if is_read && is_large(&sizes) {
                is_read = false;
                memories.iter_mut().for_each(|memory| memory.entries = Vec::new());
            }
        })?;
    }
    if !is_read {
        memories.iter_mut().zip(sizes).for_each(|(memory, bytes)| memory.bytes = Some(bytes));
    }
    Ok(memories)
}

/// Shows the entries of a spell's state, by [`Address`] and value, in the order of addresses.
pub fn each_entry(log: &dyn Log, spell: &str, show: &mut dyn FnMut(Pair)) -> Result<(), Error> {
    let prefix = Address::prefix_of(spell);
    let mut from = prefix.clone();
    loop {
        let bounds = (Bound::Included(&*from), Bound::Unbounded);
        let page = log.range(Table::State, bounds, Direction::Forward, PAGE_ENTRIES)?;
        let is_last = page.len() < PAGE_ENTRIES;
        let next = page.last().map(|(address, _)| [address, &[0][..]].concat());
        for pair in page {
            if !pair.0.starts_with(&prefix) {
                return Ok(());
            }
            show(pair);
        }
        match next.filter(|_| !is_last) {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

/// Bytes of the state of each lane, where the log says so for that many lanes.
fn sizes_of(log: &dyn Log, spell: &str, lanes: usize) -> Result<Option<Vec<u64>>, Error> {
    let Some(bytes) = log.value(Table::Size, spell.as_bytes())? else { return Ok(None) };
    let sizes: Vec<u64> = bytes.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    Ok(Some(sizes).filter(|sizes| sizes.len() == lanes))
}

/// Says in a commit how many bytes the state of each lane has after it.
pub fn record_sizes(spell: &str, sizes: impl Iterator<Item = u64>, changes: &mut Changes) {
    let bytes: Vec<u8> = sizes.flat_map(u64::to_le_bytes).collect();
    changes.put(Table::Size, spell.as_bytes(), &bytes);
}

/// Says in a commit that the state of a spell is to be counted: it is changed by other means than a round.
pub fn forget_sizes(spell: &str, changes: &mut Changes) {
    changes.delete(Table::Size, spell.as_bytes());
}
