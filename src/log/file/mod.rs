//! The log in files: durable, verifiable, and open again after any crash.
//!
//! A plane is a folder of segment files ([`segment`]) that a manifest lists ([`manifest`]). Each commit is one
//! frame ([`frame`]) at the end of the last segment, whole or not there. Segments that are full are sealed and get
//! an index file ([`index`]); the last one has its index in memory. `docunomicon/log-format.md` has the bytes.
//!
//! Invariants. What was acknowledged is there after a crash, what was not is there as a whole or not at all.
//! Positions and versions are given once, without a gap, and never change. An error while writing or
//! syncing ends writing ([`Error::Poisoned`]), for nothing is known after it; opening again finds out. Damage is never
//! taken for the end of the log where anything tells the difference.
//!
//! Bounds: memory is that of the active segment's index (some 40 bytes an energy), of loaded indexes of
//! sealed ones (64 MiB), of the last batches (16 MiB), and of the tables ([`tables`]). A commit has less than 1 GiB.

mod background;
mod backup;
pub mod chain;
mod compaction;
mod decode;
mod digests;
mod finding;
pub mod frame;
pub mod frames;
pub mod index;
mod indexing;
mod inventory;
pub mod manifest;
mod mending;
mod plane;
mod reader;
pub mod record;
mod recovery;
mod references;
pub mod repair;
mod retention;
mod rewriting;
mod salvage;
pub mod segment;
mod stat;
mod sync;
pub mod tables;
pub mod varint;
pub mod verify;
mod view;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Duration;

use self::background::Background;
use self::index::ActiveIndex;
use self::indexing::Older;
use self::manifest::{Entry, Manifest};
use self::plane::{Plane, Spare};
use self::recovery::ActiveScan;
use self::sync::{Mark, Syncer};
use self::tables::Tables;
use self::view::{Active, IndexCache, Tail, View};
use self::writer::{Known, Writer};
use super::judge::judge_events;
use super::{
    Appended, Bounds, Bus, Capacity, Commit, Conflict, Direction, Error, Log, Pair, Query, Subscription,
    Table,
};
use crate::disk::{Disk, Mode, RealDisk};
use crate::event::{EventRef, Events, Uuid};
pub use crate::runeset::Durability;

pub use backup::BackedUp;
pub use compaction::{Compacted, Compaction, IsCurrent, Progress, Rewrite};
pub use manifest::plane_folder;
pub use recovery::Torn;
pub use stat::{Moment, Stat, StreamState, TopicCount};

/// Bytes of a segment, unless an option says otherwise.
pub const SEGMENT_BYTES: u32 = 64 << 20;

/// Bytes of changes in memory, unless an option says otherwise.
pub const CHECKPOINT_BYTES: usize = 64 << 20;

/// Room is taken in steps of this many bytes, so that a sync seldom has to write a file's length.
const ALLOCATION_BYTES: u64 = 8 << 20;

/// Bytes of a lock file that are read.
const HOLDER_BYTES_MAX: u64 = 8 << 10;

/// How often a reader looks for what another process has written.
const POLL: Duration = Duration::from_millis(10);

/// How a log is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its files are.
    pub disk: Arc<dyn Disk>,
    /// When an append is acknowledged.
    pub durability: Durability,
    /// Bytes after which a segment is sealed; one commit may make it longer. At most 1 GiB.
    pub segment_bytes: u32,
    /// The time, in milliseconds since the epoch: for ttls.
    pub now_ms: fn() -> i64,
    /// Whether a thread seals, syncs and writes tables; without it that is done where it falls.
    pub background: bool,
    /// Bytes of changes in memory after which they are written to the tables' file.
    pub checkpoint_bytes: usize,
    /// What the lock file says after the number of the process, for whoever asks who has the plane open.
    pub note: String,
}

impl Options {
    /// The defaults, on the disk of this machine.
    #[must_use]
    pub fn new(now_ms: fn() -> i64) -> Self {
        Self {
            disk: Arc::new(RealDisk),
            durability: Durability::default(),
            segment_bytes: SEGMENT_BYTES,
            now_ms,
            background: true,
            checkpoint_bytes: CHECKPOINT_BYTES,
            note: String::new(),
        }
    }

