//! Puts the members of an object in key order after they have been written.

use std::cmp::Ordering;

use crate::event::msgpack::{Token, token_at, write_map_len};

/// Up to that many members, sorting by insertion is fastest.
const INSERTION_MAX: usize = 24;

/// One member of an object: where it was written, and how its key begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The key's first eight bytes, zeros after its end: they order most keys.
    pub(super) prefix: u64,
    /// Where its key begins in the output.
    pub(super) start: usize,
    /// Where its value ends.
    pub(super) end: usize,
}

impl Entry {
    fn key<'o>(&self, out: &'o [u8]) -> &'o [u8] {
        match token_at(&out[self.start..]) {
            Ok(Token::Str(key)) => key,
            _ => b"",
        }
    }

    /// By key; equal keys by place.
    #[inline]
    fn order(&self, other: &Entry, out: &[u8]) -> Ordering {
        match self.prefix.cmp(&other.prefix) {
            Ordering::Equal => self.key(out).cmp(other.key(out)).then(self.start.cmp(&other.start)),
            unequal => unequal,
        }
    }
}

/// The first eight bytes, big-endian, zeros after the end; orders as the bytes do.
#[inline]
pub(super) fn prefix(key: &[u8]) -> u64 {
    key.iter()
        .take(8)
        .enumerate()
        .fold(0, |prefix, (index, &byte)| prefix | u64::from(byte) << (56 - 8 * index))
}

/// Writes the map at `header` of `out` again, its members, the entries from `first`, in order, and of equal
/// keys the last one only.
pub(super) fn order(
    entries: &mut [Entry],
    first: usize,
    header: usize,
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) {
    let entries = &mut entries[first..];
    if entries.len() <= INSERTION_MAX {
        for index in 1..entries.len() {
            let entry = entries[index];
            let mut hole = index;
            while hole > 0 && entries[hole - 1].order(&entry, out).is_gt() {
                entries[hole] = entries[hole - 1];
                hole -= 1;
            }
            entries[hole] = entry;
        }
    } else {
        entries.sort_unstable_by(|a, b| a.order(b, out));
    }
    scratch.clear();
    let mut kept = 0;
    for (index, entry) in entries.iter().enumerate() {
        let twin = entries
            .get(index + 1)
            .is_some_and(|next| entry.prefix == next.prefix && entry.key(out) == next.key(out));
        if !twin {
            copy(&out[entry.start..], entry.end - entry.start, scratch);
            kept += 1;
        }
    }
    out.truncate(header);
    write_map_len(out, kept);
    out.extend_from_slice(scratch);
}

/// Appends the first `len` bytes. Short ones are copied with what follows them, which is cut off again: a
/// copy of a fixed size is a few instructions, one of any size a call.
#[inline]
fn copy(from: &[u8], len: usize, to: &mut Vec<u8>) {
    match from.first_chunk::<32>() {
        Some(window) if len <= 32 => {
            to.extend_from_slice(window);
            to.truncate(to.len() - 32 + len);
        }
        _ => to.extend_from_slice(&from[..len]),
    }
}
