//! Projections of a long log: how fast it is folded, and what an answer takes, now and of old.
//!
//! `cargo bench --bench projection`; a number after `--` is the energies, 1,000,000 without one. The bounds that
//! issue 4 sets: an answer at the head under 1 ms; one of old as fast as a snapshot is far.

use std::env;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use sanctum::event::{Events, Head, Uuid, msgpack};
use sanctum::log::file::{Durability, Options};
use sanctum::log::{Commit, FileLog, Log};
use sanctum::projection::{Freshness, Projection, project};
use sanctum::spell::{Clocks, Fold, Modules};

const USERS: u64 = 10_000;
const CLOCKS: Clocks = Clocks { steady_ms: || 0, timer_ns: None, exact: false };
const FOLD: &str = r#"
return {
  topic = "orders",
  by = "user",
  seed = { count = 0, amount = 0 },
  fold = function(state, event)
    state.count = state.count + 1
    state.amount = state.amount + event.amount
    return state
  end,
}
"#;

fn now_ms() -> i64 {
    1_760_000_000_000
}

/// One of the keys, at random.
fn user(n: u64) -> Vec<u8> {
    let mut key = Vec::new();
    let user = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % USERS;
    msgpack::write_str(&mut key, &format!("user-{user}"));
    key
}

fn batch(from: u64, count: u64) -> Commit {
    let mut events = Events::default();
    for n in from..from + count {
        let mut head = Head::seed(Uuid::from_u64_pair(n, n + 1), now_ms() + n as i64);
        head.topic = events.store_topic(b"orders");
        head.stream = head.topic;
        let mut data = Vec::new();
        msgpack::write_map_len(&mut data, 2);
        msgpack::write_str(&mut data, "user");
        data.extend_from_slice(&user(n));
        msgpack::write_str(&mut data, "amount");
        msgpack::write_int(&mut data, (n % 100) as i64);
        head.data = events.store(&data);
        events.push(head, None);
    }
    Commit::of(events)
}

/// Median and slowest of some runs.
fn time(what: &str, count: u64, mut run: impl FnMut(u64)) {
    let mut times: Vec<Duration> = (0..count)
        .map(|n| {
            let start = Instant::now();
            run(n);
            start.elapsed()
        })
        .collect();
    times.sort();
    let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what:<48} median {median:>10.1?}   slowest {slowest:>10.1?}");
}

fn main() {
    let energies: u64 = env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { durability: Durability::Os, ..Options::new(now_ms) };
    let log = FileLog::open(folder.path(), options).expect("the log");
    for from in (0..energies).step_by(1_000) {
        log.append(batch(from, 1_000.min(energies - from))).expect("it appends");
    }
    let open = || {
        let fold = Fold::load("orders.lua", FOLD.into(), Modules::default(), CLOCKS).expect("the fold");
        Projection::new(fold, folder.path(), CLOCKS)
    };
    let ask = |projection: &mut Projection, n: u64, freshness| {
        let rows = project(&log, projection, Some(&user(n)), freshness).expect("an answer");
        assert!(rows.len() <= 1);
    };
    let mut projection = open();
    let (start, cpu) = (Instant::now(), ProcessTime::now());
    ask(&mut projection, 0, Freshness::Exact);
    let (took, cpu) = (start.elapsed(), cpu.elapsed());
    let bytes = std::fs::metadata(folder.path().join("projections/orders.redb")).map_or(0, |file| file.len());
    println!(
        "folded {energies} energies of {USERS} keys: {:.0}/s, {:.0}/s of CPU; {} MiB kept",
        energies as f64 / took.as_secs_f64(),
        energies as f64 / cpu.as_secs_f64(),
        bytes >> 20
    );
    time("a key at the head", 1_000, |n| ask(&mut projection, n, Freshness::Exact));
    time("a key at the head, the store opened anew", 20, |n| {
        projection.release();
        ask(&mut projection, n, Freshness::Exact);
    });
    time("a key at an old position", 200, |n| {
        ask(&mut projection, n, Freshness::At(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % energies));
    });
    time("all keys at an old position", 5, |n| {
        let at = Freshness::At((n + 1) * (energies - 1) / 6);
        project(&log, &mut projection, None, at).expect("an answer");
    });
    time("one more energy, and its key", 20, |n| {
        log.append(batch(energies + n, 1)).expect("it appends");
        ask(&mut projection, n, Freshness::Exact);
    });
    assert_eq!(log.head(), energies + 20);
}
