//! The bytes of one file, in pages that copies share until one of them writes.
//!
//! A page that was never written does not exist and reads as zero, so preallocating 64 MiB costs nothing;
//! copying an image (a snapshot, a crash) copies pointers.

use std::sync::Arc;

const PAGE_BYTES: usize = 4096;

type Page = [u8; PAGE_BYTES];

/// Bytes at offsets, `len` of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    len: u64,
    /// Pages from the start of the file; those absent, also at the end, are zeros.
    pages: Vec<Option<Arc<Page>>>,
}

impl Image {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads at most `buffer.len()` bytes; 0 at the end.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let left = self.len.saturating_sub(offset);
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        for (part, page, at) in pieces(count, offset) {
            let target = &mut buffer[part.clone()];
            match self.pages.get(page) {
                Some(Some(page)) => target.copy_from_slice(&page[at..at + part.len()]),
                _ => target.fill(0),
            }
        }
        count
    }

    /// Writes all of `bytes`, making the file longer where needed.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        for (part, page, at) in pieces(bytes.len(), offset) {
            if page >= self.pages.len() {
                self.pages.resize(page + 1, None);
            }
            let page = self.pages[page].get_or_insert_with(|| Arc::new([0; PAGE_BYTES]));
            Arc::make_mut(page)[at..at + part.len()].copy_from_slice(&bytes[part]);
        }
        self.len = self.len.max(offset + bytes.len() as u64);
    }

    /// Cuts, or makes longer with zeros.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (page, at) = place(len);
            self.pages.truncate(if at == 0 { page } else { page + 1 });
            // What is cut must not come back when the file grows again.
            if let Some(Some(page)) = self.pages.get_mut(page) {
                Arc::make_mut(page)[at..].fill(0);
            }
        }
        self.len = len;
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.len).unwrap_or(usize::MAX)];
        self.read(&mut bytes, 0);
        bytes
    }

    /// Flips one bit; false where the file ends before.
    pub(super) fn flip(&mut self, offset: u64, bit: u8) -> bool {
        let mut byte = [0];
        if self.read(&mut byte, offset) == 0 {
            return false;
        }
        self.write(&[byte[0] ^ (1 << (bit & 7))], offset);
        true
    }
}

/// The page of an offset, and where in it.
fn place(offset: u64) -> (usize, usize) {
    let page = usize::try_from(offset / PAGE_BYTES as u64).unwrap_or(usize::MAX);
    (page, (offset % PAGE_BYTES as u64) as usize)
}

/// What `count` bytes at `offset` are, page by page: which of them, the page, and where in it.
fn pieces(count: usize, offset: u64) -> impl Iterator<Item = (std::ops::Range<usize>, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == count {
            return None;
        }
        let (page, at) = place(offset + done as u64);
        let part = done..count.min(done + PAGE_BYTES - at);
        done = part.end;
        Some((part, page, at))
    })
}
