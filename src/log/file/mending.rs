//! A damaged segment, written anew with what is whole of it.
//!
//! Whole commits stay as they are, those whose checksums do not fit are given up. Where that took the
//! predecessor of an energy, its chain begins anew: the record says [`START`](chain::START) as the chain value
//! of what came before, which tells that it is not known. Where the segment's index is whole it knows where
//! streams stood at the end, so what comes after can still be checked.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::chain::{self, Chainer};
use super::frame::{self, Header};
use super::frames::{self, FrameReader, Next};
use super::index::{ActiveIndex, SegmentIndex, StreamHead};
use super::indexing::Indexer;
use super::rewriting::{Kept, Rewriting};
use super::salvage;
use super::segment::{self, HEADER_BYTES};
use crate::disk::{Disk, File};
use crate::log::Error;

/// Where streams stand.
pub type Heads = HashMap<Vec<u8>, StreamHead>;

/// What a damaged segment still has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Energies that stay.
    pub kept: u64,
    /// Positions that are given up: first, and after the last.
    pub lost: Vec<(u64, u64)>,
    /// The position after the last that stays, or its first where there is none.
    pub end: u64,
    /// The number of the commit after the last.
    pub sequence: u64,
}

impl Mended {
    /// Gives up the positions up to one that is beyond the end.
    fn give_up(&mut self, end: u64) {
        if end <= self.end {
            return;
        }
        match self.lost.last_mut() {
            Some(last) if last.1 == self.end => last.1 = end,
            _ => self.lost.push((self.end, end)),
        }
        self.end = end;
    }
}

/// A segment's file to be read.
pub struct Damaged<'a> {
    /// The plane's folder.
    pub folder: &'a Path,
    /// Where it is.
    pub disk: &'a dyn Disk,
    /// The file.
    pub file: &'a Arc<dyn File>,
    /// Its header.
    pub header: &'a segment::Header,
    /// Where its frames end.
    pub bytes: u64,
}

impl Damaged<'_> {
    /// Copies what is whole to `out`, or only looks at it. `end` is the position after its last, where that is known.
    /// `heads` says where streams stand before it, then where they stand after it.
    pub fn mend(
        &self,
        end: Option<u64>,
        heads: &mut Heads,
        mut out: Option<&mut Rewriting>,
    ) -> Result<Mended, Error> {
        let path = segment::log_path(self.folder, self.header.first, self.header.generation);
        let read = |error| Error::io("read", &path)(error);
        let mut mended =
            Mended { end: self.header.first, sequence: self.header.sequence, ..Mended::default() };
        let (mut index, mut indexer) = (ActiveIndex::new(self.header.first), Indexer::default());
        let (mut chainer, mut carried) = (Chainer::default(), Heads::new());
        let mut reader = FrameReader::new(self.file.clone(), HEADER_BYTES as u64, self.bytes);
        let (mut is_blind, mut is_cut) = (false, false);
        loop {
            let offset = reader.offset();
            let is_whole = match reader.next_frame().map_err(read)? {
                // Whose names cannot be told is lost, but its positions are not given again.
                Next::Frame { frame, .. } if is_blind => {
                    mended.give_up(frame.header.first.max(mended.end) + u64::from(frame.header.count));
                    mended.sequence = mended.sequence.max(frame.header.sequence + 1);
                    true
                }
                Next::Frame { offset, frame } if frame.header.first >= mended.end => {
                    let is_head = frame.header.flags & frame::HEADS != 0;
                    let older = &mut |_: &[u8]| Ok(None);
                    if indexer.add(&mut index, self.header, offset, &frame, older).is_ok() {
                        for (stream, version, chain) in frame.heads() {
                            carried.insert(stream.to_vec(), StreamHead { version, chain });
                        }
                        if !is_head {
                            let kept = link(&indexer, &mut chainer, heads);
                            if let Some(out) = out.as_deref_mut() {
                                out.frame(&frame.header, &kept, frame.changes_bytes())?;
                            }
                            mended.kept += kept.len() as u64;
                            mended.end = index.next_position().max(frame.header.first);
                        }
                        mended.sequence = mended.sequence.max(frame.header.sequence + 1);
                        true
                    } else {
                        false
                    }
                }
                Next::End if offset >= self.bytes => break,
                _ => false,
            };
            if is_whole {
                continue;
            }
            let from = reader.offset().max(offset + 1);
            let found = frames::search(self.file, from, self.bytes).map_err(read)?;
            is_blind |=
                !salvage::learn_names(self.folder, self.disk, self.header, self.file, offset, &mut index);
            let Some((offset, next)) = found else {
                is_cut = true;
                break;
            };
            mended.give_up(next.first);
            reader = FrameReader::new(self.file.clone(), offset, self.bytes);
        }
        match end {
            // Retention took what comes after the last energy.
            Some(end) if !is_cut && self.header.generation > 0 => mended.end = mended.end.max(end),
            Some(end) => mended.give_up(end),
            None => {}
        }
        // The index, if it is whole, knows where streams stood at the end.
        if let Some(index) = salvage::index_of(self.folder, self.disk, self.header) {
            carried.extend(index.streams().map(|stream| (stream.name.to_vec(), stream.head)));
        }
        if let Some(out) = out {
            carry(&mended, &carried, out)?;
        }
        heads.extend(carried);
        Ok(mended)
    }
}

