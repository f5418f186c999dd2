//! Energies, read and followed.

use super::server::Server;

fn filled() -> Server {
    let server = Server::start(&[]);
    let mut client = server.client();
    for n in 0..10 {
        let path = format!(
            "/v1/main/append/t.{}?stream=s{}&tag=even={}&time={}",
            n % 3,
            n % 2,
            n % 2 == 0,
            1000 * n
        );
        assert_eq!(client.post(&path, &format!("{{\"n\":{n}}}")).status, 201);
    }
    server
}

#[test]
fn filters_are_those_of_cat() {
    let server = filled();
    let mut client = server.client();
    for (query, wanted) in [
        ("", vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("topic=t.0", vec![0, 3, 6, 9]),
        ("topic=t.0&topic=t.1", vec![0, 1, 3, 4, 6, 7, 9]),
        ("topic=t.%3E&stream=s1", vec![1, 3, 5, 7, 9]),
        ("tag=even=true&limit=2", vec![0, 2]),
        ("since=2000&until=5000", vec![2, 3, 4]),
        ("after=6", vec![7, 8, 9]),
        ("after=2&before=5", vec![3, 4]),
        ("last=2", vec![8, 9]),
        ("last=2&topic=t.1", vec![4, 7]),
        ("reverse&limit=3", vec![9, 8, 7]),
        ("reverse=true&before=3", vec![2, 1, 0]),
        ("topic=none", vec![]),
    ] {
        let answer = client.get(&format!("/v1/main/events?{query}"));
        let got: Vec<_> = answer.lines().iter().map(|event| event["data"]["n"].as_i64().unwrap()).collect();
        assert_eq!(got, wanted, "{query}");
        let cat: Vec<_> = query.split('&').filter(|part| !part.is_empty()).collect();
        if !query.contains("reverse") && !query.contains('%') {
            let arguments: Vec<_> = cat.iter().map(|part| format!("--{part}")).collect();
            let mut command = vec!["cat"];
            command.extend(arguments.iter().map(String::as_str));
            let output = server.sanctum(&command);
            assert_eq!(
                answer.text(),
                String::from_utf8_lossy(&output.stdout),
                "as `sanctum cat` prints: {query}"
            );
        }
    }
}

#[test]
fn what_is_accepted_is_given() {
    let server = filled();
    let mut client = server.client();
    let path = "/v1/main/events?limit=2";
    let json = client.ask("GET", path, &[("accept", "application/json")], b"");
    assert_eq!(
        (json.header("content-type"), json.json().as_array().unwrap().len()),
        (Some("application/json"), 2)
    );
    let none = client.get("/v1/main/events?topic=none&format=json");
    assert_eq!(none.json(), serde_json::json!([]));
    let msgpack = client.ask("GET", path, &[("accept", "application/msgpack")], b"");
    let mut rest = msgpack.body.as_slice();
    let mut count = 0;
    while !rest.is_empty() {
        assert!(rmpv::decode::read_value(&mut rest).unwrap().is_map());
        count += 1;
    }
    assert_eq!(count, 2);
    let sse = client.ask("GET", path, &[("accept", "text/event-stream")], b"");
    assert_eq!(sse.header("content-type"), Some("text/event-stream"));
    assert!(
        sse.text().starts_with("id: 0\ndata: {\"position\":0,") && sse.text().ends_with("}\n\n"),
        "{}",
        sse.text()
    );
    let answer = client.ask("GET", path, &[("accept", "image/png")], b"");
    assert_eq!((answer.status, answer.code().as_str()), (406, "not_acceptable"));
}

#[test]
fn questions_without_sense_are_refused() {
    let server = filled();
    let mut client = server.client();
    for (path, status, code) in [
        ("/v1/main/events?topics=a", 400, "invalid_parameter"),
        ("/v1/main/events?topic=a..b", 400, "invalid_parameter"),
        ("/v1/main/events?limit=-1", 400, "invalid_parameter"),
        ("/v1/main/events?follow&reverse", 400, "invalid_parameter"),
        ("/v1/main/events?follow=perhaps", 400, "invalid_parameter"),
        ("/v1/main/events?follow&format=json", 400, "invalid_parameter"),
        ("/v1/main/events?pulse=0&follow", 400, "invalid_parameter"),
        ("/v1/main/events?after=10", 404, "not_found"),
        ("/v1/main/events?since=now", 400, "invalid_parameter"),
        ("/v1/main/events/10", 404, "not_found"),
        ("/v1/main/events/x", 400, "invalid_parameter"),
        ("/v1/main/events/01890a5d-ac96-774b-bcce-b302099a8057", 404, "not_found"),
        ("/v1/main/streams/none", 404, "not_found"),
    ] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}: {}", answer.text());
    }
}

