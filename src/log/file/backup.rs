//! A copy of a plane, taken while it is in use, and brought up to date by what is new.
//!
//! A copy is a plane: it opens, reads and verifies as the log did at the moment it was taken. Sealed segments never
//! change, so one that the copy has already is not copied again; the segment that is written to always is, as far
//! as its frames are whole. Each file gets its name when its bytes were read back and are durable, the
//! manifest comes last, and what it does not list goes after it. So a copy that was cut off opens as a beginning of the
//! log, and the next one goes on there. A first one that was cut off does not open.
//!
//! Not copied: the tables, which are made from the segments, and contents, which have a store of their own. Damage in
//! the log ends the copy before anything of it is listed there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FileLog;
use super::frames::{FrameReader, Next};
use super::manifest::{self, Entry, Manifest};
use super::recovery;
use super::segment::{self, HEADER_BYTES};
use super::sync::Mark;
use super::view::Part;
use crate::disk::{Disk, File, Mode};
use crate::log::Error;

/// Bytes that are copied at once.
const CHUNK_BYTES: usize = 1 << 20;

/// How much of the end of a segment is compared, to tell whether a copy is of the same log.
const COMPARED_BYTES: u64 = 4 << 10;

/// What a backup did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackedUp {
    /// Segments that were copied.
    pub segments: u64,
    /// Segments that were there already.
    pub segments_kept: u64,
    /// Segments that the copy has no longer: compaction took their place.
    pub segments_removed: u64,
    /// Bytes that were copied, indexes included.
    pub bytes: u64,
    /// The next position to be given, in the copy.
    pub head: u64,
}

impl FileLog {
    /// Copies the log to another plane's folder, which is made, or brought up to date if it is an earlier copy. The log may be
    /// open to read only, and others may write meanwhile: the copy is of the moment this began.
    ///
    /// `progress` is told the bytes that were copied so far.
    ///
    /// # Errors
    /// [`Error::Diverged`] where the folder has something else, or a copy that has more than the log;
    /// [`Error::Locked`] where somebody has the copy open to write; [`Error::Damaged`] where the log is; failed file
    /// operations.
    pub fn backup(&self, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<BackedUp, Error> {
        self.refresh()?;
        let disk = &*self.plane.options.disk;
        // One moment: files that are open stay readable, whatever becomes of their names.
        let parts = self.plane.view().parts();
        if !disk.exists(&to.join(manifest::NAME)) {
            check_folder(to, disk)?;
            recovery::create_folder(to, disk)?;
        }
        let lock_path = to.join("LOCK");
        let note = format!("process {}, backup", std::process::id());
        let lock = disk.lock(&lock_path, &note).map_err(Error::io("lock", &lock_path))?;
        let Some(_lock) = lock else {
            return Err(Error::Locked { path: to.to_owned(), holder: super::holder(disk, &lock_path) });
        };
        let earlier = Manifest::load(disk, to)?.map(|(manifest, _)| manifest);
        let mut copier = Copier { to, disk, progress, done: BackedUp::default() };
        copier.check(earlier.as_ref(), &parts, self)?;
        let mut manifest = Manifest {
            plane: self.plane.id,
            durable_sequence: 0,
            durable_position: 0,
            segments: Vec::with_capacity(parts.len()),
            lost: self.plane.lost.clone(),
        };
        manifest::replace(disk, to, recovery::COPYING, b"")?;
        for part in &parts {
            let (entry, mark) = copier.part(part, &self.plane.folder)?;
            manifest.segments.push(entry);
            (manifest.durable_sequence, manifest.durable_position) = (mark.sequence, mark.position);
        }
        disk.sync_dir(to).map_err(Error::io("sync the folder", to))?;
        manifest.store(disk, to)?;
        recovery::remove_leftovers(to, disk, &manifest)?;
        let listed = |entry: &&Entry| !manifest.segments.contains(entry);
        let gone =
            earlier.iter().flat_map(|earlier| &earlier.segments).filter(|entry| entry.sealed.is_some());
        copier.done.segments_removed = gone.filter(listed).count() as u64;
        copier.done.head = manifest.durable_position;
        Ok(copier.done)
    }
}

/// Checks that a folder without a manifest is empty, or has a copy that was cut off.
fn check_folder(to: &Path, disk: &dyn Disk) -> Result<(), Error> {
    if disk.exists(&to.join(recovery::COPYING)) { Ok(()) } else { recovery::check_folder(to, disk) }
}

struct Copier<'a> {
    to: &'a Path,
    disk: &'a dyn Disk,
    progress: &'a mut dyn FnMut(u64),
    done: BackedUp,
}

