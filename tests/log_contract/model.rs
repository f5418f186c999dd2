//! Random calls to the log in files and to the one in memory, which is the model: they answer the same.
//!
//! Segments are tiny, so that most of what is asked lies in sealed ones, and the log is closed and opened between.

use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use sanctum::disk::SimulatedDisk;
use sanctum::event::{Events, Expect, Ttl, Uuid};
use sanctum::log::file::{Durability, Options};
use sanctum::log::{Appended, Commit, Direction, Error, FileLog, Log, MemoryLog, Query, Table};
use sanctum::router::Pattern;

use super::energy::{Energy, Seen, commit_of, scan};
use super::now_ms;

/// One call.
#[derive(Clone, Debug)]
enum Call {
    Append { draft: Draft, unsynced: bool },
    React { cause: u128, draft: Draft },
    Check(Vec<Energy>),
    Look { query: Query, backward: bool, page: usize },
    Find { id: u128, stream: u8, position: u64 },
    Sync,
    Reopen,
}

#[derive(Clone, Debug)]
struct Draft {
    energies: Vec<Energy>,
    atomic: bool,
    unless: Option<(Query, Option<u64>)>,
    changes: Vec<(Table, u8, Option<u8>)>,
}

impl Draft {
    fn commit(&self) -> Commit {
        let mut commit = Commit { atomic: self.atomic, ..commit_of(&self.energies, true) };
        for (table, key, value) in &self.changes {
            match value {
                Some(value) => commit.changes.put(*table, &[*key], &vec![*value; usize::from(*value % 5)]),
                None => commit.changes.delete(*table, &[*key]),
            }
        }
        match &self.unless {
            Some((query, after)) => commit.unless(query.clone(), *after),
            None => commit,
        }
    }
}

const TOPICS: [&str; 5] = ["", "orders.eu", "orders.us", "payments", "sanctum.fault"];

fn stream(n: u8) -> String {
    if n == 0 { String::new() } else { format!("stream-{n}") }
}

fn energy() -> impl Strategy<Value = Energy> {
    let expect = prop_oneof![
        6 => Just(Expect::Any),
        1 => Just(Expect::None),
        2 => (0..4_u64).prop_map(Expect::Version),
    ];
    let envelope = (0..5_usize, 0..5_u8, expect, 0..12_u8);
    (1..60_u128, envelope, vec(any::<u8>(), 0..60), 0..1_000_i64, any::<bool>()).prop_map(
        |(id, (topic, of, expect, kind), data, time, own)| {
            // Of half of the ids the content is always the same, so that retries are met as well as clashes.
            let (topic, of, data) =
                if own || id > 30 { (topic, of, data) } else { (id as usize % 5, id as u8 % 5, vec![0x80]) };
            let energy =
                Energy::new(id, TOPICS[topic]).stream(&stream(of)).data(&data).time_ms(time).expect(expect);
            match kind {
                0 if own => energy.ttl(Ttl::Ephemeral),
                1..=3 if own => energy.tag("kind", ["odd", "even"][usize::from(kind) % 2]),
                _ => energy,
            }
        },
    )
}

fn query() -> impl Strategy<Value = Query> {
    let topics = prop_oneof![
        4 => Just(vec![]),
        3 => prop::sample::select(vec!["orders.*", ">", "payments", "sanctum.>", "none"])
            .prop_map(|text| vec![Pattern::parse(text).expect("a pattern")]),
    ];
    let of = prop_oneof![3 => Just(None), 1 => (0..5_u8).prop_map(|n| Some(stream(n)))];
    let tag = prop_oneof![3 => Just(vec![]), 1 => Just(vec![("kind".to_owned(), "odd".to_owned())])];
    let time = || prop::option::weighted(0.2, 0..1_000_i64);
    let cause = prop::option::weighted(0.1, (1..60_u128).prop_map(Uuid::from_u128));
    (topics, of, tag, time(), time(), cause).prop_map(
        |(topics, stream, tags, since_ms, until_ms, causation)| Query {
            topics,
            stream,
            tags,
            since_ms,
            until_ms,
            causation,
            correlation: None,
        },
    )
}

fn draft() -> impl Strategy<Value = Draft> {
    let table = prop::sample::select(Table::ALL.to_vec());
    let changes = vec((table, 0..6_u8, prop::option::weighted(0.8, any::<u8>())), 0..3);
    let unless = prop::option::weighted(0.15, (query(), prop::option::of(0..100_u64)));
    (vec(energy(), 0..6), any::<bool>(), unless, changes)
        .prop_map(|(energies, atomic, unless, changes)| Draft { energies, atomic, unless, changes })
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        12 => (draft(), any::<bool>()).prop_map(|(draft, unsynced)| Call::Append { draft, unsynced }),
        2 => (1..60_u128, draft()).prop_map(|(cause, draft)| Call::React { cause, draft }),
        1 => vec(energy(), 0..4).prop_map(Call::Check),
        4 => (query(), any::<bool>(), 1..20_usize)
            .prop_map(|(query, backward, page)| Call::Look { query, backward, page }),
        3 => (1..60_u128, 0..5_u8, 0..100_u64)
            .prop_map(|(id, stream, position)| Call::Find { id, stream, position }),
        1 => Just(Call::Sync),
        1 => Just(Call::Reopen),
    ]
}

