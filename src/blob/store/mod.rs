//! Content on disk, by digest.
//!
//! ```text
//! blobs/LOCK                  held by the one writer
//! blobs/pack-000001.bin       small content, one after another (bytes: see frame.rs)
//! blobs/large/ab/<digest>     large content, a file each
//! blobs/tmp-<n>               large content that is being written
//! ```
//!
//! Content is named by its BLAKE3 digest, 64 lower-case hexadecimal digits as text. Content that is put
//! twice is stored once; the second put reads it back, so after a put a good copy is there even if the first
//! was damaged meanwhile.
//!
//! **Durability.** What was put before [`ContentStore::sync`] is durable once that returned, and only then:
//! sync before appending the event that names content. After a failed write or sync the store writes no
//! more until it is opened again; what was put since the last good sync may then be there or not.
//!
//! **Reading is verified.** What `get` returns matches its digest; `get_stream` passes on nothing before
//! all of it matched, for which it reads large content twice, the second time most often from memory. A
//! file that changes between the two is an error at the end.
//!
//! **Collection.** [`ContentStore::collect`] keeps what was put since a [`Mark`], since the event that names
//! it may not be appended yet.
//!
//! **Who may open.** One writer, and any number of readers beside it, in other processes as well. A reader
//! that misses content looks for what was appended since.
//!
//! Limits: content up to 16 GiB ([`CONTENT_BYTES_MAX`]); memory about 64 bytes a small content, 512 KiB
//! for each large content in flight; one open file a pack of 64 MiB. Packs of later format versions are
//! refused.

mod collect;
mod error;
mod frame;
mod index;
mod large;
mod load;
mod pack;
mod recovery;
mod scan;
mod verify;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Hash;
use crate::disk::{Disk, File, Lock};
use index::Index;
use large::{CopyError, Large, LargeFile};
use pack::Pack;
use recovery::Cut;

pub use collect::{Collected, Mark};
pub use error::{Error, Result};
pub use verify::Finding;

/// The most bytes a content may have: 16 GiB.
pub const CONTENT_BYTES_MAX: u64 = 16 << 30;

/// Content of fewer bytes is packed: 64 KiB.
pub const SMALL_BYTES_MAX: u32 = 64 << 10;

/// The most bytes that a pack may be configured to have: 1 GiB.
pub const PACK_BYTES_MAX: u64 = 1 << 30;

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read, beside a writer if there is one.
    Read,
    /// To read and write, as the only writer.
    Write,
}

/// How a store is opened. Sizes may differ from one session to the next.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// To read, or to write too.
    pub access: Access,
    /// Content of fewer bytes is packed; 0 to [`SMALL_BYTES_MAX`], which is the default.
    pub small_bytes: u32,
    /// A pack is ended before it has more bytes than this, but for one content; at most [`PACK_BYTES_MAX`],
    /// default 64 MiB.
    pub pack_bytes: u64,
}

impl Options {
    /// The default sizes.
    #[must_use]
    pub fn new(access: Access) -> Self {
        Self { access, small_bytes: SMALL_BYTES_MAX, pack_bytes: 64 << 20 }
    }
}

/// Content on disk, shared by threads.
#[derive(Debug)]
pub struct ContentStore {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    options: Options,
    state: RwLock<State>,
    /// Held while files are synced and packs made. Taken before `state`, never after.
    syncing: Mutex<()>,
    /// Held by a collection. Taken before the others.
    collecting: Mutex<()>,
    /// Temporary files made in this session.
    temporaries: AtomicU64,
    _lock: Option<Box<dyn Lock>>,
}

#[derive(Debug, Default)]
struct State {
    index: Index,
    packs: BTreeMap<u32, Pack>,
    /// The pack that is appended to.
    active: Option<u32>,
    large: Large,
    /// What was cut when the store was opened.
    cuts: Vec<Cut>,
    /// Puts in this session.
    puts: u64,
    /// The first failed write or sync.
    poison: Option<String>,
}

impl State {
    fn next_put(&mut self) -> u64 {
        self.puts += 1;
        self.puts
    }

