//! Reading everything and saying what is wrong.

use std::io;
use std::path::PathBuf;

use super::error::{Result, failed};
use super::frame::PACK_HEADER_BYTES;
use super::large::{CopyError, LargeFile, digest};
use super::scan::{Depth, Gap, scan};
use super::{Access, ContentStore};
use crate::blob::Hash;

/// Something wrong with a store. Its text says where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// Bytes of a pack that were good once.
    #[error(
        "{}: {bytes} damaged bytes at {offset}{}: {}",
        file.display(),
        hash.map_or_else(String::new, |hash| format!(", content {hash}")),
        if *copied { "a good copy is in the store" } else { "restore the file from a backup, or put the content again" }
    )]
    Damaged {
        /// The pack.
        file: PathBuf,
        /// Where the damage starts.
        offset: u64,
        /// How far it goes at most.
        bytes: u64,
        /// The content, where that is known.
        hash: Option<Hash>,
        /// Whether the content is in the store once more, undamaged.
        copied: bool,
    },
    /// A pack's header.
    #[error("{}: the header is damaged; the content after it can be read", file.display())]
    Header {
        /// The pack.
        file: PathBuf,
    },
    /// A pack that was longer once.
    #[error("{}: ends {bytes} bytes too early: restore it from a backup", file.display())]
    Short {
        /// The pack.
        file: PathBuf,
        /// How many bytes are missing.
        bytes: u64,
    },
    /// Bytes at the end of a pack that are no content: a crash cut them, or a writer is at work.
    #[error(
        "{}: {bytes} unfinished bytes at {offset}: a writer is at work, or was killed; \
         opening the store to write cuts them",
        file.display()
    )]
    Torn {
        /// The pack.
        file: PathBuf,
        /// Where they start.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// Unfinished bytes that this session cut when it opened the store.
    #[error("{}: {bytes} unfinished bytes at {offset} were cut when the store was opened", file.display())]
    Cut {
        /// The pack.
        file: PathBuf,
        /// Where they started.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// Large content that does not match its digest.
    #[error(
        "{}: does not match its digest: restore it from a backup, or put the content again",
        file.display()
    )]
    Large {
        /// The file.
        file: PathBuf,
        /// Its digest, by its name.
        hash: Hash,
    },
    /// A file that the store did not make.
    #[error("{}: does not belong here: move it away", file.display())]
    Stray {
        /// The file.
        file: PathBuf,
    },
}

impl Finding {
    /// Whether content that was synced may be lost.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { copied, .. } => !copied,
            Self::Header { .. } | Self::Short { .. } | Self::Large { .. } => true,
            Self::Torn { .. } | Self::Cut { .. } | Self::Stray { .. } => false,
        }
    }
}

impl ContentStore {
    /// Reads all content and tells `report` what is wrong; nothing is changed.
    ///
    /// # Errors
    /// Failed reads.
    pub fn verify(&self, report: &mut dyn FnMut(Finding)) -> Result<()> {
        if self.options.access == Access::Read {
            self.reload(&mut self.state_mut())?;
        }
        self.verify_packs(report)?;
        for (path, hash) in self.list_large()? {
            let Some(hash) = hash else {
                report(Finding::Stray { file: path });
                continue;
            };
            // Gone where it was collected meanwhile.
            let Some(LargeFile { file, path, len }) = self.open_large(&hash)? else { continue };
            match digest(&*file, len, &mut io::sink()) {
                Ok(there) if there == hash => {}
                Ok(_) => report(Finding::Large { file: path, hash }),
                Err(CopyError::Read(source) | CopyError::Write(source)) => {
                    return Err(failed("read", &path)(source));
                }
            }
        }
        Ok(())
    }

    fn verify_packs(&self, report: &mut dyn FnMut(Finding)) -> Result<()> {
        let (cuts, packs): (_, Vec<_>) = {
            let state = self.state();
            let packs = state.packs.iter().map(|(number, pack)| {
                // A writer knows what it wrote; a reader what a sync is known to cover.
                let proven = if self.options.access == Access::Write { pack.len } else { pack.durable };
                (
                    *number,
                    pack.file.clone(),
                    pack.path.clone(),
                    pack.header,
                    pack.len,
                    proven.max(pack.durable),
                )
            });
            (state.cuts.clone(), packs.collect())
        };
        for cut in cuts {
            report(Finding::Cut { file: cut.file, offset: cut.offset, bytes: cut.bytes });
        }
        for (number, file, path, header, len, proven) in packs {
            if header.is_none() {
                report(Finding::Header { file: path.clone() });
            }
            let end = match self.options.access {
                Access::Write => file.len().map_err(failed("read", &path))?.min(len),
                Access::Read => file.len().map_err(failed("read", &path))?,
            };
            let scan = scan(&*file, number, PACK_HEADER_BYTES, end, proven, Depth::All)
                .map_err(failed("read", &path))?;
            let places = |gap: &Gap| (path.clone(), gap.start, gap.end - gap.start);
            for gap in &scan.damaged {
                let (file, offset, bytes) = places(gap);
                let copied = gap.hash.is_some_and(|hash| self.is_whole_elsewhere(&hash, number, offset));
                report(Finding::Damaged { file, offset, bytes, hash: gap.hash, copied });
            }
            if end < proven {
                report(Finding::Short { file: path.clone(), bytes: proven - end });
            }
            for gap in &scan.torn {
                let (file, offset, bytes) = places(gap);
                report(Finding::Torn { file, offset, bytes });
            }
        }
        if self.options.access == Access::Read {
            self.verify_stub(report)?;
        }
        for name in self.disk.list(&self.folder).unwrap_or_default() {
            let known = name == "LOCK"
                || name == super::large::FOLDER
                || name.starts_with(super::large::TEMPORARY)
                || super::pack::number_of(&name).is_some();
            if !known {
                report(Finding::Stray { file: self.folder.join(name) });
            }
        }
        Ok(())
    }

    /// A last pack without a header is what a crash leaves while it is made.
    fn verify_stub(&self, report: &mut dyn FnMut(Finding)) -> Result<()> {
        let numbers = self.pack_numbers()?;
        let known = |number: &u32| self.state().packs.contains_key(number);
        if let Some(number) = numbers.last().filter(|number| !known(number)) {
            let file = super::pack::path_of(&self.folder, *number);
            report(Finding::Torn { file, offset: 0, bytes: PACK_HEADER_BYTES });
        }
        Ok(())
    }

    /// Whether the index has another frame, whole, of that content.
    fn is_whole_elsewhere(&self, hash: &Hash, number: u32, offset: u64) -> bool {
        let entry = self.state().index.get(hash).copied();
        entry.is_some_and(|entry| {
            (entry.pack != number || u64::from(entry.offset) != offset)
                && self.get(hash, u64::from(entry.len)).is_ok_and(|content| content.is_some())
        })
    }
}
