//! Retention, applied: segments are written anew without the energies whose ttl has ended.
//!
//! From the oldest on, one segment, or a few small ones that follow each other, at a time. The new file is written
//! and synced, then the manifest is replaced, then the old files go. Killed at any point the log is as before or as
//! after; what is left over goes when it is opened. So a compaction goes on where it was ended. The segment that is
//! written to is never touched; readers who hold an old file read on in it.
//!
//! A segment is worth it when half of its energies' bytes are dead. Whether an energy of `last:N` is dead depends on
//! newer ones of its topic, which may go themselves. So that compaction never shows in what is there: a segment with a
//! dead one is always written anew, and what is dead stays as long as an older one of its topic, which it helps to
//! push out, is alive.
//!
//! What stays as it is: positions, versions, ids, times, chain values, the numbers of the commits, what
//! commits changed beside energies. What is written anew is checked first: damage ends the compaction.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use super::frame::{self, Header};
use super::frames::{FrameReader, Next};
use super::index::{ActiveIndex, Key, SealedIndex, SegmentIndex, StreamHead, seal};
use super::indexing::{self, Failed, Indexer};
use super::manifest::{self, Entry};
use super::plane::Plane;
use super::record::Raw;
use super::rewriting::{Kept, Rewriting, Rewritten, next_generation};
use super::segment::{self, HEADER_BYTES, Index, Segment};
use super::{FileLog, SEGMENT_BYTES};
use crate::event::Ttl;
use crate::log::{Change, Changes, Error};

/// Says whether a change of a commit, by its number, may be needed still.
pub type IsCurrent = dyn Fn(u64, &Change<'_>) -> bool + Send + Sync;

/// What is compacted, and how.
#[derive(Default)]
pub struct Compaction {
    /// Every segment that has a dead energy, however few.
    pub all: bool,
    /// Energies at this position and above stay: some consumer has yet to see them.
    pub floor: Option<u64>,
    /// Bytes that are read or written in a second, about; `None` for as many as there can be.
    pub bytes_per_second: Option<u64>,
    /// Only says what would be done.
    pub dry_run: bool,
    /// Changes that it refuses are dropped with the segments that are written anew; `None` keeps all.
    pub is_current: Option<Box<IsCurrent>>,
}

/// One segment that was written anew, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Its first position.
    pub first: u64,
    /// The position after its last.
    pub end: u64,
    /// How many segments it takes the place of.
    pub segments: u64,
    /// Energies that stay.
    pub kept: u64,
    /// Energies that were dropped.
    pub dropped: u64,
    /// Bytes before.
    pub bytes_before: u64,
    /// Bytes after; of a dry run about.
    pub bytes_after: u64,
}

/// What a compaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Sealed segments that were looked at.
    pub segments: u64,
    /// Energies in them whose ttl has ended, dropped or not.
    pub dead: u64,
    /// Energies dropped.
    pub dropped: u64,
    /// Bytes freed.
    pub bytes_freed: u64,
    /// Per segment.
    pub rewrites: Vec<Rewrite>,
}

/// How far a compaction is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Bytes that were read.
    pub bytes: u64,
    /// Bytes to be read, as far as is known.
    pub bytes_total: u64,
    /// What was done last.
    pub rewrite: Option<Rewrite>,
}

impl FileLog {
    /// Drops what a ttl has ended from sealed segments, and frees its room.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], but for a dry run; [`Error::Damaged`] where a segment is; failed file operations. What was done stays done.
    pub fn compact(
        &self,
        options: &Compaction,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Compacted, Error> {
        if !options.dry_run {
            drop(self.plane.writer()?);
        }
        let _alone = self.plane.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        self.plane.syncer.check()?;
        let sealed = self.plane.view().sealed.clone();
        let total = sealed.iter().map(|segment| segment.bytes).sum();
        let mut compactor = Compactor {
            plane: &self.plane,
            options,
            now_ms: (self.plane.options.now_ms)(),
            sealed,
            pinned: HashMap::new(),
            debt: 0,
            at: Progress { bytes: 0, bytes_total: total, rewrite: None },
            progress,
        };
        compactor.run()
    }
}

struct Compactor<'a> {
    plane: &'a Plane,
    options: &'a Compaction,
    now_ms: i64,
    /// The sealed segments when it began. Those that are written anew lie before those looked at.
    sealed: Vec<Arc<Segment>>,
    /// The first energy of `last:N` of each topic that is alive: what comes after counts for it.
    pinned: HashMap<Vec<u8>, u64>,
    /// Bytes since the last pause.
    debt: u64,
    at: Progress,
    progress: &'a mut dyn FnMut(&Progress),
}

