//! Removing content that nothing refers to.
//!
//! Large content is removed file by file. A pack of which more than half is dead is written again: what is
//! alive goes to the end of the pack that is being written, is synced, and only then is the old pack removed.
//! A crash in between leaves content twice, which is harmless, or a removed file back, which the next
//! collection removes again. Dead content in packs that are mostly alive stays, and can be got, until
//! enough of it is dead. A pack with damage is never removed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::error::{Result, failed};
use super::frame::PACK_HEADER_BYTES;
use super::scan::{Found, Gap};
use super::{ContentStore, pack};
use crate::blob::Hash;

/// A point in the order of puts. A collection keeps all content that was put, or put again, after it.
///
/// The default is the open of the store: all content put in this session is kept. To collect content of a
/// session that goes on: take a mark, wait until every put before it is named by an appended event or never
/// will be, and only then look up what events refer to and collect with the mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Contents removed.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Contents that nothing refers to, left in packs that are mostly alive, or damaged.
    pub left_count: u64,
    /// Their bytes.
    pub left_bytes: u64,
}

/// The content of a pack when the collection began.
#[derive(Default)]
struct Shelf {
    alive: Vec<Found>,
    dead: Vec<Found>,
}

impl ContentStore {
    /// The present point in the order of puts.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.state().puts)
    }

    /// Removes content that was not put after `mark` and that `is_referenced` refuses. It may be called
    /// while others put and get.
    ///
    /// # Errors
    /// As [`ContentStore::put`]. What was removed before stays removed; nothing that is referenced is lost.
    pub fn collect(&self, mark: Mark, is_referenced: &mut dyn FnMut(&Hash) -> bool) -> Result<Collected> {
        let _collecting = self.collecting.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_writable(&self.state())?;
        let mut collected = Collected::default();
        self.collect_large(mark, is_referenced, &mut collected)?;
        let last = self.state().packs.keys().next_back().copied();
        for (number, mut shelf) in self.shelves(None, mark, is_referenced) {
            if last == Some(number) && self.is_worth_it(number, &shelf) {
                // What is alive goes elsewhere, and a number is never used again: the pack is ended first.
                // It had puts since, so what is in it is looked up again; in the others there can be none.
                self.roll(|state| state.packs.keys().next_back() == Some(&number))?;
                shelf = self.shelves(Some(number), mark, is_referenced).remove(&number).unwrap_or_default();
            }
            let (count, bytes) = totals(&shelf.dead);
            if self.is_worth_it(number, &shelf) && self.rewrite(number, &mut shelf, mark, &mut collected)? {
                continue;
            }
            collected.left_count += count;
            collected.left_bytes += bytes;
        }
        if collected.count > 0 {
            // Not needed to be safe, but who collects wants the room.
            self.sync_folder(&self.folder)?;
        }
        Ok(collected)
    }

    /// What is alive and what is dead, in all packs or in one.
    fn shelves(
        &self,
        only: Option<u32>,
        mark: Mark,
        is_referenced: &mut dyn FnMut(&Hash) -> bool,
    ) -> BTreeMap<u32, Shelf> {
        let wanted = |number: u32| only.is_none_or(|only| only == number);
        let mut shelves: BTreeMap<u32, Shelf> = BTreeMap::new();
        let entries: Vec<_> = {
            let state = self.state();
            // A pack may have nothing in the index: all its content was put again elsewhere.
            for number in state.packs.keys().filter(|number| wanted(**number)) {
                shelves.insert(*number, Shelf::default());
            }
            let entries = state.index.iter().filter(|(_, entry)| wanted(entry.pack));
            entries.map(|(hash, entry)| (*hash, *entry)).collect()
        };
        for (hash, entry) in entries {
            let shelf = shelves.entry(entry.pack).or_default();
            let alive = entry.put > mark.0 || is_referenced(&hash);
            if alive { &mut shelf.alive } else { &mut shelf.dead }.push(entry.found(hash));
        }
        shelves
    }

    fn collect_large(
        &self,
        mark: Mark,
        is_referenced: &mut dyn FnMut(&Hash) -> bool,
        collected: &mut Collected,
    ) -> Result<()> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for (path, hash) in self.list_large()? {
            let Some(hash) = hash.filter(|hash| !is_referenced(hash)) else { continue };
            let Some(len) = self.open_large(&hash)?.map(|large| large.len) else { continue };
            // A put notes itself under the lock before it looks for the file.
            let mut state = self.state_mut();
            self.check_writable(&state)?;
            if state.large.puts.get(&hash).is_some_and(|put| *put > mark.0) {
                continue;
            }
            self.disk.remove(&path).map_err(failed("remove", &path))?;
            state.large.puts.remove(&hash);
            drop(state);
            collected.count += 1;
            collected.bytes += len;
            if let Some(folder) = path.parent()
                && folders.last().is_none_or(|last| last != folder)
            {
                folders.push(folder.to_owned());
            }
        }
        for folder in folders {
            self.sync_folder(&folder)?;
        }
        Ok(())
    }

    /// A failed sync of a folder says nothing good about content that was just put into it either.
    fn sync_folder(&self, folder: &Path) -> Result<()> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.disk.sync_dir(folder).map_err(failed("sync", folder));
        result.map_err(|error| self.state_mut().poison(error))
    }

    /// Whether more than half of a pack is dead, and all of it can be read.
    fn is_worth_it(&self, number: u32, shelf: &Shelf) -> bool {
        let state = self.state();
        let Some(pack) = state.packs.get(&number) else { return false };
        let alive: u64 = shelf.alive.iter().map(|found| found.end() - u64::from(found.offset)).sum();
        let all = pack.len - PACK_HEADER_BYTES;
        // Frames that a later copy took the place of are dead too, and in no shelf.
        pack.damaged.is_empty() && all.saturating_sub(alive) > all / 2
    }

    /// Moves what is alive out of a pack and removes it; `false` if damage was found.
    fn rewrite(&self, number: u32, shelf: &mut Shelf, mark: Mark, collected: &mut Collected) -> Result<bool> {
        shelf.alive.sort_unstable_by_key(|found| found.offset);
        let mut moving = std::mem::take(&mut shelf.alive);
        loop {
            if !self.move_out(number, &moving)? {
                return Ok(false);
            }
            self.sync_all()?;
            let mut state = self.state_mut();
            self.check_writable(&state)?;
            // Put again since: it goes out too, in another round.
            let here = |entry: &super::index::Entry| entry.pack == number;
            moving = shelf
                .dead
                .iter()
                .filter(|found| {
                    let entry = state.index.get(&found.hash);
                    entry.is_some_and(|entry| here(entry) && entry.put > mark.0)
                })
                .copied()
                .collect();
            if !moving.is_empty() {
                continue;
            }
            shelf.dead.retain(|found| state.index.get(&found.hash).is_some_and(here));
            let (count, bytes) = totals(&shelf.dead);
            state.index.remove_from(number, shelf.dead.iter().map(|found| &found.hash));
            let Some(pack) = state.packs.remove(&number) else { return Ok(true) };
            drop(state);
            self.disk.remove(&pack.path).map_err(failed("remove", &pack.path))?;
            collected.count += count;
            collected.bytes += bytes;
            return Ok(true);
        }
    }

    /// Appends content of a pack anew; `false`, and noted as damage, if some does not match its digest.
    fn move_out(&self, number: u32, moving: &[Found]) -> Result<bool> {
        let Some((file, path)) =
            self.state().packs.get(&number).map(|pack| (pack.file.clone(), pack.path.clone()))
        else {
            return Ok(true);
        };
        for found in moving {
            let bytes = pack::read(&*file, found).map_err(failed("read", &path))?;
            if blake3::hash(&bytes) != found.hash {
                let start = u64::from(found.offset);
                let gap = Gap { start, end: found.end(), hash: Some(found.hash) };
                if let Some(pack) = self.state_mut().packs.get_mut(&number) {
                    pack.damaged.push(gap);
                }
                return Ok(false);
            }
            // A put of damaged content may have put a good copy elsewhere meanwhile.
            let moved = self.state().index.get(&found.hash).is_some_and(|entry| entry.pack != number);
            if !moved {
                self.append(&found.hash, &bytes, 0)?;
            }
        }
        Ok(true)
    }
}

fn totals(found: &[Found]) -> (u64, u64) {
    (found.len() as u64, found.iter().map(|found| u64::from(found.len)).sum())
}
