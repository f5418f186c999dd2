//! A million orders through two spells: what the whole program takes, and what each of its parts.
//!
//! `cargo bench --bench throughput`; `EVENTS=100000` for another number, `-- --test` for a quick try,
//! `-- --write FILE` for the orders alone. The spells are in `benches/orders`: the large orders, with their
//! tax; then their number per user, in state. Compare CPU time, and only within one run; other work on the
//! machine lengthens both times.

#![allow(missing_docs)]

#[path = "support/orders.rs"]
mod orders;
#[path = "support/process.rs"]
mod process;

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cpu_time::ThreadTime;
use sanctum::engine::seed::{SeedOptions, Seeds, Source};
use sanctum::engine::{Clock, Engine, Intake, Options, Sink, clock};
use sanctum::event::envelope::SeedChain;
use sanctum::event::{EventRef, Events, Fields, json};
use sanctum::log::MemoryLog;
use sanctum::router::{Router, Subscriptions};
use sanctum::runeset::{Diagnostic, Fault, StatedLimits};
use sanctum::spell::{Clocks, Modules, Origin, Round, Spell, Task, load};

const BIG: &str = include_str!("orders/big.lua");
const COUNT: &str = include_str!("orders/count.lua");
/// What `big` does, but for the result.
const BIG_SILENT: &str = r#"return {
  topic = "orders",
  filter = { amount = { gt = 50 } },
  cast = function(order)
    order.tax = order.amount * 0.19
    order["$topic"] = "orders.big"
  end,
}"#;
/// Runs of which the median is shown.
const RUNS: usize = 3;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let quick = args.iter().any(|arg| arg == "--test");
    let asked = std::env::var("EVENTS").ok().and_then(|text| text.parse().ok());
    let events: u64 = asked.unwrap_or(if quick { 10_000 } else { 1_000_000 });
    if let Some(at) = args.iter().position(|arg| arg == "--write") {
        let path = args.get(at + 1).ok_or_else(|| io::Error::other("--write FILE"))?;
        return orders::write(events, &mut BufWriter::new(File::create(path)?));
    }
    let folder = tempfile::tempdir()?;
    let seed = folder.path().join("orders.ndjson");
    orders::write(events, &mut BufWriter::new(File::create(&seed)?))?;
    let bytes = fs::metadata(&seed)?.len();
    println!("{events} orders, {} bytes each", bytes / events);
    programs(&seed, events, if quick { 1 } else { RUNS })?;
    parts(&seed, events, if quick { 1 } else { RUNS })
}

