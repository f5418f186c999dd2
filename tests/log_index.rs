//! Indexes of segments: active and sealed say what a plain list of all events says.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use proptest::prelude::*;
use sanctum::event::Uuid;
use sanctum::log::file::index::{
    ActiveIndex, Entry, FRAME_GAP_BYTES, IndexError, Key, Nth, SAMPLE_RECORDS, SealedIndex, SegmentIndex,
    StreamHead, seal,
};

/// An event as the model keeps it.
#[derive(Clone, Debug)]
struct Event {
    position: u64,
    offset: u32,
    frame: usize,
    id: Uuid,
    topic: Option<Vec<u8>>,
    stream: Option<Vec<u8>>,
    version: u64,
    chain: [u8; 16],
    tags: Option<BTreeMap<String, String>>,
    time_ms: i64,
}

/// All events and frames of a segment, in lists.
#[derive(Clone, Debug)]
struct Model {
    first: u64,
    next: u64,
    events: Vec<Event>,
    /// First position and offset.
    frames: Vec<(u64, u32)>,
}

impl Model {
    fn index(&self) -> ActiveIndex {
        let mut index = ActiveIndex::new(self.first);
        for (i, &(first, offset)) in self.frames.iter().enumerate() {
            let events: Vec<&Event> = self.events.iter().filter(|event| event.frame == i).collect();
            index.frame(first, offset, events.len() as u32);
            for event in events {
                let topic = event.topic.as_ref().map(|name| index.add_name(name));
                let stream = event.stream.as_ref().map(|name| index.add_name(name));
                index.push(&Entry {
                    position: event.position,
                    offset: event.offset,
                    id: event.id,
                    topic,
                    stream,
                    version: event.version,
                    chain: event.chain,
                    tags: event.tags.as_ref(),
                    time_ms: event.time_ms,
                });
            }
        }
        index
    }

