//! Spells that come and go while a server runs.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::json;

use super::running::numbers;
use super::serving::Server;

const COPY: &str =
    r#"return { topic = "in", cast = function(e) return { ["$topic"] = "out", n = e.n } end }"#;
const COUNT: &str = r#"return { topic = "in", cast = function(e)
  state.n = state:get("n", 0) + 1
  return { ["$topic"] = "count", n = state.n }
end }"#;

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_spell_is_bound_changes_outlives_the_server_and_is_unbound() {
    let server = Server::empty();
    server.write("count.lua", COUNT);
    let bound = stdout(&server.run(&["bind", "count.lua"]));
    assert!(bound.starts_with(r#"{"spell":"count","path":"/"#), "{bound}");
    let notice = &server.of_topic("sanctum.spell.bound")[0];
    assert_eq!((&notice["spell"], &notice["by"]), (&json!("count"), &json!("bind")), "it is there already");
    server.append(0..10);
    assert_eq!(server.await_topic("count", 10), numbers(1..11));

    server.write("count.lua", &COUNT.replace("+ 1", "+ 100"));
    server.await_topic("sanctum.spell.bound", 2);
    server.append(10..11);
    assert_eq!(server.await_topic("count", 11)[10], json!({ "n": 110 }));

    let server = Server::start(server.end("-KILL").0);
    server.append(11..12);
    assert_eq!(server.await_topic("count", 12)[11], json!({ "n": 210 }));
    assert_eq!(server.of_topic("sanctum.spell.bound").len(), 2, "it is the same");

    assert_eq!(stdout(&server.run(&["unbind", "count"])), "{\"spell\":\"count\"}\n");
    assert_eq!(server.of_topic("sanctum.spell.unbound"), [json!({ "spell": "count" })]);
    let again = server.run(&["unbind", "count"]);
    assert_eq!((again.status.code(), stderr(&again)), (Some(1), "error: no spell `count` is bound\n".into()));
    server.append(12..13);
    let server = Server::start(server.end("-TERM").0);
    server.write("copy.lua", COPY);
    stdout(&server.run(&["bind", "copy.lua"]));
    server.append(13..14);
    assert_eq!(server.await_topic("out", 1), numbers(13..14));
    assert_eq!(server.of_topic("count").len(), 12, "it runs no longer");
    stdout(&server.run(&["bind", "count.lua"]));
    assert_eq!(server.await_topic("count", 14)[13], json!({ "n": 410 }), "it went on where it stood");
}

#[test]
fn a_spell_that_cannot_run_is_refused_with_a_report() {
    let server = Server::with(&[("copy", COPY)]);
    for (text, says) in [
        ("return {", "bad.lua:1"),
        ("return { cost = 1, cast = function() end }", "unknown member `cost`"),
        ("return { prepare = function() error('not now') end, cast = function() end }", "not now"),
    ] {
        server.write("bad.lua", text);
        let refused = server.run(&["bind", "bad.lua"]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    }
    let reports = server.await_topic("sanctum.spell.refused", 3);
    assert!(reports[2]["report"].as_str().unwrap().contains("not now"), "{reports:?}");

    let named = server.run(&["bind", "spells/copy.lua"]);
    assert_eq!(named.status.code(), Some(1));
    insta::assert_snapshot!(stderr(&named), @"error: `copy` is one of the spells that the server was started with: change its file, or give this one another name");
    let unbound = server.run(&["unbind", "copy"]);
    assert_eq!((unbound.status.code(), stderr(&unbound)), (Some(1), stderr(&named)));
    stdout(&server.run(&["bind", "spells/copy.lua", "--name", "copy-2"]));
    server.append(0..1);
    assert_eq!(server.await_topic("out", 2), [json!({ "n": 0 }), json!({ "n": 0 })]);
    let missing = server.run(&["bind", "missing.lua"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("cannot read the spell `missing.lua`"), "{}", stderr(&missing));
    let pipe = server.folder.path().join("pipe.lua");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let piped = server.run(&["bind", "pipe.lua"]);
    assert!(stderr(&piped).contains("it is no file"), "a pipe makes nobody wait: {}", stderr(&piped));
}

#[test]
fn a_change_that_cannot_prepare_leaves_the_old_spell_running() {
    let server = Server::empty();
    server.write("copy.lua", COPY);
    stdout(&server.run(&["bind", "copy.lua"]));
    server.write("copy.lua", &COPY.replace("cast =", "prepare = function() error('no') end, cast ="));
    let refused = server.await_topic("sanctum.spell.refused", 1);
    assert_eq!(refused[0]["spell"], "copy");
    server.append(0..1);
    assert_eq!(server.await_topic("out", 1), numbers(0..1));
    std::fs::remove_file(server.folder.path().join("copy.lua")).unwrap();
    server.await_topic("sanctum.spell.refused", 2);
    server.append(1..2);
    assert_eq!(server.await_topic("out", 2), numbers(0..2), "nor does a file that is gone");

    let server = Server::start(server.end("-TERM").0);
    server.await_topic("sanctum.spell.refused", 3);
    server.append(2..3);
    server.write("copy.lua", COPY);
    assert_eq!(server.await_topic("out", 3), numbers(0..3), "it is bound as soon as it is there");
}

#[test]
fn what_is_asked_wrongly_is_a_problem() {
    let server = Server::empty();
    let mut client = server.client();
    for (body, code) in [
        ("", "invalid_body"),
        ("{}", "invalid_body"),
        (r#"{"path":"/a.lua","nome":"b"}"#, "invalid_body"),
        (r#"{"path":"a.lua"}"#, "spell_refused"),
        (r#"{"path":"/a.lua","name":""}"#, "spell_refused"),
        (r#"{"path":"/nowhere/a.lua"}"#, "spell_refused"),
    ] {
        let answer = client.post("/v1/main/spells", body);
        assert_eq!(answer.json()["code"], code, "{}", answer.text());
    }
    assert_eq!(client.post("/v1/other/spells", r#"{"path":"/a.lua"}"#).json()["code"], "no_plane");
}

#[test]
fn without_a_server_it_says_what_to_do() {
    let server = Server::empty();
    server.write("copy.lua", COPY);
    let folder = server.end("-TERM").0;
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sanctum"))
        .args(["bind", "copy.lua", "--data", "data"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(stderr(&output), @"error: no server listens on `data/sanctum.sock`: start one by `sanctum serve`, or name its folder by `--data`");
}

#[test]
fn a_hangup_loads_spells_again() {
    let server = Server::empty();
    server.write("a/copy.lua", COPY);
    let link = server.folder.path().join("link.lua");
    std::os::unix::fs::symlink("a/copy.lua", &link).unwrap();
    server.write("other/_runes.lua", "return 1");
    stdout(&server.run(&["bind", "link.lua"]));
    server.signal("-HUP");
    server.append(0..1);
    server.await_topic("out", 1);
    assert_eq!(server.client().get("/readyz").status, 200);
}

#[test]
fn a_server_whose_engine_failed_is_not_ready() {
    let server = Server::empty();
    let large = server.folder.path().join("data/planes/main/blobs/large");
    std::fs::remove_dir_all(&large).unwrap();
    std::fs::write(&large, "in the way").unwrap();
    assert_eq!(server.client().get("/readyz").status, 200);
    server.write("large.lua", &format!("{COPY}\n--{}", "-".repeat(4 << 20)));
    let output = server.run(&["bind", "large.lua"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("the spells of this plane") || stderr(&output).contains("run no longer")
    );
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.client().get("/readyz").status == 200 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    let problem = server.client().get("/readyz").json();
    assert_eq!((&problem["code"], &problem["plane"]), (&json!("unavailable"), &json!("main")));
    assert_eq!(server.client().post("/v1/main/append/in", "{}").status, 201, "it appends nevertheless");
}