/// What an append says, to be compared.
fn told(result: Result<Appended, Error>) -> String {
    match result {
        Ok(appended) => {
            let batch: Vec<Seen> = appended.batch.iter().map(Seen::of).collect();
            format!("{batch:?} {:?} {:?} {:?}", appended.known, appended.ephemeral, appended.conflicts)
        }
        Err(error) => error.to_string(),
    }
}

fn at(log: &dyn Log, position: u64) -> Option<Seen> {
    log.read(position).expect("it reads").map(|(batch, at)| Seen::of(batch.get(at)))
}

struct Pair {
    disk: SimulatedDisk,
    durability: Durability,
    file: Option<FileLog>,
    memory: MemoryLog,
}

impl Pair {
    fn open(&mut self) {
        let options = Options {
            disk: Arc::new(self.disk.clone()),
            durability: self.durability,
            segment_bytes: 1 << 10,
            now_ms,
            background: false,
            checkpoint_bytes: 1000,
            note: String::new(),
        };
        self.file = Some(FileLog::open(Path::new("/data/planes/main"), options).expect("it opens"));
    }

    fn call(&mut self, call: &Call) -> Result<(), TestCaseError> {
        let (Some(file), memory) = (&self.file, &self.memory) else { return Ok(()) };
        match call {
            Call::Append { draft, unsynced } => {
                let found = if *unsynced {
                    file.append_unsynced(draft.commit())
                } else {
                    file.append(draft.commit())
                };
                prop_assert_eq!(told(found), told(memory.append(draft.commit())));
            }
            Call::React { cause, draft } => {
                let cause = Uuid::from_u128(*cause);
                let found = file.append_reaction(cause, draft.commit());
                prop_assert_eq!(told(found), told(memory.append_reaction(cause, draft.commit())));
            }
            Call::Check(energies) => {
                let events: Events = commit_of(energies, true).events;
                let found = file.check(&mut events.iter()).expect("it checks");
                prop_assert_eq!(found, memory.check(&mut events.iter()).expect("it checks"));
            }
            Call::Look { query, backward, page } => {
                file.sync().expect("it syncs");
                let direction = if *backward { Direction::Backward } else { Direction::Forward };
                let found = scan(file, query, direction, *page);
                prop_assert_eq!(found, scan(memory, query, direction, 1_000));
            }
            Call::Find { id, stream: of, position } => {
                let id = Uuid::from_u128(*id);
                prop_assert_eq!(
                    file.position_of(id).expect("it looks"),
                    memory.position_of(id).expect("it looks")
                );
                let of = stream(*of);
                prop_assert_eq!(
                    file.version_of(&of).expect("it looks"),
                    memory.version_of(&of).expect("it looks")
                );
                prop_assert_eq!(at(file, *position), at(memory, *position));
            }
            Call::Sync => file.sync().expect("it syncs"),
            Call::Reopen => {
                self.file.take().map(FileLog::close).transpose().expect("it closes");
                self.open();
            }
        }
        Ok(())
    }

    /// All of it.
    fn compare(&self) -> Result<(), TestCaseError> {
        let (Some(file), memory) = (&self.file, &self.memory) else { return Ok(()) };
        file.sync().expect("it syncs");
        prop_assert_eq!((file.head(), file.visible()), (memory.head(), memory.visible()));
        for direction in [Direction::Forward, Direction::Backward] {
            let found = scan(file, &Query::default(), direction, 7);
            prop_assert_eq!(found, scan(memory, &Query::default(), direction, 1_000));
        }
        for table in Table::ALL {
            let found = file.values(table, b"").expect("it looks");
            prop_assert_eq!(found, memory.values(table, b"").expect("it looks"));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn the_log_in_files_does_what_the_one_in_memory_does(
        calls in vec(call(), 1..60),
        durability in prop::sample::select(vec![Durability::Commit, Durability::IntervalMs(5), Durability::Os]),
    ) {
        let (disk, memory) = (SimulatedDisk::new(1), MemoryLog::new());
        let mut pair = Pair { disk, durability, file: None, memory };
        pair.open();
        for call in &calls {
            pair.call(call)?;
        }
        pair.compare()?;
        pair.call(&Call::Reopen)?;
        pair.compare()?;
    }
}
