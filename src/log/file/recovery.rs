//! Opening: from the files to the plane, after whatever happened to it.
//!
//! The manifest says which segments there are. Sealed ones are taken as they are: their frames are checked
//! when they are read. The last one is read whole. Where its frames end in bytes that are none, there are
//! two cases. Nothing tells that these bytes were ever durable: a torn tail, which is cut. Or the manifest or a
//! whole frame after it tells that they were: damage, and the plane is not opened.
//!
//! What is read may be in memory alone: after a sync that failed the system takes what it could not write for
//! written, and the next sync succeeds without doing anything. So whoever opens to write writes all that is not
//! known to be durable once more ([`settle`]), and the manifest too, before anything is appended or removed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};

use super::Options;
use super::frames::{self, FrameReader, Next};
use super::index::SegmentIndex;
use super::indexing::{Failed, Indexer, Older};
use super::manifest::{self, Entry, Manifest};
use super::segment::{self, Header, Segment};
use super::sync::Mark;
use super::view::Active;
use crate::disk::{Disk, File, Mode};
use crate::event::Uuid;
use crate::log::{Changes, Error};

/// Names of files that are a plane's.
const OWN: [&str; 5] = ["LOCK", manifest::NAME, "blobs", "projections", "tables"];

/// Is there while a backup brings the plane up to date: segments beyond the manifest are its, and not finished.
pub const COPYING: &str = "COPYING";

/// Bytes after a flaw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub path: PathBuf,
    /// Where the torn bytes begin.
    pub offset: u64,
    /// How many there are, up to the last that is not zero.
    pub bytes: u64,
}

/// Makes the folder of a plane, with those above it, and sees to it that their names are durable.
pub fn create_folder(folder: &Path, disk: &dyn Disk) -> Result<(), Error> {
    /// A plane's folder, that of all planes, that of all data: an attempt before this one may have made them.
    const LEVELS: usize = 3;
    let made = folder.ancestors().take_while(|above| !above.as_os_str().is_empty() && !disk.exists(above));
    let levels = made.count().max(LEVELS);
    disk.create_dir(folder).map_err(Error::io("create the folder", folder))?;
    for above in folder.ancestors().skip(1).take(levels) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        match disk.sync_dir(above) {
            // Who may not look into it has not made anything in it.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            synced => synced.map_err(Error::io("sync the folder", above))?,
        }
    }
    Ok(())
}

/// Checks that a folder without a manifest may become a plane: there is nothing in it but what an attempt to
/// make one leaves.
pub fn check_folder(folder: &Path, disk: &dyn Disk) -> Result<(), Error> {
    let names = match disk.list(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        names => names.map_err(Error::io("read the folder", folder))?,
    };
    for name in names {
        let path = folder.join(&name);
        if is_leftover(&name) {
            if has_frames(disk, &path)? {
                return Err(Error::Damaged {
                    path: folder.join(manifest::NAME),
                    offset: 0,
                    reason: format!("the manifest is missing, but `{name}` has energies"),
                    positions: None,
                });
            }
        } else if !OWN.iter().any(|own| name.starts_with(own)) && !name.starts_with("repair-") {
            let reason = format!("it has a file `{name}` and no {}", manifest::NAME);
            return Err(Error::Foreign { path: folder.to_owned(), reason });
        }
    }
    Ok(())
}

/// Why a folder has no manifest: there is no log in it, or something else is, or the manifest was lost.
pub fn missing(folder: &Path, disk: &dyn Disk) -> Error {
    match check_folder(folder, disk) {
        // Unless somebody has made the plane just now.
        Err(error) if !disk.exists(&folder.join(manifest::NAME)) => error,
        _ => Error::Missing(folder.to_owned()),
    }
}

