//! What a segment holds and where: per segment one index, so that a read touches only what it needs.
//!
//! The segment being written has an [`ActiveIndex`] in memory, kept up by every append. A sealed one has
//! the same in bytes, [`SealedIndex`], looked up in place; [`seal`] makes it, and so does a scan of the
//! segment that pushes every event into a new active index. Readers see both as [`SegmentIndex`].
//!
//! An index knows no file: it gives offsets, and the reader goes there. It may be wrong only in one way:
//! by ids it gives candidates, which the reader compares with the record.
//!
//! Limits: a segment spans less than 2^32 - 1 positions and bytes, and has less than 2^32 - 1 names, tags and
//! pairs of event and tag. Invariant: events are pushed in ascending order of position and offset; in a
//! compacted segment positions have gaps, everywhere.

mod active;
mod ascending;
mod ids;
mod layout;
mod names;
mod seal;
mod sealed;
mod table;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;

use crate::event::Uuid;

pub use active::ActiveIndex;
pub use seal::seal;
pub use sealed::{IndexError, SealedIndex};

/// Id of a name in its segment's dictionary: 0, 1, 2 … in the order of first use. Topics and streams share it.
pub type NameId = u32;

/// Value of the hash chain after an event: what the stream's next event covers.
pub type Chain = [u8; 16];

/// Records from one sample to the next in a frame, at most: how far [`SegmentIndex::locate`] may be off.
pub const SAMPLE_RECORDS: u32 = 16;

/// Bytes that lie between two frames that [`SegmentIndex::frame_before`] knows, at least: it is off by less,
/// and the length of one frame.
pub const FRAME_GAP_BYTES: u32 = 32 << 10;

/// The end of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamHead {
    /// Version of its last event.
    pub version: u64,
    /// Chain value of its last event.
    pub chain: Chain,
}

/// An event, as far as an index cares.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Position in the plane, over that of the event before.
    pub position: u64,
    /// Where its record starts in the file, in bytes, over that of the event before.
    pub offset: u32,
    /// Its id, of which the segment has no other.
    pub id: Uuid,
    /// Its topic, a name of this index.
    pub topic: Option<NameId>,
    /// Its stream, a name of this index; the topic's where the producer named none.
    pub stream: Option<NameId>,
    /// Version within the stream.
    pub version: u64,
    /// Chain value of the event.
    pub chain: Chain,
    /// Its tags.
    pub tags: Option<&'a BTreeMap<String, String>>,
    /// Its time, in milliseconds since the epoch.
    pub time_ms: i64,
}

/// What events are looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// Events of this topic.
    Topic(&'a [u8]),
    /// Events of this stream.
    Stream(&'a [u8]),
    /// Events with this tag: its name and its value.
    Tag(&'a str, &'a str),
}

/// Where to start reading for one event.
///
/// At `offset` starts the record of the event at `position`, which is at or before the one asked for. From
/// there records lie back to back up to the one asked for: it is among the first [`SAMPLE_RECORDS`] and in the
/// same frame, so no frame header lies between. A walk adds up lengths, and gaps where the frame has them; one
/// that gets past the position asked for, or to the end of the frame's records, shows that it is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Position of the record at `offset`.
    pub position: u64,
    /// Where that record starts, in bytes from the start of the file.
    pub offset: u32,
    /// The record asked for ends at or before this byte: the next record that the index knows, in this frame or
    /// the next, starts there. A bound only: changes and names of the next frame may lie before it. `None`: the
    /// index knows no record after it, so the segment's end is the bound.
    pub end: Option<u32>,
}

/// A frame's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameStart {
    /// First position of the frame.
    pub position: u64,
    /// Where its header starts, in bytes from the start of the file.
    pub offset: u32,
}

/// The n-th newest event with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nth {
    /// It is at this position.
    At(u64),
    /// The segment has only this many.
    Only(u32),
}

/// How many events of a name there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicCount<'a> {
    /// The topic.
    pub name: &'a [u8],
    /// Its events in the segment, at least 1.
    pub count: u32,
}

