//! Finding the frames of a pack, and what is no frame.
//!
//! Headers only are read, in windows, and content is skipped; but content that no sync is known to cover
//! is hashed, since a crash may have cut it under an intact header. Where no frame starts, the next one is
//! searched for, and must match its digest to count.
//!
//! A gap that starts below what is known to have been synced is damage. One above it is what a crash leaves:
//! a torn write, which nobody was told is there.

use std::io;

use super::SMALL_BYTES_MAX;
use super::frame::{FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader};
use crate::blob::Hash;
use crate::disk::File;

/// Bytes read at once: many headers of tiny content, and little waste where content is skipped.
const WINDOW_BYTES: usize = 16 << 10;

/// Bytes read at once while searching.
const SEARCH_BYTES: usize = 256 << 10;

/// A frame found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub hash: Hash,
    /// Of the frame in its pack.
    pub offset: u32,
    /// Of the content, in bytes.
    pub len: u32,
}

impl Found {
    pub fn end(&self) -> u64 {
        u64::from(self.offset) + FRAME_HEADER_BYTES + u64::from(self.len)
    }
}

/// Bytes of a pack that are no valid frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub start: u64,
    pub end: u64,
    /// What the frame's header says it holds, where that is intact.
    pub hash: Option<Hash>,
}

/// How thoroughly content is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Content that no sync is known to cover.
    Unproven,
    /// All content.
    All,
}

/// What a pack holds.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// In the order of their offsets.
    pub frames: Vec<Found>,
    /// Bad bytes that were good once.
    pub damaged: Vec<Gap>,
    /// Bad bytes that no sync is known to cover.
    pub torn: Vec<Gap>,
    /// How much of the pack is known to have been synced.
    pub proven: u64,
}

impl Scan {
    /// Where appending, or scanning again later, goes on: the first torn byte, or the end.
    pub fn whole(&self, end: u64) -> u64 {
        self.torn.first().map_or(end, |gap| gap.start)
    }
}

/// Reads the frames in `from..end` of a pack, of which `proven` bytes are known to have been synced.
pub(super) fn scan(
    file: &dyn File,
    number: u32,
    from: u64,
    end: u64,
    proven: u64,
    depth: Depth,
) -> io::Result<Scan> {
    let mut scan = Scan { proven, ..Scan::default() };
    let (mut gaps, mut window, mut offset) = (Vec::new(), Window::new(file, end), from);
    while offset < end {
        if let Some((found, durable)) = window.frame(number, offset)? {
            scan.proven = scan.proven.max(u64::from(durable));
            offset = found.end();
            scan.frames.push(found);
        } else {
            let next = search(file, number, offset + 1, end)?;
            gaps.push(Gap { start: offset, end: next, hash: None });
            offset = next;
        }
    }
    let (mut content, mut bad) = (Vec::new(), Vec::new());
    for found in &scan.frames {
        let unproven = u64::from(found.offset) >= scan.proven;
        if (unproven || depth == Depth::All) && !is_whole(file, found, &mut content)? {
            bad.push(Gap { start: u64::from(found.offset), end: found.end(), hash: Some(found.hash) });
        }
    }
    if !bad.is_empty() {
        scan.frames
            .retain(|found| bad.binary_search_by_key(&u64::from(found.offset), |gap| gap.start).is_err());
        gaps.append(&mut bad);
        gaps.sort_unstable_by_key(|gap| gap.start);
    }
    (scan.damaged, scan.torn) = gaps.into_iter().partition(|gap| gap.start < scan.proven);
    Ok(scan)
}

/// Whether the content of a frame matches its digest.
fn is_whole(file: &dyn File, found: &Found, content: &mut Vec<u8>) -> io::Result<bool> {
    content.resize(found.len as usize, 0);
    match file.read_exact_at(content, u64::from(found.offset) + FRAME_HEADER_BYTES) {
        Ok(()) => Ok(blake3::hash(content) == found.hash),
        // Cut since its length was asked for.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Offset of the next whole frame at or after `from`, or `end`.
fn search(file: &dyn File, number: u32, from: u64, end: u64) -> io::Result<u64> {
    let (mut buffer, mut content) = (vec![0; SEARCH_BYTES], Vec::new());
    let mut base = from;
    while base + FRAME_HEADER_BYTES <= end {
        let len = buffer.len().min((end - base) as usize);
        let chunk = &mut buffer[..len];
        file.read_exact_at(chunk, base)?;
        for at in memchr::memmem::find_iter(chunk, FRAME_MAGIC) {
            let offset = base + at as u64;
            if let Some((found, _)) = Window::new(file, end).frame(number, offset)?
                && is_whole(file, &found, &mut content)?
            {
                return Ok(offset);
            }
        }
        // The magic may lie across two chunks.
        base += (len - (FRAME_MAGIC.len() - 1)) as u64;
    }
    Ok(end)
}

/// The stretch of a file that was read last.
struct Window<'a> {
    file: &'a dyn File,
    end: u64,
    base: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(file: &'a dyn File, end: u64) -> Self {
        Self { file, end, base: 0, bytes: Vec::new() }
    }

    /// The frame at `offset`, if one starts there and ends within the pack.
    fn frame(&mut self, number: u32, offset: u64) -> io::Result<Option<(Found, u32)>> {
        let Some(room) = self.end.checked_sub(offset).filter(|room| *room >= FRAME_HEADER_BYTES) else {
            return Ok(None);
        };
        let Ok(short_offset) = u32::try_from(offset) else { return Ok(None) };
        let inside =
            offset >= self.base && offset + FRAME_HEADER_BYTES <= self.base + self.bytes.len() as u64;
        if !inside {
            self.base = offset;
            self.bytes.resize(room.min(WINDOW_BYTES as u64) as usize, 0);
            self.file.read_exact_at(&mut self.bytes, offset)?;
        }
        let at = (offset - self.base) as usize;
        Ok(FrameHeader::decode(&self.bytes[at..], number, short_offset).and_then(|header| {
            let fits = header.len <= SMALL_BYTES_MAX && u64::from(header.len) <= room - FRAME_HEADER_BYTES;
            fits.then_some((
                Found { hash: header.hash, offset: short_offset, len: header.len },
                header.durable,
            ))
        }))
    }
}