/// Makes a plane in an empty folder. A crash on the way leaves what the next attempt begins anew.
pub fn create(folder: &Path, options: &Options) -> Result<Manifest, Error> {
    let disk = &*options.disk;
    let plane = Uuid::now_v7();
    new_segment(folder, options, Header { plane, first: 0, base_time_ms: 0, generation: 0, sequence: 0 })?;
    let first = Entry { first: 0, generation: 0, sealed: None };
    let manifest =
        Manifest { plane, durable_sequence: 0, durable_position: 0, segments: vec![first], lost: Vec::new() };
    manifest.store(disk, folder)?;
    Ok(manifest)
}

/// Makes a segment's file, durably.
pub fn new_segment(folder: &Path, options: &Options, header: Header) -> Result<Arc<dyn File>, Error> {
    let disk = &*options.disk;
    let path = segment::log_path(folder, header.first, header.generation);
    manifest::remove_if_there(disk, &path)?;
    let file = disk.open(&path, Mode::Create).map_err(Error::io("create", &path))?;
    file.allocate(options.allocation(0)).map_err(Error::io("take room for", &path))?;
    file.write_all_at(&header.bytes(), 0).map_err(Error::io("write", &path))?;
    file.sync().map_err(Error::io("sync", &path))?;
    disk.sync_dir(folder).map_err(Error::io("sync the folder", folder))?;
    Ok(file)
}

/// Removes the files of segments that the manifest does not list. That manifest must be durable: an older one may
/// list them.
pub fn remove_leftovers(folder: &Path, disk: &dyn Disk, manifest: &Manifest) -> Result<(), Error> {
    let listed: Vec<PathBuf> = manifest
        .segments
        .iter()
        .flat_map(|entry| {
            [
                segment::log_path(folder, entry.first, entry.generation),
                segment::index_path(folder, entry.first, entry.generation),
            ]
        })
        .collect();
    let mut any = false;
    for name in disk.list(folder).map_err(Error::io("read the folder", folder))? {
        let path = folder.join(&name);
        if is_leftover(&name) && !listed.contains(&path) {
            manifest::remove_if_there(disk, &path)?;
            any = true;
        }
    }
    if any { disk.sync_dir(folder).map_err(Error::io("sync the folder", folder)) } else { Ok(()) }
}

/// Checks that no segment has energies that comes after all those which the manifest lists: it was listed once, and
/// what was lost is the manifest.
pub fn check_later(folder: &Path, disk: &dyn Disk, manifest: &Manifest) -> Result<(), Error> {
    if disk.exists(&folder.join(COPYING)) {
        return Ok(());
    }
    let last = manifest.segments.last().map_or(0, |entry| entry.first);
    for name in disk.list(folder).map_err(Error::io("read the folder", folder))? {
        let first = name.split_once('-').and_then(|(first, _)| first.parse::<u64>().ok());
        if is_leftover(&name)
            && first.is_some_and(|first| first > last)
            && has_frames(disk, &folder.join(&name))?
        {
            return Err(Error::Damaged {
                path: folder.join(manifest::NAME),
                offset: 0,
                reason: format!("it is older than `{name}`, which has energies"),
                positions: first.map(|first| (first, first)),
            });
        }
    }
    Ok(())
}

/// Whether a file or folder of that name belongs to a plane, whatever its segments.
pub fn is_own(name: &str) -> bool {
    OWN.iter().any(|own| name.starts_with(own) && !name.ends_with(".tmp")) || name.starts_with("repair-")
}

/// Whether a file of that name may be a leftover of ours.
pub fn is_leftover(name: &str) -> bool {
    let stem = name.strip_suffix(".tmp").unwrap_or(name);
    segment::is_name(stem) || (name.ends_with(".tmp") && stem == manifest::NAME) || name == COPYING
}

fn has_frames(disk: &dyn Disk, path: &Path) -> Result<bool, Error> {
    if path.extension().is_none_or(|kind| kind != "log") {
        return Ok(false);
    }
    let file = disk.open(path, Mode::Read).map_err(Error::io("open", path))?;
    let end = file.len().map_err(Error::io("read", path))?;
    let found = frames::search(&file, segment::HEADER_BYTES as u64, end).map_err(Error::io("read", path))?;
    Ok(found.is_some())
}

