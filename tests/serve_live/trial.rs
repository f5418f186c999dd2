//! Spells that are held against something before, or while, they run: golden cases, another spell, an older version.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::running::numbers;
use super::serving::Server;

const DOUBLE: &str = r#"return { topic = "in", ward = true, cast = function(e)
  return { ["$topic"] = "out", n = e.n * 2 }
end }"#;

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The row of a spell, once it is as wanted.
fn await_row(server: &Server, spell: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let rows = server.client().get("/v1/main/spells").lines();
        let row = rows.into_iter().find(|row| row["spell"] == spell).unwrap_or_default();
        if is_wanted(&row) {
            return row;
        }
        assert!(Instant::now() < deadline, "{row}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn freeze(server: &Server) {
    let folder = server.folder.path();
    let frozen =
        Command::new(env!("CARGO_BIN_EXE_sanctum")).arg("freeze").current_dir(folder).output().unwrap();
    assert!(frozen.status.success(), "{}", stderr(&frozen));
}

#[test]
fn a_ward_lets_no_spell_in_that_fails_its_golden_cases() {
    let server = Server::with(&[("double", DOUBLE)]);
    server.write("regression/double/runeset.yaml", "spells:\n  - path: ../../spells/double.lua\n");
    server.write("regression/double/seed.ndjson", "{\"$topic\":\"in\",\"n\":21}\n");
    freeze(&server);
    server.append(0..2);
    server.await_topic("out", 2);
    server.write("spells/double.lua", &DOUBLE.replace("* 2", "* 3"));
    let refused = server.await_topic("sanctum.spell.refused", 1);
    assert_eq!(refused[0]["spell"], "double");
    let report = refused[0]["report"].as_str().unwrap();
    assert!(report.contains("golden case `double` fails") && report.contains("63"), "{report}");
    server.append(2..3);
    assert_eq!(server.await_topic("out", 3)[2], json!({ "n": 4 }), "the old one goes on");

    // The same file under another name, which the case says nothing of.
    let bound = server.run(&["bind", "spells/double.lua", "--name", "triple"]);
    assert_eq!(bound.status.code(), Some(1));
    assert!(stderr(&bound).contains("golden case `double` fails"), "{}", stderr(&bound));

    freeze(&server);
    server.signal("-HUP");
    server.await_topic("sanctum.spell.bound", 2);
    server.append(3..4);
    assert_eq!(server.await_topic("out", 4)[3], json!({ "n": 9 }));

    server.write("spells/double.lua", &DOUBLE.replace("* 2", "* 4"));
    server.await_topic("sanctum.spell.refused", 3);
    let folder = server.end("-TERM").0;
    let started = Command::new(env!("CARGO_BIN_EXE_sanctum"))
        .args(["serve", "--data", "data", "spells"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(started.status.code(), Some(1), "nor does a server start with it");
    assert!(stderr(&started).contains("golden case `double` fails"), "{}", stderr(&started));
}

const TALLY: &str = r#"return { topic = "in", cast = function(e)
  state.sum = state:get("sum", 0) + e.n
  return { ["$topic"] = "sum", n = state.sum }
end }"#;

#[test]
fn a_shadow_is_compared_and_never_published() {
    let server = Server::with(&[("tally", TALLY)]);
    server.append(0..5);
    server.await_topic("sum", 5);
    server.write("new.lua", &TALLY.replace("+ e.n", "+ (e.n == 7 and 100 or e.n)"));
    let bound = server.run(&["bind", "new.lua", "--shadow", "tally"]);
    assert!(bound.status.success(), "{}", stderr(&bound));
    server.append(5..7);
    let row = await_row(&server, "new", |row| row["shadow"]["compared"] == 2);
    assert_eq!(
        row["shadow"],
        json!({ "of": "tally", "compared": 2, "different": 0 }),
        "it began with its state"
    );

    server.append(7..9);
    let row = await_row(&server, "new", |row| row["shadow"]["compared"] == 4);
    let shadow = &row["shadow"];
    assert_eq!(shadow["different"], 2);
    let position = shadow["first"]["position"].as_u64().unwrap();
    let energy = server.client().get(&format!("/v1/main/events/{position}")).json();
    assert_eq!(energy["data"], json!({ "n": 7 }));
    let what = "output 1: {\"$topic\":\"sum\",\"n\":28}; the shadow: {\"$topic\":\"sum\",\"n\":121}";
    assert_eq!(shadow["first"]["what"], what);
    assert_eq!(server.of_topic("sum").len(), 9, "nothing of it is in the log");
    let state = server.client().get("/v1/main/state/new").lines();
    assert_eq!(state, [json!({ "key": "sum", "value": 129 })], "it has a state of its own");

    let server = Server::start(server.end("-KILL").0);
    server.append(9..10);
    let row = await_row(&server, "new", |row| row["shadow"]["compared"] == 5);
    assert_eq!(row["shadow"]["different"], 3, "what was found is remembered");

    server.write("new.lua", &TALLY.replace("\"sum\", n", "\"total\", n"));
    server.await_topic("sanctum.spell.bound", 3);
    server.append(10..11);
    let row = await_row(&server, "new", |row| row["shadow"]["compared"] == 1);
    assert!(row["shadow"]["last"]["what"].as_str().unwrap().contains("total"), "{row}");
    let lost = server.run(&["bind", "new.lua", "--name", "other", "--shadow", "nobody"]);
    assert!(stderr(&lost).contains("the shadow of `nobody`, which is not there"), "{}", stderr(&lost));
}

#[test]
fn a_shadow_that_faults_or_writes_otherwise_differs() {
    let server = Server::with(&[("tally", TALLY)]);
    server
        .write("faulty.lua", &TALLY.replace("state.sum =", "if e.n == 1 then error('one') end state.sum ="));
    server.write("silent.lua", &TALLY.replace("state.sum = ", "state.other = 1 state.sum = "));
    for spell in ["faulty.lua", "silent.lua"] {
        let bound = server.run(&["bind", spell, "--shadow", "tally"]);
        assert!(bound.status.success(), "{}", stderr(&bound));
    }
    server.append(0..2);
    let faulty = await_row(&server, "faulty", |row| row["shadow"]["compared"] == 2);
    let what = faulty["shadow"]["last"]["what"].as_str().unwrap();
    assert!(what.starts_with("fault: no fault; the shadow: ") && what.contains("one"), "{what}");
    let silent = await_row(&server, "silent", |row| row["shadow"]["compared"] == 2);
    let what = silent["shadow"]["first"]["what"].as_str().unwrap();
    assert_eq!(what, "state key \"other\": not changed; the shadow: 1");
    assert!(server.of_topic("sanctum.fault").is_empty());
    assert_eq!(server.of_topic("sum").len(), 2);
}

const OLD: &str = r#"return { topic = "in", cast = function(e)
  state.n = state:get("n", 0) + 1
  return { ["$topic"] = "count", n = state.n }
end }"#;
const NEW: &str = r#"return { topic = "in", version = 2,
  migrate = function(old, state)
    assert(old == 0)
    state.sums = { total = state.n }
    state:delete("n")
  end,
  prepare = function() assert(state.sums.total > 0) end,
  cast = function(e)
    state.sums = { total = state.sums.total + 1 }
    return { ["$topic"] = "count", n = state.sums.total }
  end }"#;