/// The whole program.
fn programs(seed: &Path, events: u64, runs: usize) -> io::Result<()> {
    let spells = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/orders");
    println!(
        "\n{:<28} {:>12} {:>8} {:>8} {:>10}",
        "whole program", "orders/s", "wall s", "CPU s", "peak MiB"
    );
    let mut answers = Vec::new();
    for workers in ["1", "2"] {
        for log in ["memory", "none"] {
            let mut usages = Vec::new();
            for _ in 0..runs {
                let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
                command.arg("cast").arg(&spells).arg("--seed").arg(seed);
                command.args(["--topic", "orders", "--workers", workers, "--log", log]);
                usages.push(process::measure(&mut command)?);
            }
            usages.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
            let usage = usages.swap_remove(runs / 2);
            let name = format!("{workers} worker(s), --log {log}");
            let rate = events as f64 / usage.wall;
            println!("{name:<28} {rate:>12.0} {:>8.2} {:>8.2} {:>10.1}", usage.wall, usage.cpu, usage.peak);
            answers.push(usage.output);
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "the answers differ: {answers:?}");
    print!("{}", answers[0]);
    Ok(())
}

/// CPU time of the parts, each by itself, in this process.
fn parts(seed: &Path, events: u64, runs: usize) -> io::Result<()> {
    let mut measured = Vec::new();
    for _ in 0..runs {
        let (whole, _) = whole(seed, false);
        let (parse, ids) = parse(seed)?;
        let Staged { intake, route, silent, big, count } = staged(seed);
        let encode = big - silent;
        let cast = silent + count;
        let rest = whole - intake - route - cast - encode;
        measured.push([parse, ids, intake - parse - ids, route, cast, encode, rest, whole]);
    }
    let median = |at: usize| {
        let mut values: Vec<f64> = measured.iter().map(|run| run[at]).collect();
        values.sort_by(f64::total_cmp);
        // What is a difference may come out below nothing on a busy machine.
        values[values.len() / 2].max(0.0)
    };
    println!("of which the log in memory holds {:.1} MiB", whole(seed, true).1);
    println!("\n{:<28} {:>12} {:>8}", "part (one thread, no log)", "ns an order", "share");
    let names =
        ["parse", "ids", "read, split, envelope", "route and filter", "cast", "encode", "commit", "all"];
    for (at, name) in names.iter().enumerate() {
        let nanos = median(at) * 1e9 / events as f64;
        println!("{name:<28} {nanos:>12.0} {:>7.0}%", 100.0 * median(at) / median(names.len() - 1));
    }
    Ok(())
}

/// CPU seconds of the parts.
#[derive(Default)]
struct Staged {
    intake: f64,
    route: f64,
    silent: f64,
    big: f64,
    count: f64,
}

fn seconds<T>(total: &mut f64, work: impl FnOnce() -> T) -> T {
    let begin = ThreadTime::now();
    let result = work();
    *total += begin.elapsed().as_secs_f64();
    result
}

/// Everything on one thread, without what the program prints; CPU seconds, and MiB of the log at the end.
fn whole(seed: &Path, keep: bool) -> (f64, f64) {
    let mut total = 0.0;
    let spells = vec![Arc::new(spell("big.lua", BIG)), Arc::new(spell("count.lua", COUNT))];
    let options = Options { workers: 1, keep, ..Options::default() };
    let held = seconds(&mut total, || {
        let log = Arc::new(MemoryLog::new().keeping_ephemeral());
        let mut engine = Engine::over(log.clone(), spells, options).expect("the spells open");
        engine.run(&mut seeds(seed), &mut Nowhere).expect("the run ends well");
        log.heap_bytes()
    });
    (total, held as f64 / f64::from(1 << 20))
}

/// Parsing alone, then the ids alone.
fn parse(seed: &Path) -> io::Result<(f64, f64)> {
    let (mut parse, mut ids) = (0.0, 0.0);
    let text = fs::read(seed)?;
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let (mut parser, mut fields, mut out) = (json::Parser::new(), Fields::default(), Vec::new());
    seconds(&mut parse, || {
        for line in &lines {
            if out.len() > 1 << 20 {
                out.clear();
            }
            parser.to_event(line, &mut out, &mut fields).expect("an order is JSON");
        }
    });
    let mut chain = SeedChain::new("orders");
    seconds(&mut ids, || {
        for line in &lines {
            std::hint::black_box(chain.next(line));
        }
    });
    Ok((parse, ids))
}

/// What the engine does with a chunk, part by part.
fn staged(seed: &Path) -> Staged {
    let mut staged = Staged::default();
    let (big, silent, count) =
        (spell("big.lua", BIG), spell("big.lua", BIG_SILENT), spell("count.lua", COUNT));
    let mut lanes = [&big, &silent, &count].map(|spell| spell.open(clocks()).expect("the spell opens"));
    let mut subscriptions = Subscriptions::new();
    subscriptions.insert(&big.topics, 0);
    subscriptions.insert(&count.topics, 1);
    let mut router = Router::new(subscriptions);
    let filter = big.filter.as_ref().expect("a table filter");
    let mut seeds = seeds(seed);
    loop {
        let mut batch = Events::with_capacity(4_096, 1 << 20);
        let more = seconds(&mut staged.intake, || seeds.fill(&mut batch)).expect("the seed is good");
        let batch = Arc::new(batch);
        let mut tasks = Vec::new();
        seconds(&mut staged.route, || {
            for (index, event) in batch.iter().enumerate() {
                if router.route(event.topic_bytes()).contains(&0) && filter.matches(event) {
                    tasks.push(Task::Cast(index as u32));
                }
            }
        });
        let [lane_big, lane_silent, lane_count] = &mut lanes;
        let run = |lane: &mut sanctum::spell::Lane, total: &mut f64, events: &Arc<Events>, tasks| -> Round {
            seconds(total, || lane.run(events, tasks));
            lane.take_round()
        };
        let round = run(lane_silent, &mut staged.silent, &batch, tasks.clone());
        lane_silent.recycle(round);
        let mut round = run(lane_big, &mut staged.big, &batch, tasks);
        let outputs = Arc::new(std::mem::take(&mut round.outputs));
        lane_big.recycle(round);
        seconds(&mut staged.route, || {
            for event in outputs.iter() {
                assert!(router.route(event.topic_bytes()).contains(&1));
            }
        });
        let tasks = (0..outputs.len() as u32).map(Task::Cast).collect();
        let round = run(lane_count, &mut staged.count, &outputs, tasks);
        lane_count.recycle(round);
        if !more {
            return staged;
        }
    }
}

fn seeds(path: &Path) -> Seeds {
    let source = Source::file("orders.ndjson", path).expect("an ending that is known");
    let clock = Clock::FixedMs(0);
    Seeds::new(vec![source], SeedOptions { topic: Some("orders".into()), clock, ..SeedOptions::default() })
}

fn clocks() -> Clocks {
    Clocks { steady_ms: clock::steady_ms, timer_ns: None, exact: false }
}

fn spell(path: &str, source: &str) -> Spell {
    let origin = Origin {
        path: path.into(),
        source: source.into(),
        modules: Modules::default(),
        entry: None,
        limits: StatedLimits::default(),
        fault: Fault::Stop,
    };
    load(origin, clocks()).expect("the spell loads")
}

/// Takes everything, keeps nothing.
struct Nowhere;

impl Sink for Nowhere {
    fn print(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn note(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn output(&mut self, _: EventRef<'_>, _: bool) -> io::Result<()> {
        Ok(())
    }
    fn dump(&mut self, _: EventRef<'_>) -> io::Result<()> {
        Ok(())
    }
    fn warn(&mut self, _: &Diagnostic) -> io::Result<()> {
        Ok(())
    }
    fn progress(&mut self, _: u64, _: u64) {}
}
