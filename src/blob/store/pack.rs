//! Packs: files of small content, appended to one after another.
//!
//! The last pack takes what is put, until it is full; then it is synced, and the next one is made, says how
//! long that one was, and is synced with its name before any content goes into it. Whoever appends holds the
//! state's lock; whoever makes a pack or syncs one holds the lock of syncs as well, since of two syncs of a
//! file at a time only one may be told that it failed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::error::{Result, failed};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, PACK_HEADER_BYTES, PackHeader};
use super::scan::{Found, Gap};
use super::{ContentStore, Error, State};
use crate::blob::Hash;
use crate::disk::{Disk, File, Mode};

/// A pack, open.
#[derive(Debug)]
pub(super) struct Pack {
    pub file: Arc<dyn File>,
    pub path: PathBuf,
    /// `None` where it is damaged.
    pub header: Option<PackHeader>,
    /// Up to where it was scanned, or written.
    pub len: u64,
    /// How much is known to be synced.
    pub durable: u64,
    /// Bad bytes that were good once.
    pub damaged: Vec<Gap>,
    /// Bad bytes that a crash, or a writer at work, left at the end.
    pub torn: Vec<Gap>,
}

/// Path of a pack.
pub(super) fn path_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("pack-{number:06}.bin"))
}

/// The number in the name of a pack.
pub(super) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("pack-")?.strip_suffix(".bin")?;
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    // One spelling each, so that no two files are the same pack.
    (format!("{number:06}") == digits).then_some(number)
}

/// The content of a frame, unchecked.
pub(super) fn read(file: &dyn File, found: &Found) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; found.len as usize];
    file.read_exact_at(&mut bytes, u64::from(found.offset) + FRAME_HEADER_BYTES)?;
    Ok(bytes)
}

impl Pack {
    /// A new pack, durable with its name.
    fn create(disk: &dyn Disk, folder: &Path, header: PackHeader) -> Result<Self> {
        let path = path_of(folder, header.number);
        let file = disk.open(&path, Mode::Create).map_err(failed("create", &path))?;
        file.write_all_at(&header.encode(), 0).map_err(failed("write", &path))?;
        file.sync().map_err(failed("sync", &path))?;
        disk.sync_dir(folder).map_err(failed("sync", folder))?;
        Ok(Self {
            file,
            path,
            header: Some(header),
            len: PACK_HEADER_BYTES,
            durable: PACK_HEADER_BYTES,
            damaged: Vec::new(),
            torn: Vec::new(),
        })
    }
}

impl ContentStore {
    /// Appends content to the pack that is being written, making a new one when that is full.
    pub(super) fn append(&self, hash: &Hash, bytes: &[u8], put: u64) -> Result<()> {
        let frame_bytes = FRAME_HEADER_BYTES + bytes.len() as u64;
        loop {
            let mut state = self.state_mut();
            self.check_writable(&state)?;
            if self.has_room(&state, frame_bytes) {
                return self.write_frame(&mut state, hash, bytes, put);
            }
            drop(state);
            self.roll(|state| !self.has_room(state, frame_bytes))?;
        }
    }

    fn has_room(&self, state: &State, frame_bytes: u64) -> bool {
        let pack = state.active.and_then(|number| state.packs.get(&number));
        // An empty pack takes any content.
        pack.is_some_and(|pack| {
            pack.len == PACK_HEADER_BYTES || pack.len + frame_bytes <= self.options.pack_bytes
        })
    }

