//! Reading what is in the folder into memory: at open, and again when a reader misses something.
//!
//! Nothing is written here. A reader may run beside a writer: it takes what is whole, and where a file goes
//! away under it, it looks again.

use std::collections::BTreeMap;
use std::io;

use super::error::{Result, failed};
use super::frame::{PACK_HEADER_BYTES, PackHeader, PackHeaderError};
use super::pack::{self, Pack};
use super::scan::{self, Depth, Gap};
use super::{Access, ContentStore, Error, State};
use crate::disk::Mode;

/// How often a reader looks again, when files change while it looks.
const ATTEMPTS_MAX: usize = 8;

impl ContentStore {
    /// Catches up with the packs in the folder.
    pub(super) fn load(&self, state: &mut State) -> Result<()> {
        for attempt in 1.. {
            match self.try_load(state) {
                // Removed by a collection after it was listed, or cut by a recovery after it was measured.
                Err(Error::Io { source, .. })
                    if attempt < ATTEMPTS_MAX
                        && self.options.access == Access::Read
                        && matches!(
                            source.kind(),
                            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
                        ) => {}
                result => return result,
            }
        }
        Ok(())
    }

    /// Forgets all and reads anew: a recovery by another process may have cut what was read before.
    pub(super) fn reload(&self, state: &mut State) -> Result<()> {
        state.packs.clear();
        state.index.clear();
        self.load(state)
    }

    fn try_load(&self, state: &mut State) -> Result<()> {
        let numbers = self.pack_numbers()?;
        if state.packs.keys().any(|number| numbers.binary_search(number).is_err()) {
            state.packs.retain(|number, _| numbers.binary_search(number).is_ok());
            let packs = &state.packs;
            state.index.retain_packs(|number| packs.contains_key(&number));
        }
        for number in &numbers {
            if !state.packs.contains_key(number)
                && let Some(pack) = self.open_pack(*number, numbers.last() == Some(number))?
            {
                state.packs.insert(*number, pack);
            }
        }
        let headers = state.packs.values().filter_map(|pack| pack.header);
        let synced: BTreeMap<u32, u64> =
            headers.map(|header| (header.previous, header.previous_bytes)).collect();
        let last = state.packs.keys().next_back().copied();
        for (number, pack) in &mut state.packs {
            let end = pack.file.len().map_err(failed("read", &pack.path))?;
            // A pack that is not the last was synced, as the next one says; but that one may be gone or damaged.
            let proven = match synced.get(number) {
                _ if pack.header.is_none() => end,
                Some(bytes) => *bytes,
                None if last == Some(*number) => PACK_HEADER_BYTES,
                None => end,
            };
            let scan =
                scan::scan(&*pack.file, *number, pack.len, end, pack.durable.max(proven), Depth::Unproven)
                    .map_err(failed("read", &pack.path))?;
            for found in &scan.frames {
                state.index.insert(*number, found, 0);
            }
            pack.len = scan.whole(end);
            pack.durable = scan.proven;
            pack.damaged.extend(&scan.damaged);
            if end < scan.proven && pack.damaged.last().is_none_or(|gap| gap.end < scan.proven) {
                pack.damaged.push(Gap { start: end, end: scan.proven, hash: None });
            }
            pack.torn = scan.torn;
        }
        Ok(())
    }

    /// Numbers of the packs, in order. None where there is no folder: nothing was put yet.
    pub(super) fn pack_numbers(&self) -> Result<Vec<u32>> {
        let names = match self.disk.list(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            result => result.map_err(failed("list", &self.folder))?,
        };
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| pack::number_of(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A pack whose content is still to be scanned. `None` for the stub of one: the last pack, whose header
    /// was being written.
    fn open_pack(&self, number: u32, last: bool) -> Result<Option<Pack>> {
        let path = pack::path_of(&self.folder, number);
        let mode = if self.options.access == Access::Read { Mode::Read } else { Mode::Write };
        let file = self.disk.open(&path, mode).map_err(failed("open", &path))?;
        let len = file.len().map_err(failed("read", &path))?;
        let mut bytes = [0; PACK_HEADER_BYTES as usize];
        let header = if len < PACK_HEADER_BYTES {
            Err(PackHeaderError::Invalid)
        } else {
            file.read_exact_at(&mut bytes, 0).map_err(failed("read", &path))?;
            PackHeader::decode(&bytes)
        };
        let header = match header {
            Ok(header) if header.number == number => Some(header),
            Err(PackHeaderError::Newer(version)) => return Err(Error::Newer { file: path, version }),
            Ok(_) | Err(PackHeaderError::Invalid) => None,
        };
        if header.is_none() && last && len <= PACK_HEADER_BYTES {
            return Ok(None);
        }
        let damaged = match header {
            Some(_) => Vec::new(),
            None => vec![Gap { start: 0, end: PACK_HEADER_BYTES, hash: None }],
        };
        Ok(Some(Pack {
            file,
            path,
            header,
            len: PACK_HEADER_BYTES,
            durable: PACK_HEADER_BYTES,
            damaged,
            torn: Vec::new(),
        }))
    }
}
