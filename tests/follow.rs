//! Readers that keep up with a log: nothing is lost, nothing comes twice, and history ends where it is said to.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use sanctum::event::{Events, Extra, Head, Ttl, Uuid};
use sanctum::log::{
    Bus, Capacity, Commit, Direction, Follower, Heard, Log, MemoryLog, Pages, Query, Received, cursor,
};
use sanctum::router::pattern::Pattern;

const SOON: Duration = Duration::from_millis(5);

/// Adds an energy to a batch; `ttl` as in `$ttl`.
fn add(events: &mut Events, topic: &str, time_ms: i64, ttl: Ttl) {
    let mut head = Head::seed(Uuid::now_v7(), time_ms);
    head.topic = events.store_topic(topic.as_bytes());
    head.stream = head.topic;
    head.data = events.store(b"\x80");
    events.push(head, (ttl != Ttl::Forever).then(|| Extra { ttl, ..Extra::default() }));
}

fn commit(topic: &str, count: usize) -> Commit {
    let mut events = Events::default();
    (0..count).for_each(|at| add(&mut events, topic, at as i64, Ttl::Forever));
    Commit::of(events)
}

fn topic(pattern: &str) -> Query {
    Query { topics: vec![Pattern::parse(pattern).unwrap()], ..Query::default() }
}

fn positions(batch: &Events) -> Vec<u64> {
    batch.iter().map(|event| event.head().position).collect()
}

/// What a follower of `query` hears until it has heard `count` energies: their positions before and after the
/// threshold, and the threshold.
fn hear(log: &dyn Log, query: Query, count: usize, pause: Duration) -> (Vec<u64>, Vec<u64>, u64) {
    let mut follower = Follower::new(log, query, 0);
    let (mut history, mut live, mut thresholds) = (Vec::new(), Vec::new(), Vec::new());
    let mut batch = Events::default();
    while history.len() + live.len() < count || thresholds.is_empty() {
        match follower.next(&mut batch, SOON).unwrap() {
            Heard::Events if thresholds.is_empty() => history.extend(positions(&batch)),
            Heard::Events => live.extend(positions(&batch)),
            Heard::Threshold(position) => thresholds.push(position),
            Heard::Nothing => {}
            heard => panic!("{heard:?}"),
        }
        thread::sleep(pause);
    }
    assert_eq!(thresholds.len(), 1);
    (history, live, thresholds[0])
}

#[test]
fn history_and_live_join_while_others_append() {
    for pause in [Duration::ZERO, Duration::from_micros(300)] {
        let log = MemoryLog::new();
        for _ in 0..50 {
            log.append(commit("a", 100)).unwrap();
        }
        thread::scope(|scope| {
            let readers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| hear(&log, Query::default(), 20_000, pause))).collect();
            for writer in 0..3 {
                let log = &log;
                scope.spawn(move || {
                    for round in 0..50 {
                        log.append(commit(if writer == 0 { "b" } else { "a" }, 100)).unwrap();
                        if round % 10 == writer {
                            thread::sleep(Duration::from_millis(1));
                        }
                    }
                });
            }
            for reader in readers {
                let (history, live, threshold) = reader.join().unwrap();
                assert!(threshold >= 5_000 && history.len() as u64 == threshold);
                let heard: Vec<u64> = [history, live].concat();
                assert!(heard.iter().copied().eq(0..20_000), "a gap or a duplicate");
            }
        });
        // With a filter, the same: all that matches, in order, on the right side of the threshold.
        let (history, live, threshold) = hear(&log, topic("b"), 5_000, Duration::ZERO);
        assert_eq!((history.len(), live.len(), threshold), (5_000, 0, 20_000));
        assert!(history.is_sorted());
    }
}

#[test]
fn a_follower_waits_for_what_comes() {
    let log = MemoryLog::new();
    let mut follower = Follower::new(&log, topic("b"), 0);
    let mut batch = Events::default();
    assert_eq!(follower.next(&mut batch, SOON).unwrap(), Heard::Threshold(0));
    assert_eq!(follower.next(&mut batch, SOON).unwrap(), Heard::Nothing);
    log.append(commit("a", 3)).unwrap();
    assert_eq!(follower.next(&mut batch, SOON).unwrap(), Heard::Nothing);
    assert_eq!(follower.position(), 3, "what does not match is passed");
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SOON);
            log.append(commit("b", 1)).unwrap();
        });
        assert_eq!(follower.next(&mut batch, Duration::from_secs(60)).unwrap(), Heard::Events);
    });
    assert_eq!((positions(&batch), follower.position()), (vec![3], 4));
}