/// What is dead in a segment.
#[derive(Clone, Copy, Debug, Default)]
struct Survey {
    energies: u64,
    bytes: u64,
    dead: u64,
    dead_bytes: u64,
    /// Those, and what frames take of which nothing stays.
    gone_bytes: u64,
    dead_last: bool,
}

/// Newer energies by topic, in the segments after the one that is judged.
type Later = HashMap<Vec<u8>, u64>;

impl Compactor<'_> {
    fn run(&mut self) -> Result<Compacted, Error> {
        let mut compacted = Compacted { segments: self.sealed.len() as u64, ..Compacted::default() };
        let mut surveys = Vec::with_capacity(self.sealed.len());
        for at in 0..self.sealed.len() {
            // A segment whose index is still in memory gets its file now, and not while it is replaced.
            if !self.options.dry_run {
                self.plane.seal(&self.sealed[at].clone())?;
            }
            let survey = self.survey(at)?;
            compacted.dead += survey.dead;
            surveys.push(survey);
        }
        for run in self.runs(&surveys) {
            let rewrite =
                if self.options.dry_run { self.estimate(&run, &surveys) } else { self.rewrite(&run)? };
            compacted.dropped += rewrite.dropped;
            compacted.bytes_freed += rewrite.bytes_before.saturating_sub(rewrite.bytes_after);
            compacted.rewrites.push(rewrite);
            self.at.rewrite = Some(rewrite);
            (self.progress)(&self.at);
        }
        Ok(compacted)
    }

    /// Counts what is dead in a segment.
    fn survey(&mut self, at: usize) -> Result<Survey, Error> {
        let segment = self.sealed[at].clone();
        let index = self.plane.index_of(&segment)?;
        let (mut later, mut survey) = (Later::new(), Survey::default());
        let mut reader = FrameReader::new(segment.file.clone(), HEADER_BYTES as u64, segment.bytes);
        loop {
            let offset = reader.offset();
            let bytes = match next(&mut reader, &segment)? {
                None => return Ok(survey),
                Some((_, frame)) => {
                    let gapped = frame.header.is_gapped();
                    let (mut record_at, mut position) = (0, frame.header.first);
                    let before = survey;
                    while record_at < frame.records.len() {
                        let start = record_at;
                        let malformed = || damaged(&segment, offset, "the frame makes no sense");
                        let record = Raw::next(frame.records, &mut record_at)
                            .and_then(|raw| raw.open(gapped))
                            .ok_or_else(malformed)?;
                        position += record.gap;
                        let ttl = match record.extra().ok_or_else(malformed)? {
                            Some(extra) => extra.ttl,
                            None => Ttl::Forever,
                        };
                        let bytes = (record_at - start) as u64;
                        survey.energies += 1;
                        survey.bytes += bytes;
                        let time_ms = segment.header.base_time_ms.wrapping_add(record.time_delta_ms);
                        let topic = record.topic.and_then(|topic| index.name_of(topic)).unwrap_or_default();
                        if ttl != Ttl::Forever {
                            let is_last = matches!(ttl, Ttl::Last(_));
                            if self.is_dead(at, &*index, &mut later, (position, time_ms), ttl, topic)? {
                                survey.dead += 1;
                                survey.dead_bytes += bytes;
                                survey.dead_last |= is_last;
                            } else if is_last && !topic.is_empty() && !self.pinned.contains_key(topic) {
                                self.pinned.insert(topic.to_vec(), position);
                            }
                        }
                        position += 1;
                    }
                    let gone = survey.dead - before.dead;
                    let is_gone = gone > 0 && gone == u64::from(frame.header.count);
                    survey.gone_bytes += match is_gone && frame.changes_bytes().is_empty() {
                        true => frame.header.frame_bytes(),
                        false => survey.dead_bytes - before.dead_bytes,
                    };
                    frame.header.frame_bytes()
                }
            };
            self.spend(bytes);
        }
    }

    /// Whether an energy of segment `at` is to go. Judged as of when the compaction began, so that two looks agree.
    fn is_dead(
        &self,
        at: usize,
        index: &dyn SegmentIndex,
        later: &mut Later,
        (position, time_ms): (u64, i64),
        ttl: Ttl,
        topic: &[u8],
    ) -> Result<bool, Error> {
        let is_pinned = || self.pinned.get(topic).is_some_and(|first| position > *first);
        if self.options.floor.is_some_and(|floor| position >= floor) || is_pinned() {
            return Ok(false);
        }
        match ttl {
            Ttl::Forever => Ok(false),
            Ttl::Ephemeral => Ok(true),
            Ttl::TimeMs(ms) => {
                let ms = i64::try_from(ms).unwrap_or(i64::MAX);
                Ok(self.now_ms >= time_ms.saturating_add(ms))
            }
            Ttl::Last(_) if topic.is_empty() => Ok(false),
            Ttl::Last(count) => {
                let key = Key::Topic(topic);
                let newer = u64::from(index.count_in(&key, position + 1..u64::MAX));
                if newer >= count {
                    return Ok(true);
                }
                if !later.contains_key(topic) {
                    let mut sum = 0;
                    for segment in &self.sealed[at + 1..] {
                        sum += u64::from(self.plane.index_of(segment)?.count(&key));
                    }
                    let end = self.sealed.last().map_or(0, |last| last.end);
                    let view = self.plane.view();
                    // Those sealed since, and those being written: what comes after only makes more dead.
                    sum += u64::from(view.active.index.count_in(&key, end..u64::MAX));
                    later.insert(topic.to_vec(), sum);
                }
                Ok(newer + later[topic] >= count)
            }
        }
    }

    /// Which segments are written anew, and together with which.
    fn runs(&self, surveys: &[Survey]) -> Vec<std::ops::Range<usize>> {
        let limit = u64::from(self.plane.options.segment_bytes.min(SEGMENT_BYTES * 8));
        let left = |at: usize| self.sealed[at].bytes.saturating_sub(surveys[at].gone_bytes);
        let is_small = |at: usize| left(at) < limit / 4;
        let is_wanted = |at: usize| {
            let survey = &surveys[at];
            survey.dead > 0 && (self.options.all || survey.dead_last || survey.dead_bytes * 2 >= survey.bytes)
        };
        let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
        let mut bytes = 0;
        for at in 0..surveys.len() {
            if !is_wanted(at) && !is_small(at) {
                continue;
            }
            let joins = runs.last().is_some_and(|run| {
                let span = self.sealed[at].end - self.sealed[run.start].header.first;
                run.end == at
                    && bytes + left(at) <= limit
                    && (is_small(at) || bytes < limit / 4)
                    && span < u64::from(u32::MAX / 2)
            });
            if joins && let Some(run) = runs.last_mut() {
                run.end = at + 1;
                bytes += left(at);
            } else {
                runs.push(at..at + 1);
                bytes = left(at);
            }
        }
        runs.retain(|run| run.len() > 1 || is_wanted(run.start));
        runs
    }

    fn estimate(&self, run: &std::ops::Range<usize>, surveys: &[Survey]) -> Rewrite {
        let surveys = &surveys[run.clone()];
        let bytes_before = self.sealed[run.clone()].iter().map(|segment| segment.bytes).sum::<u64>();
        let dropped = surveys.iter().map(|survey| survey.dead).sum();
        Rewrite {
            first: self.sealed[run.start].header.first,
            end: self.sealed[run.end - 1].end,
            segments: run.len() as u64,
            kept: surveys.iter().map(|survey| survey.energies).sum::<u64>() - dropped,
            dropped,
            bytes_before,
            bytes_after: bytes_before - surveys.iter().map(|survey| survey.gone_bytes).sum::<u64>(),
        }
    }

    /// Writes some segments anew, as one, and puts it in their place.
    fn rewrite(&mut self, run: &std::ops::Range<usize>) -> Result<Rewrite, Error> {
        let plane = self.plane;
        let sources = self.sealed[run.clone()].to_vec();
        let (Some(first), Some(last)) = (sources.first(), sources.last()) else {
            return Err(Error::Missing(plane.folder.clone()));
        };
        let bytes_before: u64 = sources.iter().map(|segment| segment.bytes).sum();
        self.at.bytes_total += bytes_before;
        let disk = &*plane.options.disk;
        let generation = next_generation(&plane.folder, disk, first.header.first)?;
        let header = segment::Header { generation, ..first.header };
        let mut out = Rewriting::create(&plane.folder, disk, header)?;
        let (mut kept, mut dropped) = (0, 0);
        let mut heads: BTreeMap<Vec<u8>, StreamHead> = BTreeMap::new();
        for at in run.clone() {
            let counts = self.copy(at, &mut out, &mut heads)?;
            kept += counts.0;
            dropped += counts.1;
        }
        heads.retain(|stream, head| out.head(stream) != Some(*head));
        let heads = self.needed(heads, run.end)?;
        let sequence = self.sequence_after(run.end).saturating_sub(1);
        let source = Header { sequence, first: last.end, durable: sequence, ..Header::default() };
        out.heads(&source, &heads)?;
        let written = out.finish()?;
        let (end, bytes_after) = (last.end, written.bytes);
        let segment = self.index(written, end)?;
        plane.exchange(&sources, &segment)?;
        let first = header.first;
        let segments = sources.len() as u64;
        Ok(Rewrite { first, end, segments, kept, dropped, bytes_before, bytes_after })
    }

    /// Copies what stays of a segment. Adds where its streams stood at its end to `heads`.
    fn copy(
        &mut self,
        at: usize,
        out: &mut Rewriting,
        heads: &mut BTreeMap<Vec<u8>, StreamHead>,
    ) -> Result<(u64, u64), Error> {
        let segment = self.sealed[at].clone();
        let index = self.plane.index_of(&segment)?;
        let mut source = ActiveIndex::new(segment.header.first);
        let (mut indexer, mut later) = (Indexer::default(), Later::new());
        let (mut kept_count, mut dropped) = (0, 0);
        let mut reader = FrameReader::new(segment.file.clone(), HEADER_BYTES as u64, segment.bytes);
        loop {
            let header = match next(&mut reader, &segment)? {
                None => break,
                Some((offset, frame)) => {
                    let before = segment.header.first;
                    let older = &mut |stream: &[u8]| self.plane.head_before(stream, before);
                    match indexer.add(&mut source, &segment.header, offset, &frame, older) {
                        Ok(()) => {}
                        Err(Failed::Log(error)) => return Err(error),
                        Err(Failed::Malformed) => {
                            return Err(damaged(&segment, offset, "the frame makes no sense"));
                        }
                    }
                    let header = frame.header;
                    if header.flags & frame::HEADS != 0 {
                        continue;
                    }
                    if indexer.digest() != header.digest {
                        return Err(damaged(&segment, offset, "the chain of its energies does not fit"));
                    }
                    let mut kept = Vec::with_capacity(indexer.events().len());
                    for (event, link) in indexer.events().iter().zip(indexer.links()) {
                        let head = event.head();
                        let ttl = event.extra().map_or(Ttl::Forever, |extra| extra.ttl);
                        let place = (head.position, head.time_ms);
                        if self.is_dead(at, &*index, &mut later, place, ttl, event.topic_bytes())? {
                            dropped += 1;
                        } else {
                            kept.push(Kept { event, previous: link.previous, chain: link.chain });
                        }
                    }
                    kept_count += kept.len() as u64;
                    let changes = self.changes(&frame, &segment, offset)?;
                    if !kept.is_empty() || !changes.is_empty() {
                        out.frame(&header, &kept, &changes)?;
                    }
                    header
                }
            };
            self.spend(header.frame_bytes());
        }
        for stream in source.streams() {
            heads.insert(stream.name.to_vec(), stream.head);
        }
        Ok((kept_count, dropped))
    }

    /// The changes of a commit that stay.
    fn changes(&self, frame: &frame::Frame<'_>, segment: &Segment, offset: u64) -> Result<Vec<u8>, Error> {
        let Some(is_current) = &self.options.is_current else { return Ok(frame.changes_bytes().to_vec()) };
        let changes = frame.changes().ok_or_else(|| damaged(segment, offset, "the changes make no sense"))?;
        let mut kept = Changes::default();
        for change in changes.iter().filter(|change| is_current(frame.header.sequence, change)) {
            kept.push(change);
        }
        let mut bytes = Vec::new();
        frame::write_changes(&mut bytes, &kept);
        Ok(bytes)
    }

    /// Of streams whose end is not in the segment any more, those that need their head carried: not those whose
    /// next segment was written anew, for there it is said what came before.
    fn needed(
        &self,
        mut heads: BTreeMap<Vec<u8>, StreamHead>,
        from: usize,
    ) -> Result<Vec<(Vec<u8>, StreamHead)>, Error> {
        let mut needed = Vec::new();
        for segment in &self.sealed[from..] {
            if heads.is_empty() {
                break;
            }
            let index = self.plane.index_of(segment)?;
            heads.retain(|stream, head| {
                let is_there = index.stream_head(stream).is_some();
                if is_there && segment.header.generation == 0 {
                    needed.push((stream.clone(), *head));
                }
                !is_there
            });
        }
        needed.extend(heads);
        needed.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        Ok(needed)
    }

    /// The number of the first commit after some segments.
    fn sequence_after(&self, end: usize) -> u64 {
        match self.sealed.get(end) {
            Some(segment) => segment.header.sequence,
            None => {
                let view = self.plane.view();
                let position = self.sealed.last().map_or(0, |last| last.end);
                view.part_at(position).header.sequence
            }
        }
    }

    /// Reads a new segment back, which checks it, and gives it its index.
    fn index(&mut self, written: Rewritten, end: u64) -> Result<Arc<Segment>, Error> {
        let Rewritten { header, path, file, bytes } = written;
        let plane = self.plane;
        let older = &mut |stream: &[u8]| plane.head_before(stream, header.first);
        let active = indexing::rebuild(&path, &file, &header, bytes, older)?;
        self.spend(bytes);
        let sealed = seal(&active);
        let (index, sealing) = (RwLock::new(None), OnceLock::new());
        let _is_sealed = sealing.set(());
        let segment = Arc::new(Segment { header, end, bytes, path, file, index, sealing });
        plane.write_index(&segment, &sealed)?;
        if let Ok(index) = SealedIndex::open(sealed) {
            *segment.index.write().unwrap_or_else(PoisonError::into_inner) =
                Some(Index::Sealed(Arc::new(index)));
        }
        Ok(segment)
    }

    /// Counts bytes, and rests where they are to be limited.
    fn spend(&mut self, bytes: u64) {
        const STEP_BYTES: u64 = 1 << 20;
        self.at.bytes += bytes;
        self.debt += bytes;
        let step = self.options.bytes_per_second.map_or(STEP_BYTES, |rate| (rate / 20).clamp(1, STEP_BYTES));
        if self.debt < step {
            return;
        }
        match self.options.bytes_per_second {
            Some(rate) => {
                std::thread::sleep(Duration::from_secs_f64(self.debt as f64 / rate.max(1) as f64));
            }
            None => std::thread::yield_now(),
        }
        self.debt = 0;
        (self.progress)(&self.at);
    }
}

