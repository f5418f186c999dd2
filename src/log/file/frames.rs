//! Reads a segment's frames one after the other, each checked.

use std::io;
use std::sync::Arc;

use super::frame::{self, Flaw, Frame};
use crate::disk::File;

/// Bytes read at once, unless a frame is longer.
const CHUNK_BYTES: usize = 256 << 10;

/// What comes next in a segment.
#[derive(Debug)]
pub enum Next<'a> {
    /// A whole frame.
    Frame {
        /// Where it starts.
        offset: u64,
        /// The frame.
        frame: Frame<'a>,
    },
    /// No more: zeros, or the end.
    End,
    /// Bytes that are no frame.
    Flawed(Flaw),
}

/// See the module.
#[derive(Debug)]
pub struct FrameReader {
    file: Arc<dyn File>,
    /// Where the next frame starts.
    offset: u64,
    /// Where reading ends.
    end: u64,
    memory: Memory,
    /// Where the buffer starts in the file, and how much of it holds bytes.
    start: u64,
    filled: usize,
}

/// Memory to read into, which is worth keeping: fresh pages cost more than what is read into them.
#[derive(Debug, Default)]
pub struct Memory {
    buffer: Vec<u8>,
    crcs: Vec<u8>,
}

impl FrameReader {
    /// Reads the frames between two offsets, the first of which is a frame's start.
    #[must_use]
    pub fn new(file: Arc<dyn File>, offset: u64, end: u64) -> Self {
        Self::with_memory(file, offset, end, Memory::default())
    }

    /// As [`new`](FrameReader::new), with memory that another reader has left.
    #[must_use]
    pub fn with_memory(file: Arc<dyn File>, offset: u64, end: u64, memory: Memory) -> Self {
        Self { file, offset, end, memory, start: offset, filled: 0 }
    }

    /// Leaves its memory to another reader.
    #[must_use]
    pub fn into_memory(self) -> Memory {
        self.memory
    }

    /// Where the next frame starts; after the last one, where the next would.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads on to another end, as far as the file has grown.
    pub fn extend(&mut self, end: u64) {
        self.end = end;
        // What was read beyond the last frame may have changed since.
        self.start = self.offset;
        self.filled = 0;
    }

    /// The next frame.
    pub fn next_frame(&mut self) -> io::Result<Next<'_>> {
        let have = self.want(frame::HEADER_BYTES)?;
        let header_bytes = &self.at()[..have.min(frame::HEADER_BYTES)];
        let Some(header) = frame::Header::read(header_bytes) else {
            let zeros = header_bytes.iter().all(|byte| *byte == 0);
            return Ok(if zeros { Next::End } else { Next::Flawed(Flaw::NoHeader) });
        };
        if header.frame_bytes() > self.end - self.offset {
            return Ok(Next::Flawed(Flaw::Short));
        }
        let len = header.frame_bytes() as usize;
        self.want(len)?;
        let at = (self.offset - self.start) as usize;
        let offset = self.offset;
        let bytes = &self.memory.buffer[at..self.filled.min(at + len)];
        match Frame::check(bytes, &mut self.memory.crcs) {
            Ok(frame) => {
                self.offset += len as u64;
                Ok(Next::Frame { offset, frame })
            }
            Err(flaw) => Ok(Next::Flawed(flaw)),
        }
    }

    /// The bytes at hand from the next frame on.
    fn at(&self) -> &[u8] {
        &self.memory.buffer[(self.offset - self.start) as usize..self.filled]
    }

    /// Has at least `len` bytes at hand, or all up to the end; returns how many there are.
    fn want(&mut self, len: usize) -> io::Result<usize> {
        let have = self.filled.saturating_sub((self.offset - self.start) as usize);
        let left = self.end.saturating_sub(self.offset);
        if have >= len || have as u64 >= left {
            return Ok(have);
        }
        let size = (len.max(CHUNK_BYTES) as u64).min(left) as usize;
        // What is at hand moves to the front.
        let from = self.filled - have;
        let buffer = &mut self.memory.buffer;
        buffer.copy_within(from..self.filled, 0);
        self.start = self.offset;
        self.filled = have;
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        while self.filled < size {
            match self.file.read_at(&mut buffer[self.filled..size], self.start + self.filled as u64) {
                Ok(0) => break,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.filled)
    }
}

/// Looks for a whole frame after damage, byte by byte, from `offset` to `end`; its offset and header.
pub fn search(file: &Arc<dyn File>, offset: u64, end: u64) -> io::Result<Option<(u64, frame::Header)>> {
    let mut reader = FrameReader::new(file.clone(), offset, end);
    while reader.offset < end {
        let have = reader.want(frame::HEADER_BYTES)?;
        if have < frame::HEADER_BYTES {
            return Ok(None);
        }
        match memchr::memmem::find(reader.at(), &frame::MAGIC) {
            None => reader.offset += (have - frame::MAGIC.len() + 1) as u64,
            Some(skip) => {
                reader.offset += skip as u64;
                if let Next::Frame { offset, frame } = reader.next_frame()? {
                    return Ok(Some((offset, frame.header)));
                }
                reader.offset += 1;
            }
        }
    }
    Ok(None)
}