    fn having<'a>(&'a self, key: &'a Key<'a>) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(move |event| match *key {
            Key::Topic(name) => event.topic.as_deref() == Some(name),
            Key::Stream(name) => event.stream.as_deref() == Some(name),
            Key::Tag(name, value) => {
                event.tags.as_ref().and_then(|tags| tags.get(name)).is_some_and(|found| found == value)
            }
        })
    }

    fn check(&self, index: &dyn SegmentIndex) {
        assert_eq!(index.first_position(), self.first);
        assert_eq!(index.next_position(), self.next);
        assert_eq!(index.len() as usize, self.events.len());
        let times = || self.events.iter().map(|event| event.time_ms);
        assert_eq!(index.time_range(), times().min().zip(times().max()));
        self.check_names(index);
        self.check_postings(index);
        self.check_places(index);
        for event in &self.events {
            let found = index.find_id(&event.id);
            assert!(found.contains(&event.position), "{found:?}");
            assert!(found.is_sorted());
        }
    }

    fn check_names(&self, index: &dyn SegmentIndex) {
        let mut names: Vec<&[u8]> = Vec::new();
        for name in self.events.iter().flat_map(|event| [&event.topic, &event.stream]).flatten() {
            if !names.contains(&name.as_slice()) {
                names.push(name);
            }
        }
        assert_eq!(index.names_len() as usize, names.len());
        for (id, &name) in (0..).zip(&names) {
            assert_eq!(index.name_of(id), Some(name));
            assert_eq!(index.name(name), Some(id));
        }
        assert_eq!(index.name_of(names.len() as u32), None);
        assert_eq!(index.name(b"absent"), None);

        let mut topics = Vec::new();
        let mut streams = Vec::new();
        for &name in &names {
            match self.having(&Key::Topic(name)).count() as u32 {
                0 => {}
                count => topics.push((name, count)),
            }
            let key = Key::Stream(name);
            let last = self.having(&key).last();
            let head = last.map(|event| StreamHead { version: event.version, chain: event.chain });
            assert_eq!(index.stream_head(name), head);
            if let Some(head) = head {
                streams.push((name, self.having(&Key::Stream(name)).count() as u32, head));
            }
        }
        assert_eq!(index.topics().map(|topic| (topic.name, topic.count)).collect::<Vec<_>>(), topics);
        let found: Vec<_> = index.streams().map(|stream| (stream.name, stream.count, stream.head)).collect();
        assert_eq!(found, streams);
        let tags: BTreeSet<_> =
            self.tags().map(|(n, v)| (n, v, self.having(&Key::Tag(n, v)).count() as u32)).collect();
        assert_eq!(index.tags().map(|tag| (tag.name, tag.value, tag.count)).collect::<BTreeSet<_>>(), tags);
    }

    fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.events
            .iter()
            .filter_map(|event| event.tags.as_ref())
            .flatten()
            .map(|(n, v)| (n.as_str(), v.as_str()))
    }

    fn check_postings(&self, index: &dyn SegmentIndex) {
        let names: BTreeSet<&[u8]> = self
            .events
            .iter()
            .flat_map(|event| [&event.topic, &event.stream])
            .flatten()
            .map(Vec::as_slice)
            .collect();
        let tags: BTreeSet<(&str, &str)> = self.tags().chain([("absent", "")]).collect();
        let absent: &[u8] = b"absent";
        let keys = names.iter().chain([&absent]).flat_map(|name| [Key::Topic(name), Key::Stream(name)]);
        for key in keys.chain(tags.iter().map(|(name, value)| Key::Tag(name, value))) {
            let all: Vec<u64> = self.having(&key).map(|event| event.position).collect();
            assert_eq!(index.count(&key) as usize, all.len());
            for range in self.ranges() {
                let within: Vec<u64> = all.iter().copied().filter(|at| range.contains(at)).collect();
                assert_eq!(index.postings(&key, range.clone()), within, "{key:?} {range:?}");
                assert_eq!(index.count_in(&key, range.clone()) as usize, within.len());
                for limit in [0, 1, 2, 7, usize::MAX] {
                    let few = limit.min(within.len());
                    assert_eq!(index.first_postings(&key, range.clone(), limit), within[..few]);
                    assert_eq!(index.last_postings(&key, range.clone(), limit), within[within.len() - few..]);
                }
            }
            for n in [1, 2, 3, 10, all.len(), all.len() + 1] {
                let nth = n.max(1).checked_sub(1).and_then(|n| all.iter().rev().nth(n));
                let expected = nth.map_or(Nth::Only(all.len() as u32), |&at| Nth::At(at));
                assert_eq!(index.nth_newest(&key, n as u32), expected);
            }
        }
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        let (first, next) = (self.first, self.next);
        let middle = first + (next - first) / 2;
        let third = first + (next - first) / 3;
        #[expect(clippy::reversed_empty_ranges, reason = "nothing is in it")]
        let reversed = 9..3;
        vec![
            0..u64::MAX,
            first..next,
            third..middle,
            middle..next + 5,
            0..third,
            middle..middle + 1,
            reversed,
        ]
    }

    fn check_places(&self, index: &dyn SegmentIndex) {
        for event in &self.events {
            let place = index.locate(event.position).expect("an event is somewhere");
            let records =
                self.events.iter().position(|other| other.offset == place.offset).expect("a record");
            let run = &self.events[records..];
            assert_eq!(run[0].position, place.position);
            assert_eq!(run[0].frame, event.frame, "a walk meets no frame header");
            let steps = run.iter().position(|other| other.position == event.position).expect("at or before");
            assert!(steps < SAMPLE_RECORDS as usize);
            match place.end {
                Some(end) => {
                    assert!(event.offset < end);
                    assert!(
                        run.get(steps + 1).is_none_or(|next| next.frame > event.frame || next.offset <= end)
                    );
                    assert!(self.events.iter().any(|other| other.offset == end));
                }
                None => assert!(run.len() <= SAMPLE_RECORDS as usize),
            }

            let start = index.frame_before(event.position).expect("a frame");
            let frame =
                self.frames.iter().position(|&(_, offset)| offset == start.offset).expect("a frame's start");
            assert_eq!(self.frames[frame].0, start.position);
            assert!(frame <= event.frame);
            if frame < event.frame {
                assert!(self.frames[event.frame].1 - start.offset < FRAME_GAP_BYTES);
            }
        }
        assert_eq!(index.locate(self.next), None);
        assert_eq!(index.frame_before(self.first.wrapping_sub(1)).filter(|_| self.first > 0), None);
        if let Some(event) = self.events.first() {
            assert!(event.position == 0 || index.locate(event.position - 1).is_none());
        }
    }
}

/// What tells one event from the next: the rest follows.
type Step = (u8, u8, u8, u8, bool, u64);

