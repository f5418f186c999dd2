//! Projections over HTTP: what `sanctum project` prints, and followers of a state.

use serde_json::{Value, json};

use super::client::{Client, request};
use super::server::Server;

const STOCK: &str = r#"
return {
  topic = "stock.*",
  by = "article",
  seed = { count = 0 },
  fold = function(state, event)
    if event.gone then return nil end
    state.count = state.count + event.count
    return state
  end,
}
"#;

fn stocked() -> Server {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("projections")).unwrap();
    std::fs::write(folder.path().join("projections/stock.lua"), STOCK).unwrap();
    let server = Server::start_in(folder, &[]);
    let mut client = server.client();
    for (time, article, count) in
        [(1000, json!("apple"), 10), (2000, json!("pear"), 4), (3000, json!("apple"), -3)]
    {
        let path = format!("/v1/main/append/stock.in?time={time}");
        assert_eq!(
            client.post(&path, &json!({ "article": article, "count": count }).to_string()).status,
            201
        );
    }
    server
}

fn take(client: &mut Client, article: &str, count: i64) {
    let energy = json!({ "article": article, "count": count });
    assert_eq!(client.post("/v1/main/append/stock.out", &energy.to_string()).status, 201);
}

/// Begins to follow.
fn follow(server: &Server, path: &str) -> Client {
    let mut client = server.client();
    client.send(&request("GET", path, &[], b""));
    assert_eq!(client.head().status, 200);
    client
}

fn next(client: &mut Client) -> Vec<Value> {
    let chunk = client.chunk().expect("it goes on");
    String::from_utf8(chunk).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn states_are_those_that_the_command_prints() {
    let server = stocked();
    let mut client = server.client();
    for (path, arguments) in [
        ("stock", vec!["project", "stock"]),
        ("stock?format=json", vec!["project", "stock", "--format", "json"]),
        ("stock/apple", vec!["project", "stock", "apple"]),
        ("stock/apple?at=1", vec!["project", "stock", "apple", "--at", "1"]),
        ("stock?at=1970-01-01T00:00:02Z", vec!["project", "stock", "--at", "1970-01-01T00:00:02Z"]),
        ("stock?freshness=cached", vec!["project", "stock", "--cached"]),
    ] {
        let answer = client.get(&format!("/v1/main/projections/{path}"));
        let printed = server.sanctum(&arguments);
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        assert_eq!(
            (answer.status, answer.text()),
            (200, &*String::from_utf8_lossy(&printed.stdout)),
            "{path}"
        );
    }
    assert_eq!(client.get("/v1/main/projections").lines(), [json!({ "projection": "stock" })]);
}

#[test]
fn what_there_is_not_is_told() {
    let server = stocked();
    let mut client = server.client();
    for (path, code) in [
        // Nothing is kept before it was asked for once.
        ("stock?freshness=cached", "not_found"),
        ("stok", "not_found"),
        ("..%2Fstock", "not_found"),
        ("stock/plum", "not_found"),
        ("stock?at=9", "not_found"),
        ("stock?freshness=soon", "invalid_parameter"),
        ("stock?at=1&freshness=cached", "invalid_parameter"),
        ("stock?at=1&follow", "invalid_parameter"),
        ("stock?at=yesterday", "invalid_parameter"),
    ] {
        assert_eq!(client.get(&format!("/v1/main/projections/{path}")).code(), code, "{path}");
    }
    let broken = server.folder.path().join("projections/broken.lua");
    std::fs::write(broken, "return { fold = function(state, event) error('no') end }").unwrap();
    let answer = client.get("/v1/main/projections/broken");
    assert_eq!((answer.status, answer.code().as_str()), (500, "projection_failed"));
    assert!(answer.text().contains("no"), "{}", answer.text());
    // What would make who opens it wait.
    let pipe = server.folder.path().join("projections/pipe.lua");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    assert_eq!(client.get("/v1/main/projections/pipe").status, 500);
}

#[test]
fn followers_hear_of_every_change() {
    let server = stocked();
    let mut client = server.client();
    let mut all = follow(&server, "/v1/main/projections/stock?follow");
    let mut pears = follow(&server, "/v1/main/projections/stock/pear?follow");
    let mut plums = follow(&server, "/v1/main/projections/stock/plum?follow");
    assert_eq!(next(&mut all).len(), 2);
    assert_eq!(next(&mut pears), [json!({ "count": 4 })]);
    take(&mut client, "apple", -1);
    assert_eq!(next(&mut all), [json!({ "key": "apple", "position": 3, "state": { "count": 6 } })]);
    // Asking in between takes nothing from those who follow.
    take(&mut client, "pear", -4);
    assert_eq!(client.get("/v1/main/projections/stock/pear").json(), json!({ "count": 0 }));
    assert_eq!(next(&mut pears), [json!({ "count": 0 })]);
    assert_eq!(next(&mut all), [json!({ "key": "pear", "position": 4, "state": { "count": 0 } })]);
    // What is forgotten is a change, too, and a new key is found.
    client.post("/v1/main/append/stock.gone", r#"{"article":"pear","gone":true}"#);
    assert_eq!(next(&mut pears), [Value::Null]);
    take(&mut client, "plum", 1);
    assert_eq!(next(&mut plums), [json!({ "count": 1 })]);
}

#[test]
fn a_changed_projection_ends_its_followers_and_answers_anew() {
    let server = stocked();
    let mut client = server.client();
    let mut follower = follow(&server, "/v1/main/projections/stock?follow");
    assert_eq!(next(&mut follower).len(), 2);
    let doubled = STOCK.replace("+ event.count", "+ 2 * event.count");
    std::fs::write(server.folder.path().join("projections/stock.lua"), doubled).unwrap();
    assert_eq!(client.get("/v1/main/projections/stock/apple").json(), json!({ "count": 14 }));
    assert_eq!(follower.line(), None, "the answer breaks off");
}