/// Opens a segment that the manifest lists.
pub fn open_segment(
    folder: &Path,
    disk: &dyn Disk,
    mode: Mode,
    plane: Uuid,
    entry: &Entry,
) -> Result<(PathBuf, Arc<dyn File>, Header), Error> {
    let path = segment::log_path(folder, entry.first, entry.generation);
    let damaged = |reason: &str| Error::Damaged {
        path: path.clone(),
        offset: 0,
        reason: reason.to_owned(),
        positions: Some((entry.first, entry.sealed.map_or(entry.first, |(end, _)| end))),
    };
    let file = match disk.open(&path, mode) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged("the file is missing"));
        }
        Err(error) => return Err(Error::io("open", &path)(error)),
    };
    let len = file.len().map_err(Error::io("read", &path))?;
    let least = entry.sealed.map_or(segment::HEADER_BYTES as u64, |(_, bytes)| bytes);
    if len < least {
        return Err(damaged(&format!("it has {len} bytes, not {least}")));
    }
    let mut bytes = [0; segment::HEADER_BYTES];
    file.read_exact_at(&mut bytes, 0).map_err(Error::io("read", &path))?;
    let header = Header::read(&path, &bytes)?;
    if (header.plane, header.first, header.generation) != (plane, entry.first, entry.generation) {
        return Err(damaged("it is another segment, or of another plane"));
    }
    Ok((path, file, header))
}

/// Opens the sealed segments.
pub fn open_sealed(folder: &Path, disk: &dyn Disk, manifest: &Manifest) -> Result<Vec<Arc<Segment>>, Error> {
    let mut sealed = Vec::new();
    for entry in &manifest.segments {
        let Some((end, bytes)) = entry.sealed else { continue };
        let (path, file, header) = open_segment(folder, disk, Mode::Read, manifest.plane, entry)?;
        let (index, sealing) = (RwLock::new(None), OnceLock::new());
        sealed.push(Arc::new(Segment { header, end, bytes, path, file, index, sealing }));
    }
    Ok(sealed)
}

/// Reads the last segment, as far as it is whole.
#[derive(Debug)]
pub struct ActiveScan {
    /// How far its frames go.
    pub mark: Mark,
    /// Commits whose changes have not been taken over into the tables yet.
    pub changes: Vec<(u64, Changes)>,
    indexer: Indexer,
    /// Every byte before this was durable.
    durable_end: u64,
    /// The frame from which on this is to be said next: its sequence and where it starts.
    candidate: (u64, u64),
}

