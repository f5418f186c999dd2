//! Writing a segment anew, from energies that are there already: what compaction and repair share.
//!
//! Positions, versions, ids, times and chain values stay as they are, and so do the numbers of the commits. All
//! frames have gaps. A record says the chain value of its predecessor wherever this segment alone does not: at a
//! stream's first energy in it, and after energies that were left out. Streams whose end would otherwise be forgotten
//! get their head carried, in frames of their own at the end.
//!
//! A file that is not finished is not listed in any manifest: it is a leftover.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chain::{self, Chain};
use super::frame::{self, GAPPED, HEADS, Header};
use super::index::{ActiveIndex, SegmentIndex, StreamHead};
use super::record::{self, Place};
use super::segment;
use super::{varint, writer};
use crate::disk::{Disk, File, Mode};
use crate::event::EventRef;
use crate::log::Error;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 1 << 20;

/// Bytes of carried heads in one frame, about.
const HEADS_BYTES: usize = 1 << 20;

/// An energy that stays, and its place in the chain.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// The energy.
    pub event: EventRef<'a>,
    /// The chain value of its predecessor.
    pub previous: Chain,
    /// Its own.
    pub chain: Chain,
}

/// A segment that is being written anew.
#[derive(Debug)]
pub struct Rewriting {
    header: segment::Header,
    path: PathBuf,
    file: Arc<dyn File>,
    /// What is not written yet, and where it goes.
    pending: Vec<u8>,
    offset: u64,
    /// The names of the segment, and where its streams stand by what is in it.
    index: ActiveIndex,
    scratch: Vec<u8>,
    crcs: Vec<u8>,
    chains: Vec<u8>,
}

/// A segment that was written anew, durably but for its name.
#[derive(Debug)]
pub struct Rewritten {
    /// Its header.
    pub header: segment::Header,
    /// Its file's name.
    pub path: PathBuf,
    /// Its file.
    pub file: Arc<dyn File>,
    /// Its bytes.
    pub bytes: u64,
}

impl Rewriting {
    /// Makes the file. There must be none of that name.
    pub fn create(folder: &Path, disk: &dyn Disk, header: segment::Header) -> Result<Self, Error> {
        let path = segment::log_path(folder, header.first, header.generation);
        let file = disk.open(&path, Mode::Create).map_err(Error::io("create", &path))?;
        Ok(Self {
            header,
            path,
            file,
            pending: header.bytes().to_vec(),
            offset: 0,
            index: ActiveIndex::new(header.first),
            scratch: Vec::new(),
            crcs: Vec::new(),
            chains: Vec::new(),
        })
    }

    /// What of a stream this segment says so far.
    #[must_use]
    pub fn head(&self, stream: &[u8]) -> Option<StreamHead> {
        self.index.name(stream).and_then(|name| self.index.head(name))
    }

    /// Adds what is left of a commit: `source` was its frame's header.
    pub fn frame(&mut self, source: &Header, kept: &[Kept<'_>], changes: &[u8]) -> Result<(), Error> {
        let mut frame = vec![0; frame::HEADER_BYTES];
        let names: Vec<_> =
            kept.iter().map(|kept| writer::name(&mut self.index, &mut frame, kept.event)).collect();
        let names_end = frame.len();
        self.crcs.clear();
        self.chains.clear();
        let first = kept.first().map_or(source.first, |kept| kept.event.head().position);
        let mut next = first;
        for (kept, (topic, stream)) in kept.iter().zip(names) {
            let head = kept.event.head();
            // Without its stream a record begins a chain of its own.
            let before = stream.and_then(|stream| self.index.head(stream));
            let follows = match before {
                Some(before) => {
                    (before.version.checked_add(1), before.chain) == (Some(head.version), kept.previous)
                }
                None => head.version == 0 && kept.previous == chain::START,
            };
            let place = Place {
                topic,
                stream,
                gap: Some(head.position - next),
                base_time_ms: self.header.base_time_ms,
                previous: (!follows).then_some(kept.previous),
            };
            next = head.position + 1;
            let crc = record::write(&mut frame, &mut self.scratch, kept.event, &place);
            self.crcs.extend_from_slice(&crc.to_le_bytes());
            self.chains.extend_from_slice(&kept.chain);
            if let Some(stream) = stream {
                let own = StreamHead { version: head.version, chain: kept.chain };
                self.index.set_head(stream, Some(own));
            }
        }
        let records_end = frame.len();
        frame.extend_from_slice(changes);
        let header = Header {
            flags: GAPPED,
            first,
            digest: chain::frame_digest(&self.chains),
            count: kept.len() as u32,
            ..*source
        };
        self.add(header, frame, names_end, records_end)
    }

    /// Carries heads: of streams that would be forgotten. `source` has the last commit's number and what was
    /// durable then, and the position after the segment's last.
    pub fn heads(&mut self, source: &Header, heads: &[(Vec<u8>, StreamHead)]) -> Result<(), Error> {
        let mut heads = heads.iter().peekable();
        while heads.peek().is_some() {
            let (mut frame, mut carried) = (vec![0; frame::HEADER_BYTES], Vec::new());
            while carried.len() < HEADS_BYTES
                && let Some((stream, head)) = heads.next()
            {
                if self.index.name(stream).is_none() {
                    varint::write_bytes(&mut frame, stream);
                    self.index.add_name(stream);
                }
                frame::write_head(&mut carried, stream, head.version, &head.chain);
            }
            let names_end = frame.len();
            frame.extend_from_slice(&carried);
            let digest = chain::frame_digest(&carried);
            let header = Header { flags: GAPPED | HEADS, digest, count: 0, ..*source };
            self.crcs.clear();
            self.add(header, frame, names_end, names_end)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        mut header: Header,
        mut frame: Vec<u8>,
        names_end: usize,
        records_end: usize,
    ) -> Result<(), Error> {
        header.names_bytes = (names_end - frame::HEADER_BYTES) as u32;
        header.records_bytes = (records_end - names_end) as u32;
        header.changes_bytes = (frame.len() - records_end) as u32;
        header.crc = 0;
        frame[..frame::HEADER_BYTES].copy_from_slice(&header.bytes());
        header.crc = frame::checksum(&header, &frame, &self.crcs);
        frame[..frame::HEADER_BYTES].copy_from_slice(&header.bytes());
        self.pending.extend_from_slice(&frame);
        if self.pending.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Error> {
        self.file.write_all_at(&self.pending, self.offset).map_err(Error::io("write", &self.path))?;
        self.offset += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Ends the segment: its bytes are durable. Its name is when the folder is synced.
    pub fn finish(mut self) -> Result<Rewritten, Error> {
        self.write()?;
        self.file.sync().map_err(Error::io("sync", &self.path))?;
        Ok(Rewritten { header: self.header, path: self.path, file: self.file, bytes: self.offset })
    }
}

/// A generation that no file of a segment has yet.
pub fn next_generation(folder: &Path, disk: &dyn Disk, first: u64) -> Result<u32, Error> {
    let prefix = format!("{first:020}-");
    let names = disk.list(folder).map_err(Error::io("read the folder", folder))?;
    let taken = names.iter().filter_map(|name| {
        let rest = name.strip_prefix(&prefix)?;
        rest.split('.').next()?.parse::<u32>().ok()
    });
    Ok(taken.max().map_or(0, |highest| highest.saturating_add(1)))
}