/// Carries where streams stood at the end, where the mended segment does not say the same.
pub fn carry(mended: &Mended, heads: &Heads, out: &mut Rewriting) -> Result<(), Error> {
    let mut carried: Vec<(Vec<u8>, StreamHead)> =
        heads.iter().map(|(stream, head)| (stream.clone(), *head)).collect();
    carried.retain(|(stream, head)| out.head(stream) != Some(*head));
    carried.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    let sequence = mended.sequence.saturating_sub(1);
    let source = Header { sequence, first: mended.end, durable: sequence, ..Header::default() };
    out.heads(&source, &carried)
}

/// The energies of the frame that was read last, linked to what is known of their streams.
fn link<'e>(indexer: &'e Indexer, chainer: &mut Chainer, heads: &mut Heads) -> Vec<Kept<'e>> {
    chainer.digest(indexer.events());
    let links = indexer.events().iter().zip(indexer.links()).enumerate();
    links
        .map(|(number, (event, link))| {
            let (version, stream) = (event.head().version, event.stream_bytes());
            let known = heads.get(stream).filter(|known| known.version.checked_add(1) == Some(version));
            let previous = link.stated.or(known.map(|known| known.chain)).unwrap_or(chain::START);
            let chain = chainer.link(&previous, number);
            heads.insert(stream.to_vec(), StreamHead { version, chain });
            Kept { event, previous, chain }
        })
        .collect()
}

/// A header whose bytes do not fit: put right from what else is known of it, if all but a byte of it is whole.
pub fn header(bytes: &[u8; HEADER_BYTES], known: &segment::Header) -> Option<segment::Header> {
    let base = |bytes: &[u8; HEADER_BYTES]| {
        let mut base = [0; 8];
        base.copy_from_slice(&bytes[40..48]);
        segment::Header { base_time_ms: i64::from_le_bytes(base), ..*known }
    };
    let candidate = base(bytes);
    let right = candidate.bytes();
    // The checksum vouches for the time.
    if right[12..16] == bytes[12..16] {
        return Some(candidate);
    }
    let tried = (40..48).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))).find_map(|(at, byte)| {
        let mut tried = *bytes;
        tried[at] = byte;
        let candidate = base(&tried);
        (candidate.bytes()[12..16] == bytes[12..16]).then_some(candidate)
    });
    // Or all but the checksum is as it has to be.
    let is_else_right = right[..12] == bytes[..12] && right[16..] == bytes[16..];
    tried.or(is_else_right.then_some(candidate))
}
