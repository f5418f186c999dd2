//! Appending: one commit becomes one frame at the end of the active segment.

use std::sync::{Arc, OnceLock, RwLock};

use super::chain::{self, Chain, Chainer};
use super::frame::{self, Header};
use super::index::{ActiveIndex, Entry, SegmentIndex, StreamHead};
use super::manifest;
use super::plane::Plane;
use super::record::{self, Place};
use super::recovery;
use super::segment::{self, Index, Segment};
use super::sync::Mark;
use super::view::{Active, View};
use crate::event::{EventRef, Events};
use crate::log::judge::{Found, Past, judge};
use crate::log::{Absent, Appended, Changes, Commit, Direction, Error, Receipt, same_content};

/// Bytes that an energy's envelope takes at most, without its names and extras.
const ENVELOPE_BYTES_MAX: usize = 160;

/// Bytes after which what no appender waits for is synced in the background: sealing a segment waits for the disk.
const SYNC_BYTES: usize = 8 << 20;

/// Chain values that are taken at once.
const WAVE: usize = 16;

/// The largest commit.
const COMMIT_BYTES_MAX: u64 = 1 << 30;

/// Where the log ends, and memory to encode the next commit in.
#[derive(Debug, Default)]
pub struct Writer {
    /// The next commit's number and position.
    pub next: Mark,
    /// Bytes of the active file that are allocated.
    pub allocated: u64,
    /// Bytes since the background was last asked to sync them.
    unsynced_bytes: usize,
    frame: Vec<u8>,
    scratch: Vec<u8>,
    names: Vec<(Option<u32>, Option<u32>)>,
    chains: Vec<Chain>,
    crcs: Vec<u8>,
    chainer: Chainer,
}

impl Writer {
    /// At the end of the log. `allocated` bytes of the active file are there.
    #[must_use]
    pub fn new(next: Mark, allocated: u64) -> Self {
        Self { next, allocated, ..Self::default() }
    }

    /// Takes the chain values of the energies whose names and digests are at hand, as many at once as belong to
    /// different streams. The index knows the last one of each stream.
    fn link(&mut self, index: &mut ActiveIndex) {
        self.chains.clear();
        let mut streams: Vec<Option<u32>> = Vec::with_capacity(WAVE);
        let mut wave: Vec<(Chain, usize)> = Vec::with_capacity(WAVE);
        for at in 0..=self.names.len() {
            let stream = self.names.get(at).map(|(_, stream)| *stream);
            if stream.is_none_or(|stream| wave.len() == WAVE || streams.contains(&stream)) {
                for (chain, stream) in self.chainer.link_wave(&wave).zip(streams.drain(..)) {
                    self.chains.push(chain);
                    if let Some(stream) = stream {
                        index.set_chain(stream, chain);
                    }
                }
                wave.clear();
            }
            if let Some(stream) = stream {
                let head = stream.and_then(|stream| index.head(stream)).unwrap_or_default();
                wave.push((head.chain, at));
                streams.push(stream);
            }
        }
    }
}

impl Plane {
    /// Appends a commit without waiting for the disk. Returns what to wait for as well.
    pub fn append(&self, mut commit: Commit) -> Result<(Appended, u64), Error> {
        let mut writer = self.writer()?;
        self.syncer.check()?;
        check_sizes(&commit)?;
        let mut appended = judge(&mut Known { plane: self, head: writer.next.position }, &mut commit)?;
        if commit.events.is_empty() && commit.changes.is_empty() {
            // What is known may have been written a moment ago.
            return Ok((appended, writer.next.sequence));
        }
        self.make_room(&mut writer, &commit)?;
        appended.batch = self.write(&mut writer, commit.events, &commit.changes)?;
        let bytes = self.tables.apply(writer.next.sequence - 1, &commit.changes);
        self.relieve_tables(bytes);
        Ok((appended, writer.next.sequence))
    }

    /// Encodes the frame and writes it. After an error the log takes nothing more.
    fn write(
        &self,
        writer: &mut Writer,
        mut events: Events,
        changes: &Changes,
    ) -> Result<Arc<Events>, Error> {
        let first = writer.next.position;
        let (file, path, offset) = {
            let mut view = self.view_mut();
            self.encode(writer, &mut view, &mut events, changes).map_err(|error| self.syncer.fail(error))?;
            (view.active.file.clone(), view.active.path.clone(), view.active.end)
        };
        let end = offset + writer.frame.len() as u64;
        file.write_all_at(&writer.frame, offset)
            .map_err(|error| self.syncer.fail(Error::io("write", &path)(error)))?;
        let count = events.len() as u64;
        let batch = Arc::new(events);
        {
            let mut view = self.view_mut();
            view.active.end = end;
            if count > 0 {
                view.tail.push(first, batch.clone());
            }
        }
        writer.next = Mark { sequence: writer.next.sequence + 1, position: first + count };
        self.syncer.wrote(writer.next);
        writer.unsynced_bytes += writer.frame.len();
        if writer.unsynced_bytes > SYNC_BYTES {
            writer.unsynced_bytes = 0;
            self.written_much();
        }
        Ok(batch)
    }

