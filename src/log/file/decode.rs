//! From records to energies.

use super::frame::Frame;
use super::record::Raw;
use crate::event::{Events, Span};

/// Where the names of one segment are in the batch that is being filled; keeps its memory.
#[derive(Debug, Default)]
pub struct NameSpans {
    spans: Vec<Span>,
}

impl NameSpans {
    /// Before another batch or another segment, that has `names` names so far.
    pub fn reset(&mut self, names: u32) {
        self.spans.clear();
        self.spans.resize(names as usize, Span::EMPTY);
    }

    /// The name in the batch, put there when it is not yet.
    #[inline]
    fn span<'n>(
        &mut self,
        events: &mut Events,
        id: u32,
        name_of: &impl Fn(u32) -> Option<&'n [u8]>,
    ) -> Option<Span> {
        let span = self.spans.get_mut(id as usize)?;
        if span.is_empty() {
            *span = events.store(name_of(id)?);
        }
        Some(*span)
    }
}

/// Adds the energies of a frame from `position` on to a batch. `name_of` is the segment's dictionary.
/// `None` for records that no writer makes.
pub fn frame<'n>(
    frame: &Frame<'_>,
    position: u64,
    base_time_ms: i64,
    name_of: &impl Fn(u32) -> Option<&'n [u8]>,
    names: &mut NameSpans,
    events: &mut Events,
) -> Option<()> {
    let gapped = frame.header.is_gapped();
    let mut arena = None;
    let (mut at, mut next) = (0, frame.header.first);
    while at < frame.records.len() {
        let start = at;
        let record = Raw::next(frame.records, &mut at)?.open(gapped)?;
        let own = next.checked_add(record.gap)?;
        next = own.checked_add(1)?;
        if own < position {
            continue;
        }
        // The records are copied as they are, from the first that is wanted: that is where the data is.
        let (from, base) = *arena.get_or_insert_with(|| {
            let base = events.arena().len();
            events.arena().extend_from_slice(&frame.records[start..]);
            (start, base)
        });
        let data_end = base + at - from;
        let data = Span::new(data_end - record.data.len(), data_end);
        let topic = match record.topic {
            Some(id) => names.span(events, id, name_of)?,
            None => Span::EMPTY,
        };
        let stream = match record.stream {
            stream if stream == record.topic => topic,
            Some(id) => names.span(events, id, name_of)?,
            None => Span::EMPTY,
        };
        record.push(events, own, base_time_ms, (topic, stream, data))?;
    }
    Some(())
}

/// Adds the energy at `position` to a batch. `records` begin with the one of the energy at `first`, and
/// may go on after the one wanted. `Some(false)` when it is not there, `None` for damage: each record on the way is
/// checked, for a length that is wrong would lead to another energy.
pub fn one<'n>(
    records: &[u8],
    (first, position): (u64, u64),
    gapped: bool,
    base_time_ms: i64,
    name_of: &impl Fn(u32) -> Option<&'n [u8]>,
    events: &mut Events,
) -> Option<bool> {
    let (mut at, mut next) = (0, first);
    let mut is_first = true;
    while at < records.len() {
        let raw = Raw::next(records, &mut at)?;
        if !raw.is_intact() {
            return None;
        }
        if !gapped && next < position {
            next += 1;
            continue;
        }
        let record = raw.open(gapped)?;
        // The gap of the record that the walk begins with lies before it.
        let own = if is_first { next } else { next.checked_add(record.gap)? };
        is_first = false;
        next = own.checked_add(1)?;
        if own > position {
            return Some(false);
        }
        if own == position {
            let topic = match record.topic {
                Some(id) => events.store_topic(name_of(id)?),
                None => Span::EMPTY,
            };
            let stream = match record.stream {
                stream if stream == record.topic => topic,
                Some(id) => events.store(name_of(id)?),
                None => Span::EMPTY,
            };
            let data = events.store(record.data);
            record.push(events, own, base_time_ms, (topic, stream, data))?;
            return Some(true);
        }
    }
    // Without gaps it has to be there.
    gapped.then_some(false)
}
