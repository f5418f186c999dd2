//! The file under the database: blocks with checksums, and a head that is read without the database.
//!
//! ```text
//!    0  "sanctab\n" · 8 format u32 · 12 crc32c u32 of bytes 0..12 and 16..32 · 16 plane id 16
//!  512  claim: sequence u64, crc32c u32. No commit at or above it is in the file.
//! 1024  done: sequence u64, crc32c u32. Every commit below it is in the file; none where the checksum does not fit.
//! 4096  blocks: crc32c u32 of the block's number (u64) and its bytes · 4096 bytes
//! ```
//!
//! The database verifies what it reads only after a crash, and panics on some damage. Here each block is
//! verified whenever it is read from the file, so that the database never sees a byte that it did not write. A claim is
//! raised before a checkpoint and done after it: together they tell on opening whether the file can belong to the
//! log and what of the log need not be folded again. The first block is the database's own head, which it overwrites: what
//! changes of it is its first 320 bytes, within one sector of 512. Where a crash tears it all the same, the
//! file is made anew from the log.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use redb::StorageBackend;

use crate::disk::{Disk, File, Mode};
use crate::event::Uuid;

/// The format that this version writes and reads. Another one is made anew.
const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"sanctab\n";
const CLAIM_AT: u64 = 512;
const DONE_AT: u64 = 1024;
/// Where the blocks begin.
const HEAD_BYTES: u64 = 4096;
/// Bytes of a block for the database, and with its checksum.
const BLOCK_BYTES: usize = 4096;
const STRIDE_BYTES: usize = BLOCK_BYTES + 4;

/// See the module.
#[derive(Debug)]
pub struct Blocks {
    file: Arc<dyn File>,
    /// The first block, of which the database writes a part.
    first: Mutex<Option<Box<[u8]>>>,
    /// The first damage that was met.
    damage: OnceLock<String>,
    /// Nothing may touch the file any more.
    is_shut: AtomicBool,
}

/// What the head of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// No commit at or above it is in the file.
    pub claim: u64,
    /// Every commit below it is in the file.
    pub done: u64,
}

impl Blocks {
    /// Makes a file.
    pub fn create(disk: &dyn Disk, path: &Path, plane: Uuid) -> io::Result<Self> {
        let file = disk.open(path, Mode::Create)?;
        let mut head = vec![0; HEAD_BYTES as usize];
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        head[16..32].copy_from_slice(plane.as_bytes());
        let crc = head_crc(&head);
        head[12..16].copy_from_slice(&crc.to_le_bytes());
        head[CLAIM_AT as usize..][..12].copy_from_slice(&mark(0));
        file.write_all_at(&head, 0)?;
        Ok(Self::over(file))
    }

    /// Opens a file. The head was read before.
    pub fn open(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        Ok(Self::over(disk.open(path, Mode::Write)?))
    }

    fn over(file: Arc<dyn File>) -> Self {
        Self { file, first: Mutex::default(), damage: OnceLock::new(), is_shut: AtomicBool::new(false) }
    }

