//! The bytes of a source, through one buffer that every source reuses.
//!
//! A reader looks at [`Feed::rest`], asks for [`Feed::more`] where a record is cut, and consumes what it
//! is done with. The buffer holds one read, and grows up to the longest record that is allowed.

use std::io::{self, Read};

/// How much is read at once.
const READ_BYTES: usize = 256 << 10;

pub(super) struct Feed {
    input: Option<Box<dyn Read>>,
    buffer: Vec<u8>,
    /// What is unread is `start..end`.
    start: usize,
    end: usize,
    /// Bytes consumed of this source.
    consumed: u64,
    record_bytes_max: usize,
    reads: u64,
    /// How much is read at once of this source.
    read_bytes: usize,
}

impl Feed {
    pub fn new(record_bytes_max: usize) -> Self {
        let (input, buffer, read_bytes) = (None, Vec::new(), READ_BYTES);
        Self { input, buffer, start: 0, end: 0, consumed: 0, record_bytes_max, reads: 0, read_bytes }
    }

    /// Begins a source. Where it is known to have few bytes, the buffer need not be large.
    pub fn open(&mut self, input: Box<dyn Read>, bytes: Option<usize>) {
        self.close();
        self.input = Some(input);
        // Twice as many: the end is found by a read with room.
        self.read_bytes = bytes.map_or(READ_BYTES, |bytes| bytes.saturating_mul(2).clamp(64, READ_BYTES));
    }

    /// Forgets the source, keeps the buffer.
    pub fn close(&mut self) {
        self.input = None;
        (self.start, self.end, self.consumed) = (0, 0, 0);
    }

    /// What was read and not consumed.
    #[inline]
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// What was consumed and is still there.
    pub fn past(&self) -> &[u8] {
        &self.buffer[..self.start]
    }

    /// Passes over the first `len` bytes of the rest.
    #[inline]
    pub fn consume(&mut self, len: usize) {
        self.start += len;
        self.consumed += len as u64;
    }

    /// Bytes consumed of this source.
    pub fn offset(&self) -> u64 {
        self.consumed
    }

    /// How often anything was read.
    #[inline]
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// Whether the rest is longer than a record may be.
    #[inline]
    pub fn is_overlong(&self) -> bool {
        self.end - self.start > self.record_bytes_max
    }

    /// The longest record.
    pub fn record_bytes_max(&self) -> usize {
        self.record_bytes_max
    }

    /// Adds to the rest; false at the source's end.
    pub fn more(&mut self) -> io::Result<bool> {
        let Some(input) = &mut self.input else { return Ok(false) };
        // A quarter of the buffer is worth a read; what pipes give at once is less.
        if self.buffer.len() - self.end < self.read_bytes / 4 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.buffer.len() - self.end < self.read_bytes / 4 {
                self.buffer.resize((2 * self.buffer.len()).max(self.read_bytes), 0);
            }
        }
        self.reads += 1;
        loop {
            match input.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.input = None;
                    return Ok(false);
                }
                Ok(len) => {
                    self.end += len;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_bounded_and_gives_every_byte_once() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
        let mut feed = Feed::new(1 << 20);
        feed.open(Box::new(io::Cursor::new(bytes.clone())), None);
        let mut seen = Vec::new();
        while feed.more().unwrap() {
            let len = feed.rest().len() - feed.rest().len() % 1000;
            seen.extend_from_slice(&feed.rest()[..len]);
            feed.consume(len);
        }
        seen.extend_from_slice(feed.rest());
        assert!(seen == bytes);
        assert_eq!(feed.buffer.len(), READ_BYTES);
    }
}
