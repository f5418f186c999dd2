//! Clients that take their time: what they hold is bounded.

use std::sync::Arc;
use std::time::Duration;

use sanctum::blob::store::{Access, ContentStore};
use sanctum::disk::RealDisk;
use sanctum::log::FileLog;
use sanctum::log::file::Options;
use sanctum::server::connection::{Peer, Serving};
use sanctum::server::{Limits, Plane, Server, metrics};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Semaphore;
use tokio::time::timeout;

struct Impatient {
    serving: Serving,
    _folder: tempfile::TempDir,
}

fn impatient(limits: Limits) -> Impatient {
    let folder = tempfile::tempdir().unwrap();
    let log = FileLog::open(&folder.path().join("log"), Options::new(|| 0)).unwrap();
    let contents =
        ContentStore::open(Arc::new(RealDisk), &folder.path().join("blobs"), Access::Write).unwrap();
    let plane = Plane::new("main", log, contents, limits.commits).unwrap();
    let serving = Serving::new(&Arc::new(Server::new(vec![plane], None, limits)));
    Impatient { serving, _folder: folder }
}

impl Impatient {
    async fn connect(&self) -> DuplexStream {
        let (client, server) = duplex(1 << 16);
        let place = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        tokio::spawn(self.serving.clone().connection(server, Peer::Owner, place));
        client
    }

    fn metrics(&self) -> String {
        metrics::text(self.serving.server())
    }

    /// What comes until the server closes the connection, which it has to.
    async fn told(&self, bytes: &[u8]) -> String {
        let mut client = self.connect().await;
        client.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        timeout(Duration::from_secs(20), client.read_to_end(&mut answer))
            .await
            .expect("it is closed")
            .unwrap();
        String::from_utf8(answer).unwrap()
    }
}

fn limits() -> Limits {
    let short = Duration::from_millis(100);
    Limits { head: short, silence: short, body: short, patience: short, ..Limits::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_to_come_in_time() {
    let server = impatient(limits());
    let answer = server.told(b"GET /healthz HTTP/1.1\r\nx: ").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_to_come_in_time() {
    let server = impatient(limits());
    for path in ["/v1/main/append/a", "/v1/main/blobs"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nabc");
        let answer = server.told(head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("\"code\":\"timeout\""), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_share_their_room() {
    let room = Limits {
        body: Duration::from_secs(60),
        silence: Duration::from_secs(60),
        bodies_bytes: 1_000,
        ..limits()
    };
    let server = impatient(Limits { head: Duration::from_secs(60), ..room });
    let mut first = server.connect().await;
    let head =
        b"POST /v1/main/append/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 900\r\n\r\n";
    first.write_all(head).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = server.told(head).await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after: 1"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_of_an_answer_is_let_go() {
    let server = impatient(Limits { stall: Duration::from_millis(100), ..Limits::default() });
    let mut idle = server.connect().await;
    idle.write_all(b"GET /v1/main/events?follow&topic=b HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut stalled = server.connect().await;
    stalled.write_all(b"GET /v1/main/events?follow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    // More than the socket and two pages hold, for a follower that reads nothing of it.
    let mut appender = server.connect().await;
    let energy = format!(r#"{{"text":"{}"}}"#, "x".repeat(100 << 10));
    let head =
        format!("POST /v1/main/append/a HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", energy.len());
    let mut answer = vec![0; 4 << 10];
    for _ in 0..20 {
        appender.write_all(head.as_bytes()).await.unwrap();
        appender.write_all(energy.as_bytes()).await.unwrap();
        assert!(appender.read(&mut answer).await.unwrap() > 0);
    }
    let gone = async {
        while !server.metrics().contains("sanctum_stalled_connections_total 1\n") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), gone).await.expect("it is let go");
    // What was written before comes, and then the end.
    timeout(Duration::from_secs(20), stalled.read_to_end(&mut answer)).await.expect("it is closed").unwrap();
    // Time without news is no stall.
    assert!(server.metrics().contains("sanctum_http_connections 2\n"), "{}", server.metrics());
    drop(idle);
}