    /// Numbers the energies and makes the frame of them, in the writer's memory; the index gets them too.
    fn encode(
        &self,
        writer: &mut Writer,
        view: &mut View,
        events: &mut Events,
        changes: &Changes,
    ) -> Result<(), Error> {
        let active = &mut view.active;
        let index = &mut active.index;
        let Mark { sequence, position: first } = writer.next;
        writer.frame.clear();
        writer.frame.resize(frame::HEADER_BYTES, 0);
        writer.names.clear();
        for event in events.iter() {
            let named = name(index, &mut writer.frame, event);
            writer.names.push(named);
        }
        let names_end = writer.frame.len();
        for (_, stream) in &writer.names {
            if let Some(stream) = *stream
                && !index.is_head_known(stream)
            {
                let head = self.head_before(index.name_bytes(stream), active.header.first)?;
                index.set_head(stream, head);
            }
        }
        index.frame(first, active.end as u32, events.len() as u32);
        writer.crcs.clear();
        let base_time_ms = active.header.base_time_ms;
        for ((head, (_, stream)), position) in events.heads_mut().iter_mut().zip(&writer.names).zip(first..) {
            head.position = position;
            head.version = stream.map_or(0, |stream| index.advance(stream));
        }
        writer.chainer.digest(events);
        writer.link(index);
        for (at, event) in events.iter().enumerate() {
            let (topic, stream) = writer.names[at];
            let chain = writer.chains[at];
            let offset = active.end as usize + writer.frame.len();
            let place = Place { topic, stream, base_time_ms, ..Place::default() };
            let crc = record::write(&mut writer.frame, &mut writer.scratch, event, &place);
            writer.crcs.extend_from_slice(&crc.to_le_bytes());
            index.push(&Entry {
                position: event.head().position,
                offset: offset as u32,
                id: event.head().id,
                topic,
                stream,
                version: event.head().version,
                chain,
                tags: event.extra().map(|extra| &extra.tags),
                time_ms: event.head().time_ms,
            });
        }
        let records_end = writer.frame.len();
        frame::write_changes(&mut writer.frame, changes);
        let mut header = Header {
            flags: 0,
            crc: 0,
            sequence,
            first,
            durable: self.syncer.durable().sequence,
            digest: chain::frame_digest(writer.chains.as_flattened()),
            records_bytes: (records_end - names_end) as u32,
            names_bytes: (names_end - frame::HEADER_BYTES) as u32,
            changes_bytes: (writer.frame.len() - records_end) as u32,
            count: events.len() as u32,
        };
        writer.frame[..frame::HEADER_BYTES].copy_from_slice(&header.bytes());
        header.crc = frame::checksum(&header, &writer.frame, &writer.crcs);
        writer.frame[..frame::HEADER_BYTES].copy_from_slice(&header.bytes());
        Ok(())
    }

    /// Sees to it that the next frame fits: takes room, or goes on to a new segment.
    fn make_room(&self, writer: &mut Writer, commit: &Commit) -> Result<(), Error> {
        let need = frame_bytes_max(commit);
        let (first, end, path, file) = {
            let active = &self.view().active;
            (active.header.first, active.end, active.path.clone(), active.file.clone())
        };
        // A segment is named by its first position: one that has none grows on, whatever else was changed.
        let begun = writer.next.position > first;
        if begun && end + need > u64::from(self.options.segment_bytes) {
            let time_ms = commit.events.iter().next().map_or(0, |event| event.head().time_ms);
            return self.roll(writer, time_ms, need);
        }
        if end + need > u64::from(u32::MAX) {
            let what = "a segment of changes without energies";
            return Err(Error::TooLarge { what, bytes: end + need, max: u64::from(u32::MAX) });
        }
        if end + need > writer.allocated {
            let len = self.options.allocation(end + need);
            file.allocate(len).map_err(Error::io("take room for", &path))?;
            writer.allocated = len;
        }
        Ok(())
    }

    /// Seals the active segment and begins the next.
    fn roll(&self, writer: &mut Writer, base_time_ms: i64, need: u64) -> Result<(), Error> {
        let Mark { sequence, position: first } = writer.next;
        self.syncer.sync_to(sequence)?;
        let header = segment::Header { plane: self.id, first, base_time_ms, generation: 0, sequence };
        // Nothing has changed so far: where there is no room, the log goes on when there is.
        let file = recovery::new_segment(&self.folder, &self.options, header)?;
        let path = segment::log_path(&self.folder, first, 0);
        let allocated = self.options.allocation(segment::HEADER_BYTES as u64 + need);
        file.allocate(allocated).map_err(Error::io("take room for", &path))?;
        self.announce(writer.next, &header)?;
        let active = Active { header, path, file: file.clone(), index: ActiveIndex::new(first), end: 64 };
        let segment = {
            let mut view = self.view_mut();
            let old = std::mem::replace(&mut view.active, active);
            let segment = Arc::new(Segment {
                header: old.header,
                end: first,
                bytes: old.end,
                path: old.path,
                file: old.file,
                index: RwLock::new(Some(Index::Active(Arc::new(old.index)))),
                sealing: OnceLock::new(),
            });
            let mut sealed = std::mem::take(&mut view.sealed);
            sealed.push(segment.clone());
            self.set_sealed(&mut view, sealed);
            segment
        };
        writer.allocated = allocated;
        // The rest of the room that was taken; where it stays, it is zeros.
        let _best_effort = segment.file.set_len(segment.bytes);
        self.syncer.rolled(file);
        self.sealed(segment);
        Ok(())
    }

