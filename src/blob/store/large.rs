//! Large content: a file each, `large/ab/<digest>`, where `ab` are the digest's first two digits.
//!
//! A file gets its name only when it is whole and synced. The name itself is durable after the next sync of
//! the store. There is no index: the folders are it, so a reader in another process sees all at once.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustc_hash::{FxHashMap, FxHashSet};

use super::error::{Result, failed};
use super::{CONTENT_BYTES_MAX, ContentStore, Error};
use crate::blob::Hash;
use crate::disk::{File, Mode};

/// The folder of large content.
pub(super) const FOLDER: &str = "large";

/// How the name of a file begins that is being written.
pub(super) const TEMPORARY: &str = "tmp-";

/// Bytes read or written at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What happened to large content in this session.
#[derive(Debug, Default)]
pub(super) struct Large {
    /// When content was last put, counted in puts.
    pub puts: FxHashMap<Hash, u64>,
    /// Folders with names that are not durable yet.
    pub dirty: BTreeSet<PathBuf>,
    /// Folders that were synced in this session. What an earlier one left in the others may not be durable.
    pub settled: FxHashSet<PathBuf>,
}

/// A large content, open.
pub(super) struct LargeFile {
    pub file: Arc<dyn File>,
    pub path: PathBuf,
    pub len: u64,
}

/// Content in a file that has no name of its own yet.
struct Temporary {
    path: PathBuf,
    file: Arc<dyn File>,
    len: u64,
}

impl ContentStore {
    /// Path of a large content.
    pub(super) fn large_path(&self, hash: &Hash) -> PathBuf {
        let digits = hash.to_hex();
        self.folder.join(FOLDER).join(&digits[..2]).join(digits.as_str())
    }

    /// Puts content that is in memory.
    pub(super) fn put_large(&self, hash: &Hash, bytes: &[u8]) -> Result<()> {
        self.touch_large(hash)?;
        if self.confirm_large(hash, bytes.len() as u64) {
            return Ok(());
        }
        let mut temporary = self.create_temporary()?;
        self.fill(&mut temporary, bytes)?;
        self.publish(temporary, hash)
    }

