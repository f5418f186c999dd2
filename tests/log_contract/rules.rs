//! What one caller after another may count on.

use std::slice::from_ref;
use std::time::Duration;

use sanctum::event::{Events, Expect, Extra, Head, Ttl, Uuid};
use sanctum::log::{Commit, Conflict, Direction, Error, Log, Query, Receipt, Table, cursor};
use sanctum::router::Pattern;

use super::energy::{Energy, Seen, commit, commit_of, positions, scan};

fn put(log: &dyn Log, energies: &[Energy]) {
    let appended = log.append(commit(energies)).expect("it appends");
    assert_eq!(appended.count(), energies.len(), "{appended:?}");
}

fn refused(log: &dyn Log, commit: Commit) -> Vec<(usize, Conflict)> {
    let head = log.head();
    let appended = log.append(commit).expect("a conflict is a value");
    assert_eq!((appended.count(), log.head()), (0, head), "{appended:?}");
    appended.conflicts
}

fn version_conflict(stream: &str, actual: Option<u64>, expected: Option<u64>) -> Conflict {
    Conflict::Version { stream: stream.into(), actual, expected }
}

fn topic(pattern: &str) -> Query {
    Query { topics: vec![Pattern::parse(pattern).expect("a pattern")], ..Query::default() }
}

pub fn positions_and_versions_have_no_gap(log: &dyn Log) {
    assert_eq!((log.head(), log.visible()), (0, 0));
    for batch in 0..20_u128 {
        let of = |n: u128| Energy::new(1 + batch * 3 + n, "orders").stream(&format!("order-{}", n % 2));
        let appended = log.append(commit(&[of(0), of(1), of(2)])).expect("it appends");
        let found: Vec<(u64, u64)> =
            appended.batch.iter().map(|event| (event.head().position, event.head().version)).collect();
        let (first, turn) = (batch as u64 * 3, batch as u64);
        assert_eq!(found, [(first, 2 * turn), (first + 1, turn), (first + 2, 2 * turn + 1)]);
        // What was refused takes no position.
        let taken = Energy::new(1_000 + batch, "orders").stream("order-0").expect(Expect::None);
        assert_eq!(refused(log, commit(&[taken])).len(), 1);
    }
    assert_eq!((log.head(), log.visible()), (60, 60));
    assert_eq!(log.version_of("order-0").expect("it looks"), Some(39));
    assert_eq!(log.version_of("order-1").expect("it looks"), Some(19));
    assert_eq!(log.version_of("order-2").expect("it looks"), None);
    assert_eq!(positions(log, &Query::default()), (0..60).collect::<Vec<_>>());
}

pub fn a_retry_returns_the_first_receipt(log: &dyn Log) {
    let energy = Energy::new(7, "orders").stream("order").expect(Expect::None);
    put(log, from_ref(&energy));
    put(log, &[Energy::new(8, "orders").stream("order")]);
    let first = Receipt { position: 0, version: 0, id: Uuid::from_u128(7) };
    // Whatever it expects now, also with what no longer holds, and at another time.
    for expect in [Expect::None, Expect::Any, Expect::Version(5)] {
        let again = energy.clone().expect(expect).time_ms(9_999);
        for commit in [
            commit(from_ref(&again)),
            commit(from_ref(&again)).atomic(),
            commit(from_ref(&again)).unless(Query::default(), None),
        ] {
            let appended = log.append(commit).expect("it appends");
            assert_eq!(appended.known, [(0, first)], "{expect:?}");
            assert!(appended.conflicts.is_empty() && appended.count() == 0);
            assert_eq!(appended.receipts().collect::<Vec<_>>(), [(0, first)]);
        }
    }
    assert_eq!(log.head(), 2);
}