    /// Bytes to take room for when `need` are needed.
    fn allocation(&self, need: u64) -> u64 {
        let step = ALLOCATION_BYTES.min(u64::from(self.segment_bytes)).max(1);
        need.max(1).next_multiple_of(step)
    }
}

/// A plane's log in files. Shared by threads; to share it among owners, put it into an `Arc`.
#[derive(Debug)]
pub struct FileLog {
    plane: Arc<Plane>,
    background: Option<Background>,
    /// Who listens to energies that are never stored.
    bus: Bus,
    /// The manifest as it was read last, by who only reads.
    seen: Mutex<Option<Reading>>,
    /// Whether it was closed, with success or not.
    shut: bool,
}

/// Where a reader without the lock stands.
#[derive(Debug)]
struct Reading {
    manifest: Vec<u8>,
    durable: u64,
    scan: ActiveScan,
}

impl FileLog {
    /// Opens a plane to read and write; makes it when the folder is missing or empty.
    pub fn open(folder: &Path, options: Options) -> Result<Self, Error> {
        let disk = options.disk.clone();
        if !disk.exists(&folder.join(manifest::NAME)) {
            recovery::check_folder(folder, &*disk)?;
            recovery::create_folder(folder, &*disk)?;
        }
        let lock_path = folder.join("LOCK");
        let note = format!("process {}{}", std::process::id(), options.note);
        let lock = disk.lock(&lock_path, &note).map_err(Error::io("lock", &lock_path))?;
        let lock = lock
            .ok_or_else(|| Error::Locked { path: folder.to_owned(), holder: holder(&*disk, &lock_path) })?;
        let manifest = match Manifest::load(&*disk, folder)? {
            Some((manifest, _)) => manifest,
            None => {
                recovery::check_folder(folder, &*disk)?;
                recovery::create(folder, &options)?
            }
        };
        let plane = Plane::new(folder, options, &manifest, Some(lock))?;
        Self::over(plane, &manifest)
    }

    /// Opens a plane to read. Others may have it open at the same time, one of them to write.
    pub fn open_to_read(folder: &Path, options: Options) -> Result<Self, Error> {
        const ATTEMPTS: usize = 5;
        let mut attempt = 0;
        let (plane, manifest, text) = loop {
            let Some((manifest, text)) = Manifest::load(&*options.disk, folder)? else {
                return Err(recovery::missing(folder, &*options.disk));
            };
            match Plane::new(folder, options.clone(), &manifest, None) {
                Ok(plane) => break (plane, manifest, text),
                // Compaction may have taken a file away between the two looks.
                Err(error) if attempt < ATTEMPTS && may_pass(&error) => {
                    attempt += 1;
                    std::thread::sleep(POLL);
                }
                Err(error) => return Err(error),
            }
        };
        let scan = ActiveScan::new(&plane.view().active.header);
        let reading = Reading { manifest: text, durable: manifest.durable_sequence, scan };
        let log = Self {
            plane: Arc::new(plane),
            background: None,
            bus: Bus::new(),
            seen: Mutex::new(Some(reading)),
            shut: false,
        };
        log.refresh()?;
        Ok(log)
    }

