//! What it costs to find who receives an energy.
//!
//! `route` shows that subscriptions which do not match cost nothing: the time per energy with 1, 100
//! and 10,000 of them is to be the same, for topics seen before (`known`) as for new ones (`new`).
//! `filter` is a table filter on an energy's bytes. CPU time; each line gives energies per second.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "support/cpu.rs"]
mod cpu;

use std::hint::black_box;

use cpu::CpuTime;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sanctum::event::{Events, Head, Uuid, json, msgpack};
use sanctum::router::{Filter, Pattern, Router, Subscriptions};

const TOPICS: [&str; 4] = ["orders.eu.placed", "orders.us.placed", "refunds.eu", "orders.eu.paid"];

/// One subscriber that matches three of the four topics, and many that match none.
fn subscriptions(count: u32) -> Subscriptions {
    let mut subscriptions = Subscriptions::new();
    subscriptions.insert(&[Pattern::parse("orders.>").unwrap()], 0);
    for id in 1..count {
        let pattern = match id % 4 {
            0 => format!("orders.eu.placed.shop{id}"),
            1 => format!("orders.*.shop{id}"),
            2 => format!("users.u{id}.>"),
            _ => format!("orders.shop{id}.*"),
        };
        subscriptions.insert(&[Pattern::parse(&pattern).unwrap()], id);
    }
    subscriptions
}

fn route(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("route");
    group.throughput(Throughput::Elements(TOPICS.len() as u64));
    for count in [1, 100, 10_000] {
        let subscriptions = subscriptions(count);
        let mut router = Router::new(subscriptions.clone());
        group.bench_function(BenchmarkId::new("known", count), |bencher| {
            bencher.iter(|| {
                TOPICS.iter().map(|topic| router.route(black_box(topic.as_bytes())).len()).sum::<usize>()
            });
        });
        let mut found = Vec::new();
        group.bench_function(BenchmarkId::new("new", count), |bencher| {
            bencher.iter(|| {
                for topic in TOPICS {
                    subscriptions.matching(Some(black_box(topic.as_bytes())), &mut found);
                    black_box(&found);
                }
            });
        });
    }
    group.finish();
}

fn canonical(text: &str) -> Vec<u8> {
    let mut data = Vec::new();
    json::Parser::default().to_msgpack(text.as_bytes(), &mut data).unwrap();
    let mut canonical = Vec::new();
    msgpack::canonicalize(&data, &mut canonical).unwrap();
    canonical
}

fn energy(text: &str) -> Events {
    let mut events = Events::default();
    let mut head = Head::seed(Uuid::from_u128(1), 0);
    head.topic = events.store(b"orders.eu.placed");
    head.data = events.store(&canonical(text));
    events.push(head, None);
    events
}

fn filter(criterion: &mut Criterion<CpuTime>) {
    let small = energy(
        r#"{"amount":42,"currency":"EUR","id":"order-1234567","user":{"country":"DE","id":"user-77"}}"#,
    );
    let fields: Vec<_> = (0..20).map(|field| format!(r#""field{field:02}":"value of {field}""#)).collect();
    let large = energy(&format!("{{{}}}", fields.join(",")));
    let cases = [
        ("4 fields, number rejected", &small, r#"{"amount":{"gt":50}}"#),
        ("4 fields, last rejected", &small, r#"{"user":{"exists":false}}"#),
        ("4 fields, nested rejected", &small, r#"{"user.country":{"in":["FR","IT"]}}"#),
        (
            "4 fields, all accepted",
            &small,
            r#"{"amount":{"gt":40},"currency":"EUR","id":{"prefix":"order"},"user.country":"DE"}"#,
        ),
        ("4 fields, topic rejected", &small, r#"{"$topic":{"suffix":".paid"}}"#),
        ("20 fields, last rejected", &large, r#"{"field19":"x"}"#),
        (
            "20 fields, four accepted",
            &large,
            r#"{"field03":{"exists":true},"field07":{"ne":1},"field11":{"prefix":"value"},"field19":{"contains":"19"}}"#,
        ),
    ];
    let mut group = criterion.benchmark_group("filter");
    group.throughput(Throughput::Elements(1));
    for (name, events, spec) in cases {
        let filter = Filter::compile(&canonical(spec)).unwrap();
        assert_eq!(filter.matches(events.get(0)), name.ends_with("accepted"), "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| filter.matches(black_box(events.get(0)))));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = route, filter
}
criterion_main!(benches);
