//! The causal tree: what an energy comes from, and what came of it.

#![allow(clippy::unwrap_used)]

use sanctum::event::{Events, Head, Uuid};
use sanctum::log::{Commit, Log, MemoryLog, Trace};

/// An energy with a chosen id, cause and first ancestor; 0 for none.
fn append(log: &MemoryLog, id: u128, cause: u128, root: u128) {
    let mut events = Events::default();
    let mut head = Head::seed(Uuid::from_u128(id), 0);
    head.causation = Uuid::from_u128(cause);
    head.correlation = Uuid::from_u128(root);
    head.data = events.store(b"\x80");
    events.push(head, None);
    events.require_check();
    assert_eq!(log.append(Commit::of(events)).unwrap().count(), 1);
}

/// Position and cause's position of each, the traced one first of all.
fn tree(log: &MemoryLog, position: u64, max: usize) -> (u64, Vec<(u64, Option<u64>)>, Trace) {
    let trace = Trace::of(log, position, max).unwrap().unwrap();
    let at = |index: usize| trace.events.get(index).head().position;
    let nodes = (0..trace.events.len()).map(|index| (at(index), trace.causes[index].map(at))).collect();
    (trace.energy().head().position, nodes, trace)
}

/// 0 ── 1 ─┬─ 3 ── 5
///         └─ 4
/// 2 (another tree)
fn grown() -> MemoryLog {
    let log = MemoryLog::new();
    for (id, cause, root) in [(10, 0, 0), (11, 10, 10), (12, 0, 0), (13, 11, 10), (14, 11, 10), (15, 13, 10)]
    {
        append(&log, id, cause, root);
    }
    log
}

#[test]
fn ancestors_come_first_then_the_energy_then_what_came_of_it() {
    let log = grown();
    let (traced, nodes, trace) = tree(&log, 1, 100);
    assert_eq!(traced, 1);
    assert_eq!(nodes, [(0, None), (1, Some(0)), (3, Some(1)), (4, Some(1)), (5, Some(3))]);
    assert_eq!((trace.traced, trace.lost, trace.has_more_ancestors), (1, None, false));
    assert_eq!(trace.effects(), [vec![1], vec![2, 3], vec![4], vec![], vec![]]);
    // Siblings are not of the family: neither ancestors nor descendants.
    assert_eq!(tree(&log, 3, 100).1, [(0, None), (1, Some(0)), (3, Some(1)), (5, Some(3))]);
    assert_eq!(tree(&log, 2, 100).1, [(2, None)]);
    assert!(Trace::of(&log, 6, 100).unwrap().is_none());
}

#[test]
fn what_is_left_out_is_said() {
    let log = grown();
    let (_, nodes, trace) = tree(&log, 5, 1);
    assert_eq!(nodes, [(3, None), (5, Some(3))], "the nearest ancestors");
    assert!(trace.has_more_ancestors && !trace.has_more_descendants);
    let (_, nodes, trace) = tree(&log, 0, 2);
    assert_eq!(nodes, [(0, None), (1, Some(0)), (3, Some(1))], "the first descendants");
    assert!(!trace.has_more_ancestors && trace.has_more_descendants);
    assert!(!tree(&log, 0, 4).2.has_more_descendants);
    append(&log, 20, 99, 98);
    assert_eq!(tree(&log, 6, 100).2.lost, Some(Uuid::from_u128(99)));
}

#[test]
fn causes_that_lie_after_their_effects_are_no_causes() {
    let log = MemoryLog::new();
    // Each names the other, and one names itself: an import can hold anything.
    append(&log, 1, 2, 1);
    append(&log, 2, 1, 1);
    append(&log, 3, 3, 3);
    assert_eq!(tree(&log, 0, 100).1, [(0, None), (1, Some(0))]);
    let (_, nodes, trace) = tree(&log, 1, 100);
    assert_eq!((nodes, trace.lost), (vec![(0, None), (1, Some(0))], Some(Uuid::from_u128(2))));
    assert_eq!(tree(&log, 2, 100).1, [(2, None)]);
}

#[test]
fn a_chain_of_thousands_is_one_line_of_descent() {
    let log = MemoryLog::new();
    append(&log, 1, 0, 0);
    for id in 2..=3_000 {
        append(&log, id, id - 1, 1);
    }
    let (_, nodes, trace) = tree(&log, 1_500, 10_000);
    assert_eq!((nodes.len(), trace.traced), (3_000, 1_500));
    assert!(nodes.iter().skip(1).all(|(position, cause)| *cause == Some(position - 1)));
}