    /// Opened to write: takes in the active segment.
    fn over(mut plane: Plane, manifest: &Manifest) -> Result<Self, Error> {
        let durable = manifest.durable_sequence;
        let mut scan = ActiveScan::new(&plane.view().active.header);
        let first = scan.mark.sequence;
        let torn = plane.scan_active(&mut scan, durable)?;
        let disk = plane.options.disk.clone();
        recovery::check_later(&plane.folder, &*disk, manifest)?;
        let file = {
            let active = &plane.view().active;
            if let Some(Torn { path, offset, bytes }) = &torn {
                tracing::warn!(path = %path.display(), offset, bytes, "a torn tail is cut off");
            }
            recovery::settle(active, scan.unsettled(active, durable))?;
            active.file.clone()
        };
        let manifest = plane.manifest(&plane.view(), scan.mark);
        manifest.store(&*disk, &plane.folder)?;
        recovery::remove_leftovers(&plane.folder, &*disk, &manifest)?;
        let len = file.len().map_err(Error::io("read", &plane.folder))?;
        plane.tables.open(&*plane.options.disk, (first, scan.mark.sequence), scan.changes.drain(..))?;
        let eager = plane.options.durability != Durability::Commit;
        plane.syncer = Syncer::new(file, scan.mark, eager);
        plane.writer = Some(Mutex::new(Writer::new(scan.mark, len)));
        let plane = Arc::new(plane);
        let interval = match plane.options.durability {
            Durability::IntervalMs(ms) => Some(Duration::from_millis(ms)),
            Durability::Commit | Durability::Os => None,
        };
        let background = plane.options.background.then(|| Background::start(&plane, interval)).flatten();
        Ok(Self { plane, background, bus: Bus::new(), seen: Mutex::default(), shut: false })
    }

    /// Opened to read: takes in what another process has appended. Returns what is visible.
    pub fn refresh(&self) -> Result<u64, Error> {
        const ATTEMPTS: usize = 5;
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(reading) = &mut *seen else { return Ok(self.plane.syncer.visible()) };
        let mut attempt = 0;
        loop {
            match self.plane.read_on(reading) {
                Ok(()) => return Ok(self.plane.syncer.visible()),
                Err(error) if attempt < ATTEMPTS && may_pass(&error) => {
                    attempt += 1;
                    std::thread::sleep(POLL);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the log was opened to read.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.plane.writer.is_none()
    }

    /// Whether damage took the energy at this position, and a repair gave it up.
    #[must_use]
    pub fn is_lost(&self, position: u64) -> bool {
        self.plane.lost.iter().any(|(first, end)| (*first..*end).contains(&position))
    }

    /// The plane's identity, which it got when it was made.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.plane.id
    }

    /// How the log was opened.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.plane.options
    }

    /// Whether it takes more: an error once writing or syncing has failed.
    pub fn health(&self) -> Result<(), Error> {
        self.plane.syncer.check()
    }

    /// Has `observer` told whenever readers may see more, on the thread that made it so; what it is told may come out of
    /// order. A log that is open to write has one at most: false where there is one already.
    pub fn observe(&self, observer: impl Fn(u64) + Send + Sync + 'static) -> bool {
        self.plane.syncer.observe(Box::new(observer))
    }

    /// The plane's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.plane.folder
    }

    /// Makes everything durable, and lets go of the plane. Dropping the log does the same, without the error.
    pub fn close(mut self) -> Result<(), Error> {
        self.shut()
    }

    fn shut(&mut self) -> Result<(), Error> {
        if let Some(background) = self.background.take() {
            background.stop(&self.plane);
        }
        let Ok(writer) = self.plane.writer() else { return Ok(()) };
        if std::mem::replace(&mut self.shut, true) {
            return Ok(());
        }
        self.plane.syncer.check()?;
        self.plane.syncer.sync_to(writer.next.sequence)?;
        self.plane.close_tables();
        // From now on damage to the very last frame can be told from a torn tail.
        let manifest = self.plane.manifest(&self.plane.view(), writer.next);
        manifest.store(&*self.plane.options.disk, &self.plane.folder)
    }
}

impl Drop for FileLog {
    fn drop(&mut self) {
        if !self.is_read_only() && self.plane.syncer.check().is_ok() {
            let _told_by_close = self.shut();
        }
        if let Some(background) = self.background.take() {
            background.stop(&self.plane);
        }
    }
}

/// Files come, go and are cut under who reads without the lock: what looks like damage may be half of a change.
fn may_pass(error: &Error) -> bool {
    use std::io::ErrorKind::{NotFound, UnexpectedEof};
    match error {
        Error::Damaged { .. } => true,
        Error::Io { source, .. } => matches!(source.kind(), NotFound | UnexpectedEof),
        _ => false,
    }
}

