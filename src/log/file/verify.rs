//! Reading a whole plane and saying what is wrong with it: nothing is changed, nothing need be open.
//!
//! Checked are the manifest, every segment's header, every frame (checksums, numbers of commits and positions, names),
//! the chain of every stream against the digests in the frames, versions, the room after the last frame, every index
//! against one that is made anew, and that there are no other files. Any changed byte of a closed log is noticed.
//!
//! What retention took is told from a cut: only in segments that were written anew may there be gaps, and a record
//! whose predecessor is gone says its chain value.
//!
//! It may run while a process writes: what that one is about to write is not damage. Memory: the end of each stream, and
//! one segment's index.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use super::finding::{Finding, Kind};
use super::finding::{HARMLESS, REPAIR, TAMPERED};
use super::frame::{self, Frame};
use super::frames::{self, FrameReader, Next};
use super::index::{ActiveIndex, SealedIndex, SegmentIndex, StreamHead, seal};
use super::indexing::{Failed, Indexer};
use super::manifest::{self, Entry, Manifest};
use super::recovery;
use super::salvage;
use super::segment::{self, HEADER_BYTES, Header};
use crate::disk::{Disk, File, Mode};
use crate::log::Error;

/// What was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Segments.
    pub segments: u64,
    /// Indexes; those that are not written yet are made when they are wanted.
    pub indexes: u64,
    /// Whole frames.
    pub frames: u64,
    /// Energies in them.
    pub energies: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The next position to be given.
    pub head: u64,
    /// Positions that a repair gave up.
    pub lost: Vec<(u64, u64)>,
    /// Findings.
    pub findings: u64,
}

/// Verifies a plane.
///
/// # Errors
/// [`Error::Missing`] where there is none; failed reads. What is wrong with the plane is no error: it is reported.
pub fn verify(
    folder: &Path,
    disk: &Arc<dyn Disk>,
    report: &mut dyn FnMut(Finding),
) -> Result<Verified, Error> {
    let mut findings = 0;
    let mut report = |finding: Finding| {
        findings += 1;
        report(finding);
    };
    let mut verified = match open(folder, &**disk, &mut report)? {
        Some((manifest, files)) => verify_files(folder, &**disk, &manifest, files, false, &mut report)?,
        None => Verified::default(),
    };
    verified.findings = findings;
    Ok(verified)
}

/// Verifies a plane of which the caller holds the lock, as if it had another manifest.
pub(super) fn verify_as(
    folder: &Path,
    disk: &dyn Disk,
    manifest: &Manifest,
    report: &mut dyn FnMut(Finding),
) -> Result<Verified, Error> {
    let (files, findings) = open_files(folder, disk, manifest)?;
    findings.into_iter().for_each(&mut *report);
    verify_files(folder, disk, manifest, files, true, report)
}

fn verify_files(
    folder: &Path,
    disk: &dyn Disk,
    manifest: &Manifest,
    mut files: Files,
    is_locked: bool,
    report: &mut dyn FnMut(Finding),
) -> Result<Verified, Error> {
    let mut verifier = Verifier {
        folder,
        disk,
        manifest,
        is_locked,
        report,
        heads: HashMap::new(),
        lost: HashSet::new(),
        is_damaged: false,
        verified: Verified::default(),
    };
    for (at, entry) in manifest.segments.iter().enumerate() {
        let next = files.get(at + 1).and_then(Option::as_ref).map(|(_, _, header)| header.sequence);
        match files.get_mut(at).and_then(Option::take) {
            Some((path, file, header)) => verifier.segment(entry, &path, &file, &header, next)?,
            None => verifier.is_damaged = true,
        }
    }
    verifier.orphans()?;
    let mut verified = verifier.verified;
    verified.lost.clone_from(&manifest.lost);
    Ok(verified)
}

type Opened = (PathBuf, Arc<dyn File>, Header);

/// The files of the manifest's segments; `None` for one that could not be opened.
type Files = Vec<Option<Opened>>;

