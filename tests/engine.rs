//! The engine, driven from outside: seeds in, log and prints out.

use std::io;
use std::sync::Arc;

use proptest::prelude::*;
use sanctum::engine::seed::{SeedOptions, Seeds, Source};
use sanctum::engine::{Clock, Engine, Failure, Options, Sink, clock};
use sanctum::event::{EventRef, json};
use sanctum::runeset::{Diagnostic, Fault, StatedLimits, Style};
use sanctum::spell::{Clocks, Modules, Origin, Spell, load};

#[derive(Default)]
struct Record {
    out: Vec<u8>,
    notes: Vec<u8>,
}

impl Sink for Record {
    fn print(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.extend_from_slice(bytes);
        Ok(())
    }
    fn note(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.notes.extend_from_slice(bytes);
        Ok(())
    }
    fn output(&mut self, event: EventRef<'_>, consumed: bool) -> io::Result<()> {
        if !consumed {
            json::write_output(event, &mut self.out);
            self.out.push(b'\n');
        }
        Ok(())
    }
    fn dump(&mut self, _: EventRef<'_>) -> io::Result<()> {
        Ok(())
    }
    fn warn(&mut self, diagnostic: &Diagnostic) -> io::Result<()> {
        self.notes.extend_from_slice(diagnostic.render(Style::Plain).as_bytes());
        Ok(())
    }
    fn progress(&mut self, _: u64, _: u64) {}
}

fn spell(name: &str, source: &str) -> Arc<Spell> {
    let origin = Origin {
        path: format!("{name}.lua"),
        source: source.into(),
        modules: Modules::default(),
        entry: None,
        limits: StatedLimits::default(),
        fault: Fault::Stop,
    };
    let clocks = Clocks { steady_ms: clock::steady_ms, timer_ns: None, exact: false };
    match load(origin, clocks) {
        Ok(spell) => Arc::new(spell),
        Err(problems) => {
            panic!("{}", problems.iter().map(|p| p.render(Style::Plain)).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// Runs spells and returns what went to standard output, to standard error, and the log.
fn run(spells: &[(&str, &str)], seeds: &[&str], options: Options) -> (String, String, String) {
    let spells = spells.iter().map(|(name, source)| spell(name, source)).collect();
    let mut engine = Engine::open(spells, options).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(|p| p.render(Style::Plain)).collect::<Vec<_>>().join("\n"))
    });
    let source = Source::bytes("seeds.ndjson", seeds.join("\n").into_bytes()).expect("a kind of seed");
    let options = SeedOptions { clock: Clock::FixedMs(clock::GOLDEN_MS), ..SeedOptions::default() };
    let mut intake = Seeds::new(vec![source], options);
    let mut record = Record::default();
    let result = engine.run(&mut intake, &mut record);
    if let Err(Failure::Diagnostic(diagnostic)) = result {
        record.notes.extend_from_slice(diagnostic.render(Style::Plain).as_bytes());
    }
    let mut log = Vec::new();
    for event in engine.log().batches().flat_map(|batch| batch.iter()) {
        json::write_event(event, &mut log);
        log.push(b'\n');
    }
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (text(record.out), text(record.notes), text(log))
}

#[test]
fn outputs_find_the_spells_that_wait_for_them() {
    let double = r#"return { topic = "orders.>", filter = { amount = { gt = 5 } }, cast = function(event, envelope)
      emit{ ["$topic"] = "seen", position = envelope.position }
      event.amount = event.amount * 2
      event["$topic"] = "doubled"
      return event
    end }"#;
    let count = r#"return { topic = "doubled", cast = function(event)
      state.n = (state.n or 0) + 1
      print(event.user, state.n)
      return { n = state.n, user = event.user }
    end }"#;
    let seeds = [
        r#"{"$topic":"orders.eu","amount":10,"user":"ada"}"#,
        r#"{"$topic":"orders.eu","amount":1,"user":"bob"}"#,
        r#"{"$topic":"orders.us","amount":7.5,"user":"cy"}"#,
    ];
    let (out, notes, log) = run(&[("double", double), ("count", count)], &seeds, Options::default());
    assert_eq!(notes, "");
    // Each energy's effects come where the energy is, whatever they are: what it prints, then itself.
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(
        lines,
        [
            r#"{"$topic":"seen","position":0}"#,
            "ada\t1",
            r#"{"$topic":"seen","position":2}"#,
            "cy\t2",
            r#"{"n":1,"user":"ada"}"#,
            r#"{"n":2,"user":"cy"}"#,
        ]
    );
    assert_eq!(log.lines().count(), 3 + 4 + 2);
}

