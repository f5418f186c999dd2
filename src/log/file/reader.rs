//! Reading: whole frames for those who read on, single records for those who pick.

use std::sync::Arc;

use super::decode::{self, NameSpans};
use super::frames::{FrameReader, Next};
use super::index::{Key, SegmentIndex};
use super::plane::Plane;
use super::segment::HEADER_BYTES;
use super::view::{OwnedKey, Part};
use crate::event::{EventRef, Events, Uuid};
use crate::log::{Direction, Error, Query};
use crate::router::Pattern;

/// Bytes that are decoded at once, unless one frame is longer.
const BATCH_BYTES: usize = 256 << 10;

/// Energies that are expected in that.
const BATCH_EVENTS: usize = 1_024;

/// Bytes of energies after which a scan returns.
const SCAN_BYTES: usize = 4 << 20;

/// Energies that a scan looks at before it returns, when few match.
const SCAN_EVENTS: u64 = 65_536;

/// Topics that a pattern may match in one segment for their postings to be merged; beyond, all is read.
const KEYS_MAX: usize = 64;

impl Plane {
    /// The batch with the first energy at `position` or after it.
    pub fn read(&self, position: u64) -> Result<Option<(Arc<Events>, usize)>, Error> {
        let mut at = position;
        loop {
            // Segments are found by position each time: compaction may exchange them.
            let part = {
                let view = self.view();
                if let Some(found) = view.tail.get(at) {
                    return Ok(Some(found));
                }
                view.part_at(at)
            };
            let bytes = (part.end as usize).min(BATCH_BYTES + BATCH_BYTES / 4);
            let mut events = Events::with_capacity(BATCH_EVENTS, bytes);
            self.read_part(&part, at, &mut events)?;
            if !events.is_empty() {
                return Ok(Some((Arc::new(events), 0)));
            }
            match &part.sealed {
                Some(segment) => at = segment.end,
                None => return Ok(None),
            }
        }
    }

    /// Adds energies of one segment, from `position` on, to a batch: some, or none when there are none.
    fn read_part(&self, part: &Part, position: u64, events: &mut Events) -> Result<(), Error> {
        let start = self.with_index(part, |index| index.frame_before(position))?;
        let offset = start.map_or(HEADER_BYTES as u64, |start| u64::from(start.offset));
        let (memory, mut names) = self.memory.take();
        let mut reader = FrameReader::with_memory(part.file.clone(), offset, part.end, memory);
        names.reset(self.with_index(part, |index| index.names_len())?);
        let done = self.read_frames(part, position, &mut reader, &mut names, events);
        self.memory.put((reader.into_memory(), names));
        done
    }

    /// Adds the energies of whole frames to a batch, until it is large enough.
    fn read_frames(
        &self,
        part: &Part,
        position: u64,
        reader: &mut FrameReader,
        names: &mut NameSpans,
        events: &mut Events,
    ) -> Result<(), Error> {
        let count = events.len();
        while events.byte_len() < BATCH_BYTES {
            let at = reader.offset();
            let flaw = match reader.next_frame().map_err(Error::io("read", &part.path))? {
                Next::Frame { frame, .. } => {
                    let base = part.header.base_time_ms;
                    let decoded = self.with_index(part, |index| {
                        decode::frame(&frame, position, base, &|id| index.name_of(id), names, events)
                    })?;
                    match decoded {
                        Some(()) => continue,
                        None => "the frame makes no sense".to_owned(),
                    }
                }
                Next::End if at >= part.end => return Ok(()),
                Next::End => "there are zeros in its middle".to_owned(),
                Next::Flawed(flaw) => flaw.to_string(),
            };
            if events.len() > count {
                // Who goes on from here is told; who does not want it, as after a sync that failed, is not.
                return Ok(());
            }
            return Err(self.damaged(part, at, flaw, position));
        }
        Ok(())
    }

    fn damaged(&self, part: &Part, offset: u64, reason: String, position: u64) -> Error {
        Error::Damaged { path: part.path.clone(), offset, reason, positions: Some((position, position)) }
    }

    /// Asks a segment's index. It must not read files: the view may be held.
    pub fn with_index<T>(&self, part: &Part, ask: impl FnOnce(&dyn SegmentIndex) -> T) -> Result<T, Error> {
        if let Some(segment) = &part.sealed {
            return Ok(ask(&*self.index_of(segment)?));
        }
        let view = self.view();
        if view.active.header == part.header {
            return Ok(ask(&view.active.index));
        }
        // It was sealed in the meantime.
        let sealed = view.sealed.iter().find(|segment| segment.header == part.header).cloned();
        drop(view);
        match sealed {
            Some(segment) => Ok(ask(&*self.index_of(&segment)?)),
            None => {
                Err(self.damaged(part, 0, "it was replaced while it was read".to_owned(), part.header.first))
            }
        }
    }

