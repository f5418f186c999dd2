//! One energy in a frame.
//!
//! ```text
//! crc32c u32 of all that follows · varint length of all that follows · flags u8
//! [varint gap: positions left out before it]            in frames with gaps
//! id 16 · [varint topic] · [varint stream] · varint version · signed varint time - the segment's
//! [causation 16 · varint hops] · [correlation 16] · [varint position - settled]
//! [varint length, extra] · [chain value of its predecessor 16] · data to the end
//! ```
//!
//! A record can be read without its frame, but for its position and its names. Without a stream of its
//! own it belongs to the stream named as its topic; without a correlation of its own, but with a cause, it
//! has the cause's id. The predecessor's chain value is there when compaction took the predecessor out.

use super::chain::{self, Chain};
use super::varint;
use crate::event::{EventRef, Events, Extra, Head, Span, Ttl, Uuid};

const TOPIC: u8 = 1;
const STREAM: u8 = 2;
const CAUSE: u8 = 4;
const CORRELATION: u8 = 8;
const SETTLED: u8 = 16;
const EXTRA: u8 = 32;
const PREVIOUS: u8 = 64;

/// What a record needs that its energy does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// The topic's name in the segment.
    pub topic: Option<u32>,
    /// The stream's name in the segment.
    pub stream: Option<u32>,
    /// Positions left out before it, in a frame with gaps.
    pub gap: Option<u64>,
    /// The segment's time.
    pub base_time_ms: i64,
    /// The chain value of a predecessor that is no longer kept.
    pub previous: Option<Chain>,
}

/// Writes a record and returns its checksum. `scratch` is memory to work in.
pub fn write(out: &mut Vec<u8>, scratch: &mut Vec<u8>, event: EventRef<'_>, place: &Place) -> u32 {
    let head = event.head();
    scratch.clear();
    scratch.push(0);
    let mut flags = 0;
    if let Some(gap) = place.gap {
        varint::write(scratch, gap);
    }
    scratch.extend_from_slice(head.id.as_bytes());
    if let Some(topic) = place.topic {
        flags |= TOPIC;
        varint::write(scratch, u64::from(topic));
    }
    if place.stream != place.topic
        && let Some(stream) = place.stream
    {
        flags |= STREAM;
        varint::write(scratch, u64::from(stream));
    }
    varint::write(scratch, head.version);
    varint::write_signed(scratch, head.time_ms.wrapping_sub(place.base_time_ms));
    if !head.causation.is_nil() || head.hops > 0 {
        flags |= CAUSE;
        scratch.extend_from_slice(head.causation.as_bytes());
        varint::write(scratch, u64::from(head.hops));
    }
    let implied = if flags & CAUSE == 0 { Uuid::nil() } else { head.causation };
    if head.correlation != implied {
        flags |= CORRELATION;
        scratch.extend_from_slice(head.correlation.as_bytes());
    }
    if head.settled > 0 {
        flags |= SETTLED;
        varint::write(scratch, head.position.wrapping_sub(head.settled));
    }
    if let Some(extra) = event.extra() {
        flags |= EXTRA;
        let mut bytes = Vec::new();
        chain::write_extra(&mut bytes, extra);
        varint::write_bytes(scratch, &bytes);
    }
    if let Some(previous) = place.previous {
        flags |= PREVIOUS;
        scratch.extend_from_slice(&previous);
    }
    scratch[0] = flags;
    let data = event.data();
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    varint::write(out, (scratch.len() + data.len()) as u64);
    out.extend_from_slice(scratch);
    out.extend_from_slice(data);
    let crc = crc32c::crc32c(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// A record's bytes, found and not yet looked into.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// Its checksum, as stored.
    pub crc: u32,
    /// What the checksum is of.
    checked: &'a [u8],
    /// Flags and all that follows.
    body: &'a [u8],
}

impl<'a> Raw<'a> {
    /// The record at `at`, and moves past it; `None` where the bytes end before the record does.
    #[inline]
    pub fn next(bytes: &'a [u8], at: &mut usize) -> Option<Self> {
        let start = *at;
        let crc = bytes.get(start..start + 4)?;
        let crc = u32::from_le_bytes([crc[0], crc[1], crc[2], crc[3]]);
        let mut cursor = start + 4;
        let len = usize::try_from(varint::read(bytes, &mut cursor)?).ok()?;
        let end = cursor.checked_add(len)?;
        let body = bytes.get(cursor..end)?;
        *at = end;
        Some(Self { crc, checked: &bytes[start + 4..end], body })
    }

    /// Whether the checksum fits.
    #[inline]
    #[must_use]
    pub fn is_intact(&self) -> bool {
        crc32c::crc32c(self.checked) == self.crc
    }

    /// Looks into it. `None` for what no writer makes.
    #[inline]
    #[must_use]
    pub fn open(self, gapped: bool) -> Option<Record<'a>> {
        Record::parse(self.body, gapped)
    }
}