pub fn an_id_with_other_content_is_a_conflict(log: &dyn Log) {
    let energy = Energy::new(7, "orders").stream("order").tag("size", "L");
    put(log, &[Energy::new(1, "other"), energy.clone()]);
    let edits = [
        energy.clone().data(&[0x80]),
        Energy { topic: "orders.eu".into(), ..energy.clone() },
        energy.clone().stream("order-2"),
        energy.clone().tag("size", "M"),
        energy.clone().tag("colour", "red"),
        energy.clone().ttl(Ttl::TimeMs(5)),
    ];
    for edited in edits {
        let id = Uuid::from_u128(7);
        let conflict = Conflict::Id { id, position: 1 };
        assert_eq!(refused(log, commit(from_ref(&edited))), [(0, conflict.clone())], "{edited:?}");
        // An id in use counts more than a condition that fails.
        assert_eq!(refused(log, commit(&[edited.expect(Expect::Version(9))])), [(0, conflict)]);
    }
    // The same holds within a batch.
    let twice = [Energy::new(20, "twice"), Energy::new(20, "twice"), Energy::new(20, "twice").data(&[0x80])];
    let appended = log.append(commit(&twice)).expect("it appends");
    let receipt = Receipt { position: 2, version: 0, id: Uuid::from_u128(20) };
    assert_eq!((appended.count(), &appended.known[..]), (1, &[(1, receipt)][..]));
    assert_eq!(appended.conflicts, [(2, Conflict::Id { id: Uuid::from_u128(20), position: 2 })]);
}

pub fn what_is_known_and_what_is_new_can_come_together(log: &dyn Log) {
    let known = [Energy::new(1, "orders"), Energy::new(2, "orders")];
    put(log, &known);
    let [one, two] = known;
    let commit = commit(&[Energy::new(3, "orders"), two, Energy::new(4, "orders"), one]);
    let appended = log.append(commit).expect("it appends");
    let receipts: Vec<(usize, u64, u64)> =
        appended.receipts().map(|(at, receipt)| (at, receipt.position, receipt.version)).collect();
    assert_eq!(receipts, [(0, 2, 2), (1, 1, 1), (2, 3, 3), (3, 0, 0)]);
}

pub fn versions_are_those_of_the_batch_so_far(log: &dyn Log) {
    let of = |id: u128, expect| Energy::new(id, "orders").stream("order").expect(expect);
    put(log, &[of(1, Expect::None), of(2, Expect::Version(0)), of(3, Expect::Version(1))]);
    let conflicts = refused(log, commit(&[of(4, Expect::None)]));
    assert_eq!(conflicts, [(0, version_conflict("order", Some(2), None))]);
    let conflicts = refused(log, commit(&[of(5, Expect::Version(1))]));
    assert_eq!(conflicts, [(0, version_conflict("order", Some(2), Some(1)))]);
    let conflicts =
        refused(log, commit(&[Energy::new(6, "orders").stream("new").expect(Expect::Version(0))]));
    assert_eq!(conflicts, [(0, version_conflict("new", None, Some(0)))]);
    // What is refused does not count as stored for what comes after it.
    let appended = log.append(commit(&[of(7, Expect::Version(9)), of(8, Expect::Version(2))]));
    let appended = appended.expect("it appends");
    assert_eq!(appended.conflicts, [(0, version_conflict("order", Some(2), Some(9)))]);
    assert_eq!(appended.receipts().map(|(at, receipt)| (at, receipt.version)).collect::<Vec<_>>(), [(1, 3)]);
}

pub fn an_atomic_batch_is_stored_as_a_whole_or_not(log: &dyn Log) {
    let bad = Energy::new(2, "orders").stream("order").expect(Expect::Version(4));
    let batch = [Energy::new(1, "orders"), bad, Energy::new(3, "orders")];
    let mut atomic = commit(&batch).atomic();
    cursor::moved(&mut atomic.changes, "reader", 5);
    let conflict = (1, version_conflict("order", None, Some(4)));
    assert_eq!(refused(log, atomic), from_ref(&conflict));
    assert_eq!(cursor::position(log, "reader").expect("it looks"), None);
    assert_eq!(log.position_of(Uuid::from_u128(1)).expect("it looks"), None);
    // Without that word, the others are.
    let appended = log.append(commit(&batch)).expect("it appends");
    assert_eq!((appended.count(), appended.conflicts), (2, vec![conflict]));
    assert_eq!(log.position_of(Uuid::from_u128(3)).expect("it looks"), Some(1));
}