    /// Ends writing because of an error, which is passed through.
    fn poison(&mut self, error: Error) -> Error {
        self.poison.get_or_insert_with(|| error.to_string());
        error
    }

    /// All known damage to packs: the file, where it starts, where it ends.
    fn damages(&self) -> impl Iterator<Item = (&Pack, &scan::Gap)> {
        self.packs.values().flat_map(|pack| pack.damaged.iter().map(move |gap| (pack, gap)))
    }
}

/// Where content was found.
enum Place {
    Small { file: Arc<dyn File>, path: PathBuf, found: scan::Found },
    Large { file: Arc<dyn File>, path: PathBuf, len: u64 },
}

impl Place {
    fn len(&self) -> u64 {
        match self {
            Self::Small { found, .. } => u64::from(found.len),
            Self::Large { len, .. } => *len,
        }
    }

    fn corrupt(&self, hash: &Hash) -> Error {
        let (path, offset) = match self {
            Self::Small { path, found, .. } => (path, u64::from(found.offset) + frame::FRAME_HEADER_BYTES),
            Self::Large { path, .. } => (path, 0),
        };
        Error::Corrupt { hash: *hash, file: path.clone(), offset }
    }

    fn path(&self) -> &Path {
        let (Self::Small { path, .. } | Self::Large { path, .. }) = self;
        path
    }

    /// All bytes, if they match.
    fn read(&self, hash: &Hash) -> Result<Vec<u8>> {
        let read = match self {
            Self::Small { file, found, .. } => pack::read(&**file, found),
            Self::Large { file, len, .. } => {
                let mut bytes = vec![0; *len as usize];
                file.read_exact_at(&mut bytes, 0).map(|()| bytes)
            }
        };
        match read {
            Ok(bytes) if blake3::hash(&bytes) == *hash => Ok(bytes),
            Ok(_) => Err(self.corrupt(hash)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.corrupt(hash)),
            Err(error) => Err(error::failed("read", self.path())(error)),
        }
    }
}

impl ContentStore {
    /// Opens the store in `folder`, which a writer makes if it is missing; to a reader a missing folder is an
    /// empty store.
    ///
    /// # Errors
    /// [`Error::Locked`] for a second writer, [`Error::Newer`] for a later format, and failed file
    /// operations. Damage does not keep a store from opening: see [`ContentStore::verify`].
    pub fn open(disk: Arc<dyn Disk>, folder: &Path, access: Access) -> Result<Self> {
        Self::open_with(disk, folder, Options::new(access))
    }

    /// As [`ContentStore::open`], with other sizes.
    ///
    /// # Errors
    /// As [`ContentStore::open`].
    pub fn open_with(disk: Arc<dyn Disk>, folder: &Path, mut options: Options) -> Result<Self> {
        options.small_bytes = options.small_bytes.min(SMALL_BYTES_MAX);
        options.pack_bytes = options.pack_bytes.min(PACK_BYTES_MAX);
        let lock = match options.access {
            Access::Read => None,
            Access::Write => Some(make_folder(&*disk, folder)?),
        };
        let store = Self {
            disk,
            folder: folder.to_owned(),
            options,
            state: RwLock::default(),
            syncing: Mutex::default(),
            collecting: Mutex::default(),
            temporaries: AtomicU64::new(1),
            _lock: lock,
        };
        match options.access {
            Access::Read => store.load(&mut store.state_mut())?,
            Access::Write => store.recover()?,
        }
        Ok(store)
    }