#[test]
fn a_loop_of_topics_is_named_when_it_does_not_settle() {
    let ping = r#"return { topic = "ping", cast = function(e) e["$topic"] = "pong" return e end }"#;
    let pong = r#"return { topic = "pong", cast = function(e) e["$topic"] = "ping" return e end }"#;
    let spells = [("ping", ping), ("pong", pong)];
    let seeds = [r#"{"$topic":"ping","n":1}"#];
    let hops = Options { hops_max: 20, ..Options::default() };
    let (_, notes, log) = run(&spells, &seeds, hops);
    assert!(notes.contains("spell `ping` produced an energy more than 20 hops from its seed"), "{notes}");
    assert!(notes.contains("cycle of topics: ping -> pong -> ping"), "{notes}");
    assert_eq!(log.lines().count(), 21);
    let casts = Options { max_casts: 7, ..Options::default() };
    let (_, notes, _) = run(&spells, &seeds, casts);
    assert!(notes.contains("did not settle within 7 casts; the last was of spell `pong`"), "{notes}");
    assert!(notes.contains("cycle of topics: pong -> ping -> pong"), "{notes}");
}

/// Spells for the property below: they loop, branch, remember, wait, fail and print.
const KINDS: [&str; 9] = [
    // Forwards, until the energy has been around often enough.
    r#"return { topic = "TOPIC", cast = function(e)
      if (e.around or 0) < 3 then return { ["$topic"] = "NEXT", n = e.n, around = (e.around or 0) + 1 } end
    end }"#,
    // One to many, and prints.
    r#"return { topic = "TOPIC", cast = function(e, envelope)
      print("many", e.n, envelope.position)
      if e.around then return nil end
      emit{ ["$topic"] = "NEXT", n = e.n, around = 1 }
      return { { ["$topic"] = "b", n = 1, around = 2 }, { n = random(), id = uuid(), around = 2 } }
    end }"#,
    // Remembers.
    r#"return { topic = "TOPIC", cast = function(e)
      state.sum = (state.sum or 0) + (e.n or 0)
      if not e.around then return { ["$topic"] = "sum", sum = state.sum } end
    end, unprepare = function() print("sum") end }"#,
    // Remembers by key, on several VMs.
    r#"return { topic = ">", lane = "n", lanes = 3, cast = function(e)
      state.count = (state.count or 0) + 1
      print("lane", e.n, state.count)
      if state.count == 2 then return { ["$topic"] = "NEXT", n = e.n, around = 3 } end
    end }"#,
    // Many to one.
    r#"return { topic = "TOPIC", batch = { size = 3, within = "5s" }, cast = function(list)
      print("batch", #list)
      if not list[1].around then return { ["$topic"] = "NEXT", n = #list, around = 2 } end
    end }"#,
    // Counts time.
    r#"return { topic = "TOPIC", every = "10s", cast = function(e) state.seen = (state.seen or 0) + 1 end,
      tick = function(now) print("tick", now, state.seen) return { ["$topic"] = "ticked", now = now } end }"#,
    // Fails now and then, and goes on.
    r#"return { topic = "TOPIC", fault = "skip", cast = function(e)
      state.tries = (state.tries or 0) + 1
      print("try", state.tries)
      if e.n == 2 then error("two") end
      return { ["$topic"] = "tried", tries = state.tries }
    end }"#,
    // Fails into quarantine.
    r#"return { topic = "TOPIC", fault = "quarantine", cast = function(e) if e.n == 3 then error({ n = e.n }) end end }"#,
    // Takes what has no topic, and stops the run at times.
    r#"return { cast = function(e) if e.n == 77 then error("stop") end print("all", e["$topic"], e.n) end }"#,
];

fn spells() -> impl Strategy<Value = Vec<(String, String)>> {
    let topic = prop::sample::select(vec!["a", "b", "c", ">", "*", "sum"]);
    let next = prop::sample::select(vec!["a", "b", "c", "a.x"]);
    let spell = (0..KINDS.len(), topic, next)
        .prop_map(|(kind, topic, next)| KINDS[kind].replace("TOPIC", topic).replace("NEXT", next));
    prop::collection::vec(spell, 1..6).prop_map(|spells| {
        spells.into_iter().enumerate().map(|(at, source)| (format!("spell-{at}"), source)).collect()
    })
}

fn seeds() -> impl Strategy<Value = Vec<String>> {
    let seed = (
        prop::sample::select(vec!["\"$topic\":\"a\",", "\"$topic\":\"b\",", "\"$topic\":\"c\",", ""]),
        0..6_i64,
        0..4_i64,
    );
    prop::collection::vec(seed, 1..40).prop_map(|seeds| {
        let mut time = 1_000;
        seeds
            .into_iter()
            .enumerate()
            .map(|(at, (topic, n, step))| {
                time += step * 3_000;
                let n = if n == 5 && at % 7 == 6 { 77 } else { n };
                format!("{{{topic}\"n\":{n},\"$time\":{time}}}")
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn workers_and_rounds_never_show(
        spells in spells(),
        seeds in seeds(),
        workers in 2..5_usize,
        round_events in 1..9_usize,
    ) {
        let spells: Vec<_> = spells.iter().map(|(name, source)| (name.as_str(), source.as_str())).collect();
        let seeds: Vec<_> = seeds.iter().map(String::as_str).collect();
        let options = Options { workers: 1, max_casts: 5_000, hops_max: 50, ..Options::default() };
        let expected = run(&spells, &seeds, options.clone());
        let one = run(&spells, &seeds, Options { round_events, ..options.clone() });
        prop_assert_eq!(&expected, &one, "rounds of {} energies", round_events);
        let many = run(&spells, &seeds, Options { workers, round_events, ..options.clone() });
        prop_assert_eq!(&expected, &many, "{} workers, rounds of {} energies", workers, round_events);
        let forgetful = run(&spells, &seeds, Options { keep: false, workers, ..options });
        // It cannot name a cycle that it has forgotten; all else is the same.
        prop_assert_eq!(&expected.0, &forgetful.0, "a log that keeps nothing");
    }
}
