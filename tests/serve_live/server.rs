//! Spells in a server.

use serde_json::json;

use super::running::{COPY, COUNT, numbers};
use super::serving::Server;

#[test]
fn spells_draw_on_what_clients_append_and_a_kill_loses_and_repeats_nothing() {
    let mut server = Server::with(&[("copy", COPY), ("count", COUNT)]);
    for round in 0..4 {
        server.append(round * 50..round * 50 + 50);
        let (folder, _) = server.end("-KILL");
        server = Server::start(folder);
    }
    server.await_topic("count", 200);
    assert_eq!(server.await_topic("out", 200), numbers(0..200));
    assert_eq!(server.of_topic("count"), numbers(1..201));
    assert_eq!(server.of_topic("sanctum.spell.bound").len(), 2, "they are the same spells");
    let (folder, code) = server.end("-TERM");
    assert_eq!(code, Some(0));
    let server = Server::start(folder);
    server.append(200..201);
    assert_eq!(server.await_topic("count", 201).last(), Some(&json!({ "n": 201 })));
}

#[test]
fn a_changed_spell_is_loaded_and_a_bad_one_refused() {
    let server = Server::with(&[("copy", COPY)]);
    server.append(0..1);
    server.await_topic("out", 1);
    std::fs::write(server.spell("copy"), "return {").unwrap();
    let refused = server.await_topic("sanctum.spell.refused", 1);
    assert!(refused[0]["report"].as_str().unwrap().contains("copy.lua"), "{refused:?}");
    server.append(1..2);
    assert_eq!(server.await_topic("out", 2), numbers(0..2), "the old one goes on");
    std::fs::write(server.spell("copy"), COPY.replace("e.n }", "e.n * 10 }")).unwrap();
    let bound = server.await_topic("sanctum.spell.bound", 2);
    let source = server.client().get(&format!("/v1/main/blobs/{}", bound[1]["hash"].as_str().unwrap()));
    assert!(source.text().contains("e.n * 10"), "history has the source");
    server.append(2..3);
    assert_eq!(server.await_topic("out", 3)[2], json!({ "n": 20 }));
    std::fs::remove_file(server.spell("copy")).unwrap();
    std::fs::write(server.spell("count"), COUNT).unwrap();
    assert_eq!(server.await_topic("sanctum.spell.unbound", 1), [json!({ "spell": "copy" })]);
    server.append(3..4);
    assert_eq!(server.await_topic("count", 1), numbers(1..2));
    assert_eq!(server.of_topic("out").len(), 3);
}

#[test]
fn a_spell_that_faults_takes_no_server_down() {
    let bad = r#"return { topic = "in", cast = function(e) return nil + e.n end }"#;
    let stopping = bad.replace("return {", "return { fault = \"stop\",");
    let server = Server::with(&[("bad", bad), ("copy", COPY), ("stopping", &stopping)]);
    server.append(0..3);
    assert_eq!(server.await_topic("out", 3), numbers(0..3));
    let stopped = server.await_topic("sanctum.spell.stopped", 1);
    assert_eq!((stopped.len(), &stopped[0]["spell"]), (1, &json!("stopping")));
    assert_eq!(server.await_topic("sanctum.fault", 3).len(), 3, "who does not say stop is quarantined");
    assert_eq!(server.end("-TERM").1, Some(0));
}

#[test]
fn a_slow_spell_lags_behind_and_holds_no_memory() {
    let slow = r#"return { topic = "in", cast = function(e) for n = 1, 5000 do state.n = n % 2 end end }"#;
    let server = Server::with(&[("slow", slow)]);
    let line = json!({ "text": "x".repeat(2_000) }).to_string() + "\n";
    let batch = line.repeat(500);
    let mut client = server.client();
    // 125 MB, at the pace of the log.
    for _ in 0..125 {
        let headers = [("content-type", "application/x-ndjson")];
        assert_eq!(client.ask("POST", "/v1/main/append/in", &headers, batch.as_bytes()).status, 201);
    }
    let mib = server.resident_mib();
    let spells: serde_json::Value =
        serde_json::from_str(client.get("/v1/main/spells?format=json").text()).unwrap();
    assert!(spells[0]["lag"].as_u64() > Some(1_000), "{spells}");
    assert!(mib < 90, "{mib} MiB, while a spell lags behind");
    assert_eq!(server.end("-TERM").1, Some(0));
}
