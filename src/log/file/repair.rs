//! Putting a damaged plane right: what can be saved is, and nothing is thrown away.
//!
//! Every byte that the log loses is first written aside, to a folder `repair-N` in the plane's: damaged files as a
//! whole, a torn tail by itself. The new files are durable before the manifest lists them, and the old ones
//! leave their place after it. So a repair that was killed is run again.
//!
//! What is done: a lost manifest is made anew from the segments; a header of which a byte is wrong is put right; a segment
//! with damaged commits is written anew without them; one that is missing becomes one without energies; a torn tail and
//! other bytes after the end are cut off; indexes that do not fit and files that do not belong are put aside. Positions that are
//! given up are in the manifest from then on, and are never given again.
//!
//! What is not: energies whose checksums fit and whose chain does not. Somebody changed them, and no repair can tell
//! what they were.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::finding::{Finding, Kind};
use super::frames::{self, FrameReader, Next};
use super::index::SegmentIndex;
use super::manifest::{self, Entry, Manifest};
use super::mending::{self, Damaged, Heads, Mended};
use super::rewriting::{Rewriting, next_generation};
use super::segment::{self, HEADER_BYTES, Header};
use super::{indexing, inventory, recovery, salvage, verify};
use crate::disk::{Disk, File, Mode};
use crate::log::Error;

/// One thing that is put right, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The file.
    pub file: PathBuf,
    /// What is done.
    pub what: String,
    /// Positions that are given up: first, and after the last.
    pub lost: Vec<(u64, u64)>,
    /// Whether it is put right; false for what no repair can.
    pub is_repaired: bool,
}

/// What a repair did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Things that are put right.
    pub repaired: u64,
    /// Things that no repair can put right.
    pub left: u64,
    /// Positions that are given up: first, and after the last.
    pub lost: Vec<(u64, u64)>,
    /// The folder with what was put aside; `None` where nothing was, and of a dry run.
    pub aside: Option<PathBuf>,
}

/// Repairs a plane that nobody has open to write. Without `apply` it only says what it would do.
///
/// # Errors
/// [`Error::Locked`]; [`Error::Missing`] where there is no plane; [`Error::Newer`] and [`Error::Foreign`] for what is
/// not to be touched; failed file operations, after which it can be run again.
pub fn repair(
    folder: &Path,
    disk: &Arc<dyn Disk>,
    apply: bool,
    report: &mut dyn FnMut(Action),
) -> Result<Repaired, Error> {
    let disk = &**disk;
    if !disk.exists(folder) {
        return Err(Error::Missing(folder.to_owned()));
    }
    let lock_path = folder.join("LOCK");
    let note = format!("process {}, repair", std::process::id());
    let Some(_lock) = disk.lock(&lock_path, &note).map_err(Error::io("lock", &lock_path))? else {
        return Err(Error::Locked { path: folder.to_owned(), holder: super::holder(disk, &lock_path) });
    };
    let (manifest, is_lost) = match Manifest::load(disk, folder) {
        Ok(Some((manifest, _))) if recovery::check_later(folder, disk, &manifest).is_ok() => {
            (manifest, false)
        }
        Ok(_) | Err(Error::Damaged { .. }) => {
            let manifest = inventory::take(folder, disk)?;
            (manifest.ok_or_else(|| Error::Missing(folder.to_owned()))?, true)
        }
        Err(error) => return Err(error),
    };
    let mut findings = Vec::new();
    verify::verify_as(folder, disk, &manifest, &mut |finding| findings.push(finding))?;
    let aside = (0..).map(|n| folder.join(format!("repair-{n}"))).find(|aside| !disk.exists(aside));
    let mut repairer = Repairer {
        folder,
        disk,
        aside: aside.unwrap_or_default(),
        apply,
        report,
        findings,
        heads: Heads::new(),
        replaced: Vec::new(),
        done: Repaired::default(),
    };
    repairer.run(manifest, is_lost)?;
    Ok(repairer.done)
}