    /// The head of a file; as a value, why it is none of this plane's.
    pub fn head(disk: &dyn Disk, path: &Path, plane: Uuid) -> io::Result<Result<Head, &'static str>> {
        let file = disk.open(path, Mode::Read)?;
        if file.len()? < HEAD_BYTES {
            return Ok(Err("it is cut off"));
        }
        let mut head = [0; DONE_AT as usize + 12];
        file.read_exact_at(&mut head, 0)?;
        let Some(claim) = read_mark(&head[CLAIM_AT as usize..]) else { return Ok(Err("it is damaged")) };
        if head[..8] != MAGIC || head[12..16] != head_crc(&head).to_le_bytes() {
            return Ok(Err("it is damaged"));
        }
        if head[8..12] != FORMAT.to_le_bytes() {
            return Ok(Err("it has another format"));
        }
        if head[16..32] != *plane.as_bytes() {
            return Ok(Err("it is of another plane"));
        }
        Ok(Ok(Head { claim, done: read_mark(&head[DONE_AT as usize..]).unwrap_or(0) }))
    }

    /// Says that commits below `sequence` may be in the file from now on. Durable with the next sync.
    pub fn claim(&self, sequence: u64) -> io::Result<()> {
        self.file.write_all_at(&mark(sequence), CLAIM_AT)
    }

    /// Says that commits below `sequence` are in the file, durably.
    pub fn done(&self, sequence: u64) -> io::Result<()> {
        self.file.write_all_at(&mark(sequence), DONE_AT)
    }

    /// The damage that was met, if any.
    #[must_use]
    pub fn damage(&self) -> Option<&str> {
        self.damage.get().map(String::as_str)
    }

    /// Lets nobody touch the file any more: it stays as a killed process leaves it.
    pub fn shut(&self) {
        self.is_shut.store(true, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        if self.is_shut.load(Ordering::Acquire) { Err(io::Error::other("it is closed")) } else { Ok(()) }
    }

    /// Reads whole blocks.
    fn read_blocks(&self, number: u64, out: &mut [u8]) -> io::Result<()> {
        let mut one = [0; STRIDE_BYTES];
        let mut more = Vec::new();
        let count = out.len() / BLOCK_BYTES;
        let stored = if count == 1 {
            &mut one[..]
        } else {
            more.resize(count * STRIDE_BYTES, 0);
            &mut more[..]
        };
        match self.file.read_exact_at(stored, offset_of(number)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.damaged(format!("block {number} is not there")));
            }
            result => result?,
        }
        let blocks = stored.chunks_exact(STRIDE_BYTES).zip(out.chunks_exact_mut(BLOCK_BYTES));
        for ((stored, block), number) in blocks.zip(number..) {
            let (crc, bytes) = stored.split_at(4);
            if crc != block_crc(number, bytes).to_le_bytes() {
                return Err(self.damaged(format!("the checksum of block {number} does not fit")));
            }
            block.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn write_blocks(&self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let mut stored = Vec::with_capacity(bytes.len() / BLOCK_BYTES * STRIDE_BYTES);
        for (block, number) in bytes.chunks_exact(BLOCK_BYTES).zip(number..) {
            stored.extend_from_slice(&block_crc(number, block).to_le_bytes());
            stored.extend_from_slice(block);
        }
        self.file.write_all_at(&stored, offset_of(number))
    }

    /// The first block, or zeros where there is none yet.
    fn with_first<T>(&self, work: impl FnOnce(&mut [u8]) -> io::Result<T>) -> io::Result<T> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            let mut block = vec![0; BLOCK_BYTES].into_boxed_slice();
            let mut stored = [0; STRIDE_BYTES];
            let len = self.file.len()?.saturating_sub(HEAD_BYTES).min(STRIDE_BYTES as u64) as usize;
            self.file.read_exact_at(&mut stored[..len], HEAD_BYTES)?;
            if stored.iter().any(|byte| *byte != 0) {
                self.read_blocks(0, &mut block)?;
            }
            *first = Some(block);
        }
        match first.as_deref_mut() {
            Some(block) => work(block),
            None => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn damaged(&self, reason: String) -> io::Error {
        let error = io::Error::new(io::ErrorKind::InvalidData, reason.clone());
        self.damage.get_or_init(|| reason);
        error
    }
}

/// The file as the database sees it.
#[derive(Debug)]
pub struct Backend(pub Arc<Blocks>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.check()?;
        Ok(self.0.file.len()?.saturating_sub(HEAD_BYTES) / STRIDE_BYTES as u64 * BLOCK_BYTES as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.check()?;
        let at = (offset % BLOCK_BYTES as u64) as usize;
        if at == 0 && out.len().is_multiple_of(BLOCK_BYTES) {
            return self.0.read_blocks(offset / BLOCK_BYTES as u64, out);
        }
        if offset + out.len() as u64 > BLOCK_BYTES as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.0.with_first(|first| {
            out.copy_from_slice(&first[at..at + out.len()]);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.check()?;
        self.0.file.set_len(offset_of(len.div_ceil(BLOCK_BYTES as u64)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.check()?;
        self.0.file.sync()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.check()?;
        let at = (offset % BLOCK_BYTES as u64) as usize;
        if at == 0 && bytes.len().is_multiple_of(BLOCK_BYTES) && offset > 0 {
            return self.0.write_blocks(offset / BLOCK_BYTES as u64, bytes);
        }
        if offset + bytes.len() as u64 > BLOCK_BYTES as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.0.with_first(|first| {
            first[at..at + bytes.len()].copy_from_slice(bytes);
            self.0.write_blocks(0, first)
        })
    }
}

fn offset_of(number: u64) -> u64 {
    HEAD_BYTES + number * STRIDE_BYTES as u64
}

fn block_crc(number: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), bytes)
}

fn head_crc(head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&head[..12]), &head[16..32])
}

fn mark(sequence: u64) -> [u8; 12] {
    let mut mark = [0; 12];
    mark[..8].copy_from_slice(&sequence.to_le_bytes());
    let crc = crc32c::crc32c(&mark[..8]);
    mark[8..].copy_from_slice(&crc.to_le_bytes());
    mark
}

fn read_mark(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.get(..12)?;
    let sequence = u64::from_le_bytes(*bytes.first_chunk()?);
    (mark(sequence) == bytes).then_some(sequence)
}
