//! The engine, driven from outside: seeds in, log and prints out.

use std::io;
use std::sync::Arc;

use proptest::prelude::*;
use sanctum::engine::seed::{SeedOptions, Seeds, Source};
use sanctum::engine::{Clock, Engine, Failure, Options, Sink, clock};
use sanctum::event::{EventRef, json};
use sanctum::log::{Log, MemoryLog};
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
    let kept: Arc<dyn Log> = Arc::new(MemoryLog::new().keeping_ephemeral());
    let mut engine = Engine::over(kept.clone(), spells, options).unwrap_or_else(|problems| {
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
    let mut at = 0;
    while let Some((events, first)) = kept.read(at).expect("a log in memory") {
        for event in events.iter().skip(first) {
            json::write_event(event, &mut log);
            log.push(b'\n');
            at = event.head().position + 1;
        }
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
    let short = ping.replace("topic = \"ping\"", "limits = { hops = 20 }, topic = \"ping\"");
    let (bounded, spells) = ([("ping", &*short), ("pong", pong)], [("ping", ping), ("pong", pong)]);
    let seeds = [r#"{"$topic":"ping","n":1}"#];
    // A spell's own limit holds for what it produces; the other one's is the default, 10,000.
    let (_, notes, log) = run(&bounded, &seeds, Options::default());
    assert!(notes.contains("spell `ping` produced an energy more than 20 hops from its seed"), "{notes}");
    assert!(notes.contains("cycle of topics: ping -> pong -> ping"), "{notes}");
    assert_eq!(log.lines().count(), 21);
    let casts = Options { max_casts: 7, ..Options::default() };
    let (_, notes, _) = run(&spells, &seeds, casts);
    assert!(notes.contains("did not settle within 7 casts; the last was of spell `pong`"), "{notes}");
    assert!(notes.contains("cycle of topics: pong -> ping -> pong"), "{notes}");
}

#[test]
fn a_filter_changes_nothing() {
    let write = r#"return { filter = function(e) state.n = 1 return true end, cast = function(e) end }"#;
    let (_, notes, _) = run(&[("write", write)], &[r#"{"n":1}"#], Options::default());
    assert!(notes.contains("spell `write` faulted in `filter`: a filter cannot change state"), "{notes}");
    let emit = r#"return { filter = function(e) emit(e) return true end, cast = function(e) end }"#;
    let (_, notes, log) = run(&[("emit", emit)], &[r#"{"n":1}"#], Options::default());
    assert!(notes.contains("emit works only inside cast or tick"), "{notes}");
    assert_eq!(log.lines().count(), 1);
}

#[test]
fn what_prepare_did_before_its_fault_is_kept() {
    let talk = r#"return { prepare = function() print("talk") log.info("talk") end, cast = function() end }"#;
    let fail = r#"return { lane = "n", lanes = 2, prepare = function() print("fail") log.warn("fail") error("no") end,
      cast = function() end }"#;
    for workers in [1, 3] {
        let spells = [("a", talk), ("b", fail), ("c", talk)].map(|(name, source)| spell(name, source));
        let options = Options { workers, ..Options::default() };
        let unopened = Engine::open(spells.to_vec(), options).err().expect("a fault");
        let mut record = Record::default();
        unopened.tell(&mut record).expect("a record takes everything");
        assert_eq!(String::from_utf8_lossy(&record.out), "talk\nfail\ntalk\n");
        assert_eq!(String::from_utf8_lossy(&record.notes), "info a: talk\nwarn b: fail\ninfo c: talk\n");
        assert_eq!(unopened.iter().count(), 1);
    }
}

#[test]
fn a_batch_is_quarantined_whole() {
    let pairs = r#"return { topic = "in", fault = "quarantine", lane = "k", lanes = 2, batch = { size = 2 },
      cast = function(list) error("no") end }"#;
    let seeds = ["a", "b", "b", "a", "a"].map(|key| format!(r#"{{"$topic":"in","k":"{key}"}}"#));
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
    let (_, notes, log) = run(&[("pairs", pairs)], &seeds, Options::default());
    for text in ["batch: 2 energies, positions 1 to 2", "2 energies, positions 0, 3", "1 energy, position 4"]
    {
        assert!(notes.contains(text), "{text}: {notes}");
    }
    let records: Vec<&str> = log.lines().filter(|line| line.contains("sanctum.fault")).collect();
    let position = |line: &str| line.rsplit("\"position\":").next().and_then(|rest| rest.chars().next());
    assert_eq!(records.iter().filter_map(|line| position(line)).collect::<String>(), "12034");
}

#[test]
fn integers_beyond_64_bits_are_warned_of_once() {
    let spell = r#"return { cast = function(e) if e.stop then error("stop") end end }"#;
    let seeds = [r#"{"n":18446744073709551615}"#, r#"{"n":[99999999999999999999,9223372036854775808]}"#];
    let (_, notes, _) = run(&[("spell", spell)], &seeds[..1], Options::default());
    assert!(notes.starts_with("warning: 1 integer beyond 64 bits became a float\n"), "{notes}");
    let (_, notes, _) = run(&[("spell", spell)], &[seeds[0], seeds[1], r#"{"stop":1}"#], Options::default());
    assert!(notes.starts_with("warning: 3 integers beyond 64 bits became floats\n"), "{notes}");
    assert!(notes.contains("error: spell `spell` faulted"), "{notes}");
}

/// Spells for the property below: they loop, branch, remember, wait, fail and print.
const KINDS: [&str; 11] = [
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
      state.seen = (state.seen or 0) + 1
      print("lane", e.n, state.seen)
      if state.seen == 2 then return { ["$topic"] = "NEXT", n = e.n, around = 3 } end
    end }"#,
    // Many to one.
    r#"return { topic = "TOPIC", batch = { size = 3, within = "5s" }, cast = function(list)
      print("batch", #list)
      if not list[1].around then return { ["$topic"] = "NEXT", n = #list, around = 2 } end
    end }"#,
    r#"return { topic = "TOPIC", fault = "quarantine", batch = { size = 4, within = "2s" }, cast = function(list)
      print("all or none", #list)
      for _, e in ipairs(list) do if e.n == 3 then error("three") end end
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
    // Looks before it casts, and says so.
    r#"return { topic = "TOPIC", filter = function(e) print("look", e.n, state.seen) return e.n ~= 1 end,
      cast = function(e) state.seen = (state.seen or 0) + 1 end }"#,
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
        let options = Options { workers: 1, max_casts: 5_000, ..Options::default() };
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