/// A record's parts.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Positions left out before it.
    pub gap: u64,
    /// Its id.
    pub id: Uuid,
    /// The topic's name in the segment.
    pub topic: Option<u32>,
    /// The stream's name in the segment.
    pub stream: Option<u32>,
    /// The version in its stream.
    pub version: u64,
    /// Its time, less the segment's.
    pub time_delta_ms: i64,
    /// Its cause, and how far it is from its seed.
    causation: Uuid,
    hops: u32,
    correlation: Uuid,
    settled_delta: Option<u64>,
    extra: Option<&'a [u8]>,
    /// The chain value of its predecessor, where that is no longer kept.
    pub previous: Option<Chain>,
    /// Canonical MessagePack.
    pub data: &'a [u8],
}

impl<'a> Record<'a> {
    #[inline]
    fn parse(body: &'a [u8], gapped: bool) -> Option<Self> {
        let flags = *body.first()?;
        let mut at = 1;
        let gap = if gapped { varint::read(body, &mut at)? } else { 0 };
        let id = uuid(body, &mut at)?;
        let name = |at: &mut usize| u32::try_from(varint::read(body, at)?).ok();
        let topic = if flags & TOPIC != 0 { Some(name(&mut at)?) } else { None };
        let stream = if flags & STREAM != 0 { Some(name(&mut at)?) } else { topic };
        let version = varint::read(body, &mut at)?;
        let time_delta_ms = varint::read_signed(body, &mut at)?;
        let (mut causation, mut hops) = (Uuid::nil(), 0);
        if flags & CAUSE != 0 {
            causation = uuid(body, &mut at)?;
            hops = u32::try_from(varint::read(body, &mut at)?).ok()?;
        }
        let correlation = if flags & CORRELATION != 0 { uuid(body, &mut at)? } else { causation };
        let settled_delta = if flags & SETTLED != 0 { Some(varint::read(body, &mut at)?) } else { None };
        let extra = if flags & EXTRA != 0 { Some(varint::read_bytes(body, &mut at)?) } else { None };
        let previous = if flags & PREVIOUS != 0 { Some(*uuid(body, &mut at)?.as_bytes()) } else { None };
        let data = body.get(at..)?;
        Some(Self {
            gap,
            id,
            topic,
            stream,
            version,
            time_delta_ms,
            causation,
            hops,
            correlation,
            settled_delta,
            extra,
            previous,
            data,
        })
    }

    /// The rare part of its envelope; an error of format is `None` inside.
    pub fn extra(&self) -> Option<Option<Extra>> {
        Some(match self.extra {
            None => None,
            Some(bytes) => Some(read_extra(bytes)?),
        })
    }

    /// Adds the energy to a batch. Its names and data are there already, or are put there by the caller.
    pub fn push(
        &self,
        events: &mut Events,
        position: u64,
        base_time_ms: i64,
        (topic, stream, data): (Span, Span, Span),
    ) -> Option<()> {
        let mut head = Head::seed(self.id, base_time_ms.wrapping_add(self.time_delta_ms));
        (head.position, head.version, head.hops) = (position, self.version, self.hops);
        (head.correlation, head.causation) = (self.correlation, self.causation);
        head.settled = self.settled_delta.map_or(0, |delta| position.wrapping_sub(delta));
        (head.topic, head.stream, head.data) = (topic, stream, data);
        let extra = self.extra()?;
        events.push(head, extra);
        Some(())
    }
}

#[inline]
fn uuid(bytes: &[u8], at: &mut usize) -> Option<Uuid> {
    let found: [u8; 16] = bytes.get(*at..*at + 16)?.try_into().ok()?;
    *at += 16;
    Some(Uuid::from_bytes(found))
}

fn read_extra(bytes: &[u8]) -> Option<Extra> {
    let text = |at: &mut usize| String::from_utf8(varint::read_bytes(bytes, at)?.to_vec()).ok();
    let kind = *bytes.first()?;
    let mut at = 1;
    let number = varint::read(bytes, &mut at)?;
    let ttl = match kind {
        0 => Ttl::Forever,
        1 => Ttl::Ephemeral,
        2 => Ttl::TimeMs(number),
        3 => Ttl::Last(number),
        _ => return None,
    };
    let content = Some(text(&mut at)?).filter(|content| !content.is_empty());
    let mut extra = Extra { ttl, content, ..Extra::default() };
    for _ in 0..varint::read(bytes, &mut at)? {
        let tag = text(&mut at)?;
        extra.tags.insert(tag, text(&mut at)?);
    }
    (at == bytes.len()).then_some(extra)
}