/// What a lock file says of who holds it.
pub fn holder(disk: &dyn Disk, path: &Path) -> String {
    let text = disk.open(path, Mode::Read).and_then(|file| {
        let mut bytes = vec![0; file.len()?.min(HOLDER_BYTES_MAX) as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    });
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

fn open_active(folder: &Path, disk: &dyn Disk, manifest: &Manifest, mode: Mode) -> Result<Active, Error> {
    let last = manifest.segments.len() - 1;
    let entry: &Entry = &manifest.segments[last];
    let (path, file, header) = recovery::open_segment(folder, disk, mode, manifest.plane, entry)?;
    let (index, end) = (ActiveIndex::new(header.first), segment::HEADER_BYTES as u64);
    Ok(Active { header, path, file, index, end })
}

impl Plane {
    /// A plane whose active segment is still to be read.
    fn new(
        folder: &Path,
        options: Options,
        manifest: &Manifest,
        lock: Option<Box<dyn crate::disk::Lock>>,
    ) -> Result<Self, Error> {
        let disk = options.disk.clone();
        let mode = if lock.is_some() { Mode::Write } else { Mode::Read };
        let view = View {
            sealed: recovery::open_sealed(folder, &*disk, manifest)?,
            active: open_active(folder, &*disk, manifest, mode)?,
            tail: Tail::default(),
        };
        let syncer = Syncer::new(view.active.file.clone(), Mark::default(), true);
        let older = Mutex::new(view.sealed.clone());
        let tables = Tables::new(folder, manifest.plane, lock.is_some());
        Ok(Self {
            folder: folder.to_owned(),
            options,
            id: manifest.plane,
            lost: manifest.lost.clone(),
            view: RwLock::new(view),
            older,
            syncer,
            cache: IndexCache::default(),
            memory: Spare::default(),
            tables,
            writer: None,
            compacting: Mutex::default(),
            jobs: OnceLock::new(),
            _lock: lock,
        })
    }

    /// Reads what was appended since, in this segment and in those after it.
    fn read_on(&self, reading: &mut Reading) -> Result<(), Error> {
        let disk = &*self.options.disk;
        let Some((manifest, text)) = Manifest::load(disk, &self.folder)? else {
            return Err(Error::Missing(self.folder.clone()));
        };
        if text != reading.manifest || manifest.segments.len() != self.view().len() {
            let kept: Vec<_> = self.view().sealed.clone();
            let mut sealed = recovery::open_sealed(&self.folder, disk, &manifest)?;
            for segment in &mut sealed {
                if let Some(known) = kept.iter().find(|known| known.header == segment.header) {
                    *segment = known.clone();
                }
            }
            self.set_sealed(&mut self.view_mut(), sealed);
            let active = open_active(&self.folder, disk, &manifest, Mode::Read)?;
            if active.header != self.view().active.header {
                reading.scan = ActiveScan::new(&active.header);
                self.view_mut().active = active;
            }
            (reading.manifest, reading.durable) = (text, manifest.durable_sequence);
        }
        let first = reading.scan.mark.sequence;
        let _being_written = self.scan_active(&mut reading.scan, reading.durable)?;
        self.tables.follow((first, reading.scan.mark.sequence), reading.scan.changes.drain(..));
        self.syncer.wrote(reading.scan.mark);
        Ok(())
    }

    /// Reads the active segment, from where the scan stands. The view is held: no index may ask for it.
    fn scan_active(&self, scan: &mut ActiveScan, durable: u64) -> Result<Option<Torn>, Error> {
        let older: &mut Older<'_> = &mut |stream| self.head_before(stream, u64::MAX);
        scan.run(&mut self.view_mut().active, durable, older)
    }
}

impl Log for FileLog {
    fn append(&self, commit: Commit) -> Result<Appended, Error> {
        let (appended, sequence) = self.append_numbered(commit)?;
        if self.plane.options.durability == Durability::Commit {
            self.plane.syncer.sync_to(sequence)?;
        }
        Ok(appended)
    }

    fn append_unsynced(&self, commit: Commit) -> Result<Appended, Error> {
        Ok(self.append_numbered(commit)?.0)
    }

    fn sync(&self) -> Result<(), Error> {
        self.plane.syncer.sync_to(self.plane.syncer.written().sequence)
    }

    fn check(&self, events: &mut dyn Iterator<Item = EventRef<'_>>) -> Result<Option<Conflict>, Error> {
        let mut batch = Events::default();
        events.for_each(|event| batch.push_copy(event));
        let mut known = Known { plane: &self.plane, head: self.head() };
        let appended = judge_events(&mut known, &batch)?;
        Ok(appended.conflicts.into_iter().next().map(|(_, conflict)| conflict))
    }

    fn head(&self) -> u64 {
        self.plane.syncer.written().position
    }

    fn visible(&self) -> u64 {
        self.plane.syncer.visible()
    }

    fn read(&self, position: u64) -> Result<Option<(Arc<Events>, usize)>, Error> {
        self.plane.read(position)
    }

    fn scan(
        &self,
        from: u64,
        direction: Direction,
        query: &Query,
        limit: usize,
        events: &mut Events,
    ) -> Result<u64, Error> {
        self.plane.scan(from, self.visible(), direction, query, limit, events)
    }

    fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error> {
        self.plane.find_id(id, &mut Events::default())
    }

    fn version_of(&self, stream: &str) -> Result<Option<u64>, Error> {
        Ok(self.plane.stream_head(stream.as_bytes())?.map(|head| head.version))
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.plane.table_value(table, key)
    }

    fn range(
        &self,
        table: Table,
        bounds: Bounds<'_>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, Error> {
        self.plane.table_range(table, bounds, direction, limit)
    }

    fn values(&self, table: Table, prefix: &[u8]) -> Result<Vec<Pair>, Error> {
        self.plane.table_values(table, prefix)
    }

    fn wait(&self, position: u64, timeout: Duration) -> u64 {
        if !self.is_read_only() {
            return self.plane.syncer.wait(position, timeout);
        }
        let mut left = timeout;
        loop {
            // What cannot be read now is told by the next read.
            let visible = self.refresh().unwrap_or_else(|_| self.visible());
            if visible > position || left.is_zero() {
                return visible;
            }
            let step = left.min(POLL);
            std::thread::sleep(step);
            left -= step;
        }
    }

    fn wait_unless(&self, position: u64, timeout: Duration, is_enough: &dyn Fn() -> bool) -> u64 {
        match self.is_read_only() {
            true => self.wait(position, timeout),
            false => self.plane.syncer.wait_unless(position, timeout, is_enough),
        }
    }

    fn subscribe(&self, query: Query, capacity: Capacity) -> Option<Subscription> {
        Some(self.bus.subscribe(query, capacity))
    }

    fn release(&self, _position: u64) {}
}

impl FileLog {
    /// Who listens to energies that are never stored.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Gives energies that are not stored to those who listen, unless their commit was refused.
    fn pass_on(&self, passing: &Arc<Events>, appended: &Appended, is_atomic: bool) {
        let is_refused = appended.ephemeral.is_empty() || (is_atomic && !appended.conflicts.is_empty());
        if !is_refused {
            self.bus.publish(&Appended::default(), Some(passing));
            self.plane.syncer.nudge();
        }
    }

    fn append_numbered(&self, mut commit: Commit) -> Result<(Appended, u64), Error> {
        for head in commit.events.heads_mut() {
            if head.id.is_nil() {
                head.id = Uuid::now_v7();
            }
        }
        let (passing, is_atomic) = (self.bus.ephemeral_of(&commit.events), commit.atomic);
        let appended = self.plane.append(commit)?;
        if let Some(passing) = passing {
            self.pass_on(&passing, &appended.0, is_atomic);
        }
        if matches!(self.plane.options.durability, Durability::IntervalMs(_)) {
            self.plane.written();
        }
        Ok(appended)
    }
}