    /// Adds the energy at exactly `position` to a batch; false when it is not kept.
    fn one_of(&self, part: &Part, position: u64, events: &mut Events) -> Result<bool, Error> {
        let Some(place) = self.with_index(part, |index| index.locate(position))? else { return Ok(false) };
        let end = place.end.map_or(part.end, u64::from).min(part.end);
        if u64::from(place.offset) >= end {
            // It is being written, or was when writing failed.
            return Ok(false);
        }
        let mut bytes = vec![0; end.saturating_sub(u64::from(place.offset)) as usize];
        part.file
            .read_exact_at(&mut bytes, u64::from(place.offset))
            .map_err(Error::io("read", &part.path))?;
        let gapped = part.header.generation > 0;
        let base = part.header.base_time_ms;
        let found = self.with_index(part, |index| {
            let name_of = |id| index.name_of(id);
            decode::one(&bytes, (place.position, position), gapped, base, &name_of, events)
        })?;
        if found.is_none() && gapped {
            // It is not kept, and the walk went beyond its frame; or that is damaged. The whole frame tells.
            let mut batch = Events::default();
            self.read_part(part, position, &mut batch)?;
            let kept = batch.iter().next().filter(|event| event.head().position == position);
            return Ok(kept.map(|event| events.push_copy(event)).is_some());
        }
        found.ok_or_else(|| {
            let reason = "the record's checksum does not fit".to_owned();
            self.damaged(part, u64::from(place.offset), reason, position)
        })
    }

    /// Finds an energy by its id, and adds it to a batch.
    pub fn find_id(&self, id: Uuid, events: &mut Events) -> Result<Option<u64>, Error> {
        let mut below = u64::MAX;
        while below > 0 {
            let part = self.view().part_at(below - 1);
            below = part.header.first;
            for position in self.with_index(&part, |index| index.find_id(&id))? {
                let mut found = Events::default();
                if self.one_of(&part, position, &mut found)? && found.get(0).head().id == id {
                    events.push_copy(found.get(0));
                    return Ok(Some(position));
                }
            }
        }
        Ok(None)
    }

    /// Scans below `visible`: see [`crate::log::Log::scan`].
    pub fn scan(
        &self,
        from: u64,
        visible: u64,
        direction: Direction,
        query: &Query,
        limit: usize,
        events: &mut Events,
    ) -> Result<u64, Error> {
        let forward = direction == Direction::Forward;
        let mut scan = Scan { plane: self, query, limit, out: events };
        let mut at = if forward { from } else { from.min(visible) };
        let enough = limit.saturating_add(scan.out.len());
        let mut looked = 0;
        loop {
            let done = if forward { at >= visible } else { at == 0 };
            if done || scan.out.len() >= enough || looked >= SCAN_EVENTS || scan.out.byte_len() > SCAN_BYTES {
                return Ok(at);
            }
            let segment = {
                let view = self.view();
                let at = view.segment_at(if forward { at } else { at - 1 });
                view.part(at)
            };
            scan.limit = enough - scan.out.len();
            let before = at;
            at = if forward { scan.forward(&segment, at, visible)? } else { scan.backward(&segment, at)? };
            looked += at.abs_diff(before);
        }
    }
}

struct Scan<'a> {
    plane: &'a Plane,
    query: &'a Query,
    limit: usize,
    out: &'a mut Events,
}

/// How to find what a query wants in a segment.
enum Way {
    /// Nothing in it matches.
    Nowhere,
    /// These positions, ascending, are all that may.
    At(Vec<u64>),
    /// Anything may.
    Everywhere,
}

