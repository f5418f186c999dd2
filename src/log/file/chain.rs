//! The hash chain: what each energy says, bound to what its stream said before.
//!
//! An energy's digest is BLAKE3 over its envelope and data in a layout of its own, filled up with zeros to whole
//! blocks so that many are taken at once, and independent of how the
//! record is stored, so that compaction may store it anew. Its chain value is BLAKE3 over the chain value
//! of its stream's previous energy (zeros for the first), the digest, and zeros up to a whole block, cut to 128 bits. A frame keeps the
//! digest over the chain values of its energies, so that an edit shows even where checksums were made to
//! fit: in the frame, and in every later frame that has energies of the stream.
//!
//! What it proves: nothing was changed, taken out or put in before a chain value that somebody knows from
//! elsewhere. Who can write the files can write a whole new chain.

use super::digests::{BLOCK, Digest, Digests};
use crate::event::{EventRef, Events, Ttl};

/// An energy's chain value.
pub type Chain = [u8; 16];

/// What comes before a stream's first energy.
pub const START: Chain = [0; 16];

/// Computes chain values; keeps its memory.
#[derive(Debug, Default)]
pub struct Chainer {
    digests: Digests,
    links: Digests,
}

impl Chainer {
    /// Takes the digests of energies that have their positions and versions.
    pub fn digest(&mut self, events: &Events) {
        self.digests.clear();
        for event in events.iter() {
            self.digests.add(|bytes| write_digested(bytes, event));
        }
        self.digests.finish();
    }

    /// The chain value of the energy with that index in the batch whose digests were taken last; its stream's previous
    /// one has `previous`.
    #[must_use]
    pub fn link(&self, previous: &Chain, index: usize) -> Chain {
        cut(blake3::hash(&self.linked(previous, index)).as_bytes())
    }

    /// The chain values of several energies of different streams, by the same rule, in less time.
    pub fn link_wave(&mut self, wave: &[(Chain, usize)]) -> impl Iterator<Item = Chain> {
        self.links.clear();
        for (previous, index) in wave {
            let block = self.linked(previous, *index);
            self.links.add(|bytes| bytes.extend_from_slice(&block));
        }
        self.links.finish();
        (0..wave.len()).map(|at| cut(self.links.get(at)))
    }

    /// What a chain value is of: the one before, the digest, zeros up to a whole block.
    fn linked(&self, previous: &Chain, index: usize) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[..16].copy_from_slice(previous);
        block[16..48].copy_from_slice(self.digests.get(index));
        block
    }
}

/// What a digest is of: position, version, time, settled, hops, the lengths of topic, stream and data (all
/// little endian), id, correlation, causation, the length of the rest of the envelope, zeros up to byte 104, then
/// topic, stream, data, the rest.
fn write_digested(bytes: &mut Vec<u8>, event: EventRef<'_>) {
    let start = bytes.len();
    let head = event.head();
    let (topic, stream, data) = (event.topic_bytes(), event.stream_bytes(), event.data());
    let mut fixed = [0; 104];
    fixed[0..8].copy_from_slice(&head.position.to_le_bytes());
    fixed[8..16].copy_from_slice(&head.version.to_le_bytes());
    fixed[16..24].copy_from_slice(&head.time_ms.to_le_bytes());
    fixed[24..32].copy_from_slice(&head.settled.to_le_bytes());
    fixed[32..36].copy_from_slice(&head.hops.to_le_bytes());
    fixed[36..40].copy_from_slice(&(topic.len() as u32).to_le_bytes());
    fixed[40..44].copy_from_slice(&(stream.len() as u32).to_le_bytes());
    fixed[44..48].copy_from_slice(&(data.len() as u32).to_le_bytes());
    fixed[48..64].copy_from_slice(head.id.as_bytes());
    fixed[64..80].copy_from_slice(head.correlation.as_bytes());
    fixed[80..96].copy_from_slice(head.causation.as_bytes());
    bytes.extend_from_slice(&fixed);
    bytes.extend_from_slice(topic);
    bytes.extend_from_slice(stream);
    bytes.extend_from_slice(data);
    if let Some(extra) = event.extra() {
        let rest = bytes.len();
        write_extra(bytes, extra);
        let len = (bytes.len() - rest) as u32;
        bytes[start + 96..start + 100].copy_from_slice(&len.to_le_bytes());
    }
}

/// The digest of a frame: over the chain values of its energies, in order.
#[must_use]
pub fn frame_digest(chains: &[u8]) -> [u8; 16] {
    cut(blake3::hash(chains).as_bytes())
}

fn cut(digest: &Digest) -> [u8; 16] {
    let mut cut = [0; 16];
    cut.copy_from_slice(&digest[..16]);
    cut
}

/// The rare part of an envelope, as records have it: ttl (kind, number), content, tags. The append
/// condition is not kept.
pub fn write_extra(out: &mut Vec<u8>, extra: &crate::event::Extra) {
    use super::varint;
    let (kind, number) = match extra.ttl {
        Ttl::Forever => (0, 0),
        Ttl::Ephemeral => (1, 0),
        Ttl::TimeMs(ms) => (2, ms),
        Ttl::Last(count) => (3, count),
    };
    out.push(kind);
    varint::write(out, number);
    varint::write_bytes(out, extra.content.as_deref().unwrap_or_default().as_bytes());
    varint::write(out, extra.tags.len() as u64);
    for (tag, value) in &extra.tags {
        varint::write_bytes(out, tag.as_bytes());
        varint::write_bytes(out, value.as_bytes());
    }
}
