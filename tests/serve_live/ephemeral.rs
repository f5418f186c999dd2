//! Energies that are never stored, and who gets them all the same.

use serde_json::{Value, json};

use super::client::{Client, request};
use super::service::{Service, eventually};

/// A reader of what follows.
struct Follower {
    client: Client,
    rest: Vec<u8>,
}

impl Follower {
    fn new(service: &Service, query: &str) -> Self {
        let mut client = service.client();
        client.send(&request("GET", &format!("/v1/main/events?follow&{query}"), &[], b""));
        assert_eq!(client.head().status, 200);
        let mut follower = Self { client, rest: Vec::new() };
        while follower.next().unwrap().get("threshold").is_none() {}
        follower
    }

    /// The next line; `None` at the end.
    fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            self.rest.extend(self.client.chunk()?);
        }
    }
}

#[test]
fn followers_get_what_is_never_stored() {
    let service = Service::start(&[], &[]);
    let mut follower = Follower::new(&service, "topic=a.%3E&limit=3");
    let mut other = Follower::new(&service, "topic=b&limit=1");
    let mut client = service.client();
    let receipt = client.post("/v1/main/append/a.x?ttl=ephemeral&stream=s&tag=k=v", r#"{"n":1}"#);
    assert_eq!((receipt.status, receipt.json().get("position")), (201, None));
    assert_eq!(client.post("/v1/main/append/a.x", r#"{"n":2}"#).status, 201);
    let lines = "{\"n\":3,\"$ttl\":\"ephemeral\"}\n{\"n\":4}\n";
    assert_eq!(
        client
            .ask("POST", "/v1/main/append/b", &[("content-type", "application/x-ndjson")], lines.as_bytes())
            .status,
        201
    );
    let first = follower.next().unwrap();
    assert_eq!(
        (&first["data"], &first["ttl"], &first["stream"]),
        (&json!({ "n": 1 }), &json!("ephemeral"), &json!("s"))
    );
    assert_eq!((first.get("position"), first.get("version")), (None, None), "{first}");
    assert_eq!(first["id"], receipt.json()["id"]);
    assert_eq!(follower.next().unwrap()["position"], 0);
    let b = other.next().unwrap();
    assert!(b["data"] == json!({ "n": 3 }) || b["data"] == json!({ "n": 4 }), "{b}");
    assert_eq!(other.next(), None, "the limit counts both kinds");
    assert_eq!(client.post("/v1/main/append/a.x?ttl=ephemeral", r#"{"n":5}"#).status, 201);
    assert_eq!(follower.next().unwrap()["data"], json!({ "n": 5 }));
    assert_eq!(follower.next(), None);
    assert_eq!(service.energies("%3E").len(), 2);
    // What is refused reaches nobody.
    let mut follower = Follower::new(&service, "topic=c");
    let refused = "{\"n\":6,\"$ttl\":\"ephemeral\"}\n{\"$stream\":\"a.x\",\"$expect\":\"none\"}\n";
    let conflict = client.ask(
        "POST",
        "/v1/main/append/c",
        &[("content-type", "application/x-ndjson")],
        refused.as_bytes(),
    );
    assert_eq!(conflict.code(), "version_conflict");
    assert_eq!(client.post("/v1/main/append/c?ttl=ephemeral", r#"{"n":7}"#).status, 201);
    assert_eq!(follower.next().unwrap()["data"], json!({ "n": 7 }));
}

#[test]
fn an_event_source_has_no_id_for_it() {
    let service = Service::start(&[], &[]);
    let mut client = service.client();
    client.send(&request("GET", "/v1/main/events?follow&format=sse", &[], b""));
    assert_eq!(client.head().status, 200);
    assert!(String::from_utf8(client.chunk().unwrap()).unwrap().starts_with("event: threshold"));
    assert_eq!(service.client().post("/v1/main/append/a?ttl=ephemeral", "{}").status, 201);
    let text = String::from_utf8(client.chunk().unwrap()).unwrap();
    assert!(text.starts_with("data: {\"id\""), "{text}");
}

#[test]
fn who_is_too_slow_is_told_how_much_was_missed() {
    let service = Service::start(&[], &[]);
    let mut slow = Follower::new(&service, "topic=flood");
    let mut client = service.client();
    let (batches, each) = (40, 500);
    let line = format!("{{\"$ttl\":\"ephemeral\",\"fill\":\"{}\"}}\n", "x".repeat(1_000)).repeat(each);
    for _ in 0..batches {
        let answer = client.ask(
            "POST",
            "/v1/main/append/flood",
            &[("content-type", "application/x-ndjson")],
            line.as_bytes(),
        );
        assert_eq!(answer.status, 201);
    }
    assert_eq!(client.post("/v1/main/append/flood", "{}").status, 201);
    let (mut got, mut dropped) = (0, 0);
    while got + dropped < batches * each {
        let line = slow.next().unwrap();
        match line["dropped"].as_u64() {
            Some(count) => dropped += count as usize,
            None if line.get("position").is_none() => got += 1,
            None => {}
        }
    }
    assert_eq!(got + dropped, batches * each);
    assert!(dropped > 0 && got >= 500, "{got} {dropped}");
    let metrics = client.get("/metrics");
    let counted = format!("sanctum_ephemeral_dropped_total{{plane=\"main\"}} {dropped}\n");
    assert!(metrics.text().contains(&counted), "{dropped}: {}", metrics.text());
}

const RELAY: &str = r#"return { topic = "in", cast = function(e)
  return { { ["$topic"] = "passing", ["$ttl"] = "ephemeral", n = e.n }, { ["$topic"] = "kept", n = e.n } }
end }"#;
const SUM: &str = r#"return { topic = "passing", cast = function(e, envelope)
  assert(envelope.position == nil and envelope.ttl == "ephemeral")
  state.sum = (state.sum or 0) + e.n
  return { ["$topic"] = "sum", sum = state.sum }
end }"#;
const BATCHED: &str = r#"return { topic = "passing", batch = { size = 1 }, cast = function() return { ["$topic"] = "batched" } end }"#;

#[test]
fn live_spells_draw_on_them_and_what_comes_of_it_is_kept_once() {
    let spells = [("spells/relay.lua", RELAY), ("spells/sum.lua", SUM), ("spells/batched.lua", BATCHED)];
    let service = Service::start(&spells, &["spells"]);
    let mut client = service.client();
    for n in 1..=4 {
        assert_eq!(client.post("/v1/main/append/in", &json!({ "n": n }).to_string()).status, 201);
    }
    service.await_topic("sum", 4);
    assert_eq!(client.post("/v1/main/append/passing?ttl=ephemeral", r#"{"n":100}"#).status, 201);
    let sums = service.await_topic("sum", 5);
    assert_eq!(sums.last().unwrap(), &json!({ "sum": 110 }));
    let (folder, _) = service.end("-KILL");
    let service = Service::start_in(folder, &["spells"]);
    assert_eq!(service.client().post("/v1/main/append/in", r#"{"n":5}"#).status, 201);
    let sums = service.await_topic("sum", 6);
    assert_eq!(
        sums.iter().map(|sum| sum["sum"].as_i64().unwrap()).collect::<Vec<_>>(),
        [1, 3, 6, 10, 110, 115]
    );
    assert_eq!(service.energies("kept").len(), 5);
    assert_eq!(service.energies("passing").len() + service.energies("batched").len(), 0);
    // A fault is reported, and the spell goes on.
    assert_eq!(service.client().post("/v1/main/append/passing?ttl=ephemeral", r#"{"n":"no"}"#).status, 201);
    assert_eq!(service.client().post("/v1/main/append/passing?ttl=ephemeral", r#"{"n":1}"#).status, 201);
    assert_eq!(service.await_topic("sum", 7).last().unwrap(), &json!({ "sum": 116 }));
    assert_eq!(service.energies("sanctum.fault").len(), 0);
}

#[test]
fn what_is_released_late_does_not_take_spells_back() {
    let spell = r#"return { topic = "in", fault = "quarantine", cast = function(e)
      if e.n == 0 and not runes.mended then error("zero") end
      state.total = (state.total or 0) + 1
      return { ["$topic"] = "count", count = state.total }
    end }"#;
    let service = Service::start(&[("spells/count.lua", spell)], &["spells"]);
    for n in 0..5 {
        assert_eq!(service.client().post("/v1/main/append/in", &json!({ "n": n }).to_string()).status, 201);
    }
    service.await_topic("count", 4);
    std::fs::write(service.path("spells/count.lua"), spell.replace("not runes.mended", "false")).unwrap();
    service.await_topic("sanctum.spell.bound", 2);
    let later = service.client().post("/v1/main/append/in", r#"{"n":5}"#);
    assert_eq!(later.status, 201);
    service.await_topic("count", 5);
    let fault = service.energies("sanctum.fault")[0]["position"].clone();
    let released = service.client().post(&format!("/v1/main/faults/{fault}/release"), "");
    assert!(released.status < 300, "{}", released.text());
    let counts = service.await_topic("count", 6);
    let (folder, _) = service.end("-KILL");
    let service = Service::start_in(folder, &["spells"]);
    assert_eq!(service.client().post("/v1/main/append/in", r#"{"n":6}"#).status, 201);
    let after = eventually("the seventh", || Some(service.await_topic("count", 7)));
    assert_eq!(after[..6], counts[..]);
    assert_eq!(after[6], json!({ "count": 7 }));
}
