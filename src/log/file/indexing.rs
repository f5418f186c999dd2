//! From a segment's frames to its index: what opening, rebuilding and compaction share.

use super::chain::{self, Chain, Chainer};
use super::decode::{self, NameSpans};
use super::frame::Frame;
use super::frames::{FrameReader, Next};
use super::index::{ActiveIndex, Entry, SegmentIndex, StreamHead};
use super::record::Raw;
use super::segment::{self, Header};
use crate::disk::File;
use crate::event::Events;
use crate::log::Error;
use std::path::Path;
use std::sync::Arc;

/// What older segments say about a stream.
pub type Older<'a> = dyn FnMut(&[u8]) -> Result<Option<StreamHead>, Error> + 'a;

/// Where an energy stands in the chain of its stream.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// What is known of its stream before it.
    pub known: Option<StreamHead>,
    /// What its record says of its predecessor, which is then no longer kept.
    pub stated: Option<Chain>,
    /// The chain value of its predecessor: what is stated, else what is known, else [`chain::START`].
    pub previous: Chain,
    /// Its own.
    pub chain: Chain,
}

/// Adds frames to an index; keeps its memory.
#[derive(Debug, Default)]
pub struct Indexer {
    events: Events,
    links: Vec<Link>,
    names: NameSpans,
    chainer: Chainer,
}

/// Why a frame was not indexed.
#[derive(Debug)]
pub enum Failed {
    /// The frame is not what a writer makes, though its checksums fit.
    Malformed,
    /// An older segment could not be read.
    Log(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Log(error)
    }
}

impl Indexer {
    /// The energies of the frame that was added last.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Their places in the chains.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The digest of the frame that was added last, as its energies give it.
    #[must_use]
    pub fn digest(&self) -> [u8; 16] {
        let chains: Vec<u8> = self.links.iter().flat_map(|link| link.chain).collect();
        chain::frame_digest(&chains)
    }

    /// Adds a frame that starts at `offset`.
    pub fn add(
        &mut self,
        index: &mut ActiveIndex,
        header: &Header,
        offset: u64,
        frame: &Frame<'_>,
        older: &mut Older<'_>,
    ) -> Result<(), Failed> {
        for name in frame.names() {
            index.add_name(name);
        }
        for (stream, version, chain) in frame.heads() {
            let name = index.add_name(stream);
            index.keep_head(name, StreamHead { version, chain });
        }
        self.events.clear();
        self.names.reset(index.names_len());
        let name_of = |id| Some(index.name_bytes(id));
        decode::frame(frame, 0, header.base_time_ms, &name_of, &mut self.names, &mut self.events)
            .ok_or(Failed::Malformed)?;
        index.frame(frame.header.first, offset as u32, frame.header.count);
        let start = offset + super::frame::HEADER_BYTES as u64 + u64::from(frame.header.names_bytes);
        self.links.clear();
        let mut at = 0;
        self.chainer.digest(&self.events);
        for (number, event) in self.events.iter().enumerate() {
            let record_at = at;
            let record = Raw::next(frame.records, &mut at)
                .and_then(|raw| raw.open(frame.header.is_gapped()))
                .ok_or(Failed::Malformed)?;
            let stated = record.previous;
            let mut known = None;
            if let Some(stream) = record.stream {
                if !index.is_head_known(stream) && stated.is_none() {
                    let head = older(event.stream_bytes())?;
                    index.set_head(stream, head);
                }
                known = index.head(stream);
            }
            let previous = stated.or(known.map(|head| head.chain)).unwrap_or(chain::START);
            let chain = self.chainer.link(&previous, number);
            self.links.push(Link { known, stated, previous, chain });
            index.push(&Entry {
                position: event.head().position,
                offset: (start + record_at as u64) as u32,
                id: event.head().id,
                topic: record.topic,
                stream: record.stream,
                version: event.head().version,
                chain,
                tags: event.extra().map(|extra| &extra.tags),
                time_ms: event.head().time_ms,
            });
        }
        Ok(())
    }
}

/// The index of a sealed segment, made anew from its file.
pub fn rebuild(
    path: &Path,
    file: &Arc<dyn File>,
    header: &Header,
    end: u64,
    older: &mut Older<'_>,
) -> Result<ActiveIndex, Error> {
    let mut reader = FrameReader::new(file.clone(), segment::HEADER_BYTES as u64, end);
    let (mut index, mut indexer) = (ActiveIndex::new(header.first), Indexer::default());
    loop {
        let damaged = |offset: u64, reason: String, first: u64| Error::Damaged {
            path: path.to_owned(),
            offset,
            reason,
            positions: Some((first, first)),
        };
        let at = reader.offset();
        match reader.next_frame().map_err(Error::io("read", path))? {
            Next::Frame { offset, frame } => match indexer.add(&mut index, header, offset, &frame, older) {
                Ok(()) => {}
                Err(Failed::Log(error)) => return Err(error),
                Err(Failed::Malformed) => {
                    return Err(damaged(offset, "the frame makes no sense".to_owned(), frame.header.first));
                }
            },
            Next::End if at >= end => return Ok(index),
            Next::End => {
                return Err(damaged(at, "there are zeros in its middle".to_owned(), next_of(&index)));
            }
            Next::Flawed(flaw) => return Err(damaged(at, flaw.to_string(), next_of(&index))),
        }
    }
}

fn next_of(index: &ActiveIndex) -> u64 {
    index.next_position()
}