#[test]
fn a_follower_hears_history_then_a_mark_then_what_comes() {
    let server = filled();
    let mut follower = server.client();
    follower.send(&super::client::request("GET", "/v1/main/events?follow&last=1&topic=t.0", &[], b""));
    assert_eq!(follower.head().status, 200);
    let next = |follower: &mut super::client::Client| String::from_utf8(follower.chunk().unwrap()).unwrap();
    assert!(next(&mut follower).contains("\"position\":9"));
    assert_eq!(next(&mut follower), "{\"threshold\":10}\n");
    let mut client = server.client();
    client.post("/v1/main/append/t.1", "{}");
    client.post("/v1/main/append/t.0", r#"{"n":"new"}"#);
    assert!(next(&mut follower).contains("\"n\":\"new\""));
}

#[test]
fn a_limit_ends_a_follower() {
    let server = filled();
    let answer = server.client().get("/v1/main/events?follow&limit=3");
    assert_eq!(answer.lines().len(), 3);
}

#[test]
fn an_event_source_comes_back_where_it_was() {
    let server = filled();
    let headers = [("accept", "text/event-stream"), ("last-event-id", "7")];
    let answer = server.client().ask("GET", "/v1/main/events?follow&limit=2", &headers, b"");
    assert!(answer.text().starts_with("id: 8\n"), "{}", answer.text());
    let answer = server.client().ask("GET", "/v1/main/events?follow", &[("last-event-id", "x")], b"");
    assert_eq!(answer.code(), "invalid_header");
}

#[test]
fn a_pulse_says_that_nothing_was_missed() {
    let server = Server::start(&[]);
    let mut follower = server.client();
    follower.send(&super::client::request("GET", "/v1/main/events?follow&pulse=50&format=sse", &[], b""));
    follower.head();
    let chunks: Vec<_> = (0..3).map(|_| String::from_utf8(follower.chunk().unwrap()).unwrap()).collect();
    assert_eq!(chunks[0], "event: threshold\ndata: 0\n\n");
    assert!(chunks[1..].iter().all(|chunk| chunk.starts_with("event: pulse\ndata: 1")), "{chunks:?}");
}

#[test]
fn a_slow_follower_misses_nothing() {
    let server = Server::start(&[]);
    let mut follower = server.client();
    follower.send(&super::client::request("GET", "/v1/main/events?follow&limit=20000", &[], b""));
    let mut client = server.client();
    let pad = "x".repeat(200);
    for batch in 0..20 {
        let body: String =
            (0..1000).map(|n| format!("{{\"n\":{},\"pad\":\"{pad}\"}}\n", batch * 1000 + n)).collect();
        let ndjson = [("content-type", "application/x-ndjson")];
        assert_eq!(client.ask("POST", "/v1/main/append/t", &ndjson, body.as_bytes()).status, 201);
    }
    // Only now it reads: all of it is there, once, in order.
    let answer = follower.answer(false);
    let lines = answer.lines();
    let numbers = lines.iter().filter_map(|line| line["data"]["n"].as_u64());
    assert!(numbers.eq(0..20_000));
}

#[test]
fn names_are_listed() {
    let server = filled();
    let mut client = server.client();
    let topics = client.get("/v1/main/topics?topic=t.%3E").lines();
    assert_eq!(topics[0], serde_json::json!({ "topic": "t.0", "events": 4 }));
    let streams = client.get("/v1/main/streams?prefix=s&format=json").json();
    assert_eq!(streams[1], serde_json::json!({ "stream": "s1", "version": 4, "events": 5 }));
    assert_eq!(client.get("/v1/main/streams/s0").json()["version"], 4);
}

#[test]
fn a_thousand_follow() {
    const FOLLOWERS: usize = 1_000;
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let server = Server::start(&[]);
    let mut followers: Vec<_> = (0..FOLLOWERS)
        .map(|_| {
            let mut follower = server.client();
            follower.send(&super::client::request("GET", "/v1/main/events?follow&limit=20", &[], b""));
            assert_eq!(follower.head().status, 200);
            follower
        })
        .collect();
    let mut client = server.client();
    for n in 0..20 {
        client.post("/v1/main/append/t", &format!("{{\"n\":{n}}}"));
    }
    for follower in &mut followers {
        let mut text = Vec::new();
        while let Some(chunk) = follower.chunk() {
            text.extend(chunk);
        }
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        assert!(lines.filter_map(|line| line["data"]["n"].as_u64()).eq(0..20), "{text}");
    }
    assert!(client.get("/metrics").text().contains("sanctum_readers 0\n"));
}
