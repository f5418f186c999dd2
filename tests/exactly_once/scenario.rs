//! What is run: some of the spells, on seeds in several files. The same number gives the same.

use std::sync::Arc;

use rmpv::Value;
use sanctum::engine::clock;
use sanctum::engine::seed::{SeedOptions, Seeds, Source};
use sanctum::engine::{Clock, INTAKE_EVENTS};
use sanctum::runeset::{Fault, StatedLimits};
use sanctum::spell::{Clocks, Modules, Origin, Spell, load};

use crate::random::Random;
use crate::spells::SPELLS;

/// When the first seed happened, in milliseconds since the epoch.
const FIRST_MS: u64 = 1_700_000_000_000;

/// How much state a run may have in memory: all, some, none.
pub const CACHES: [u64; 3] = [64 << 20, 600, 0];

/// Spells and seeds.
pub struct Scenario {
    /// Names and sources.
    pub spells: Vec<(String, String)>,
    /// Names and contents.
    pub files: Vec<(String, Vec<u8>)>,
    chunk_events: usize,
    /// The spells, loaded, for each of [`CACHES`].
    loaded: Vec<Vec<Arc<Spell>>>,
}

impl Scenario {
    /// A scenario of some `events` seeds; with a number of its own.
    pub fn new(number: u64, events: u64) -> Self {
        let mut dice = Random::new(number.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let lanes = 1 + dice.below(2);
        let mut spells = Vec::new();
        for (name, source) in SPELLS {
            // Number 0 has them all, and all others draw on what orders do.
            if number == 0 || name == "orders" || dice.percent(60) {
                spells.push((name.to_owned(), source.replace("LANES", &lanes.to_string())));
            }
        }
        let mut time_ms = FIRST_MS;
        let mut records = |count: u64, dice: &mut Random| -> Vec<String> {
            (0..count).map(|_| record(dice, &mut time_ms)).collect()
        };
        let share = events / 4;
        let mut files = vec![("a.ndjson".to_owned(), records(2 * share, &mut dice).join("\n").into_bytes())];
        let list = format!("[{}]", records(share, &mut dice).join(", "));
        files.push(("b.json".to_owned(), list.into_bytes()));
        let list: Vec<String> = records(share, &mut dice).iter().map(|record| lua(record)).collect();
        files.push(("c.lua".to_owned(), format!("return {{ {} }}", list.join(", ")).into_bytes()));
        let chunk_events = dice.pick(&[5, 16, 40, INTAKE_EVENTS]);
        let load = |cache| spells.iter().map(|(name, source)| spell(name, source, cache)).collect();
        let loaded = CACHES.into_iter().map(load).collect();
        Self { spells, files, chunk_events, loaded }
    }

    /// The spells, loaded, with one of [`CACHES`].
    pub fn load(&self, cache: usize) -> Vec<Arc<Spell>> {
        self.loaded[cache].clone()
    }

    /// The seeds.
    pub fn seeds(&self) -> Seeds {
        let source =
            |(name, bytes): &(String, Vec<u8>)| Source::bytes(name.clone(), bytes.clone()).expect("a seed");
        let options = SeedOptions {
            clock: Clock::FixedMs(clock::GOLDEN_MS),
            chunk_events: self.chunk_events,
            ..SeedOptions::default()
        };
        Seeds::new(self.files.iter().map(source).collect(), options)
    }
}

fn record(dice: &mut Random, time_ms: &mut u64) -> String {
    *time_ms += dice.below(400);
    // Some come late.
    let at = *time_ms - if dice.percent(20) { dice.below(1_500) } else { 0 };
    let user = dice.pick(&["ann", "ben", "cyd", "dan"]);
    match dice.below(10) {
        0 | 1 => format!(r#"{{"$topic":"ping","$time":{at},"left":{}}}"#, dice.below(9)),
        2 => format!(
            r#"{{"$topic":"return.{user}","$time":{at},"user":"{user}","amount":-{}}}"#,
            dice.below(9)
        ),
        _ => format!(r#"{{"$topic":"order","$time":{at},"user":"{user}","amount":{}}}"#, dice.below(40)),
    }
}

/// The record as a Lua table.
fn lua(record: &str) -> String {
    let mut text = String::new();
    for (index, part) in record.split('"').enumerate() {
        match index % 2 {
            // `{"key":` and what comes before it.
            0 => text.push_str(&part.replace(':', "=")),
            _ => text.push_str(&format!("\u{1}{part}\u{1}")),
        }
    }
    // A text before `=` is a key.
    let mut pieces = text.split('\u{1}').peekable();
    let mut out = pieces.next().unwrap_or_default().to_owned();
    while let (Some(quoted), Some(rest)) = (pieces.next(), pieces.next()) {
        match rest.starts_with('=') {
            true => out.push_str(&format!("[\"{quoted}\"]{rest}")),
            false => out.push_str(&format!("\"{quoted}\"{rest}")),
        }
    }
    out
}

fn spell(name: &str, source: &str, cache_bytes: u64) -> Arc<Spell> {
    let mut limits = StatedLimits::default();
    limits.apply("state_cache_bytes", &Value::from(cache_bytes)).expect("a limit");
    let origin = Origin {
        path: format!("{name}.lua"),
        source: source.as_bytes().into(),
        modules: Modules::default(),
        entry: None,
        limits,
        fault: Fault::Stop,
    };
    let clocks = Clocks { steady_ms: clock::steady_ms, timer_ns: None, exact: false };
    match load(origin, clocks) {
        Ok(spell) => Arc::new(spell),
        Err(problems) => panic!("{name}: {problems:?}"),
    }
}