#[test]
fn a_limit_is_exact() {
    let log = MemoryLog::new();
    log.append(commit("a", 1_000)).unwrap();
    let mut batch = Events::default();
    // All of it in history: no threshold, since live never begins.
    let mut follower = Follower::new(&log, Query::default(), 0).limit(1_000);
    let mut count = 0;
    while follower.next(&mut batch, SOON).unwrap() == Heard::Events {
        count += batch.len();
    }
    assert_eq!((count, follower.position()), (1_000, 1_000));
    assert_eq!(follower.next(&mut batch, SOON).unwrap(), Heard::End);
    // In the middle of a batch: the position is that of the next one.
    let mut follower = Follower::new(&log, Query::default(), 10).limit(7);
    assert_eq!(follower.next(&mut batch, SOON).unwrap(), Heard::Events);
    assert_eq!((positions(&batch), follower.position()), ((10..17).collect(), 17));
    // Across the threshold.
    let mut follower = Follower::new(&log, Query::default(), 998).limit(3);
    let mut heard = Vec::new();
    log.append(commit("a", 5)).unwrap();
    loop {
        heard.push((follower.next(&mut batch, SOON).unwrap(), positions(&batch)));
        if heard.last().unwrap().0 == Heard::End {
            break;
        }
    }
    let expected = [
        (Heard::Events, vec![998, 999]),
        (Heard::Threshold(1_000), vec![]),
        (Heard::Events, vec![1_000]),
        (Heard::End, vec![]),
    ];
    assert_eq!(heard, expected);
}

#[test]
fn pulses_keep_their_interval() {
    static NOW: AtomicU64 = AtomicU64::new(0);
    fn now() -> u64 {
        NOW.load(Ordering::Relaxed)
    }
    let log = MemoryLog::new();
    log.append(commit("a", 1)).unwrap();
    let mut follower = Follower::new(&log, Query::default(), 0).pulse(10, now);
    let mut batch = Events::default();
    let mut next = |advance| {
        NOW.fetch_add(advance, Ordering::Relaxed);
        follower.next(&mut batch, Duration::ZERO).unwrap()
    };
    // None before the threshold, however long history takes.
    assert_eq!([next(0), next(100)], [Heard::Events, Heard::Threshold(1)]);
    assert_eq!(
        [next(0), next(9), next(1), next(0)],
        [Heard::Nothing, Heard::Nothing, Heard::Pulse, Heard::Nothing]
    );
    // Energies do not put it off.
    log.append(commit("a", 1)).unwrap();
    assert_eq!(
        [next(9), next(1), next(25), next(0)],
        [Heard::Events, Heard::Pulse, Heard::Pulse, Heard::Nothing]
    );
}

#[test]
fn cursors_go_on_where_their_reader_was() {
    let log = MemoryLog::new();
    assert_eq!(cursor::position(&log, "mailer").unwrap(), None);
    log.append(commit("a", 500)).unwrap();
    let (mut batch, mut taken) = (Events::default(), Vec::new());
    // A reader that is restarted after every page, and dies before it moves its cursor every third time.
    for round in 0.. {
        let from = cursor::position(&log, "mailer").unwrap().unwrap_or(0);
        let mut follower = Follower::new(&log, Query::default(), from).limit(40);
        if follower.next(&mut batch, SOON).unwrap() != Heard::Events {
            break;
        }
        if round % 3 != 2 {
            taken.extend(positions(&batch));
            cursor::advance(&log, "mailer", follower.position()).unwrap();
        }
    }
    assert!(taken.into_iter().eq(0..500));
    assert_eq!(log.head(), 500, "cursors take no position");
    // In the commit of what a reader makes of it: both or neither.
    let mut reply = commit("b", 1);
    cursor::moved(&mut reply.changes, "mailer", 7);
    assert!(log.append(reply.unless(topic("a"), None)).unwrap().batch.is_empty());
    assert_eq!(cursor::position(&log, "mailer").unwrap(), Some(500));
    let mut reply = commit("b", 1);
    cursor::moved(&mut reply.changes, "mailer", 7);
    assert_eq!(log.append(reply).unwrap().count(), 1);
    cursor::advance(&log, "audit", 3).unwrap();
    assert_eq!(cursor::all(&log).unwrap(), [("audit".to_owned(), 3), ("mailer".to_owned(), 7)]);
}

