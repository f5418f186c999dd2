//! Programs that a server keeps running, files that it tails, topics that it prints.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::service::{Service, eventually, folder, refused};

const RUN: &[&str] = &["runeset.yaml"];

fn append(service: &Service, topic: &str, number: i64) {
    let answer =
        service.client().post(&format!("/v1/main/append/{topic}"), &json!({ "n": number }).to_string());
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn is_running(pid: i64) -> bool {
    // A zombie is none that runs.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

#[test]
fn lines_become_energies_and_energies_become_lines() {
    let program = r#"#!/bin/sh
echo '{"hello":1}'
echo 'not json'
echo '{"$topic":"sanctum.exec.exited","name":"forged"}'
while read -r line; do echo "{\"got\":$line}"; done
"#;
    let runeset = "exec:\n  - name: both\n    command: [sh, both.sh]\n    input: in.>\n    output: out\n";
    let service = Service::start(&[("both.sh", program), ("runeset.yaml", runeset)], RUN);
    let first = service.await_topic("out", 3);
    assert_eq!(first[0], json!({ "hello": 1 }));
    assert_eq!(first[1], json!({ "line": "not json" }));
    assert!(first[2]["line"].as_str().unwrap().contains("forged"), "the engine's topics are the engine's");
    append(&service, "in.a", 1);
    append(&service, "other", 2);
    append(&service, "in.b", 3);
    let got = service.await_topic("out", 5);
    assert_eq!((&got[3]["got"]["data"], &got[3]["got"]["topic"]), (&json!({ "n": 1 }), &json!("in.a")));
    assert_eq!(got[4]["got"]["data"], json!({ "n": 3 }));
    let started = &service.energies("sanctum.exec.started")[0]["data"];
    assert_eq!((&started["name"], &started["restarts"]), (&json!("both"), &json!(0)));
    let rows = service.client().get("/v1/main/exec").lines();
    assert_eq!(
        (&rows[0]["name"], &rows[0]["pid"], &rows[0]["wanted"]),
        (&json!("both"), &started["pid"], &json!(true))
    );
    // What comes while nobody runs is written after the next start, and nothing twice.
    let (folder, code) = service.end("-TERM");
    assert_eq!(code, Some(0));
    assert!(!is_running(started["pid"].as_i64().unwrap()));
    let log = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sanctum"));
        command.args(arguments).args(["--data", "data"]).current_dir(folder.path()).output().unwrap()
    };
    assert!(log(&["append", "in.c", r#"{"n":4}"#]).status.success());
    let exited = String::from_utf8(log(&["cat", "--topic", "sanctum.exec.exited"]).stdout).unwrap();
    let exited: Value = serde_json::from_str(exited.trim()).unwrap();
    assert_eq!(exited["data"]["name"], "both");
    assert_eq!(exited["data"].get("restart_ms"), None);
    let service = Service::start_in(folder, RUN);
    let all = service.await_topic("out", 9);
    let numbers: Vec<_> = all.iter().filter_map(|data| data["got"]["data"]["n"].as_i64()).collect();
    assert_eq!(numbers, [1, 3, 4]);
}

#[test]
fn a_program_that_ends_is_started_again_after_a_while_and_says_why_it_ended() {
    let runeset = "exec:
  - { name: fails, command: [sh, -c, 'echo started; echo oops >&2; exit 3'], output: out, restart: on-failure, backoff: 10ms, backoff_max: 1h }
  - { name: done, command: ['true'], restart: on-failure }
  - { name: missing, command: ./not-there, restart: never }
";
    let service = Service::start(&[("runeset.yaml", runeset)], RUN);
    service.await_topic("out", 4);
    let exits = eventually("exits", || {
        let exits: Vec<Value> =
            service.energies("sanctum.exec.exited").iter().map(|e| e["data"].clone()).collect();
        let of = |name: &str| exits.iter().filter(|exit| exit["name"] == name).count();
        (of("fails") >= 4 && of("done") == 1 && of("missing") == 1).then_some(exits)
    });
    let of = |name: &str| exits.iter().filter(|exit| exit["name"] == name).cloned().collect::<Vec<_>>();
    let fails = of("fails");
    assert_eq!(fails[0], json!({ "code": 3, "name": "fails", "restart_ms": 10, "stderr": "oops" }));
    assert_eq!((&fails[1]["restart_ms"], &fails[2]["restart_ms"]), (&json!(20), &json!(40)));
    assert_eq!(of("done"), [json!({ "code": 0, "name": "done" })]);
    assert!(of("missing")[0]["error"].as_str().unwrap().contains("No such file"), "{:?}", of("missing"));
    let restarts: Vec<_> = service
        .energies("sanctum.exec.started")
        .iter()
        .filter(|e| e["data"]["name"] == "fails")
        .map(|e| e["data"]["restarts"].as_i64().unwrap())
        .collect();
    assert_eq!(restarts[..4], [0, 1, 2, 3]);
}

#[test]
fn a_request_starts_and_stops_what_the_runeset_allows() {
    // It does not listen to SIGTERM, and has a child of its own.
    let program = "trap '' TERM\nsleep 1000 &\necho \"{\\\"child\\\":$!}\"\nwhile true; do sleep 1; done\n";
    let runeset = "exec:\n  - name: stubborn\n    command: [sh, stubborn.sh]\n    output: out\n    auto: false\n    stop: 100ms\n";
    let files = [("stubborn.sh", program), ("runeset.yaml", runeset)];
    let service = Service::start(&files, &["runeset.yaml", "--listen", "127.0.0.1:0"]);
    let mut client = service.client();
    let row = client.get("/v1/main/exec").lines().remove(0);
    assert_eq!((&row["wanted"], &row["pid"]), (&json!(false), &Value::Null));
    let mut stranger = service.web();
    assert_eq!(stranger.post("/v1/main/exec/stubborn/start", "").status, 403, "the role is admin");
    assert_eq!(client.post("/v1/main/exec/other/start", "").status, 404);
    assert_eq!(client.post("/v1/main/exec/stubborn/start", "").json()["wanted"], true);
    let child = service.await_topic("out", 1)[0]["child"].as_i64().unwrap();
    let pid = service.await_topic("sanctum.exec.started", 1)[0]["pid"].as_i64().unwrap();
    assert!(is_running(pid) && is_running(child));
    assert_eq!(client.post("/v1/main/exec/stubborn/stop", "").json()["wanted"], false);
    assert_eq!(service.await_topic("sanctum.exec.exited", 1)[0]["signal"], 9);
    eventually("the whole group is gone", || (!is_running(pid) && !is_running(child)).then_some(()));
    client.post("/v1/main/exec/stubborn/start", "");
    let child = service.await_topic("out", 2)[1]["child"].as_i64().unwrap();
    assert_eq!(service.end("-TERM").1, Some(0));
    eventually("nothing survives the server", || (!is_running(child)).then_some(()));
}

fn write(path: &Path, text: &str) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_file_is_tailed_through_rotation_and_restarts() {
    let runeset = "file:\n  - { path: app.log, topic: logged }\n";
    let mut service = Service::start(&[("runeset.yaml", runeset)], RUN);
    let path = service.path("app.log");
    write(&path, "{\"n\":0}\nplain\n\n{\"n\":1}\n{\"n\"");
    assert_eq!(
        service.await_topic("logged", 3),
        [json!({ "n": 0 }), json!({ "line": "plain" }), json!({ "n": 1 })]
    );
    write(&path, ":2}\n");
    service.await_topic("logged", 4);
    // Rotated while it runs: what was written to the old file until then is there, its last line without an end, too.
    write(&path, "{\"n\":3}\n{\"n\":4}");
    fs::rename(&path, service.path("app.log.1")).unwrap();
    write(&path, "{\"n\":5}\n");
    service.await_topic("logged", 7);
    for round in 0..3 {
        // Killed, written to, rotated and written to again meanwhile.
        let (folder, _) = service.end("-KILL");
        let path = folder.path().join("app.log");
        write(&path, &format!("{{\"n\":{}}}\n", 6 + round * 2));
        fs::rename(&path, folder.path().join(format!("app.log.{}", 2 + round))).unwrap();
        write(&path, &format!("{{\"n\":{}}}\n", 7 + round * 2));
        service = Service::start_in(folder, RUN);
        service.await_topic("logged", (9 + round * 2) as usize);
    }
    // Cut and written anew, to less than it had.
    write(&service.path("app.log"), "{\"n\":\"the last one before it is cut\"}\n");
    service.await_topic("logged", 14);
    fs::write(service.path("app.log"), "{\"n\":12}\n").unwrap();
    let all = service.await_topic("logged", 15);
    let numbers: Vec<_> = all.iter().filter_map(|data| data["n"].as_i64()).collect();
    assert_eq!(numbers, (0..13).collect::<Vec<_>>());
    // Cut and written anew, to more than it had.
    let more: String = (13..20).map(|number| format!("{{\"n\":{number}}}\n")).collect();
    fs::write(service.path("app.log"), more).unwrap();
    let all = service.await_topic("logged", 22);
    let numbers: Vec<_> = all.iter().filter_map(|data| data["n"].as_i64()).collect();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
}

#[test]
fn topics_are_printed_and_a_restart_goes_on() {
    let runeset = "stdout: [ a.>, b ]\n";
    let service = Service::start(&[("runeset.yaml", runeset)], RUN);
    append(&service, "a.x", 1);
    append(&service, "c", 2);
    append(&service, "b", 3);
    let printed = |service: &Service| -> Vec<i64> {
        let lines = service.printed();
        lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["data"]["n"].as_i64().unwrap())
            .collect()
    };
    eventually("two lines", || (printed(&service) == [1, 3]).then_some(()));
    let (folder, code) = service.end("-TERM");
    assert_eq!(code, Some(0));
    let service = Service::start_in(folder, RUN);
    append(&service, "b", 4);
    eventually("one line", || (printed(&service) == [4]).then_some(()));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let text = "exec:\n  - name: a\n    command: x\n    input: 'a..b'\n  - name: c\n    command: y\n    plane: ../up\n";
    let (code, said) = refused(&[("runeset.yaml", text)], RUN);
    assert_eq!(code, Some(1));
    assert!(said.contains("runeset.yaml:4:12") && said.contains("runeset.yaml:7:12"), "{said}");
    let text = "exec:\n  - name: a\n    command: x\n    plane: other\n";
    let (code, said) = refused(&[("runeset.yaml", text)], RUN);
    assert_eq!(code, Some(1));
    assert!(said.contains("`other` is not served"), "{said}");
}

#[test]
fn a_server_stops_though_nobody_takes_what_it_prints() {
    let spell = r#"return { topic = "in", cast = function(e)
      print(("x"):rep(100000))
      return { ["$topic"] = "out", n = e.n }
    end }"#;
    let runeset = "stdout: [in]\nspells: [ { path: spell.lua } ]\n";
    let files = folder(&[("spell.lua", spell), ("runeset.yaml", runeset)]);
    let mut service = Service::unread_in(files, RUN);
    for number in 0..5 {
        append(&service, "in", number);
    }
    eventually("the pipe is full", || {
        let lag = service.client().get("/v1/main/spells").lines().remove(0)["lag"].as_u64();
        (lag > Some(0)).then_some(())
    });
    service.signal("-TERM");
    let ended = eventually("it stops", || service.try_end());
    assert_eq!(ended, Some(0));
}
