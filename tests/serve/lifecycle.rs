//! From the start to the end.

use std::os::unix::fs::PermissionsExt;

use super::client::request;
use super::server::{Server, sanctum};

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_second_server_says_who_has_the_folder() {
    let server = Server::start(&[]);
    let output = server.sanctum(&["serve"]);
    assert_eq!(output.status.code(), Some(1));
    let text = words(&output.stderr);
    assert!(
        text.contains("planes/main` is served: process ") && text.contains("/data/sanctum.sock`; stop it"),
        "{text}"
    );
    assert_eq!(server.client().get("/readyz").status, 200, "the first one goes on");
}

#[test]
fn it_ends_well_and_what_was_acknowledged_is_there() {
    let server = Server::start(&["--plane", "main", "--plane", "other"]);
    server.client().post("/v1/main/append/a", "{}");
    server.client().post("/v1/other/append/b", "{}");
    let mode = std::fs::metadata(server.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut follower = server.client();
    follower.send(&request("GET", "/v1/main/events?follow", &[], b""));
    follower.head();
    let socket = server.socket();
    let folder = server.stop();
    assert!(!socket.exists());
    // A follower is told by the end of the body.
    while follower.chunk().is_some() {}
    let output = sanctum(folder.path(), &["topics", "--plane", "other"]);
    assert_eq!(words(&output.stdout), "{\"topic\":\"b\",\"events\":1}\n");
    // All planes that are there are served again.
    let server = Server::start_in(folder, &[]);
    assert_eq!(server.client().get("/v1/other/events").lines().len(), 1);
}

#[test]
fn a_stale_socket_is_replaced() {
    let folder = {
        let mut server = Server::start(&[]);
        server.client().post("/v1/main/append/a", "{}");
        server.signal("-KILL");
        server.wait();
        assert!(server.socket().exists());
        std::mem::replace(&mut server.folder, tempfile::tempdir().unwrap())
    };
    let server = Server::start_in(folder, &[]);
    assert_eq!(server.client().get("/v1/main/events").lines().len(), 1);
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let mut server = Server::start(&["--durability", "commit"]);
    let acknowledged: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let mut client = server.client();
                scope.spawn(move || {
                    let mut ids = Vec::new();
                    while let Some(receipt) = client.try_post("/v1/main/append/a", "{}") {
                        ids.push(receipt["id"].as_str().unwrap().to_owned());
                    }
                    ids
                })
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(300));
        server.signal("-KILL");
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    server.wait();
    let folder = std::mem::replace(&mut server.folder, tempfile::tempdir().unwrap());
    let server = Server::start_in(folder, &[]);
    let events = server.client().get("/v1/main/events").lines();
    let ids: std::collections::HashSet<_> =
        events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len(), "each is there once");
    assert!(!acknowledged.is_empty() && acknowledged.iter().all(|id| ids.contains(id.as_str())));
}

#[test]
fn a_hangup_does_not_end_it() {
    let server = Server::start(&[]);
    server.signal("-HUP");
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(server.client().get("/healthz").text(), "ok\n");
}

#[test]
fn a_file_is_not_taken_for_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes"), "mine").unwrap();
    let output = sanctum(folder.path(), &["serve", "--socket", "notes"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output.stderr).contains("`notes` is no socket"), "{}", words(&output.stderr));
    assert_eq!(std::fs::read_to_string(folder.path().join("notes")).unwrap(), "mine");
}

#[test]
fn other_machines_are_not_served_by_chance() {
    let folder = tempfile::tempdir().unwrap();
    let output = sanctum(folder.path(), &["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(1));
    let text = words(&output.stderr);
    assert!(text.contains("is reached from other machines") && text.contains("sanctum token add"), "{text}");
    let added = sanctum(folder.path(), &["token", "add", "me", "--role", "admin"]);
    assert!(words(&added.stdout).starts_with("sanctum_"));
    let text = words(&sanctum(folder.path(), &["serve", "--listen", "0.0.0.0:0"]).stderr);
    assert!(text.contains("--tls-cert") && !text.contains("token add"), "{text}");
}
