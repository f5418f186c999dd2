//! Clients that do not keep to the rules, and clients that are in a hurry.

use super::client::request;
use super::server::Server;

#[test]
fn nonsense_is_refused_and_the_server_goes_on() {
    let server = Server::start(&[]);
    for bytes in [
        b"\x00\x01\x02\x03\r\n\r\n".as_slice(),
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n",
        b"POST /v1/main/append/a HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/main/append/a HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"POST /v1/main/append/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    ] {
        let mut client = server.client();
        client.send(bytes);
        if let Some(line) = client.line() {
            assert!(line.starts_with("HTTP/1.1 4"), "{line} to {}", String::from_utf8_lossy(bytes));
        }
    }
    assert_eq!(server.client().get("/v1/main/events").body, b"");
}

#[test]
fn a_large_head_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send(format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(300_000)).as_bytes());
    // Its end may be closed before the answer is read.
    assert!(client.line().is_none_or(|line| line.starts_with("HTTP/1.1 431")));
    let mut client = server.client();
    let many: String = (0..200).map(|n| format!("x{n}: y\r\n")).collect();
    client.send(format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n").as_bytes());
    assert_eq!(client.head().status, 431);
    let path = format!("/?{}", "topic=a&".repeat(1_000));
    assert_eq!(server.client().get(&path).code(), "invalid_parameter");
}

#[test]
fn a_large_body_is_refused_before_it_comes() {
    let server = Server::start(&[]);
    for path in ["/v1/main/append/a", "/v1/main/kv/k", "/v1/main/blobs", "/a"] {
        let method = if path.contains("kv") { "PUT" } else { "POST" };
        let mut client = server.client();
        client.send(
            format!("{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n")
                .as_bytes(),
        );
        let answer = client.answer(false);
        assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"), "{path}");
        assert!(answer.json()["limit"].is_u64());
    }
    // One that does not say how long it is.
    let mut client = server.client();
    client.send(b"PUT /v1/main/kv/k HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    for _ in 0..17 {
        client.send(&chunk);
    }
    assert_eq!(client.answer(false).code(), "too_large");
}

#[test]
fn an_energy_over_its_limit_is_refused() {
    let server = Server::start(&[]);
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(3 << 20));
    let answer = server.client().post("/v1/main/append/a", &body);
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
    assert!(answer.json()["detail"].as_str().unwrap().contains("limits.event_bytes"), "{}", answer.text());
}

#[test]
fn requests_in_a_row_are_answered_in_a_row() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut bytes = Vec::new();
    for n in 0..50 {
        bytes.extend(request("POST", "/v1/main/append/a", &[], format!("{{\"n\":{n}}}").as_bytes()));
        bytes.extend(request("GET", &format!("/v1/main/events/{n}"), &[], b""));
    }
    client.send(&bytes);
    for n in 0..50 {
        assert_eq!(client.answer(false).json()["position"], n);
        assert_eq!(client.answer(false).json()["data"]["n"], n);
    }
}