pub fn a_condition_on_a_query_keeps_out_everything(log: &dyn Log) {
    let seat = || Query { tags: vec![("seat".into(), "12A".into())], ..topic("seats.*") };
    put(log, &[Energy::new(1, "noise"), Energy::new(2, "seats.booked").tag("seat", "12B")]);
    let book = |id| commit(&[Energy::new(id, "seats.booked").tag("seat", "12A")]);
    assert_eq!(log.append(book(3).unless(seat(), None)).expect("it appends").count(), 1);
    for after in [None, Some(0), Some(1)] {
        let conflict = Conflict::Query { position: 2, after };
        assert_eq!(refused(log, book(4).unless(seat(), after)), [(0, conflict)], "{after:?}");
    }
    // What was seen does not count, and each of several conditions does.
    let noise = topic("noise");
    let conflicts = refused(log, book(4).unless(seat(), Some(2)).unless(noise, None));
    assert_eq!(conflicts, [(0, Conflict::Query { position: 0, after: None })]);
    let mut changing = Commit::default().unless(seat(), None);
    cursor::moved(&mut changing.changes, "reader", 5);
    assert_eq!(refused(log, changing).len(), 1);
    assert_eq!(cursor::position(log, "reader").expect("it looks"), None);
    assert_eq!(log.append(book(4).unless(seat(), Some(2))).expect("it appends").count(), 1);
}

pub fn a_check_appends_nothing(log: &dyn Log) {
    put(log, &[Energy::new(1, "orders").stream("order")]);
    let check = |energy: Energy| {
        let commit = commit(&[Energy::new(50, "orders"), energy]);
        log.check(&mut commit.events.iter()).expect("it checks")
    };
    assert_eq!(check(Energy::new(2, "orders").stream("order").expect(Expect::Version(0))), None);
    let conflict = check(Energy::new(2, "orders").stream("order").expect(Expect::None));
    assert_eq!(conflict, Some(version_conflict("order", Some(0), None)));
    let conflict = check(Energy::new(1, "orders").stream("order").data(&[0x80]));
    assert_eq!(conflict, Some(Conflict::Id { id: Uuid::from_u128(1), position: 0 }));
    assert_eq!((log.head(), log.position_of(Uuid::from_u128(50)).expect("it looks")), (1, None));
}

pub fn reactions_have_their_cause(log: &dyn Log) {
    put(log, &[Energy::new(1, "seed")]);
    let react = |cause: u128, id: u128| {
        let commit = commit(&[Energy::new(id, "reaction"), Energy::new(id + 1, "reaction")]);
        log.append_reaction(Uuid::from_u128(cause), commit)
    };
    assert_eq!(react(1, 10).expect("it appends").count(), 2);
    assert_eq!(react(11, 20).expect("it appends").count(), 2);
    let found = scan(log, &Query::default(), Direction::Forward, 100);
    let lineage: Vec<_> =
        found.iter().map(|seen| (seen.id, seen.causation, seen.correlation, seen.hops)).collect();
    assert_eq!(lineage, [(1, 0, 0, 0), (10, 1, 1, 1), (11, 1, 1, 1), (20, 11, 1, 2), (21, 11, 1, 2)]);
    let by_cause = Query { causation: Some(Uuid::from_u128(11)), ..Query::default() };
    assert_eq!(positions(log, &by_cause), [3, 4]);
    let by_ancestor = Query { correlation: Some(Uuid::from_u128(1)), ..Query::default() };
    assert_eq!(positions(log, &by_ancestor), [1, 2, 3, 4]);
    // A retry is one, and an unknown cause is told.
    assert_eq!(react(1, 10).expect("it appends").known.len(), 2);
    assert!(matches!(react(99, 30), Err(Error::UnknownId(id)) if id == Uuid::from_u128(99)));
    assert_eq!(log.head(), 5);
}