struct Repairer<'a> {
    folder: &'a Path,
    disk: &'a dyn Disk,
    /// Where things are put.
    aside: PathBuf,
    apply: bool,
    report: &'a mut dyn FnMut(Action),
    findings: Vec<Finding>,
    /// Where streams stand, before the segment at hand.
    heads: Heads,
    /// Files that leave their place once the manifest does not list them.
    replaced: Vec<PathBuf>,
    done: Repaired,
}

impl Repairer<'_> {
    fn run(&mut self, manifest: Manifest, is_lost: bool) -> Result<(), Error> {
        if self.findings.is_empty() && !is_lost {
            return Ok(());
        }
        if self.apply {
            self.disk.create_dir(&self.aside).map_err(Error::io("create the folder", &self.aside))?;
            self.disk.sync_dir(self.folder).map_err(Error::io("sync the folder", self.folder))?;
        }
        let mut new = Manifest { segments: Vec::new(), ..manifest.clone() };
        for entry in &manifest.segments {
            self.segment(&manifest, entry, &mut new)?;
        }
        let file = self.folder.join(manifest::NAME);
        if is_lost {
            self.act(
                &file,
                "the manifest is lost, or older than the segments: it is made anew from them",
                &[],
            );
        }
        new.lost.extend(self.done.lost.clone());
        new.lost.sort_unstable();
        new.lost.dedup();
        if self.apply && (is_lost || new != manifest) {
            if self.disk.exists(&file) {
                let old = self.open(&file)?;
                let len = old.len().map_err(Error::io("read", &file))?;
                self.copy_aside(&old, &file, 0, len, manifest::NAME)?;
            }
            self.disk.sync_dir(self.folder).map_err(Error::io("sync the folder", self.folder))?;
            new.store(self.disk, self.folder)?;
        }
        for path in std::mem::take(&mut self.replaced) {
            self.put_aside(&path)?;
        }
        self.others(&new)?;
        if self.apply {
            self.done.aside = Some(self.aside.clone());
            self.disk.sync_dir(&self.aside).map_err(Error::io("sync the folder", &self.aside))?;
            self.disk.sync_dir(self.folder).map_err(Error::io("sync the folder", self.folder))?;
        }
        Ok(())
    }

    fn act(&mut self, file: &Path, what: impl Into<String>, lost: &[(u64, u64)]) {
        self.done.repaired += 1;
        self.done.lost.extend_from_slice(lost);
        let (what, lost) = (what.into(), lost.to_vec());
        (self.report)(Action { file: file.to_owned(), what, lost, is_repaired: true });
    }

    /// What was found in a file.
    fn kinds(&self, file: &Path) -> HashSet<Kind> {
        self.findings.iter().filter(|finding| finding.file == file).map(|finding| finding.kind).collect()
    }

    /// Decides upon a segment, and adds what becomes of it to the manifest.
    fn segment(&mut self, old: &Manifest, entry: &Entry, new: &mut Manifest) -> Result<(), Error> {
        let path = segment::log_path(self.folder, entry.first, entry.generation);
        let kinds = self.kinds(&path);
        let is_any = |wanted: &[Kind]| wanted.iter().any(|kind| kinds.contains(kind));
        if is_any(&[Kind::Order, Kind::Chain, Kind::Version]) {
            self.done.left += 1;
            let what = "its checksums fit and what they vouch for does not: somebody changed it, and no repair can \
                        tell what it was; compare it with a backup";
            let (file, what) = (path, what.to_owned());
            (self.report)(Action { file, what, lost: Vec::new(), is_repaired: false });
            new.segments.push(*entry);
            return Ok(());
        }
        if is_any(&[Kind::Missing]) {
            return self.mend(old, entry, None, new);
        }
        let mut header = self.header(old, entry, &path)?;
        if is_any(&[Kind::Segment])
            && let Some(right) = header
            && self.is_long_enough(entry, &path)?
        {
            self.put_right(&path, &right)?;
            // What else is wrong could not be seen before.
            return self.mend_if_damaged(old, entry, &right, new);
        }
        if is_any(&[Kind::Segment, Kind::Frame]) {
            if is_any(&[Kind::Segment]) && header.is_some() {
                header = self.header(old, entry, &path)?;
            }
            return self.mend(old, entry, header, new);
        }
        if is_any(&[Kind::Torn, Kind::Rest]) {
            self.cut(&path)?;
        }
        new.segments.push(*entry);
        self.learn(entry, &path, header)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn File>, Error> {
        self.disk.open(path, Mode::Read).map_err(Error::io("open", path))
    }

    fn is_long_enough(&self, entry: &Entry, path: &Path) -> Result<bool, Error> {
        let len = self.open(path)?.len().map_err(Error::io("read", path))?;
        Ok(len >= entry.sealed.map_or(HEADER_BYTES as u64, |(_, bytes)| bytes))
    }

    /// The header of a segment: as it is, or as it has to be; `None` where that cannot be told.
    fn header(&self, old: &Manifest, entry: &Entry, path: &Path) -> Result<Option<Header>, Error> {
        let file = self.open(path)?;
        let mut bytes = [0; HEADER_BYTES];
        if file.read_exact_at(&mut bytes, 0).is_err() {
            return Ok(None);
        }
        if let Ok(header) = Header::read(path, &bytes)
            && (header.plane, header.first, header.generation) == (old.plane, entry.first, entry.generation)
        {
            return Ok(Some(header));
        }
        let len = file.len().map_err(Error::io("read", path))?;
        let first = frames::search(&file, HEADER_BYTES as u64, len).map_err(Error::io("read", path))?;
        // A segment begins with a commit of its own; one that has none begins where the log was durable.
        let sequence = first.map_or(old.durable_sequence, |(_, header)| header.sequence);
        let (first, generation) = (entry.first, entry.generation);
        let known = Header { plane: old.plane, first, generation, base_time_ms: 0, sequence };
        Ok(mending::header(&bytes, &known))
    }

    /// Writes a header in its place; what was there goes aside.
    fn put_right(&mut self, path: &Path, header: &Header) -> Result<(), Error> {
        self.act(path, "the header is damaged: it is put right from what else is known", &[]);
        if !self.apply {
            return Ok(());
        }
        let file = self.disk.open(path, Mode::Write).map_err(Error::io("open", path))?;
        self.copy_aside(&file, path, 0, HEADER_BYTES as u64, "header")?;
        file.write_all_at(&header.bytes(), 0).map_err(Error::io("write", path))?;
        file.sync().map_err(Error::io("sync", path))
    }

    fn mend_if_damaged(
        &mut self,
        old: &Manifest,
        entry: &Entry,
        header: &Header,
        new: &mut Manifest,
    ) -> Result<(), Error> {
        let path = segment::log_path(self.folder, entry.first, entry.generation);
        let file = self.open(&path)?;
        let end = entry.sealed.map_or(file.len().map_err(Error::io("read", &path))?, |(_, bytes)| bytes);
        let mut reader = FrameReader::new(file.clone(), HEADER_BYTES as u64, end);
        loop {
            let at = reader.offset();
            match reader.next_frame().map_err(Error::io("read", &path))? {
                Next::Frame { .. } => {}
                // The end of the active segment is judged when it is opened.
                Next::End if at >= end || entry.sealed.is_none() => break,
                Next::End | Next::Flawed(_) => return self.mend(old, entry, Some(*header), new),
            }
        }
        new.segments.push(*entry);
        self.learn(entry, &path, Some(*header))
    }

    /// Learns where streams stand at the end of a segment that stays.
    fn learn(&mut self, entry: &Entry, path: &Path, header: Option<Header>) -> Result<(), Error> {
        let Some(header) = header else { return Ok(()) };
        let Some((_, bytes)) = entry.sealed else { return Ok(()) };
        let index: Box<dyn SegmentIndex> = match salvage::index_of(self.folder, self.disk, &header) {
            Some(index) => Box::new(index),
            None => {
                let file = self.open(path)?;
                let older = &mut |stream: &[u8]| Ok(self.heads.get(stream).copied());
                Box::new(indexing::rebuild(path, &file, &header, bytes, older)?)
            }
        };
        for stream in index.streams() {
            self.heads.insert(stream.name.to_vec(), stream.head);
        }
        Ok(())
    }

    /// Writes a segment anew with what is whole of it; without a header nothing is.
    fn mend(
        &mut self,
        old: &Manifest,
        entry: &Entry,
        header: Option<Header>,
        new: &mut Manifest,
    ) -> Result<(), Error> {
        let path = segment::log_path(self.folder, entry.first, entry.generation);
        let is_there = self.disk.exists(&path);
        let known_end = entry.sealed.map(|(end, _)| end).or(Some(old.durable_position));
        let end = known_end.filter(|end| *end > entry.first);
        let generation = next_generation(self.folder, self.disk, entry.first)?.max(1);
        let base = header.unwrap_or(Header {
            plane: old.plane,
            first: entry.first,
            base_time_ms: 0,
            generation: entry.generation,
            sequence: self.sequence_before(new, old)?,
        });
        let target = Header { generation, ..base };
        let mut out = self.apply.then(|| Rewriting::create(self.folder, self.disk, target)).transpose()?;
        let mended = match (is_there, header) {
            (true, Some(header)) => {
                let file = self.open(&path)?;
                let len = file.len().map_err(Error::io("read", &path))?;
                let bytes = entry.sealed.map_or(len, |(_, bytes)| bytes);
                let (folder, disk) = (self.folder, self.disk);
                let damaged = Damaged { folder, disk, file: &file, header: &header, bytes };
                damaged.mend(end, &mut self.heads, out.as_mut())?
            }
            _ => {
                let end = end.unwrap_or(entry.first);
                let lost = if end > entry.first { vec![(entry.first, end)] } else { Vec::new() };
                let mended = Mended { lost, end, sequence: base.sequence, ..Mended::default() };
                self.carry_index(&mended, &base, out.as_mut())?;
                mended
            }
        };
        let what = match (is_there, header) {
            (false, _) => "the file is missing: one without energies takes its place".to_owned(),
            (true, None) => "its header cannot be told: one without energies takes its place".to_owned(),
            (true, Some(_)) => format!("it is written anew with the {} energies that are whole", mended.kept),
        };
        self.act(&path, what, &mended.lost);
        let bytes = out.map(Rewriting::finish).transpose()?.map_or(0, |written| written.bytes);
        if is_there {
            self.replaced.push(path);
        }
        let index = segment::index_path(self.folder, entry.first, entry.generation);
        if self.disk.exists(&index) {
            self.replaced.push(index);
        }
        // A segment that is written to is named by its first position: it needs one of its own.
        let is_active = entry.sealed.is_none();
        let end = if is_active { mended.end.max(entry.first + 1) } else { mended.end };
        new.segments.push(Entry { first: entry.first, generation, sealed: Some((end, bytes)) });
        if is_active {
            self.begin(old, end, mended.sequence, new)?;
        }
        Ok(())
    }

    /// Carries where streams stood at the end of a segment of which only the index is left.
    fn carry_index(
        &mut self,
        mended: &Mended,
        header: &Header,
        out: Option<&mut Rewriting>,
    ) -> Result<(), Error> {
        let Some(index) = salvage::index_of(self.folder, self.disk, header) else { return Ok(()) };
        let heads: Heads = index.streams().map(|stream| (stream.name.to_vec(), stream.head)).collect();
        if let Some(out) = out {
            mending::carry(mended, &heads, out)?;
        }
        self.heads.extend(heads);
        Ok(())
    }

    /// The number of the commit after the segments so far.
    fn sequence_before(&self, new: &Manifest, old: &Manifest) -> Result<u64, Error> {
        let Some(last) = new.segments.last() else { return Ok(0) };
        let path = segment::log_path(self.folder, last.first, last.generation);
        if !self.disk.exists(&path) {
            return Ok(0);
        }
        let (_, file, header) = recovery::open_segment(self.folder, self.disk, Mode::Read, old.plane, last)?;
        let mut sequence = header.sequence;
        let end = last.sealed.map_or(HEADER_BYTES as u64, |(_, bytes)| bytes);
        let mut reader = FrameReader::new(file, HEADER_BYTES as u64, end);
        while let Next::Frame { frame, .. } = reader.next_frame().map_err(Error::io("read", &path))? {
            sequence = frame.header.sequence + 1;
        }
        Ok(sequence)
    }

    /// Begins a segment to write to.
    fn begin(&mut self, old: &Manifest, first: u64, sequence: u64, new: &mut Manifest) -> Result<(), Error> {
        new.segments.push(Entry { first, generation: 0, sealed: None });
        new.durable_position = first;
        if !self.apply {
            return Ok(());
        }
        let sequence = sequence.max(old.durable_sequence);
        let header = Header { plane: old.plane, first, base_time_ms: 0, generation: 0, sequence };
        let path = segment::log_path(self.folder, first, 0);
        manifest::remove_if_there(self.disk, &path)?;
        let file = self.disk.open(&path, Mode::Create).map_err(Error::io("create", &path))?;
        file.write_all_at(&header.bytes(), 0).map_err(Error::io("write", &path))?;
        file.sync().map_err(Error::io("sync", &path))
    }

    /// Cuts off what comes after the last frame; it goes aside.
    fn cut(&mut self, path: &Path) -> Result<(), Error> {
        let offset = self
            .findings
            .iter()
            .filter(|finding| finding.file == path && matches!(finding.kind, Kind::Torn | Kind::Rest))
            .map(|finding| finding.offset)
            .min();
        let Some(offset) = offset else { return Ok(()) };
        let mode = if self.apply { Mode::Write } else { Mode::Read };
        let file = self.disk.open(path, mode).map_err(Error::io("open", path))?;
        let len = file.len().map_err(Error::io("read", path))?;
        let last = recovery::last_used(&file, offset, len).map_err(Error::io("read", path))?;
        self.act(path, format!("{} bytes after its last commit are cut off", last - offset), &[]);
        if !self.apply {
            return Ok(());
        }
        self.copy_aside(&file, path, offset, last, &format!("from-{offset}"))?;
        file.set_len(offset).map_err(Error::io("cut", path))?;
        file.sync().map_err(Error::io("sync", path))
    }

    /// Indexes that do not fit, and files that do not belong.
    fn others(&mut self, new: &Manifest) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let others: Vec<(PathBuf, Kind)> = self
            .findings
            .iter()
            .filter(|finding| matches!(finding.kind, Kind::Index | Kind::Orphan))
            .map(|finding| (finding.file.clone(), finding.kind))
            .collect();
        let listed: Vec<PathBuf> = new
            .segments
            .iter()
            .map(|entry| segment::log_path(self.folder, entry.first, entry.generation))
            .collect();
        for (file, kind) in others {
            if !seen.insert(file.clone()) || listed.contains(&file) || !self.disk.exists(&file) {
                continue;
            }
            let what = match kind {
                Kind::Index => "the index does not fit: it is put aside, and made anew when it is wanted",
                _ => "it does not belong here: it is put aside",
            };
            self.act(&file, what, &[]);
            self.put_aside(&file)?;
        }
        Ok(())
    }

    fn put_aside(&self, path: &Path) -> Result<(), Error> {
        let Some(name) = path.file_name().filter(|_| self.apply) else { return Ok(()) };
        self.disk.rename(path, &self.aside.join(name)).map_err(Error::io("put aside", path))
    }

    /// Copies bytes of a file aside, durably.
    fn copy_aside(
        &self,
        file: &Arc<dyn File>,
        path: &Path,
        from: u64,
        to: u64,
        suffix: &str,
    ) -> Result<(), Error> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = if name == suffix { name } else { format!("{name}.{suffix}") };
        let copy_path = self.aside.join(name);
        let copy = self.disk.open(&copy_path, Mode::Create).map_err(Error::io("create", &copy_path))?;
        let mut buffer = vec![0; (1 << 20).min(to - from) as usize];
        let mut at = from;
        while at < to {
            let len = buffer.len().min((to - at) as usize);
            file.read_exact_at(&mut buffer[..len], at).map_err(Error::io("read", path))?;
            copy.write_all_at(&buffer[..len], at - from).map_err(Error::io("write", &copy_path))?;
            at += len as u64;
        }
        copy.sync().map_err(Error::io("sync", &copy_path))?;
        self.disk.sync_dir(&self.aside).map_err(Error::io("sync the folder", &self.aside))
    }
}