impl Copier<'_> {
    /// Checks that what is there is an earlier copy of this log, or nothing.
    fn check(&self, earlier: Option<&Manifest>, parts: &[Part], log: &FileLog) -> Result<(), Error> {
        let Some(earlier) = earlier else { return check_folder(self.to, self.disk) };
        let diverged = |reason: &str| Error::Diverged { path: self.to.to_owned(), reason: reason.to_owned() };
        if earlier.plane != log.plane.id {
            return Err(diverged("it is a copy of another log"));
        }
        let sequence = log.plane.syncer.written().sequence;
        if earlier.durable_sequence > sequence {
            return Err(diverged("it has more than the log: it was written to, or the log was restored"));
        }
        // Whatever was listed as a segment of both is the same in both.
        for part in parts {
            let same = |entry: &&Entry| {
                (entry.first, entry.generation) == (part.header.first, part.header.generation)
                    && entry.sealed.is_some() == part.sealed.is_some()
            };
            if let Some(entry) = earlier.segments.iter().find(same)
                && entry.sealed.is_some()
                && !self.has(part)?
            {
                return Err(diverged("a segment of it is not the log's: it was changed, or damaged"));
            }
        }
        Ok(())
    }

    /// Whether the copy has a sealed segment: as long, and with the same beginning and end.
    fn has(&self, part: &Part) -> Result<bool, Error> {
        let path = segment::log_path(self.to, part.header.first, part.header.generation);
        let copy = match self.disk.open(&path, Mode::Read) {
            Ok(copy) => copy,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        if copy.len().map_err(Error::io("read", &path))? != part.end {
            return Ok(false);
        }
        let compared = part.end.min(COMPARED_BYTES);
        for at in [0, part.end - compared] {
            let (mut own, mut copied) = (vec![0; compared as usize], vec![0; compared as usize]);
            part.file.read_exact_at(&mut own, at).map_err(Error::io("read", &part.path))?;
            copy.read_exact_at(&mut copied, at).map_err(Error::io("read", &path))?;
            if own != copied {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies a segment, if it has to be. Returns what the manifest says of it, and where it ends.
    fn part(&mut self, part: &Part, from: &Path) -> Result<(Entry, Mark), Error> {
        let (first, generation) = (part.header.first, part.header.generation);
        let entry = |sealed| Entry { first, generation, sealed };
        if let Some(sealed) = &part.sealed {
            if self.has(part)? {
                self.done.segments_kept += 1;
            } else {
                self.copy(part)?;
            }
            self.index(part, from)?;
            let mark = Mark { sequence: part.header.sequence, position: sealed.end };
            return Ok((entry(Some((sealed.end, part.end))), mark));
        }
        Ok((entry(None), self.copy(part)?))
    }

    /// Copies a segment and reads the copy, which checks it. Returns where its frames end.
    fn copy(&mut self, part: &Part) -> Result<Mark, Error> {
        let path = segment::log_path(self.to, part.header.first, part.header.generation);
        let temporary = path.with_extension("log.tmp");
        manifest::remove_if_there(self.disk, &temporary)?;
        let copy = self.disk.open(&temporary, Mode::Create).map_err(Error::io("create", &temporary))?;
        let mut buffer = vec![0; CHUNK_BYTES.min(part.end as usize)];
        let mut at = 0;
        while at < part.end {
            let len = buffer.len().min((part.end - at) as usize);
            part.file.read_exact_at(&mut buffer[..len], at).map_err(Error::io("read", &part.path))?;
            copy.write_all_at(&buffer[..len], at).map_err(Error::io("write", &temporary))?;
            at += len as u64;
            self.done.bytes += len as u64;
            (self.progress)(self.done.bytes);
        }
        copy.sync().map_err(Error::io("sync", &temporary))?;
        let mark = check(part, &copy, &temporary)?;
        self.disk.rename(&temporary, &path).map_err(Error::io("rename to", &path))?;
        self.done.segments += 1;
        Ok(mark)
    }

    /// Copies a segment's index, if it has one and the copy has none: without it one is made when it is wanted.
    fn index(&mut self, part: &Part, from: &Path) -> Result<(), Error> {
        let of = |folder| segment::index_path(folder, part.header.first, part.header.generation);
        let (own, path) = (of(from), of(self.to));
        let Ok(file) = self.disk.open(&own, Mode::Read) else { return Ok(()) };
        if self.disk.exists(&path) {
            return Ok(());
        }
        let mut bytes = vec![0; file.len().map_err(Error::io("read", &own))? as usize];
        file.read_exact_at(&mut bytes, 0).map_err(Error::io("read", &own))?;
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        self.done.bytes += bytes.len() as u64;
        manifest::prepare(self.disk, self.to, &name.to_string_lossy(), &bytes)?;
        let temporary = self.to.join(format!("{}.tmp", name.display()));
        self.disk.rename(&temporary, &path).map_err(Error::io("rename to", &path))
    }
}

/// Reads a copy: all its frames are whole, up to its end. Names the log's file, for that is what is damaged.
fn check(part: &Part, copy: &Arc<dyn File>, path: &Path) -> Result<Mark, Error> {
    let mut reader = FrameReader::new(copy.clone(), HEADER_BYTES as u64, part.end);
    let mut mark = Mark { sequence: part.header.sequence, position: part.header.first };
    loop {
        let at = reader.offset();
        let reason = match reader.next_frame().map_err(Error::io("read", path))? {
            Next::Frame { frame, .. } => {
                mark.sequence = frame.header.sequence + 1;
                mark.position = frame.header.first + u64::from(frame.header.count);
                continue;
            }
            Next::End if at >= part.end => return Ok(mark),
            Next::End => "there are zeros in its middle".to_owned(),
            Next::Flawed(flaw) => flaw.to_string(),
        };
        let positions = Some((mark.position, mark.position));
        return Err(Error::Damaged { path: part.path.clone(), offset: at, reason, positions });
    }
}