/// The manifest and its segments' files, all of one moment: a compaction may go on meanwhile.
fn open(
    folder: &Path,
    disk: &dyn Disk,
    report: &mut dyn FnMut(Finding),
) -> Result<Option<(Manifest, Files)>, Error> {
    const ATTEMPTS: usize = 20;
    let mut attempt = 0;
    loop {
        let (manifest, text) = match Manifest::load(disk, folder) {
            Ok(Some(loaded)) => loaded,
            Ok(None) if is_bare(folder, disk) => return Err(Error::Missing(folder.to_owned())),
            Ok(None) => {
                let (file, kind) = (folder.join(manifest::NAME), Kind::Manifest);
                let what = "the file is missing, but there are segments".to_owned();
                report(Finding { kind, file, offset: 0, positions: None, what, advice: REPAIR });
                return Ok(None);
            }
            Err(error) => {
                report(Finding::of(Kind::Manifest, error)?);
                return Ok(None);
            }
        };
        let (files, findings) = open_files(folder, disk, &manifest)?;
        let is_same = || matches!(Manifest::load(disk, folder), Ok(Some((_, now))) if now == text);
        if findings.is_empty() || attempt >= ATTEMPTS || is_same() {
            findings.into_iter().for_each(report);
            return Ok(Some((manifest, files)));
        }
        attempt += 1;
    }
}

fn open_files(folder: &Path, disk: &dyn Disk, manifest: &Manifest) -> Result<(Files, Vec<Finding>), Error> {
    let (mut files, mut findings) = (Vec::new(), Vec::new());
    for entry in &manifest.segments {
        match recovery::open_segment(folder, disk, Mode::Read, manifest.plane, entry) {
            Ok(opened) => files.push(Some(opened)),
            Err(error) => {
                let path = segment::log_path(folder, entry.first, entry.generation);
                let kind = if disk.exists(&path) { Kind::Segment } else { Kind::Missing };
                findings.push(Finding::of(kind, error)?);
                files.push(None);
            }
        }
    }
    Ok((files, findings))
}

fn is_bare(folder: &Path, disk: &dyn Disk) -> bool {
    let names = disk.list(folder).unwrap_or_default();
    !names.iter().any(|name| name.ends_with(".log"))
}

struct Verifier<'a> {
    folder: &'a Path,
    disk: &'a dyn Disk,
    manifest: &'a Manifest,
    /// Whether the caller holds the lock: nobody writes.
    is_locked: bool,
    report: &'a mut dyn FnMut(Finding),
    /// Where streams stand.
    heads: HashMap<Vec<u8>, StreamHead>,
    /// Streams of which energies are lost to damage: what follows cannot be checked against what was before.
    lost: HashSet<Vec<u8>>,
    /// Whether there was damage so far.
    is_damaged: bool,
    verified: Verified,
}

/// A segment that is being verified.
struct At<'a> {
    entry: &'a Entry,
    path: &'a Path,
    file: &'a Arc<dyn File>,
    header: &'a Header,
    /// The commit and the position that come next.
    sequence: u64,
    position: u64,
    is_damaged: bool,
    /// Whether names were lost to damage: what energies say cannot be told.
    is_blind: bool,
}

impl At<'_> {
    fn is_gapped(&self) -> bool {
        self.header.generation > 0
    }
}

