//! One cast: decode an energy, call the spell, encode what it returns; full sandbox on.
//!
//! `cargo bench --bench cast`. CPU time; each line gives energies per second; compare within one run.

#[path = "support/cpu.rs"]
mod cpu;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use cpu::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sanctum::engine::clock;
use sanctum::event::{Events, Head, Span, Uuid, json};
use sanctum::router::filter::Filter;
use sanctum::runeset::{Fault, StatedLimits};
use sanctum::spell::{Clocks, Lane, Modules, Origin, Spell, Task, load};

/// Energies of a batch.
const BATCH: u32 = 256;

const SMALL: &str = r#"{"amount":42,"id":9007199254740993,"ok":true,"user":"ada"}"#;
const LARGE: &str = r#"{"active":true,"address":{"city":"Berlin","country":"DE","geo":{"lat":52.52,"lon":13.405},
"street":"Torstrasse 1","zip":"10119"},"age":36,"amount":42.5,"currency":"EUR","device":"phone","email":
"ada@example.com","id":9007199254740993,"items":[{"price":9.99,"sku":"A-1"},{"price":5.0,"sku":"B-2"}],"lang":
"de","level":7,"name":"Ada Lovelace","order":123456,"paid":true,"plan":"pro","ratio":0.75,"region":"eu","score":
99.5,"tags":["a","b","c"],"user":"ada"}"#;

fn clocks() -> Clocks {
    Clocks { steady_ms: clock::steady_ms, timer_ns: None, exact: false }
}

fn open(source: &str) -> (Spell, Lane) {
    let origin = Origin {
        path: "bench.lua".into(),
        source: source.into(),
        modules: Modules::default(),
        entry: None,
        limits: StatedLimits::default(),
        fault: Fault::Stop,
    };
    let spell = load(origin, clocks()).expect("the spell loads");
    let lane = spell.open(clocks()).expect("the spell opens");
    (spell, lane)
}

fn batch(text: &str) -> Arc<Events> {
    let mut events = Events::default();
    let mut parser = json::Parser::default();
    for _ in 0..BATCH {
        let start = events.byte_len();
        parser.to_msgpack(text.as_bytes(), events.arena()).expect("JSON");
        let mut head = Head::seed(Uuid::from_u128(7), 1_000);
        head.data = Span::new(start, events.byte_len());
        head.topic = events.store(b"orders.eu");
        head.stream = head.topic;
        events.push(head, None);
    }
    Arc::new(events)
}

fn cast(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("cast");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    let touch = "return { cast = function(e) e.amount = e.amount * 1.1 return e end }";
    let reads =
        r#"return { reads = { "amount" }, cast = function(e) e.amount = e.amount * 1.1 return e end }"#;
    let nothing = "return { cast = function(e) end }";
    let envelope = "return { cast = function(e, envelope) e.at = envelope.time return e end }";
    for (name, source, text) in [
        ("4 fields", touch, SMALL),
        ("20 fields", touch, LARGE),
        ("4 fields, reads", reads, SMALL),
        ("20 fields, reads", reads, LARGE),
        ("4 fields, nothing returned", nothing, SMALL),
        ("4 fields, envelope", envelope, SMALL),
    ] {
        let (_spell, mut lane) = open(source);
        let events = batch(text);
        let tasks: Vec<Task> = (0..BATCH).map(Task::Cast).collect();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                lane.run(&events, tasks.clone());
                let round = lane.take_round();
                assert_eq!(round.casts.len(), BATCH as usize);
                lane.recycle(black_box(round));
            });
        });
    }
    group.finish();
}

/// The same work the plain way, for comparison within one run: a tree of values, and Lua's safe interface
/// with no limits.
fn plain(criterion: &mut Criterion<CpuTime>) {
    use mlua::{Function, Lua, Value as Lua5};
    use rmpv::Value;

    fn to_lua(lua: &Lua, value: &Value) -> mlua::Result<Lua5> {
        Ok(match value {
            Value::Boolean(value) => Lua5::Boolean(*value),
            Value::Integer(value) => Lua5::Integer(value.as_i64().unwrap_or_default()),
            Value::F64(value) => Lua5::Number(*value),
            Value::String(text) => Lua5::String(lua.create_string(text.as_bytes())?),
            Value::Array(items) => {
                let table = lua.create_table_with_capacity(items.len(), 0)?;
                for item in items {
                    table.raw_push(to_lua(lua, item)?)?;
                }
                Lua5::Table(table)
            }
            Value::Map(entries) => {
                let table = lua.create_table_with_capacity(0, entries.len())?;
                for (key, value) in entries {
                    table.raw_set(to_lua(lua, key)?, to_lua(lua, value)?)?;
                }
                Lua5::Table(table)
            }
            _ => Lua5::Nil,
        })
    }

    fn from_lua(value: &Lua5) -> mlua::Result<Value> {
        Ok(match value {
            Lua5::Boolean(value) => Value::Boolean(*value),
            Lua5::Integer(value) => Value::from(*value),
            Lua5::Number(value) => Value::F64(*value),
            Lua5::String(text) => Value::from(&*text.to_str()?),
            Lua5::Table(table) if table.raw_len() > 0 => Value::Array(
                table.sequence_values().map(|item| from_lua(&item?)).collect::<mlua::Result<_>>()?,
            ),
            Lua5::Table(table) => {
                let pairs = table.pairs::<Lua5, Lua5>();
                let entry = |pair: mlua::Result<(Lua5, Lua5)>| {
                    let (key, value) = pair?;
                    Ok((from_lua(&key)?, from_lua(&value)?))
                };
                Value::Map(pairs.map(entry).collect::<mlua::Result<_>>()?)
            }
            _ => Value::Nil,
        })
    }

    let mut group = criterion.benchmark_group("plain: rmpv and safe mlua");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    let lua = Lua::new();
    let touch: Function =
        lua.load("return function(e) e.amount = e.amount * 1.1 return e end").eval().expect("a function");
    for (name, text) in [("4 fields", SMALL), ("20 fields", LARGE)] {
        let events = batch(text);
        let mut out = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for event in events.iter() {
                    let value = rmpv::decode::read_value(&mut event.data()).expect("MessagePack");
                    let result: Lua5 = touch.call(to_lua(&lua, &value).expect("fits")).expect("no error");
                    out.clear();
                    rmpv::encode::write_value(&mut out, &from_lua(&result).expect("fits")).expect("memory");
                    black_box(&out);
                }
            });
        });
    }
    group.finish();
}

fn filter(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("table filter");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    let mut spec = Vec::new();
    json::Parser::default().to_msgpack(br#"{"amount":{"gt":50},"user":"ada"}"#, &mut spec).expect("JSON");
    let filter = Filter::compile(&spec).expect("filter");
    for (name, text) in [("4 fields, rejected", SMALL), ("20 fields, rejected", LARGE)] {
        let events = batch(text);
        group.bench_function(name, |bencher| {
            bencher.iter(|| events.iter().filter(|event| filter.matches(*event)).count());
        });
    }
    group.finish();
}

fn vm(criterion: &mut Criterion<CpuTime>) {
    let (spell, lane) = open("return { cast = function(e) return e end }");
    let (used, peak) = lane.memory_bytes();
    println!("a VM holds {used} bytes after its start, at most {peak} while it started");
    criterion.bench_function("vm/open", |bencher| {
        bencher.iter(|| spell.open(clocks()).expect("opens"));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(40).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    targets = cast, plain, filter, vm
}
criterion_main!(benches);