    /// Puts content that begins with `head` and goes on in `reader`.
    pub(super) fn put_large_stream(&self, head: &[u8], reader: &mut dyn Read) -> Result<(Hash, u64)> {
        let mut hasher = blake3::Hasher::new();
        let mut temporary = self.create_temporary()?;
        hasher.update(head);
        self.fill(&mut temporary, head)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.discard(&temporary);
                    return Err(Error::Input(error));
                }
            };
            if temporary.len + count as u64 > CONTENT_BYTES_MAX {
                self.discard(&temporary);
                return Err(Error::TooLarge { bytes_max: CONTENT_BYTES_MAX });
            }
            hasher.update(&chunk[..count]);
            self.fill(&mut temporary, &chunk[..count])?;
        }
        let (hash, len) = (hasher.finalize(), temporary.len);
        self.touch_large(&hash).inspect_err(|_| self.discard(&temporary))?;
        if self.confirm_large(&hash, len) {
            self.discard(&temporary);
        } else {
            self.publish(temporary, &hash)?;
        }
        Ok((hash, len))
    }

    /// Notes that content is put, before anything else: a collection then leaves it alone.
    fn touch_large(&self, hash: &Hash) -> Result<()> {
        let mut state = self.state_mut();
        self.check_writable(&state)?;
        let put = state.next_put();
        state.large.puts.insert(*hash, put);
        Ok(())
    }

    /// Whether the content is there, whole. Its name is then durable after the next sync.
    fn confirm_large(&self, hash: &Hash, len: u64) -> bool {
        let path = self.large_path(hash);
        let Ok(file) = self.disk.open(&path, Mode::Read) else { return false };
        if !file.len().is_ok_and(|there| there == len)
            || !digest(&*file, len, &mut io::sink()).is_ok_and(|there| there == *hash)
        {
            return false;
        }
        let mut state = self.state_mut();
        if let Some(folder) = path.parent()
            && !state.large.settled.contains(folder)
        {
            state.large.dirty.insert(folder.to_owned());
        }
        true
    }

    fn create_temporary(&self) -> Result<Temporary> {
        self.check_writable(&self.state())?;
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{TEMPORARY}{number}"));
        match self.disk.open(&path, Mode::Create) {
            Ok(file) => Ok(Temporary { path, file, len: 0 }),
            Err(source) => Err(self.state_mut().poison(failed("create", &path)(source))),
        }
    }

    fn fill(&self, temporary: &mut Temporary, bytes: &[u8]) -> Result<()> {
        if let Err(source) = temporary.file.write_all_at(bytes, temporary.len) {
            self.discard(temporary);
            return Err(self.state_mut().poison(failed("write", &temporary.path)(source)));
        }
        temporary.len += bytes.len() as u64;
        Ok(())
    }

    /// Gives a whole file its name.
    fn publish(&self, temporary: Temporary, hash: &Hash) -> Result<()> {
        if let Err(source) = temporary.file.sync() {
            self.discard(&temporary);
            return Err(self.state_mut().poison(failed("sync", &temporary.path)(source)));
        }
        let path = self.large_path(hash);
        // The name and the note that its folder is to be synced appear together: who finds the content and
        // then syncs the store must find the note.
        let mut state = self.state_mut();
        self.check_writable(&state).inspect_err(|_| self.discard(&temporary))?;
        let all = self.folder.join(FOLDER);
        let folder = path.parent().unwrap_or(&all).to_owned();
        if !self.disk.exists(&folder) {
            if let Err(source) = self.disk.create_dir(&folder) {
                self.discard(&temporary);
                return Err(state.poison(failed("create", &folder)(source)));
            }
            state.large.dirty.insert(all);
        }
        if let Err(source) = self.disk.rename(&temporary.path, &path) {
            self.discard(&temporary);
            return Err(state.poison(failed("rename", &temporary.path)(source)));
        }
        state.large.dirty.insert(folder);
        Ok(())
    }

    /// Removes a temporary file; if that fails, the next open does.
    fn discard(&self, temporary: &Temporary) {
        let _ = self.disk.remove(&temporary.path);
    }

    /// Removes what an earlier session left unfinished.
    pub(super) fn remove_temporaries(&self) -> Result<()> {
        for name in self.disk.list(&self.folder).map_err(failed("list", &self.folder))? {
            if name.starts_with(TEMPORARY) {
                let path = self.folder.join(name);
                self.disk.remove(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    /// The file of a large content.
    pub(super) fn open_large(&self, hash: &Hash) -> Result<Option<LargeFile>> {
        let path = self.large_path(hash);
        let file = match self.disk.open(&path, Mode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result.map_err(failed("open", &path))?,
        };
        let len = file.len().map_err(failed("read", &path))?;
        Ok(Some(LargeFile { file, path, len }))
    }

    /// The names in the folders of large content: the digest, or `None` for a file that does not belong.
    pub(super) fn list_large(&self) -> Result<Vec<(PathBuf, Option<Hash>)>> {
        let all = self.folder.join(FOLDER);
        let mut names = Vec::new();
        for inner in self.list_if_there(&all)? {
            let folder = all.join(&inner);
            for name in self.list_if_there(&folder)? {
                let path = folder.join(&name);
                let hash = Hash::from_hex(&name).ok().filter(|hash| self.large_path(hash) == path);
                names.push((path, hash));
            }
        }
        Ok(names)
    }

    fn list_if_there(&self, folder: &Path) -> Result<Vec<String>> {
        match self.disk.list(folder) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Vec::new())
            }
            result => result.map_err(failed("list", folder)),
        }
    }
}

/// Why content could not be copied.
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Copies a file of `len` bytes and returns the digest of what was copied.
pub(super) fn digest(
    file: &dyn File,
    len: u64,
    writer: &mut dyn Write,
) -> std::result::Result<Hash, CopyError> {
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES.min(len as usize)];
    let mut offset = 0;
    while offset < len {
        let room = chunk.len().min((len - offset) as usize);
        let part = &mut chunk[..room];
        file.read_exact_at(part, offset).map_err(CopyError::Read)?;
        hasher.update(part);
        writer.write_all(part).map_err(CopyError::Write)?;
        offset += room as u64;
    }
    Ok(hasher.finalize())
}