impl Verifier<'_> {
    fn find(&mut self, at: &At<'_>, kind: Kind, offset: u64, positions: (u64, u64), what: impl Into<String>) {
        let advice = match kind {
            Kind::Torn | Kind::Orphan | Kind::Index => HARMLESS,
            Kind::Order | Kind::Chain | Kind::Version => TAMPERED,
            _ => REPAIR,
        };
        let (file, what) = (at.path.to_owned(), what.into());
        (self.report)(Finding { kind, file, offset, positions: Some(positions), what, advice });
    }

    fn segment(
        &mut self,
        entry: &Entry,
        path: &Path,
        file: &Arc<dyn File>,
        header: &Header,
        next: Option<u64>,
    ) -> Result<(), Error> {
        let read = |error| Error::io("read", path)(error);
        let len = file.len().map_err(read)?;
        let upto = entry.sealed.map_or(u64::MAX, |(end, _)| end);
        // What a repair gave up is known: what follows upon it cannot be checked against it.
        self.is_damaged |= self.manifest.lost.iter().any(|(first, end)| *first < upto && *end > entry.first);
        let mut at = At {
            entry,
            path,
            file,
            header,
            sequence: header.sequence,
            position: header.first,
            is_damaged: false,
            is_blind: false,
        };
        let frames_end = entry.sealed.map_or(len, |(_, bytes)| bytes);
        let mut reader = FrameReader::new(file.clone(), HEADER_BYTES as u64, frames_end);
        let (mut index, mut indexer) = (ActiveIndex::new(header.first), Indexer::default());
        loop {
            let offset = reader.offset();
            let flaw = match reader.next_frame().map_err(|error| Error::io("read", path)(error))? {
                Next::Frame { offset, frame } => {
                    self.frame(&mut at, &mut index, &mut indexer, offset, &frame)?;
                    self.verified.frames += 1;
                    self.verified.energies += u64::from(frame.header.count);
                    continue;
                }
                Next::End if offset >= frames_end => break,
                Next::End => "zeros, where a frame should be".to_owned(),
                Next::Flawed(flaw) => flaw.to_string(),
            };
            let is_active = entry.sealed.is_none();
            if is_active && self.is_end(&mut at, &mut reader, len, &flaw)? {
                break;
            }
            if !is_active && offset >= frames_end {
                break;
            }
            // Damage: what comes after it is verified too.
            let found = frames::search(file, offset + 1, frames_end)
                .map_err(|error| Error::io("read", path)(error))?;
            let end = entry.sealed.map_or(at.position, |(end, _)| end);
            let upto = found.map_or(end, |(_, header)| header.first);
            self.find(&at, Kind::Frame, offset, (at.position, upto), flaw);
            (at.is_damaged, self.is_damaged) = (true, true);
            at.is_blind |= !salvage::learn_names(self.folder, self.disk, header, file, offset, &mut index);
            match found {
                Some((offset, header)) => {
                    (at.sequence, at.position) = (header.sequence, header.first);
                    reader = FrameReader::new(file.clone(), offset, frames_end);
                }
                None => break,
            }
        }
        self.end(&mut at, next, frames_end, len)?;
        for stream in index.streams() {
            self.heads.insert(stream.name.to_vec(), stream.head);
        }
        self.index(&at, &index)?;
        self.verified.segments += 1;
        self.verified.bytes += len;
        self.verified.head = at.position;
        Ok(())
    }

    fn frame(
        &mut self,
        at: &mut At<'_>,
        index: &mut ActiveIndex,
        indexer: &mut Indexer,
        offset: u64,
        frame: &Frame<'_>,
    ) -> Result<(), Error> {
        let header = frame.header;
        let is_heads = header.flags & frame::HEADS != 0;
        let (from, to) = (header.first, header.first + u64::from(header.count));
        let end = at.entry.sealed.map_or(u64::MAX, |(end, _)| end);
        if header.is_gapped() != at.is_gapped() || (is_heads && !at.is_gapped()) {
            self.find(at, Kind::Order, offset, (from, to), "the frame is of another kind than its segment");
        }
        let follows = match at.is_gapped() {
            false => header.sequence == at.sequence && header.first == at.position,
            // The last commit's number is that of frames of heads too.
            true => {
                (header.sequence >= at.sequence || (is_heads && header.sequence + 1 >= at.sequence))
                    && header.first >= at.position
                    && header.first <= end
            }
        };
        if !follows {
            let what = format!(
                "commit {} at position {} does not follow upon commit {} before position {}",
                header.sequence,
                header.first,
                at.sequence.saturating_sub(1),
                at.position
            );
            self.find(at, Kind::Order, offset, (at.position.min(from), to.max(at.position)), what);
            (at.is_damaged, self.is_damaged) = (true, true);
        }
        at.sequence = header.sequence + 1;
        if header.first < index.next_position() && header.count > 0 {
            // What was there before is there again: the index cannot take it.
            return Ok(());
        }
        if at.is_blind {
            at.position = at.position.max(to);
            return Ok(());
        }
        let heads = &self.heads;
        let older = &mut |stream: &[u8]| Ok(heads.get(stream).copied());
        match indexer.add(index, at.header, offset, frame, older) {
            Ok(()) => {}
            Err(Failed::Log(error)) => return Err(error),
            Err(Failed::Malformed) => {
                self.find(
                    at,
                    Kind::Frame,
                    offset,
                    (from, to),
                    "the frame makes no sense, though its checksums fit",
                );
                at.is_damaged = true;
                at.position = at.position.max(to);
                return Ok(());
            }
        }
        at.position = at.position.max(header.first).max(index.next_position());
        if is_heads {
            return self.carried(at, offset, frame);
        }
        if frame.changes().is_none() {
            self.find(at, Kind::Frame, offset, (from, to), "the changes make no sense, though checksums fit");
        }
        let mut is_known = true;
        for (event, link) in indexer.events().iter().zip(indexer.links()) {
            let (head, stream) = (event.head(), event.stream_bytes());
            let follows = match link.known {
                None => head.version == 0,
                Some(known) => known.version.checked_add(1) == Some(head.version),
            };
            let is_older = link.known.is_some_and(|known| head.version <= known.version);
            let one = (head.position, head.position + 1);
            if follows && !self.lost.contains(stream) {
                let before = link.known.map_or(super::chain::START, |known| known.chain);
                if link.previous != before {
                    self.find(at, Kind::Chain, offset, one, "it names another predecessor than there is");
                }
            } else if link.stated.is_some() && !is_older && at.is_gapped() {
                if link.stated == Some(super::chain::START) {
                    // Damage took its predecessor, and what its chain value was is not known.
                    self.lost.insert(stream.to_vec());
                } else {
                    // Retention took its predecessors; from here on the chain is known.
                    self.lost.remove(stream);
                }
            } else {
                if !self.is_damaged || is_older {
                    let expected = link.known.map_or(0, |known| known.version + 1);
                    let name = String::from_utf8_lossy(stream);
                    let what =
                        format!("stream `{name}` goes on with version {}, not {expected}", head.version);
                    self.find(at, Kind::Version, offset, one, what);
                }
                self.lost.insert(stream.to_vec());
                is_known = false;
            }
            is_known &= !self.lost.contains(stream);
        }
        if is_known && indexer.digest() != header.digest {
            let what =
                "the chain of its energies does not fit: one of them, or one before, is not what it was";
            self.find(at, Kind::Chain, offset, (from, at.position), what);
        }
        Ok(())
    }

    /// A frame of carried heads.
    fn carried(&mut self, at: &At<'_>, offset: u64, frame: &Frame<'_>) -> Result<(), Error> {
        let place = (frame.header.first, frame.header.first);
        let mut bytes = 0;
        for (stream, version, _) in frame.heads() {
            let mut head = Vec::new();
            frame::write_head(&mut head, stream, version, &super::chain::START);
            bytes += head.len();
            self.lost.remove(stream);
        }
        if bytes != frame.changes_bytes().len()
            || frame.header.digest != super::chain::frame_digest(frame.changes_bytes())
        {
            self.find(at, Kind::Chain, offset, place, "the carried heads do not fit their digest");
        }
        Ok(())
    }

    /// Whether the frames of the active segment end where a flaw is: then what is there is told.
    fn is_end(
        &mut self,
        at: &mut At<'_>,
        reader: &mut FrameReader,
        len: u64,
        flaw: &str,
    ) -> Result<bool, Error> {
        let read = |error| Error::io("read", at.path)(error);
        let offset = reader.offset();
        let last = recovery::last_used(at.file, offset, len).map_err(read)?;
        let durable = self.manifest.durable_sequence;
        let mut search = offset;
        let mut was_durable = durable > at.sequence;
        while !was_durable
            && let Some((offset, header)) = frames::search(at.file, search, last).map_err(read)?
        {
            was_durable = header.durable > at.sequence;
            search = offset + header.frame_bytes();
        }
        if last <= offset && !was_durable {
            return Ok(true);
        }
        // Somebody may be writing this very frame.
        if self.is_in_use() {
            return Ok(true);
        }
        let now = at.file.len().map_err(read)?;
        let mut again = FrameReader::new(at.file.clone(), offset, now);
        if let Next::Frame { .. } = again.next_frame().map_err(read)? {
            *reader = FrameReader::new(at.file.clone(), offset, now);
            return Ok(false);
        }
        if was_durable {
            // Damage; where there is nothing after it the end is missing.
            if frames::search(at.file, offset, last).map_err(read)?.is_some() {
                return Ok(false);
            }
            let upto = self.manifest.durable_position.max(at.position);
            let what =
                format!("{flaw}: the end of the log is missing or damaged, {durable} commits were durable");
            self.find(at, Kind::Frame, offset, (at.position, upto), what);
            at.is_damaged = true;
            return Ok(true);
        }
        let what = format!(
            "{} bytes after the last frame are none: an append that was cut off, and never acknowledged",
            last - offset
        );
        self.find(at, Kind::Torn, offset, (at.position, at.position), what);
        Ok(true)
    }

    /// What a segment's end has to be.
    fn end(&mut self, at: &mut At<'_>, next: Option<u64>, frames_end: u64, len: u64) -> Result<(), Error> {
        let Some((end, _)) = at.entry.sealed else { return Ok(()) };
        let is_short = if at.is_gapped() { at.position > end } else { at.position != end };
        if is_short && !at.is_damaged {
            let what = format!("its energies end before position {}, not {end}", at.position);
            self.find(at, Kind::Order, frames_end, (at.position.min(end), at.position.max(end)), what);
        }
        if let Some(next) = next
            && !at.is_damaged
            && (at.sequence > next || (!at.is_gapped() && at.sequence != next))
        {
            let what = format!("its commits end with {}, the next segment begins with {next}", at.sequence);
            self.find(at, Kind::Order, frames_end, (end, end), what);
        }
        at.position = end;
        let last = recovery::last_used(at.file, frames_end, len).map_err(Error::io("read", at.path))?;
        if last > frames_end {
            let what = format!("{} bytes after its end are not zero", last - frames_end);
            self.find(at, Kind::Rest, frames_end, (end, end), what);
        }
        Ok(())
    }

    /// The index of a sealed segment against the one that its frames give.
    fn index(&mut self, at: &At<'_>, index: &ActiveIndex) -> Result<(), Error> {
        if at.entry.sealed.is_none() {
            return Ok(());
        }
        let path = segment::index_path(self.folder, at.header.first, at.header.generation);
        let bytes = match self.disk.open(&path, Mode::Read) {
            Ok(file) => {
                let len = file.len().map_err(Error::io("read", &path))?;
                let mut bytes = vec![0; len as usize];
                file.read_exact_at(&mut bytes, 0).map_err(Error::io("read", &path))?;
                bytes
            }
            // It is made when it is wanted.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        self.verified.indexes += 1;
        self.verified.bytes += bytes.len() as u64;
        let what = if at.is_damaged || !self.lost.is_empty() {
            // What it should be is not known.
            SealedIndex::open(bytes).err().map(|error| (0, error.to_string()))
        } else {
            let expected = seal(index);
            let differs = bytes.iter().zip(&expected).position(|(is, should)| is != should);
            let differs =
                differs.or((bytes.len() != expected.len()).then(|| bytes.len().min(expected.len())));
            differs.map(|offset| (offset as u64, "it does not say what its segment does".to_owned()))
        };
        if let Some((offset, what)) = what {
            let positions = at.entry.sealed.map(|(end, _)| (at.header.first, end));
            let (kind, advice) = (Kind::Index, HARMLESS);
            (self.report)(Finding { kind, file: path, offset, positions, what, advice });
        }
        Ok(())
    }

    /// Whether somebody else has the plane open to write.
    fn is_in_use(&self) -> bool {
        !self.is_locked && matches!(self.disk.lock(&self.folder.join("LOCK"), "sanctum verify"), Ok(None))
    }

    /// Files that are not the plane's.
    fn orphans(&mut self) -> Result<(), Error> {
        let names = self.disk.list(self.folder).map_err(Error::io("read the folder", self.folder))?;
        let mut orphans: Vec<PathBuf> = Vec::new();
        for name in names {
            let path = self.folder.join(&name);
            let is_listed = self.manifest.segments.iter().any(|entry| {
                let (first, generation) = (entry.first, entry.generation);
                path == segment::log_path(self.folder, first, generation)
                    || (entry.sealed.is_some() && path == segment::index_path(self.folder, first, generation))
            });
            if !is_listed && !recovery::is_own(&name) {
                orphans.push(path);
            }
        }
        if orphans.is_empty() || self.is_in_use() {
            // Who has it open makes files before it lists them.
            return Ok(());
        }
        for file in orphans {
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let (what, advice) = if recovery::is_leftover(&name) {
                ("a leftover of a writer that was killed", HARMLESS)
            } else {
                ("it is no file of the log", "move it away")
            };
            let what = what.to_owned();
            (self.report)(Finding { kind: Kind::Orphan, file, offset: 0, positions: None, what, advice });
        }
        Ok(())
    }
}