    /// Stores content and returns its digest. Durable after the next [`ContentStore::sync`].
    ///
    /// # Errors
    /// [`Error::TooLarge`] over [`CONTENT_BYTES_MAX`]; [`Error::ReadOnly`], [`Error::Poisoned`],
    /// [`Error::Full`], [`Error::Io`].
    pub fn put(&self, bytes: &[u8]) -> Result<Hash> {
        self.check_writable(&self.state())?;
        if bytes.len() as u64 > CONTENT_BYTES_MAX {
            return Err(Error::TooLarge { bytes_max: CONTENT_BYTES_MAX });
        }
        let hash = blake3::hash(bytes);
        // Put as large content under other options: one copy is enough.
        if bytes.len() >= self.options.small_bytes as usize && self.state().index.get(&hash).is_none() {
            self.put_large(&hash, bytes)?;
            return Ok(hash);
        }
        // Noted as put before it is read back, so that a collection meanwhile leaves it alone.
        let known = {
            let mut state = self.state_mut();
            let put = state.next_put();
            let entry = state.index.touch(&hash, put);
            (put, entry.and_then(|entry| Some((state.packs.get(&entry.pack)?.file.clone(), entry))))
        };
        let (put, known) = known;
        let whole = known.is_some_and(|(file, entry)| {
            pack::read(&*file, &entry.found(hash)).is_ok_and(|there| there == bytes)
        });
        if !whole {
            self.append(&hash, bytes, put)?;
        }
        Ok(hash)
    }

    /// Stores what a reader gives, in bounded memory, and returns the digest and the number of bytes.
    /// Durable after the next [`ContentStore::sync`].
    ///
    /// # Errors
    /// [`Error::Input`] where the reader fails: then nothing is put, and the store goes on. Else as
    /// [`ContentStore::put`].
    pub fn put_stream(&self, reader: &mut dyn Read) -> Result<(Hash, u64)> {
        self.check_writable(&self.state())?;
        let mut head = Vec::new();
        let small_bytes = u64::from(self.options.small_bytes);
        reader.take(small_bytes).read_to_end(&mut head).map_err(Error::Input)?;
        if (head.len() as u64) < small_bytes {
            return Ok((self.put(&head)?, head.len() as u64));
        }
        self.put_large_stream(&head, reader)
    }

    /// Content of at most `bytes_max` bytes, verified; `None` if it is not there.
    ///
    /// # Errors
    /// [`Error::OverLimit`], before memory is taken; [`Error::Corrupt`]; [`Error::Damaged`] where it is not
    /// found in a store with damage, which may have held it; [`Error::Io`].
    pub fn get(&self, hash: &Hash, bytes_max: u64) -> Result<Option<Vec<u8>>> {
        self.with_place(hash, |place| {
            if place.len() > bytes_max {
                return Err(Error::OverLimit { hash: *hash, bytes: place.len(), bytes_max });
            }
            place.read(hash)
        })
    }

    /// Writes content to `writer` and returns how many bytes it has; `None` if it is not there. All of it is
    /// verified before the first byte is written.
    ///
    /// # Errors
    /// [`Error::Output`] where the writer fails, else as [`ContentStore::get`]. If [`Error::Corrupt`] comes
    /// after bytes were written, the file was changed meanwhile.
    pub fn get_stream(&self, hash: &Hash, writer: &mut dyn Write) -> Result<Option<u64>> {
        self.with_place(hash, |place| {
            if let Place::Large { file, path, len } = place {
                let copy = |writer: &mut dyn Write| match large::digest(&**file, *len, writer) {
                    Ok(there) if there == *hash => Ok(()),
                    Ok(_) => Err(place.corrupt(hash)),
                    Err(CopyError::Read(source)) => Err(error::failed("read", path)(source)),
                    Err(CopyError::Write(source)) => Err(Error::Output(source)),
                };
                copy(&mut io::sink())?;
                copy(writer)?;
            } else {
                writer.write_all(&place.read(hash)?).map_err(Error::Output)?;
            }
            Ok(place.len())
        })
    }