fn model(first: u64, steps: &[Step], bytes_max: u32) -> Model {
    let mut model = Model { first, next: first, events: Vec::new(), frames: Vec::new() };
    let mut versions: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    let mut offset = 64;
    for (i, &(topic, stream, tags, gap, new_frame, id)) in steps.iter().enumerate() {
        let i = i as u32;
        // Mostly none, sometimes far: as compaction leaves it.
        let position = model.next + if gap > 240 { u64::from(gap) * 37 } else { u64::from(gap > 230) };
        if new_frame || i == 0 {
            model.frames.push((position, offset));
            offset += 64;
            if gap % 8 == 1 {
                model.frames.push((position, offset));
                offset += 64;
            }
        }
        let topic = (topic < 200).then(|| format!("topic.{}", topic % 7).into_bytes());
        let stream = match stream {
            0..60 => topic.clone(),
            60..200 => Some(format!("stream-{}", stream % 11).into_bytes()),
            _ => None,
        };
        let version = stream.as_ref().map_or(0, |name| {
            let next = versions.entry(name.clone()).or_default();
            *next += 1 + u64::from(gap / 250);
            *next - 1
        });
        let tags = (tags > 128).then(|| {
            let tag = |n: u8| (format!("k{}", n % 3), format!("v{}", n % 5));
            [tag(tags), tag(tags / 7)].into_iter().collect()
        });
        model.events.push(Event {
            position,
            offset,
            frame: model.frames.len() - 1,
            id: Uuid::from_u64_pair(id, u64::from(i)),
            topic,
            stream,
            version,
            chain: [id as u8; 16],
            tags,
            time_ms: id as i64,
        });
        offset += 30 + (id as u32 % bytes_max.max(1));
        model.next = position + 1;
    }
    model
}

fn models() -> impl Strategy<Value = Model> {
    let step = (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>(), prop::bool::weighted(0.15), any::<u64>());
    let gapless =
        (any::<u8>(), any::<u8>(), any::<u8>(), Just(0_u8), prop::bool::weighted(0.03), any::<u64>());
    (
        prop_oneof![Just(0), 1..100_000_u64, Just(u64::MAX - (1 << 33))],
        prop_oneof![prop::collection::vec(step, 0..60), prop::collection::vec(gapless, 0..200)],
        prop_oneof![Just(0), Just(300), Just(40_000)],
    )
        .prop_map(|(first, steps, bytes_max)| model(first, &steps, bytes_max))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn active_and_sealed_say_what_a_list_says(model in models()) {
        let active = model.index();
        model.check(&active);
        let bytes = seal(&active);
        prop_assert_eq!(&bytes, &seal(&model.index()), "the same events give the same bytes");
        model.check(&SealedIndex::open(bytes).expect("what was sealed opens"));
    }

    #[test]
    fn a_changed_bit_is_noticed(model in models(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = seal(&model.index());
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(SealedIndex::open(bytes).is_err());
    }

    #[test]
    fn cut_or_longer_bytes_are_noticed(model in models(), at in any::<prop::sample::Index>()) {
        let mut bytes = seal(&model.index());
        prop_assert!(SealedIndex::open(bytes[..at.index(bytes.len())].to_vec()).is_err());
        bytes.push(0);
        prop_assert_eq!(SealedIndex::open(bytes).err(), Some(IndexError::Damaged("end")));
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(SealedIndex::open(bytes.clone()).err(), Some(IndexError::Foreign));
        let mut header = b"SIDX\x01\0\0\0".to_vec();
        header.extend(bytes);
        prop_assert_eq!(SealedIndex::open(header).err(), Some(IndexError::Damaged("header")));
    }

    /// Checksums made to fit: what is found may be anything, but nothing panics, hangs or takes memory for it.
    #[test]
    fn lies_do_no_harm(
        model in models(),
        lies in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), prop::bool::ANY), 1..6),
    ) {
        let mut bytes = seal(&model.index());
        for (at, value, in_header) in lies {
            let at = if in_header { 12 + at.index(64) } else { 116 + at.index(bytes.len() - 116) };
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        fit(&mut bytes);
        if let Ok(index) = SealedIndex::open(bytes) {
            touch(&index, &model);
        }
    }
}