impl Plane {
    /// Puts a new segment in the place of old ones that follow each other, and removes those.
    fn exchange(&self, old: &[Arc<Segment>], new: &Arc<Segment>) -> Result<(), Error> {
        let disk = &*self.options.disk;
        disk.sync_dir(&self.folder).map_err(Error::io("sync the folder", &self.folder))?;
        {
            // Nobody else writes the manifest meanwhile.
            let _writer = self.writer()?;
            self.syncer.check()?;
            let mut sealed = self.view().sealed.clone();
            let at = sealed.iter().position(|segment| Arc::ptr_eq(segment, &old[0])).unwrap_or(sealed.len());
            let range = at..(at + old.len()).min(sealed.len());
            let mut manifest = self.manifest(&self.view(), self.syncer.durable());
            let (first, generation) = (new.header.first, new.header.generation);
            let entry = Entry { first, generation, sealed: Some((new.end, new.bytes)) };
            manifest.segments.splice(range.clone(), [entry]);
            // After an error both the old files and the new one are there, whichever is listed.
            manifest.store(disk, &self.folder)?;
            sealed.splice(range, [new.clone()]);
            let mut view = self.view_mut();
            self.set_sealed(&mut view, sealed);
            view.tail.forget(new.end);
        }
        let held =
            new.index.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|index| index.bytes());
        if let Some(bytes) = held {
            self.cache.loaded(new, bytes);
        }
        self.cache.forget(old);
        for segment in old {
            let segment::Header { first, generation, .. } = segment.header;
            manifest::remove_if_there(disk, &segment::index_path(&self.folder, first, generation))?;
            manifest::remove_if_there(disk, &segment.path)?;
        }
        Ok(())
    }
}

/// The next frame of a sealed segment; `None` at its end.
fn next<'r>(
    reader: &'r mut FrameReader,
    segment: &Segment,
) -> Result<Option<(u64, frame::Frame<'r>)>, Error> {
    let at = reader.offset();
    match reader.next_frame().map_err(Error::io("read", &segment.path))? {
        Next::Frame { offset, frame } => Ok(Some((offset, frame))),
        Next::End if at >= segment.bytes => Ok(None),
        Next::End => Err(damaged(segment, at, "there are zeros in its middle")),
        Next::Flawed(flaw) => Err(damaged(segment, at, &flaw.to_string())),
    }
}

fn damaged(segment: &Segment, offset: u64, reason: &str) -> Error {
    Error::Damaged {
        path: segment.path.clone(),
        offset,
        reason: reason.to_owned(),
        positions: Some((segment.header.first, segment.end)),
    }
}