    /// Bytes of a content, without reading it; `None` if it is not there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn bytes(&self, hash: &Hash) -> Result<Option<u64>> {
        Ok(self.find(hash)?.map(|place| place.len()))
    }

    /// Whether content is there. It is not read.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn contains(&self, hash: &Hash) -> Result<bool> {
        Ok(self.bytes(hash)?.is_some())
    }

    /// Digests and bytes of all content, in the order of the digests.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn list(&self) -> Result<Vec<(Hash, u64)>> {
        if self.options.access == Access::Read {
            self.load(&mut self.state_mut())?;
        }
        let mut all: BTreeMap<[u8; 32], u64> = BTreeMap::new();
        for hash in self.list_large()?.iter().filter_map(|(_, hash)| *hash) {
            if let Some(large) = self.open_large(&hash)? {
                all.insert(*hash.as_bytes(), large.len);
            }
        }
        let state = self.state();
        all.extend(state.index.iter().map(|(hash, entry)| (*hash.as_bytes(), u64::from(entry.len))));
        Ok(all.into_iter().map(|(digest, len)| (Hash::from_bytes(digest), len)).collect())
    }

    /// How many contents there are.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn len(&self) -> Result<u64> {
        if self.options.access == Access::Read {
            self.load(&mut self.state_mut())?;
        }
        let large = self.list_large()?;
        let state = self.state();
        let large = large.iter().filter_map(|(_, hash)| hash.as_ref());
        let only_large = large.filter(|hash| state.index.get(hash).is_none()).count();
        Ok((state.index.len() + only_large) as u64)
    }

    /// Whether there is no content.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Makes durable what was put before. Does nothing where there is nothing to do; threads that sync at a
    /// time share what they can.
    ///
    /// # Errors
    /// [`Error::Full`] or [`Error::Io`] where it failed, [`Error::Poisoned`] where something failed before:
    /// in both cases nothing is known about what was put since the last good sync.
    pub fn sync(&self) -> Result<()> {
        self.sync_all()
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where content is, as far as is known.
    fn known_place(&self, hash: &Hash) -> Result<Option<Place>> {
        {
            let state = self.state();
            if let Some(entry) = state.index.get(hash)
                && let Some(pack) = state.packs.get(&entry.pack)
            {
                let (file, path) = (pack.file.clone(), pack.path.clone());
                return Ok(Some(Place::Small { file, path, found: entry.found(*hash) }));
            }
        }
        Ok(self.open_large(hash)?.map(|LargeFile { file, path, len }| Place::Large { file, path, len }))
    }

    /// Where content is; a reader looks for what was appended since.
    fn find(&self, hash: &Hash) -> Result<Option<Place>> {
        let place = self.known_place(hash)?;
        if place.is_some() || self.options.access == Access::Write {
            return Ok(place);
        }
        self.load(&mut self.state_mut())?;
        self.known_place(hash)
    }

    /// What `read` makes of content.
    fn with_place<T>(&self, hash: &Hash, mut read: impl FnMut(&Place) -> Result<T>) -> Result<Option<T>> {
        let Some(place) = self.find(hash)? else {
            return self.missing(hash).map(|()| None);
        };
        match read(&place) {
            // A writer that recovered after a crash may have cut what this reader saw.
            Err(Error::Corrupt { .. })
                if self.options.access == Access::Read && matches!(place, Place::Small { .. }) =>
            {
                self.reload(&mut self.state_mut())?;
                match self.known_place(hash)? {
                    Some(place) => read(&place).map(Some),
                    None => self.missing(hash).map(|()| None),
                }
            }
            result => result.map(Some),
        }
    }

    /// An error where damage may be why content is not found.
    fn missing(&self, hash: &Hash) -> Result<()> {
        let state = self.state();
        let damages = state.damages().count();
        match state.damages().next() {
            None => Ok(()),
            Some((pack, gap)) => {
                Err(Error::Damaged { hash: *hash, damages, file: pack.path.clone(), offset: gap.start })
            }
        }
    }
}

/// Makes the folders that are missing, durably but for the names inside the store, and locks the store.
fn make_folder(disk: &dyn Disk, folder: &Path) -> Result<Box<dyn Lock>> {
    let missing = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !disk.exists(path));
    // The store's own name may be what an earlier session made and did not get to sync.
    let mut parents: Vec<&Path> = missing.chain([folder]).filter_map(Path::parent).collect();
    parents.retain(|path| !path.as_os_str().is_empty());
    let large = folder.join(large::FOLDER);
    disk.create_dir(&large).map_err(error::failed("create", &large))?;
    for path in parents {
        disk.sync_dir(path).map_err(error::failed("sync", path))?;
    }
    let path = folder.join("LOCK");
    let note = format!("process {}\n", std::process::id());
    let lock = disk.lock(&path, &note).map_err(error::failed("lock", &path))?;
    lock.ok_or_else(|| Error::Locked { folder: folder.to_owned() })
}