    /// Tells in the manifest that the active segment is sealed and another follows.
    fn announce(&self, next: Mark, header: &segment::Header) -> Result<(), Error> {
        let (disk, folder) = (&*self.options.disk, &self.folder);
        let mut manifest = {
            let view = self.view();
            let mut manifest = self.manifest(&view, next);
            if let Some(last) = manifest.segments.last_mut() {
                last.sealed = Some((header.first, view.active.end));
            }
            manifest
        };
        let (first, generation) = (header.first, header.generation);
        manifest.segments.push(manifest::Entry { first, generation, sealed: None });
        manifest::prepare(disk, folder, manifest::NAME, manifest.text().as_bytes())?;
        // From here on it is not known which manifest is there after a crash: an error is the last.
        manifest::put_in_place(disk, folder, manifest::NAME).map_err(|error| self.syncer.fail(error))
    }
}

/// An energy's topic and stream in the segment's dictionary; new names are written to the frame.
pub(super) fn name(
    index: &mut ActiveIndex,
    frame: &mut Vec<u8>,
    event: EventRef<'_>,
) -> (Option<u32>, Option<u32>) {
    let mut of = |bytes: &[u8]| {
        Some(index.name(bytes).unwrap_or_else(|| {
            super::varint::write_bytes(frame, bytes);
            index.add_name(bytes)
        }))
    };
    let (topic, stream) = (event.topic_bytes(), event.stream_bytes());
    let named = if topic.is_empty() { None } else { of(topic) };
    // What has neither belongs to the stream without a name.
    (named, if named.is_some() && stream == topic { named } else { of(stream) })
}

fn check_sizes(commit: &Commit) -> Result<(), Error> {
    let bytes = frame_bytes_max(commit);
    if bytes > COMMIT_BYTES_MAX {
        return Err(Error::TooLarge { what: "the commit", bytes, max: COMMIT_BYTES_MAX });
    }
    Ok(())
}

/// What a commit's frame has at most.
fn frame_bytes_max(commit: &Commit) -> u64 {
    let extras: usize = commit
        .events
        .iter()
        .filter_map(EventRef::extra)
        .map(|extra| {
            let tags = extra.tags.iter().map(|(tag, value)| tag.len() + value.len() + 20).sum::<usize>();
            tags + extra.content.as_ref().map_or(0, String::len) + 40
        })
        .sum();
    let events = commit.events.byte_len() + commit.events.len() * ENVELOPE_BYTES_MAX;
    let changes = commit.changes.byte_len() + commit.changes.len() * 24;
    (frame::HEADER_BYTES + events + extras + changes) as u64
}

/// The plane's past, for the judge.
pub(super) struct Known<'a> {
    pub plane: &'a Plane,
    pub head: u64,
}

impl Past for Known<'_> {
    fn find(&mut self, event: EventRef<'_>) -> Result<Option<Found>, Error> {
        let id = event.head().id;
        let mut found = Events::default();
        let Some(position) = self.plane.find_id(id, &mut found)? else { return Ok(None) };
        let known = found.get(0);
        let same = same_content(known, event);
        Ok(Some(if same { Found::Same(Receipt::of(known)) } else { Found::Other(position) }))
    }

    fn next_version(&mut self, stream: &[u8]) -> Result<u64, Error> {
        Ok(self.plane.stream_head(stream)?.map_or(0, |head| head.version + 1))
    }

    fn violation(&mut self, condition: &Absent) -> Result<Option<u64>, Error> {
        let mut from = condition.after.map_or(0, |after| after.saturating_add(1));
        let mut found = Events::default();
        while from < self.head {
            from = self.plane.scan(from, self.head, Direction::Forward, &condition.query, 1, &mut found)?;
            if !found.is_empty() {
                return Ok(Some(found.get(0).head().position));
            }
        }
        Ok(None)
    }

    fn head(&self) -> u64 {
        self.head
    }

    fn keeps_ephemeral(&self) -> bool {
        false
    }
}

impl Plane {
    /// Where a stream stands.
    pub fn stream_head(&self, stream: &[u8]) -> Result<Option<StreamHead>, Error> {
        {
            let view = self.view();
            let index = &view.active.index;
            if let Some(name) = index.name(stream)
                && index.is_head_known(name)
            {
                return Ok(index.head(name));
            }
        }
        self.head_before(stream, u64::MAX)
    }
}