#[test]
fn state_is_migrated_once_when_a_version_changes() {
    let server = Server::with(&[("count", OLD)]);
    server.append(0..3);
    server.await_topic("count", 3);
    server.write("spells/count.lua", &NEW.replace("state.sums = { total = state.n }", "error('too old')"));
    let refused = server.await_topic("sanctum.spell.refused", 1);
    let report = refused[0]["report"].as_str().unwrap();
    assert!(report.contains("faulted in `migrate`") && report.contains("too old"), "{report}");
    server.append(3..4);
    assert_eq!(server.await_topic("count", 4)[3], json!({ "n": 4 }), "the old one goes on");

    server.write("spells/count.lua", NEW);
    server.await_topic("sanctum.spell.bound", 2);
    server.append(4..6);
    assert_eq!(server.await_topic("count", 6), numbers(1..7));
    let server = Server::start(server.end("-KILL").0);
    server.append(6..7);
    assert_eq!(server.await_topic("count", 7)[6], json!({ "n": 7 }), "it is not called again");
    assert!(server.of_topic("sanctum.spell.stopped").is_empty());
    let state = server.client().get("/v1/main/state/count").lines();
    assert_eq!(state, [json!({ "key": "sums", "value": { "total": 7 } })]);

    let replayed = server.run(&["replay", "count", "--as-bound", "--diff"]);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stdout));
    let table = String::from_utf8(replayed.stdout).unwrap();
    let counts: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(counts[1], ["topic", "count", "7", "0", "0", "0"], "{table}");
    let unknown = server.run(&["replay", "nobody", "--as-bound"]);
    assert!(stderr(&unknown).contains("no server has bound a spell `nobody`"), "{}", stderr(&unknown));
}

#[test]
fn the_state_of_each_lane_key_is_migrated() {
    let old = r#"return { topic = "in", lane = "n", lanes = 3, cast = function(e)
      state.n = state:get("n", 0) + 1
      return { ["$topic"] = "count", n = state.n }
    end }"#;
    let new = r#"return { topic = "in", lane = "n", lanes = 2, version = 1,
      migrate = function(old, state) if state.n then state.n = state.n * 10 end end,
      cast = function(e)
        state.n = state:get("n", 0) + 1
        return { ["$topic"] = "count", n = state.n }
      end }"#;
    let server = Server::with(&[("count", old)]);
    server.append(0..6);
    server.await_topic("count", 6);
    server.write("spells/count.lua", new);
    server.await_topic("sanctum.spell.bound", 2);
    server.append(0..7);
    let counts = server.await_topic("count", 13);
    assert_eq!(counts[6..12], vec![json!({ "n": 11 }); 6]);
    assert_eq!(counts[12], json!({ "n": 1 }));
}