    fn write_frame(&self, state: &mut State, hash: &Hash, bytes: &[u8], put: u64) -> Result<()> {
        let State { active: Some(number), packs, index, .. } = state else { return Ok(()) };
        let Some(pack) = packs.get_mut(number) else { return Ok(()) };
        // Packs are at most PACK_BYTES_MAX long, and content at most SMALL_BYTES_MAX.
        let (offset, len) = (pack.len as u32, bytes.len() as u32);
        let header = FrameHeader { len, durable: pack.durable as u32, hash: *hash };
        // One write a frame: a reader in another process then seldom sees a part of it.
        let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES as usize + bytes.len());
        frame.extend_from_slice(&header.encode(*number, offset));
        frame.extend_from_slice(bytes);
        if let Err(source) = pack.file.write_all_at(&frame, pack.len) {
            let error = failed("write", &pack.path)(source);
            return Err(state.poison(error));
        }
        pack.len += frame.len() as u64;
        index.insert(*number, &Found { hash: *hash, offset, len }, put);
        Ok(())
    }

    /// Ends the pack that is being written and begins another, if `wanted` still says so once syncs in
    /// progress are done.
    pub(super) fn roll(&self, wanted: impl Fn(&State) -> bool) -> Result<()> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state_mut();
        self.check_writable(&state)?;
        if !wanted(&state) {
            return Ok(());
        }
        match self.next_pack(&mut state) {
            Ok((number, pack)) => {
                state.packs.insert(number, pack);
                state.active = Some(number);
                Ok(())
            }
            Err(error) => Err(state.poison(error)),
        }
    }

    fn next_pack(&self, state: &mut State) -> Result<(u32, Pack)> {
        let (previous, previous_bytes) = match state.packs.last_entry() {
            None => (0, 0),
            Some(mut last) => {
                let (number, pack) = (*last.key(), last.get_mut());
                if pack.durable < pack.len {
                    pack.file.sync().map_err(failed("sync", &pack.path))?;
                    pack.durable = pack.len;
                }
                (number, pack.durable)
            }
        };
        let number = previous + 1;
        let header = PackHeader { number, previous, previous_bytes };
        Ok((number, Pack::create(&*self.disk, &self.folder, header)?))
    }

    /// See [`ContentStore::sync`].
    pub(super) fn sync_all(&self) -> Result<()> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state_mut();
        self.check_writable(&state)?;
        let pack = state.active.and_then(|number| Some((number, state.packs.get(&number)?)));
        let pack = pack
            .filter(|(_, pack)| pack.durable < pack.len)
            .map(|(number, pack)| (number, pack.file.clone(), pack.path.clone(), pack.len));
        let folders = std::mem::take(&mut state.large.dirty);
        drop(state);
        if pack.is_none() && folders.is_empty() {
            return Ok(());
        }
        // Puts and reads go on meanwhile.
        let result = pack
            .as_ref()
            .map_or(Ok(()), |(_, file, path, _)| file.sync().map_err(failed("sync", path)))
            .and_then(|()| {
                folders
                    .iter()
                    .try_for_each(|folder| self.disk.sync_dir(folder).map_err(failed("sync", folder)))
            });
        let mut state = self.state_mut();
        if let Err(error) = result {
            return Err(state.poison(error));
        }
        state.large.settled.extend(folders);
        if let Some((number, _, _, len)) = pack
            && let Some(pack) = state.packs.get_mut(&number)
        {
            pack.durable = pack.durable.max(len);
        }
        Ok(())
    }

    /// An error if the store was opened to read, or a write failed before.
    pub(super) fn check_writable(&self, state: &State) -> Result<()> {
        if self.options.access == super::Access::Read {
            return Err(Error::ReadOnly { folder: self.folder.clone() });
        }
        match &state.poison {
            Some(reason) => Err(Error::Poisoned { folder: self.folder.clone(), reason: reason.clone() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_has_one_name() {
        for number in [1, 999_999, 1_000_000] {
            let path = path_of(Path::new("blobs"), number);
            assert_eq!(number_of(&path.file_name().unwrap().to_string_lossy()), Some(number));
        }
        for name in ["pack-1.bin", "pack-000000.bin", "pack-0000001.bin", "pack-+00001.bin", "pack-000001"] {
            assert_eq!(number_of(name), None, "{name}");
        }
    }
}
