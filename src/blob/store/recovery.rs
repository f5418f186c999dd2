//! Opening a store to write: what a crash left is put in order before anything is appended.
//!
//! - Temporary files and the stub of a pack are removed.
//! - A torn tail is cut, and the cut synced. Whole frames behind it, which a disk that reorders writes may
//!   leave, are first appended to another pack, so that no whole content is ever cut.
//! - What no sync is known to cover is written once more in its place, the same bytes, and synced: if a sync
//!   failed in an earlier session, the system may have dropped those writes while it still shows them, and
//!   another sync alone would prove nothing.
//!
//! All steps can be repeated: a crash in between leaves what the next open puts in order.

use std::path::PathBuf;

use super::error::{Result, failed};
use super::frame::PACK_HEADER_BYTES;
use super::large::FOLDER;
use super::pack;
use super::scan::Found;
use super::{ContentStore, State};

/// Bytes written again at once.
const REWRITE_BYTES: u64 = 1 << 20;

/// Torn bytes that were cut when the store was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub file: PathBuf,
    pub offset: u64,
    pub bytes: u64,
}

impl ContentStore {
    /// Puts the store in order. Nobody else has it yet.
    pub(super) fn recover(&self) -> Result<()> {
        self.remove_temporaries()?;
        let mut survivors: Vec<(u32, Found)> = Vec::new();
        {
            let mut state = self.state_mut();
            self.load(&mut state)?;
            self.remove_stub(&mut state)?;
            for (number, pack) in &state.packs {
                if !pack.torn.is_empty() {
                    let behind = state
                        .index
                        .iter()
                        .filter(|(_, entry)| entry.pack == *number && u64::from(entry.offset) >= pack.len);
                    survivors.extend(behind.map(|(hash, entry)| (*number, entry.found(*hash))));
                }
            }
            survivors.sort_unstable_by_key(|(number, found)| (*number, found.offset));
            self.settle_last(&mut state, &survivors)?;
        }
        for (number, found) in &survivors {
            let file = self.state().packs.get(number).map(|pack| (pack.file.clone(), pack.path.clone()));
            let Some((file, path)) = file else { continue };
            let bytes = pack::read(&*file, found).map_err(failed("read", &path))?;
            self.append(&found.hash, &bytes, 0)?;
        }
        self.sync_all()?;
        let mut state = self.state_mut();
        let State { packs, cuts, .. } = &mut *state;
        for pack in packs.values_mut().filter(|pack| !pack.torn.is_empty()) {
            cuts.extend(pack.torn.drain(..).map(|gap| Cut {
                file: pack.path.clone(),
                offset: gap.start,
                bytes: gap.end - gap.start,
            }));
            pack.file.set_len(pack.len).map_err(failed("cut", &pack.path))?;
            pack.file.sync().map_err(failed("sync", &pack.path))?;
        }
        drop(state);
        for folder in [&self.folder.join(FOLDER), &self.folder] {
            self.disk.sync_dir(folder).map_err(failed("sync", folder))?;
        }
        Ok(())
    }

    /// Makes the last pack durable, and decides whether it is written on.
    fn settle_last(&self, state: &mut State, survivors: &[(u32, Found)]) -> Result<()> {
        let State { packs, active, cuts, .. } = state;
        let Some((number, pack)) = packs.iter_mut().next_back() else { return Ok(()) };
        // Whole frames behind a torn one go to a new pack before this one is cut.
        let appendable = pack.header.is_some() && survivors.iter().all(|(other, _)| other != number);
        if appendable && let Some(torn) = pack.torn.first() {
            let end = pack.file.len().map_err(failed("read", &pack.path))?;
            cuts.push(Cut { file: pack.path.clone(), offset: torn.start, bytes: end - torn.start });
            pack.torn.clear();
            pack.file.set_len(pack.len).map_err(failed("cut", &pack.path))?;
        }
        // With nothing proven, the header's own sync may be what failed.
        let fresh = pack.header.is_some() && pack.durable == PACK_HEADER_BYTES;
        let mut offset = if fresh { 0 } else { pack.durable };
        while offset < pack.len {
            let mut bytes = vec![0; REWRITE_BYTES.min(pack.len - offset) as usize];
            pack.file.read_exact_at(&mut bytes, offset).map_err(failed("read", &pack.path))?;
            pack.file.write_all_at(&bytes, offset).map_err(failed("write", &pack.path))?;
            offset += bytes.len() as u64;
        }
        pack.file.sync().map_err(failed("sync", &pack.path))?;
        pack.durable = pack.len;
        *active = appendable.then_some(*number);
        Ok(())
    }

    /// Removes a pack whose header was not yet synced: it can have no content.
    fn remove_stub(&self, state: &mut State) -> Result<()> {
        let Some(number) = self.pack_numbers()?.pop().filter(|number| !state.packs.contains_key(number))
        else {
            return Ok(());
        };
        let path = pack::path_of(&self.folder, number);
        let bytes = self
            .disk
            .open(&path, crate::disk::Mode::Read)
            .and_then(|file| file.len())
            .map_err(failed("read", &path))?;
        state.cuts.push(Cut { file: path.clone(), offset: 0, bytes });
        self.disk.remove(&path).map_err(failed("remove", &path))
    }
}