/// How many events of a stream there are, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamCount<'a> {
    /// The stream.
    pub name: &'a [u8],
    /// Its events in the segment; 0 for one of which only the head was kept.
    pub count: u32,
    /// Its end, as of the end of the segment.
    pub head: StreamHead,
}

/// How many events with a tag there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagCount<'a> {
    /// The tag's name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
    /// Its events in the segment, at least 1.
    pub count: u32,
}

/// What readers ask of a segment's index, active or sealed.
///
/// Positions are those of the plane, ranges are of positions and may exceed the segment. Nothing here fails: what
/// the segment does not have is not found.
pub trait SegmentIndex: Debug + Send + Sync {
    /// The segment's first position, whether or not its event is kept.
    fn first_position(&self) -> u64;

    /// The position after the last event, or the first of the last frame where that is higher.
    fn next_position(&self) -> u64;

    /// Events in the segment.
    fn len(&self) -> u32;

    /// Whether it has no event.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The oldest and the newest time of an event, in milliseconds since the epoch.
    fn time_range(&self) -> Option<(i64, i64)>;

    /// Names in the dictionary: ids are below.
    fn names_len(&self) -> u32;

    /// The id of a name. A hash lookup when active, a binary search when sealed.
    fn name(&self, bytes: &[u8]) -> Option<NameId>;

    /// The name with an id.
    fn name_of(&self, id: NameId) -> Option<&[u8]>;

    /// Where a stream stands at the end of this segment; `None` where it has no event here and no head was kept.
    fn stream_head(&self, stream: &[u8]) -> Option<StreamHead>;

    /// Topics that have events here, in order of first use.
    fn topics(&self) -> Box<dyn Iterator<Item = TopicCount<'_>> + '_>;

    /// Streams that have events here, or a head that was kept, in order of first use.
    fn streams(&self) -> Box<dyn Iterator<Item = StreamCount<'_>> + '_>;

    /// Tags of events here, in no order to rely on.
    fn tags(&self) -> Box<dyn Iterator<Item = TagCount<'_>> + '_>;

    /// Events with a key, without looking at any.
    fn count(&self, key: &Key<'_>) -> u32;

    /// Events with a key in a range. Sealed: takes no longer for many. Active: proportional to the events with the
    /// key from the start of the range on.
    fn count_in(&self, key: &Key<'_>, range: Range<u64>) -> u32;

    /// Positions of all events with a key in a range, ascending.
    fn postings(&self, key: &Key<'_>, range: Range<u64>) -> Vec<u64>;

    /// The first `limit` of [`Self::postings`]. Sealed: proportional to `limit`. Active: no faster than all, so
    /// whoever reads on in portions should take all at once.
    fn first_postings(&self, key: &Key<'_>, range: Range<u64>, limit: usize) -> Vec<u64>;

    /// The last `limit` of [`Self::postings`], ascending. Sealed: proportional to `limit`. Active: to `limit` and
    /// the events with the key after the range.
    fn last_postings(&self, key: &Key<'_>, range: Range<u64>, limit: usize) -> Vec<u64>;

    /// The position of the n-th newest event with a key, 1 being the newest, or how many there are. For 0, as 1.
    fn nth_newest(&self, key: &Key<'_>, n: u32) -> Nth;

    /// Positions of events that may have this id, ascending: the reader compares the record's. All that have it are
    /// among them; a stranger is, in a sealed index, in about one lookup of 250 at 280,000 events.
    fn find_id(&self, id: &Uuid) -> Vec<u64>;

    /// Where to start reading for the event at a position. `None` before the first event and after the last.
    fn locate(&self, position: u64) -> Option<Place>;

    /// The last frame start that the index knows at or before a position: reading from there passes the event at
    /// that position after at most [`FRAME_GAP_BYTES`] and one frame, and the events before it. `None` where all
    /// frames start after it.
    fn frame_before(&self, position: u64) -> Option<FrameStart>;

    /// Bytes of memory held.
    fn bytes(&self) -> usize;
}