pub fn ephemeral_energies_are_never_stored(log: &dyn Log) {
    let batch =
        [Energy::new(1, "orders"), Energy::new(2, "heartbeat").ttl(Ttl::Ephemeral), Energy::new(3, "orders")];
    for checked in [true, false] {
        let appended = log.append(commit_of(&batch[1..2], checked)).expect("it appends");
        assert_eq!((appended.count(), &appended.ephemeral[..]), (0, &[0][..]));
        assert_eq!(appended.receipts().count(), 0);
    }
    let appended = log.append(commit(&batch).atomic()).expect("it appends");
    assert_eq!((appended.count(), &appended.ephemeral[..]), (2, &[1][..]));
    let receipts: Vec<(usize, u64)> =
        appended.receipts().map(|(at, receipt)| (at, receipt.position)).collect();
    assert_eq!(receipts, [(0, 0), (2, 1)]);
    assert_eq!(log.position_of(Uuid::from_u128(2)).expect("it looks"), None);
    assert_eq!(log.version_of("heartbeat").expect("it looks"), None);
    assert_eq!(log.head(), 2);
    assert!(positions(log, &topic("heartbeat")).is_empty());
}

pub fn changes_go_with_their_commit(log: &dyn Log) {
    let mut first = commit(&[Energy::new(1, "orders")]);
    first.changes.put(Table::State, b"a/1", b"one");
    first.changes.put(Table::State, b"a/2", b"");
    first.changes.put(Table::State, b"b/1", b"other");
    first.changes.put(Table::Seed, b"a/1", b"of another table");
    first.changes.put(Table::State, b"a/1", b"the last one counts");
    log.append(first).expect("it appends");
    let mut alone = Commit::default();
    alone.changes.delete(Table::State, b"b/1");
    alone.changes.delete(Table::State, b"never there");
    let appended = log.append(alone).expect("it appends");
    assert_eq!((appended.count(), log.head()), (0, 1), "changes take no position");
    let value = |key: &[u8]| log.value(Table::State, key).expect("it looks");
    assert_eq!(value(b"a/1").as_deref(), Some(&b"the last one counts"[..]));
    assert_eq!((value(b"a/2"), value(b"b/1")), (Some(vec![]), None));
    let keys = |prefix: &[u8]| -> Vec<Vec<u8>> {
        log.values(Table::State, prefix).expect("it looks").into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(b""), [b"a/1", b"a/2"]);
    assert_eq!(keys(b"a/2"), [b"a/2"]);
    assert!(keys(b"b").is_empty());
    cursor::advance(log, "mailer", 1).expect("it moves");
    assert_eq!(cursor::all(log).expect("it looks"), [("mailer".to_owned(), 1)]);
    // Changes of what is known already are made again: who retries moves its cursor.
    let mut again = commit(&[Energy::new(1, "orders")]);
    cursor::moved(&mut again.changes, "mailer", 2);
    assert_eq!(log.append(again).expect("it appends").known.len(), 1);
    assert_eq!(cursor::position(log, "mailer").expect("it looks"), Some(2));
    log.sync().expect("it syncs");
}

pub fn queries_find_what_they_say(log: &dyn Log) {
    for n in 0..60_u128 {
        let energy = Energy::new(1 + n, ["orders.eu", "orders.us", "payments.eu.made"][n as usize % 3])
            .stream(&format!("stream-{}", n % 4))
            .time_ms(1_000 + n as i64);
        put(log, &[if n % 5 == 0 { energy.tag("fifth", "yes") } else { energy }]);
    }
    let some = |test: &dyn Fn(u64) -> bool| (0..60).filter(|n| test(*n)).collect::<Vec<u64>>();
    assert_eq!(positions(log, &topic("orders.eu")), some(&|n| n % 3 == 0));
    assert_eq!(positions(log, &topic("orders.*")), some(&|n| n % 3 != 2));
    assert_eq!(positions(log, &topic("payments.>")), some(&|n| n % 3 == 2));
    assert!(positions(log, &topic("nothing.>")).is_empty());
    let stream = || Some("stream-1".to_owned());
    let of_stream = Query { stream: stream(), ..Query::default() };
    assert_eq!(positions(log, &of_stream), some(&|n| n % 4 == 1));
    let tags = vec![("fifth".into(), "yes".into())];
    assert_eq!(positions(log, &Query { tags: tags.clone(), ..Query::default() }), some(&|n| n % 5 == 0));
    let times = Query { since_ms: Some(1_010), until_ms: Some(1_020), ..Query::default() };
    assert_eq!(positions(log, &times), (10..20).collect::<Vec<_>>());
    let all = Query { stream: stream(), tags, since_ms: Some(1_010), ..topic("orders.*") };
    assert_eq!(positions(log, &all), some(&|n| n % 3 != 2 && n % 4 == 1 && n % 5 == 0 && n >= 10));
    // A page of none, and what lies beyond the end.
    let mut events = Events::default();
    for (from, direction) in [(60, Direction::Forward), (0, Direction::Backward)] {
        let next = log.scan(from, direction, &Query::default(), 10, &mut events).expect("it scans");
        assert_eq!((next, events.len()), (from, 0), "{direction:?}");
    }
    let next = log.scan(99, Direction::Backward, &Query::default(), 1, &mut events).expect("it scans");
    assert_eq!((next, events.get(0).head().position), (59, 59));
}

