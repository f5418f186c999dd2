//! Many threads at once: one wins, the others are told what became of it.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use sanctum::event::{Events, Expect, Uuid};
use sanctum::log::{Appended, Conflict, Log, Query};

use super::energy::{Energy, commit, positions};

const THREADS: u128 = 8;

/// What each thread got that did the same at the same time.
fn race(log: &dyn Log, act: impl Fn(&dyn Log, u128) -> Appended + Sync) -> Vec<Appended> {
    let start = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (start, act) = (&start, &act);
                scope.spawn(move || {
                    start.wait();
                    act(log, thread)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    })
}

pub fn one_of_many_conditional_appends_wins(log: &dyn Log) {
    for round in 0..10_u64 {
        let expect = round.checked_sub(1).map_or(Expect::None, Expect::Version);
        let results = race(log, |log, thread| {
            let id = 1 + u128::from(round) * THREADS + thread;
            log.append(commit(&[Energy::new(id, "orders").stream("order").expect(expect)]))
                .expect("it answers")
        });
        let winners = results.iter().filter(|appended| appended.count() == 1).count();
        assert_eq!(winners, 1, "round {round}: {results:?}");
        let lost =
            Conflict::Version { stream: "order".into(), actual: Some(round), expected: round.checked_sub(1) };
        for loser in results.iter().filter(|appended| appended.count() == 0) {
            assert_eq!(loser.conflicts, [(0, lost.clone())], "round {round}");
        }
        assert_eq!(log.version_of("order").expect("it looks"), Some(round));
    }
    assert_eq!(positions(log, &Query::default()), (0..10).collect::<Vec<_>>());
}

pub fn a_loser_that_looks_again_gets_through(log: &dyn Log) {
    const EACH: u64 = 10;
    race(log, |log, thread| {
        let (mut last, mut expect) = (Appended::default(), Expect::None);
        for turn in 0..u128::from(EACH) {
            let energy = Energy::new(1 + thread * 1_000 + turn, "counted").stream("counter");
            loop {
                last = log.append(commit(&[energy.clone().expect(expect)])).expect("it answers");
                expect = match last.conflicts.first() {
                    Some((_, Conflict::Version { actual: Some(actual), .. })) => Expect::Version(*actual),
                    Some((_, other)) => panic!("{other}"),
                    None => break,
                };
            }
            expect = Expect::Version(last.batch.get(0).head().version);
        }
        last
    });
    let all = EACH * THREADS as u64;
    assert_eq!(log.head(), all);
    assert_eq!(log.version_of("counter").expect("it looks"), Some(all - 1));
}

pub fn one_of_many_retries_is_stored(log: &dyn Log) {
    let results = race(log, |log, thread| {
        // Some say that the stream must be empty, some do not care.
        let expect = if thread % 2 == 0 { Expect::None } else { Expect::Any };
        let energy = Energy::new(7, "orders").stream("order").expect(expect);
        log.append(commit(&[energy])).expect("it answers")
    });
    assert_eq!(log.head(), 1);
    for appended in &results {
        let receipts: Vec<_> =
            appended.receipts().map(|(at, receipt)| (at, receipt.position, receipt.id)).collect();
        assert_eq!(receipts, [(0, 0, Uuid::from_u128(7))], "{appended:?}");
    }
    assert_eq!(results.iter().filter(|appended| appended.count() == 1).count(), 1);
}

pub fn one_of_many_bookings_wins(log: &dyn Log) {
    let seat = Query { tags: vec![("seat".into(), "12A".into())], ..Query::default() };
    let results = race(log, |log, thread| {
        let energy =
            Energy::new(1 + thread, "seats.booked").stream(&format!("guest-{thread}")).tag("seat", "12A");
        log.append(commit(&[energy]).unless(seat.clone(), None)).expect("it answers")
    });
    assert_eq!(results.iter().filter(|appended| appended.count() == 1).count(), 1);
    for loser in results.iter().filter(|appended| appended.count() == 0) {
        assert_eq!(loser.conflicts, [(0, Conflict::Query { position: 0, after: None })]);
    }
}

pub fn readers_see_whole_batches(log: &dyn Log) {
    const BATCH: u64 = 7;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let visible = log.visible();
                assert_eq!(visible % BATCH, 0, "half a batch is visible");
                let mut events = Events::default();
                let mut at = visible.saturating_sub(2 * BATCH);
                while at < visible {
                    at = log
                        .scan(at, Default::default(), &Query::default(), 100, &mut events)
                        .expect("it scans");
                }
                let found: Vec<u64> = events.iter().map(|event| event.head().position).collect();
                assert!(found.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap: {found:?}");
            }
        });
        race(log, |log, thread| {
            let mut last = Appended::default();
            for turn in 0..10 {
                let first = 1 + thread * 1_000 + turn * u128::from(BATCH);
                let batch: Vec<Energy> =
                    (0..u128::from(BATCH)).map(|n| Energy::new(first + n, "many")).collect();
                last = log.append(commit(&batch)).expect("it answers");
                let position = last.batch.get(0).head().position;
                assert_eq!(position % BATCH, 0, "batches are not mixed");
                assert!(log.read(position).expect("it reads").is_some(), "who appended can read it");
            }
            last
        });
        done.store(true, Ordering::Release);
        reader.join().expect("the reader is content");
    });
    assert_eq!(log.head(), BATCH * 10 * THREADS as u64);
}