impl Scan<'_> {
    /// Where the segment ends for readers.
    fn end_of(part: &Part, visible: u64) -> u64 {
        part.sealed.as_ref().map_or(visible, |segment| segment.end.min(visible))
    }

    fn forward(&mut self, part: &Part, from: u64, visible: u64) -> Result<u64, Error> {
        let end = Self::end_of(part, visible);
        match self.way(part, from, end)? {
            Way::Nowhere => Ok(end),
            Way::At(positions) => {
                for position in positions {
                    if self.limit == 0 || self.out.byte_len() > SCAN_BYTES {
                        return Ok(position);
                    }
                    self.take_one(part, position)?;
                }
                Ok(end)
            }
            Way::Everywhere => self.forward_all(part, from, end),
        }
    }

    fn forward_all(&mut self, part: &Part, from: u64, end: u64) -> Result<u64, Error> {
        // The view is let go of: what comes asks for it again, and who waits to change it would be between the two.
        let recent = self.plane.view().tail.get(from);
        let (events, first) = match recent {
            Some(found) => found,
            None => {
                let mut events = Events::default();
                self.plane.read_part(part, from, &mut events)?;
                if events.is_empty() {
                    return Ok(end);
                }
                (Arc::new(events), 0)
            }
        };
        let mut next = from;
        for at in first..events.len() {
            let event = events.get(at);
            if event.head().position >= end {
                return Ok(end);
            }
            if self.limit == 0 {
                return Ok(event.head().position);
            }
            self.take(event)?;
            next = event.head().position + 1;
        }
        Ok(next)
    }

    fn backward(&mut self, part: &Part, from: u64) -> Result<u64, Error> {
        let first = part.header.first;
        match self.way(part, first, from)? {
            Way::Nowhere => Ok(first),
            Way::At(positions) => {
                for position in positions.into_iter().rev() {
                    if self.limit == 0 || self.out.byte_len() > SCAN_BYTES {
                        return Ok(position + 1);
                    }
                    self.take_one(part, position)?;
                }
                Ok(first)
            }
            Way::Everywhere => self.backward_all(part, from),
        }
    }

    fn backward_all(&mut self, part: &Part, from: u64) -> Result<u64, Error> {
        // A stretch of what lies before, from the last frame start that is known.
        let first = part.header.first;
        let start = self.plane.with_index(part, |index| index.frame_before(from - 1))?;
        let start = start.map_or(first, |start| start.position).max(first);
        let mut events = Events::default();
        let mut at = start;
        while at < from {
            let before = events.len();
            self.plane.read_part(part, at, &mut events)?;
            if events.len() == before {
                break;
            }
            at = events.get(events.len() - 1).head().position + 1;
        }
        for at in (0..events.len()).rev() {
            let event = events.get(at);
            if event.head().position >= from {
                continue;
            }
            if self.limit == 0 {
                return Ok(event.head().position + 1);
            }
            self.take(event)?;
        }
        Ok(start)
    }

    fn take_one(&mut self, part: &Part, position: u64) -> Result<(), Error> {
        let mut found = Events::default();
        if self.plane.one_of(part, position, &mut found)? {
            self.take(found.get(0))?;
        }
        Ok(())
    }

    fn take(&mut self, event: EventRef<'_>) -> Result<(), Error> {
        if self.query.matches(event) && self.plane.is_live(event)? {
            self.out.push_copy(event);
            self.limit -= 1;
        }
        Ok(())
    }

    /// Decides how to look in a segment: by the key with the fewest energies, if there is one.
    fn way(&self, part: &Part, from: u64, end: u64) -> Result<Way, Error> {
        let query = self.query;
        self.plane.with_index(part, |index| {
            if let Some((oldest, newest)) = index.time_range()
                && (query.since_ms.is_some_and(|since| newest < since)
                    || query.until_ms.is_some_and(|until| oldest >= until))
            {
                return Way::Nowhere;
            }
            let mut best: Option<(u32, Vec<OwnedKey>)> = None;
            let mut offer = |keys: Vec<OwnedKey>| {
                let count = keys.iter().map(|key| index.count(&key.key())).sum();
                if best.as_ref().is_none_or(|(least, _)| count < *least) {
                    best = Some((count, keys));
                }
            };
            if !query.topics.is_empty()
                && let Some(keys) = topics_of(index, &query.topics)
            {
                offer(keys);
            }
            if let Some(stream) = &query.stream {
                offer(vec![OwnedKey::Stream(stream.as_bytes().to_vec())]);
            }
            for (tag, value) in &query.tags {
                offer(vec![OwnedKey::Tag(tag.clone(), value.clone())]);
            }
            match best {
                None => Way::Everywhere,
                Some((0, _)) => Way::Nowhere,
                // Reading on is cheaper than picking one in four.
                Some((count, _)) if count > index.len() / 4 && index.len() > 64 => Way::Everywhere,
                Some((_, keys)) => {
                    let mut positions: Vec<u64> = Vec::new();
                    for key in &keys {
                        positions.extend(index.postings(&key.key(), from..end));
                    }
                    if keys.len() > 1 {
                        positions.sort_unstable();
                    }
                    Way::At(positions)
                }
            }
        })
    }
}

/// The topics of a segment that match; `None` when there are too many to go by.
fn topics_of(index: &dyn SegmentIndex, patterns: &[Pattern]) -> Option<Vec<OwnedKey>> {
    let mut keys = Vec::new();
    for pattern in patterns.iter().filter(|pattern| pattern.is_literal()) {
        let topic = pattern.as_str().as_bytes();
        if index.count(&Key::Topic(topic)) > 0 {
            keys.push(OwnedKey::Topic(topic.to_vec()));
        }
    }
    let wild: Vec<&Pattern> = patterns.iter().filter(|pattern| !pattern.is_literal()).collect();
    if !wild.is_empty() {
        for topic in index.topics() {
            let name = std::str::from_utf8(topic.name).unwrap_or_default();
            if wild.iter().any(|pattern| pattern.matches(name)) {
                keys.push(OwnedKey::Topic(topic.name.to_vec()));
            }
            if keys.len() > KEYS_MAX {
                return None;
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Some(keys)
}