#[test]
fn a_subscriber_that_is_too_slow_is_told_how_much_it_missed() {
    let (log, bus) = (MemoryLog::new(), Bus::new());
    let publish = |commit: Commit| {
        let ephemeral = bus.ephemeral_of(&commit.events);
        bus.publish(&log.append(commit).unwrap(), ephemeral.as_ref());
    };
    publish(commit("a", 5));
    assert!(bus.is_idle());
    let slow = bus.subscribe(topic("a"), Capacity { events: 10, ..Capacity::default() });
    let quick = bus.subscribe(Query::default(), Capacity::default());
    publish(commit("a", 4));
    publish(commit("b", 100));
    for _ in 0..5 {
        publish(commit("a", 5));
    }
    assert!(matches!(slow.try_next(), Some(Received::Dropped(19))));
    let mut received = Vec::new();
    while let Some(Received::Live(live)) = slow.try_next() {
        received.push(live.position().unwrap());
    }
    assert!(received.into_iter().eq(124..134), "the newest are kept");
    assert_eq!((slow.dropped_total(), quick.dropped_total()), (19, 0));
    let mut count = 0;
    while let Some(Received::Live(live)) = quick.try_next() {
        assert_eq!(live.position(), Some(5 + count));
        count += 1;
    }
    assert_eq!(count, 129);
    // What is never stored is heard here, and only here.
    let mut events = Events::default();
    add(&mut events, "a", 1, Ttl::Ephemeral);
    add(&mut events, "a", 2, Ttl::Forever);
    publish(Commit::of(events));
    let heard: Vec<_> = (0..2)
        .map(|_| match slow.try_next() {
            Some(Received::Live(live)) => (live.position(), live.event().head().time_ms),
            received => panic!("{received:?}"),
        })
        .collect();
    assert_eq!(heard, [(Some(134), 2), (None, 1)]);
    drop(quick);
    publish(commit("b", 1));
    assert!(!bus.is_idle() && slow.try_next().is_none() && !slow.is_closed());
    drop(bus);
    assert!(slow.next(Duration::from_secs(60)).is_none() && slow.is_closed());
}

#[test]
fn a_buffer_is_bounded_by_the_batches_it_keeps_alive() {
    let (log, bus) = (MemoryLog::new(), Bus::new());
    let one = log.append(commit("a", 1)).unwrap().batch.heap_bytes();
    let subscription = bus.subscribe(Query::default(), Capacity { events: 1_000, bytes: 20 * one });
    for _ in 0..100 {
        bus.publish(&log.append(commit("a", 1)).unwrap(), None);
    }
    let Some(Received::Dropped(dropped)) = subscription.try_next() else { panic!("nothing was dropped") };
    assert_eq!(dropped, 80);
    // One batch is kept whatever its size.
    bus.publish(&log.append(commit("a", 900)).unwrap(), None);
    assert!(matches!(subscription.try_next(), Some(Received::Dropped(rest)) if rest == 20));
    let count = std::iter::from_fn(|| subscription.try_next()).count();
    assert_eq!(count, 900);
}

#[test]
fn subscribers_hear_each_append_once_and_in_order() {
    let (log, bus) = (MemoryLog::new(), Arc::new(Bus::new()));
    let subscription = bus.subscribe(Query::default(), Capacity { events: 64, ..Capacity::default() });
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut next, mut dropped) = (0, 0);
            while next < 5_000 {
                match subscription.next(Duration::from_secs(60)) {
                    Some(Received::Dropped(count)) => {
                        next += count;
                        dropped += count;
                    }
                    Some(Received::Live(live)) => {
                        assert_eq!(live.position(), Some(next));
                        next += 1;
                    }
                    None => panic!("nothing came"),
                }
            }
            dropped
        });
        for _ in 0..1_000 {
            bus.publish(&log.append(commit("a", 5)).unwrap(), None);
        }
        assert_eq!(reader.join().unwrap(), subscription.dropped_total());
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Pages give what a filter over a list would.
    #[test]
    fn pages_are_a_filter(
        topics in proptest::collection::vec(0_usize..3, 0..400),
        (from, to) in (0_u64..450, 0_u64..450),
        limit in proptest::option::of(0_usize..300),
        wanted in proptest::option::of(0_usize..3),
        backward: bool,
    ) {
        const TOPICS: [&str; 3] = ["a", "b", "c"];
        let log = MemoryLog::new();
        for topics in topics.chunks(7) {
            let mut events = Events::default();
            topics.iter().for_each(|at| add(&mut events, TOPICS[*at], 0, Ttl::Forever));
            log.append(Commit::of(events)).unwrap();
        }
        let head = topics.len() as u64;
        let (from, to) = (from.min(head), to.min(head));
        let query = wanted.map_or_else(Query::default, |at| topic(TOPICS[at]));
        let matches = |position: &u64| wanted.is_none_or(|at| topics[*position as usize] == at);
        let limit = limit.unwrap_or(usize::MAX);
        let (mut pages, expected): (Pages, Vec<u64>) = if backward {
            let all = (to.min(from)..from).rev();
            (Pages::backward(from, to), all.filter(matches).take(limit).collect())
        } else {
            (Pages::forward(from, to), (from..to).filter(matches).take(limit).collect())
        };
        pages = pages.limit(limit as u64);
        let (mut batch, mut found) = (Events::default(), Vec::new());
        while pages.next(&log, &query, &mut batch).unwrap() {
            found.extend(positions(&batch));
            // Where to go on lies right behind what was given, or further.
            let last = *found.last().unwrap();
            let is_behind =
                if backward { pages.position() <= last } else { pages.position() > last };
            prop_assert!(is_behind);
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn scans_of_the_model_go_both_ways() {
    let log = MemoryLog::new();
    log.append(commit("a", 3)).unwrap();
    let mut events = Events::default();
    assert_eq!(log.scan(3, Direction::Backward, &Query::default(), 2, &mut events).unwrap(), 1);
    assert_eq!(positions(&events), [2, 1]);
}
