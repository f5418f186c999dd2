//! Keys and values.

use super::client::{Client, request};
use super::server::Server;

fn put(client: &mut Client, key: &str, headers: &[(&str, &str)], body: &str) -> super::client::Answer {
    let mut all = vec![("content-type", "application/json")];
    all.extend(headers);
    client.ask("PUT", &format!("/v1/main/kv/{key}"), &all, body.as_bytes())
}

#[test]
fn a_value_is_set_read_and_deleted() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let answer = put(&mut client, "a/b", &[], r#"{"n":1}"#);
    assert_eq!((answer.status, answer.header("etag")), (201, Some("\"0\"")));
    let answer = client.get("/v1/main/kv/a/b");
    assert_eq!((answer.json(), answer.header("etag")), (serde_json::json!({"n":1}), Some("\"0\"")));
    assert_eq!(client.ask("GET", "/v1/main/kv/a/b", &[("if-none-match", "\"0\"")], b"").status, 304);
    assert_eq!(put(&mut client, "a/b", &[], "[1,null]").status, 200);
    assert_eq!(client.get("/v1/main/kv/a%2Fb").json(), serde_json::json!([1, null]));
    let text = [("content-type", "text/plain; charset=utf-8")];
    client.ask("PUT", "/v1/main/kv/t", &text, b"as it is");
    let answer = client.get("/kv/t");
    assert_eq!(
        (answer.text(), answer.header("content-type")),
        ("as it is", Some("text/plain; charset=utf-8"))
    );
    let bytes = [0_u8, 255, 7];
    client.ask("POST", "/kv/bin", &[], &bytes);
    assert_eq!(client.get("/kv/bin").body, bytes);
    let keys: Vec<_> = client.get("/v1/main/kv").lines();
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert_eq!(client.ask("DELETE", "/v1/main/kv/t", &[], b"").status, 200);
    assert_eq!(client.get("/v1/main/kv/t").code(), "not_found");
    assert_eq!(client.ask("DELETE", "/v1/main/kv/t", &[], b"").code(), "not_found");
    assert_eq!(client.get("/v1/main/kv").lines().len(), 2);
    assert_eq!(client.get("/v1/main/kv?prefix=a").lines()[0]["key"], "a/b");
    assert_eq!(put(&mut client, "x", &[], "{nope").code(), "invalid_body");
    assert_eq!(put(&mut client, &"k".repeat(300), &[], "1").code(), "invalid_parameter");
}

#[test]
fn a_change_can_depend_on_the_version() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let none = [("if-none-match", "*")];
    assert_eq!(put(&mut client, "k", &none, "1").status, 201);
    let answer = put(&mut client, "k", &none, "2");
    assert_eq!(
        (answer.status, answer.code().as_str(), &answer.json()["actual"]),
        (412, "precondition_failed", &0.into())
    );
    assert_eq!(put(&mut client, "k", &[("if-match", "\"0\"")], "2").header("etag"), Some("\"1\""));
    assert_eq!(put(&mut client, "k", &[("if-match", "\"0\"")], "3").status, 412);
    assert_eq!(put(&mut client, "k", &[("if-match", "*")], "3").status, 200);
    assert_eq!(put(&mut client, "new", &[("if-match", "*")], "3").status, 412);
    assert_eq!(put(&mut client, "k", &[("if-match", "soon")], "3").code(), "invalid_header");
    assert_eq!(client.ask("DELETE", "/v1/main/kv/k", &[("if-match", "\"1\"")], b"").status, 412);
    assert_eq!(client.ask("DELETE", "/v1/main/kv/k", &[("if-match", "\"2\"")], b"").status, 200);
    assert_eq!(put(&mut client, "k", &none, "4").status, 201, "what was deleted is not there");
}

#[test]
fn of_many_that_compare_one_sets() {
    let server = Server::start(&[]);
    put(&mut server.client(), "counter", &[], "0");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut client = server.client();
            scope.spawn(move || {
                let mut done = 0;
                while done < 10 {
                    let answer = client.get("/v1/main/kv/counter");
                    let tag = answer.header("etag").unwrap().to_owned();
                    let next = (answer.json().as_u64().unwrap() + 1).to_string();
                    let answer = put(&mut client, "counter", &[("if-match", &tag)], &next);
                    done += u32::from(answer.status == 200);
                }
            });
        }
    });
    assert_eq!(server.client().get("/v1/main/kv/counter").json(), 40);
}

#[test]
fn changes_can_be_followed() {
    let server = Server::start(&[]);
    let mut client = server.client();
    put(&mut client, "k", &[], "1");
    let mut follower = server.client();
    follower.send(&request("GET", "/v1/main/kv/k?follow", &[], b""));
    follower.head();
    let next = |follower: &mut Client| String::from_utf8(follower.chunk().unwrap()).unwrap();
    assert!(next(&mut follower).contains("\"value\":1"));
    assert_eq!(next(&mut follower), "{\"threshold\":1}\n");
    put(&mut client, "other", &[], "7");
    client.ask("DELETE", "/v1/main/kv/k", &[], b"");
    assert!(next(&mut follower).contains("kv.deleted"));
}