impl ActiveScan {
    /// Before the first frame of a segment.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        let mark = Mark { sequence: header.sequence, position: header.first };
        let start = segment::HEADER_BYTES as u64;
        let candidate = (header.sequence, start);
        Self { mark, changes: Vec::new(), indexer: Indexer::default(), durable_end: start, candidate }
    }

    /// From where on bytes are not known to be durable, if commits below `durable` are: at most some more than that.
    #[must_use]
    pub fn unsettled(&self, active: &Active, durable: u64) -> u64 {
        match durable {
            durable if durable >= self.mark.sequence => active.end,
            durable if durable >= self.candidate.0 => self.candidate.1,
            _ => self.durable_end,
        }
    }

    /// Reads on, to the first flaw or the end. Commits below `durable` are known to have been durable. Returns where torn bytes are, if there are any; an error where what they were was durable.
    pub fn run(
        &mut self,
        active: &mut Active,
        durable: u64,
        older: &mut Older<'_>,
    ) -> Result<Option<Torn>, Error> {
        let path = active.path.clone();
        let io = |error| Error::io("read", &path)(error);
        let len = active.file.len().map_err(io)?;
        let mut reader = FrameReader::new(active.file.clone(), active.end, len);
        let reason = loop {
            match reader.next_frame().map_err(|error| Error::io("read", &path)(error))? {
                Next::Frame { offset, frame } => {
                    let header = frame.header;
                    if header.sequence != self.mark.sequence || header.first != self.mark.position {
                        break "the frame does not follow upon the one before".to_owned();
                    }
                    let added = self.indexer.add(&mut active.index, &active.header, offset, &frame, older);
                    match (added, frame.changes()) {
                        (Err(Failed::Log(error)), _) => return Err(error),
                        (Err(Failed::Malformed), _) | (_, None) => {
                            break "the frame makes no sense".to_owned();
                        }
                        (Ok(_), Some(changes)) if changes.is_empty() => {}
                        (Ok(_), Some(changes)) => self.changes.push((header.sequence, changes)),
                    }
                    if header.durable.max(durable) >= self.candidate.0 {
                        self.durable_end = self.candidate.1;
                        self.candidate = (header.sequence, offset);
                    }
                    active.end = offset + header.frame_bytes();
                    self.mark.sequence = header.sequence + 1;
                    self.mark.position = active.index.next_position().max(header.first);
                }
                Next::End => break "there are zeros".to_owned(),
                Next::Flawed(flaw) => break flaw.to_string(),
            }
        };
        self.judge_rest(active, len, durable, reason)
    }

    fn judge_rest(
        &self,
        active: &Active,
        len: u64,
        durable: u64,
        reason: String,
    ) -> Result<Option<Torn>, Error> {
        let (path, file) = (&active.path, &active.file);
        let damaged =
            |positions| Error::Damaged { path: path.clone(), offset: active.end, reason, positions };
        if durable > self.mark.sequence {
            return Err(damaged(Some((self.mark.position, self.mark.position))));
        }
        let last = last_used(file, active.end, len).map_err(Error::io("read", path))?;
        let mut at = active.end;
        while let Some((offset, header)) = frames::search(file, at, last).map_err(Error::io("read", path))? {
            if header.durable > self.mark.sequence {
                return Err(damaged(Some((self.mark.position, header.first))));
            }
            at = offset + header.frame_bytes();
        }
        let offset = active.end;
        Ok((last > offset).then(|| Torn { path: path.clone(), offset, bytes: last - offset }))
    }
}

/// Makes the active segment durable as it was read: what is not known to be so, from `unsettled` on, is written again
/// in its place, and what comes after the last frame is cut off. A cut that was tried before and failed may
/// show in memory alone, so this is done even where nothing seems to be there.
pub fn settle(active: &Active, unsettled: u64) -> Result<(), Error> {
    let (path, file) = (&active.path, &active.file);
    file.set_len(active.end).map_err(Error::io("cut", path))?;
    let mut buffer = vec![0; (1 << 20).min(active.end.saturating_sub(unsettled)) as usize];
    let mut at = unsettled;
    while at < active.end {
        let len = buffer.len().min((active.end - at) as usize);
        file.read_exact_at(&mut buffer[..len], at).map_err(Error::io("read", path))?;
        file.write_all_at(&buffer[..len], at).map_err(Error::io("write", path))?;
        at += len as u64;
    }
    // Room is taken by the next append that needs it.
    file.sync().map_err(Error::io("sync", path))
}

/// Where the last byte that is not zero ends.
pub fn last_used(file: &Arc<dyn File>, from: u64, to: u64) -> std::io::Result<u64> {
    let mut buffer = vec![0; 1 << 20];
    let (mut at, mut last) = (from, from);
    while at < to {
        let len = buffer.len().min((to - at) as usize);
        file.read_exact_at(&mut buffer[..len], at)?;
        if let Some(used) = buffer[..len].iter().rposition(|byte| *byte != 0) {
            last = at + used as u64 + 1;
        }
        at += len as u64;
    }
    Ok(last)
}
