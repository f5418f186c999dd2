//! The live engine, without a server.

use std::sync::Arc;
use std::time::Duration;

use sanctum::engine::Clock;
use sanctum::engine::live::Order;
use sanctum::engine::resume::standing_in;
use sanctum::log::Log;
use serde_json::json;

use super::running::{COPY, COUNT, Running, append, await_topic, numbers, of_topic, open, spell};

#[test]
fn what_is_appended_is_cast_and_another_start_goes_on_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let mut next = 0;
    for _ in 0..5 {
        let log = open(folder.path());
        let live = Running::start(log.clone(), &[spell("copy", COPY), spell("count", COUNT)], Clock::System);
        for number in next..next + 40 {
            append(&*log, "in", number, 0);
        }
        next += 40;
        if next % 80 == 0 {
            await_topic(&*log, "count", next as usize);
        }
        // Else it is stopped with work to do.
        live.stop();
    }
    let log = open(folder.path());
    let live = Running::start(log.clone(), &[spell("copy", COPY), spell("count", COUNT)], Clock::System);
    await_topic(&*log, "count", 200);
    live.stop();
    assert_eq!(of_topic(&*log, "out"), numbers(0..200));
    assert_eq!(of_topic(&*log, "count"), numbers(1..201));
}

#[test]
fn many_append_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let live = Running::start(log.clone(), &[spell("copy", COPY), spell("count", COUNT)], Clock::System);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let log = &log;
            scope.spawn(move || (0..500).for_each(|number| append(&**log, "in", writer * 1_000 + number, 0)));
        }
    });
    await_topic(&*log, "count", 2_000);
    live.stop();
    assert_eq!(of_topic(&*log, "out"), of_topic(&*log, "in"), "in the order of the log");
    assert_eq!(of_topic(&*log, "count"), numbers(1..2_001));
}

#[test]
fn a_batch_stays_open_over_a_stop() {
    let source = r#"return { topic = "in", batch = { size = 3 },
      cast = function(events) return { ["$topic"] = "sum", n = #events, last = events[#events].n } end }"#;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..3 {
        let log = open(folder.path());
        let live = Running::start(log.clone(), &[spell("sum", source)], Clock::System);
        append(&*log, "in", number, 0);
        if number == 2 {
            await_topic(&*log, "sum", 1);
        }
        live.stop();
    }
    let log = open(folder.path());
    assert_eq!(of_topic(&*log, "sum"), [json!({ "n": 3, "last": 2 })]);
}

#[test]
fn the_clock_of_the_server_makes_batches_and_ticks_due() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let within = r#"return { topic = "in", batch = { size = 100, within = "50ms" },
      cast = function(events) return { ["$topic"] = "sum", n = #events } end }"#;
    let live = Running::start(log.clone(), &[spell("within", within)], Clock::System);
    append(&*log, "in", 1, Clock::System.now_ms());
    assert_eq!(await_topic(&*log, "sum", 1), [json!({ "n": 1 })]);
    assert_eq!(of_topic(&*log, "sanctum.tick").len(), 1, "nothing more was due");
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(of_topic(&*log, "sanctum.tick").len(), 1, "nothing waits for time");
    let every = r#"return { topic = "in", every = "100ms", cast = function() end,
      tick = function(now) return { ["$topic"] = "ticked", n = now } end }"#;
    live.control.give(Order::bind(spell("every", every)));
    let ticked = await_topic(&*log, "ticked", 5);
    assert!(ticked.windows(2).all(|pair| pair[1]["n"].as_i64() == pair[0]["n"].as_i64().map(|n| n + 100)));
    live.stop();
}

#[test]
fn a_spell_that_faults_stops_alone_and_goes_on_where_it_stood() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let bad = r#"return { topic = "in", fault = "stop", cast = function(e)
      if e.n == 2 then error("two") end
      return { ["$topic"] = "bad", n = e.n }
    end }"#;
    let live = Running::start(log.clone(), &[spell("bad", bad), spell("copy", COPY)], Clock::System);
    (0..6).for_each(|number| append(&*log, "in", number, 0));
    let stopped = await_topic(&*log, "sanctum.spell.stopped", 1);
    assert_eq!(stopped[0]["spell"], "bad");
    assert!(stopped[0]["report"].as_str().unwrap().contains("bad.lua:2"), "{}", stopped[0]);
    await_topic(&*log, "out", 6);
    assert_eq!(of_topic(&*log, "bad"), numbers(0..2));
    let mended = bad.replace("error(\"two\")", "e.n = 2");
    live.control.give(Order::bind(spell("bad", &mended)));
    await_topic(&*log, "bad", 6);
    live.stop();
    assert_eq!(of_topic(&*log, "bad"), numbers(0..6));
    assert_eq!(of_topic(&*log, "out"), numbers(0..6));
    let topics: Vec<_> =
        of_topic(&*log, "sanctum.spell.bound").iter().map(|data| data["spell"].clone()).collect();
    assert_eq!(topics, ["bad", "copy", "bad"]);
}

#[test]
fn a_loop_for_ever_stops_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let spinning = r#"return { topic = "in", fault = "stop", cast = function() while true do end end }"#;
    let circling = r#"return { topic = "round", limits = { hops = 50 },
      cast = function(e) return { ["$topic"] = "round", n = e.n + 1 } end }"#;
    let spells = [spell("spinning", spinning), spell("circling", circling), spell("copy", COPY)];
    let live = Running::start(log.clone(), &spells, Clock::System);
    append(&*log, "in", 0, 0);
    append(&*log, "round", 0, 0);
    append(&*log, "in", 1, 0);
    let mut stopped: Vec<_> =
        await_topic(&*log, "sanctum.spell.stopped", 2).iter().map(|data| data["spell"].clone()).collect();
    stopped.sort_by_key(ToString::to_string);
    assert_eq!(stopped, ["circling", "spinning"]);
    await_topic(&*log, "out", 2);
    live.stop();
    assert_eq!(of_topic(&*log, "out"), numbers(0..2));
}

#[test]
fn a_spell_that_cannot_prepare_stops_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let broken =
        r#"return { topic = "in", prepare = function() error("not now") end, cast = function() end }"#;
    let live = Running::start(log.clone(), &[spell("broken", broken), spell("copy", COPY)], Clock::System);
    append(&*log, "in", 0, 0);
    await_topic(&*log, "out", 1);
    assert_eq!(of_topic(&*log, "sanctum.spell.stopped")[0]["spell"], "broken");
    live.control.give(Order::unbind("broken"));
    await_topic(&*log, "sanctum.spell.unbound", 1);
    live.stop();
    assert_eq!(standing_in(&*log, "broken").unwrap().unwrap().next, 0, "it begins where it was bound");
}

#[test]
fn outputs_with_a_condition_meet_another_writer() {
    // Each cast expects the version that it would write after; meanwhile others write to the stream.
    let source = r#"return { topic = "in", cast = function(e)
      return { ["$topic"] = "both", ["$stream"] = "once-" .. e.n, ["$expect"] = "none", n = e.n }
    end }"#;
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let live = Running::start(log.clone(), &[spell("both", source)], Clock::System);
    let writers: Vec<_> = (0..2)
        .map(|writer: i64| {
            let log: Arc<dyn Log> = log.clone();
            std::thread::spawn(move || {
                (0..300).for_each(|number| append(&*log, "in", writer * 300 + number, 0))
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    await_topic(&*log, "both", 600);
    live.stop();
    assert_eq!(of_topic(&*log, "both"), of_topic(&*log, "in"));
}