/// Makes the checksums of an index right.
fn fit(bytes: &mut [u8]) {
    let u32_at = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let mut start = 116;
    for section in 0..5 {
        let at = 76 + section * 8;
        let end = start + u32_at(bytes, at) as usize;
        let crc = crc32c::crc32c(&bytes[start..end]);
        bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        start = end;
    }
    let crc = crc32c::crc32c(&bytes[12..116]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
}

/// Asks everything once.
fn touch(index: &SealedIndex, model: &Model) {
    let (first, next) = (model.first, model.next);
    index.topics().take(1_000).count();
    index.streams().take(1_000).count();
    index.tags().take(1_000).count();
    for event in model.events.iter().step_by(1 + model.events.len() / 20) {
        index.find_id(&event.id);
        index.locate(event.position);
        index.frame_before(event.position);
        let name = event.stream.as_deref().or(event.topic.as_deref()).unwrap_or_default();
        index.name(name);
        index.stream_head(name);
        for key in [Key::Topic(name), Key::Stream(name), Key::Tag("k1", "v1")] {
            index.postings(&key, first..next);
            index.last_postings(&key, event.position..next + 9, 3);
            index.count_in(&key, 0..event.position);
            index.nth_newest(&key, 3);
        }
    }
}

#[test]
fn a_head_looked_up_stays_out_of_the_file_and_a_kept_one_goes_in() {
    let mut index = ActiveIndex::new(100);
    let [older, empty, kept, unknown] =
        ["older", "empty", "kept", "unknown"].map(|name| index.add_name(name.as_bytes()));
    let head = |version| StreamHead { version, chain: [version as u8; 16] };
    index.set_head(older, Some(head(4)));
    index.set_head(empty, None);
    index.keep_head(kept, head(9));
    index.set_head(kept, None);
    assert_eq!(
        [older, empty, kept, unknown].map(|stream| index.head(stream)),
        [Some(head(4)), None, Some(head(9)), None]
    );
    assert_eq!(
        [older, empty, kept, unknown].map(|stream| index.is_head_known(stream)),
        [true, true, true, false]
    );

    let sealed = SealedIndex::open(seal(&index)).expect("what was sealed opens");
    for index in [&index as &dyn SegmentIndex, &sealed] {
        assert_eq!(index.stream_head(b"older"), None);
        assert_eq!(index.stream_head(b"kept"), Some(head(9)));
        let streams: Vec<_> =
            index.streams().map(|stream| (stream.name, stream.count, stream.head)).collect();
        assert_eq!(streams, [(b"kept".as_slice(), 0, head(9))]);
        assert_eq!(index.names_len(), 4);
        assert_eq!(index.count(&Key::Stream(b"kept")), 0);
    }
}

#[test]
fn names_of_a_frame_that_was_not_written_are_forgotten() {
    let mut index = ActiveIndex::new(0);
    index.add_name(b"kept");
    for i in 0..100 {
        index.add_name(format!("gone-{i}").as_bytes());
    }
    index.cut_names(1);
    assert_eq!(index.names_len(), 1);
    assert_eq!(index.name(b"kept"), Some(0));
    assert_eq!(index.name(b"gone-0"), None);
    assert_eq!(index.add_name(b"other"), 1);
    assert_eq!(index.name_bytes(1), b"other");
    assert_eq!(index.head(1), None);
}

#[test]
fn strangers_are_rarely_candidates() {
    let mut index = ActiveIndex::new(0);
    index.frame(0, 64, 50_000);
    let id = |n: u64| Uuid::from_u64_pair(n / 256, n % 256);
    for n in 0..50_000 {
        index.push(&Entry {
            position: n,
            offset: 64 + n as u32 * 40,
            id: id(n),
            topic: None,
            stream: None,
            version: 0,
            chain: [0; 16],
            tags: None,
            time_ms: 0,
        });
    }
    let sealed = SealedIndex::open(seal(&index)).expect("what was sealed opens");
    let strangers =
        |index: &dyn SegmentIndex| (50_000..100_000).map(|n| index.find_id(&id(n)).len()).sum::<usize>();
    assert_eq!(strangers(&index), 0);
    assert!(strangers(&sealed) < 500, "{} of 50,000", strangers(&sealed));
}

#[test]
fn another_format_is_named() {
    let mut bytes = seal(&ActiveIndex::new(0));
    bytes[4] = 2;
    let error = SealedIndex::open(bytes).expect_err("format 2");
    insta::assert_snapshot!(error, @"an index of format 2; this version knows format 1");
}
