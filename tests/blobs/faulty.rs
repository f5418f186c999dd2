//! A disk whose operations that change something fail from a chosen one on, as on a crash of the process
//! or a full disk; of the write that fails first, half is done. Syncs are counted, and not passed on: no test
//! here cuts the power, and they are slow.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use sanctum::disk::{Disk, File, Lock, Mode, RealDisk};

#[derive(Debug)]
pub struct Budget {
    left: AtomicI64,
    pub kind: io::ErrorKind,
    pub writes: AtomicU64,
    pub syncs: AtomicU64,
}

impl Budget {
    fn spend(&self) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 { Ok(()) } else { Err(self.kind.into()) }
    }

    pub fn set(&self, operations: i64) {
        self.left.store(operations, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub struct Faulty(pub Arc<Budget>);

impl Faulty {
    pub fn new(operations: i64, kind: io::ErrorKind) -> (Arc<Self>, Arc<Budget>) {
        let budget = Arc::new(Budget {
            left: AtomicI64::new(operations),
            kind,
            writes: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
        });
        (Arc::new(Self(budget.clone())), budget)
    }
}

#[derive(Debug)]
struct FaultyFile(Arc<dyn File>, Arc<Budget>);

impl File for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.1.writes.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = self.1.spend() {
            if self.1.left.load(Ordering::SeqCst) == -1 {
                self.0.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            }
            return Err(error);
        }
        self.0.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.syncs.fetch_add(1, Ordering::SeqCst);
        self.1.spend()
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.1.spend()?;
        self.0.allocate(len)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.1.spend()?;
        self.0.set_len(len)
    }
}

impl Disk for Faulty {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>> {
        if mode == Mode::Create {
            self.0.spend()?;
        }
        Ok(Arc::new(FaultyFile(RealDisk.open(path, mode)?, self.0.clone())))
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(folder)
    }
    fn exists(&self, path: &Path) -> bool {
        RealDisk.exists(path)
    }
    fn create_dir(&self, folder: &Path) -> io::Result<()> {
        self.0.spend()?;
        RealDisk.create_dir(folder)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.spend()?;
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.spend()?;
        RealDisk.remove(path)
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.spend()?;
        RealDisk.link(from, to)
    }
    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        self.0.spend()?;
        RealDisk.list(folder).map(drop)
    }
    fn lock(&self, path: &Path, note: &str) -> io::Result<Option<Box<dyn Lock>>> {
        RealDisk.lock(path, note)
    }
}