pub fn names_are_bytes_to_a_log(log: &dyn Log) {
    // What may be produced is decided before: the engine itself appends to its own topics.
    put(
        log,
        &[Energy::new(1, "sanctum.fault"), Energy::new(2, ""), Energy::new(3, "").stream("only a stream")],
    );
    put(log, &[Energy::new(4, "sanctum.fault").stream("sanctum.fault"), Energy::new(5, "$odd")]);
    assert_eq!(positions(log, &topic("sanctum.>")), [0, 3]);
    assert!(positions(log, &topic(">")).is_empty(), "the engine's own topics are asked for by name");
    let found = scan(log, &Query::default(), Direction::Forward, 100);
    let names: Vec<(&str, &str, u64)> =
        found.iter().map(|seen| (&*seen.topic, &*seen.stream, seen.version)).collect();
    assert_eq!(
        names,
        [
            ("sanctum.fault", "sanctum.fault", 0),
            ("", "", 0),
            ("", "only a stream", 0),
            ("sanctum.fault", "sanctum.fault", 1),
            ("$odd", "$odd", 0)
        ]
    );
    assert_eq!(log.version_of("").expect("it looks"), Some(0));
}

pub fn ids_are_made_where_there_are_none(log: &dyn Log) {
    let appended = log.append(commit_of(&[Energy::new(0, "orders"), Energy::new(0, "orders")], false));
    let appended = appended.expect("it appends");
    let ids: Vec<Uuid> = appended.batch.iter().map(|event| event.head().id).collect();
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.get_version_num() == 7), "{ids:?}");
    assert_eq!(log.position_of(ids[1]).expect("it looks"), Some(1));
}

pub fn reading_begins_anywhere(log: &dyn Log) {
    for batch in 0..10_u128 {
        put(log, &(0..5).map(|n| Energy::new(1 + batch * 5 + n, "orders")).collect::<Vec<_>>());
    }
    for position in 0..50 {
        let (batch, at) = log.read(position).expect("it reads").expect("it is there");
        let seen = Seen::of(batch.get(at));
        assert_eq!((seen.position, seen.id), (position, u128::from(position) + 1));
        let positions: Vec<u64> = batch.iter().map(|event| event.head().position).collect();
        assert!(positions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{positions:?}");
    }
    assert!(log.read(50).expect("it reads").is_none());
    assert!(log.read(u64::MAX).expect("it reads").is_none());
}

pub fn who_waits_is_told(log: &dyn Log) {
    assert_eq!(log.wait(0, Duration::from_millis(1)), 0, "nothing comes");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait(0, Duration::from_secs(60)));
        std::thread::sleep(Duration::from_millis(10));
        put(log, &[Energy::new(1, "orders"), Energy::new(2, "orders")]);
        assert_eq!(waiting.join().expect("it waits"), 2);
    });
    assert_eq!(log.wait(1, Duration::from_secs(60)), 2, "it is there already");
    let mut events = Events::default();
    let mut head = Head::seed(Uuid::from_u128(9), 0);
    head.stream = events.store(b"late");
    events.push(head, Some(Extra::default()));
    log.append_unsynced(Commit::of(events)).expect("it appends");
    log.sync().expect("it syncs");
    assert_eq!(log.wait(2, Duration::from_secs(60)), 3);
}
