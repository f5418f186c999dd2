//! Content by digest, and the short form.

use super::server::Server;

#[test]
fn content_comes_back_as_it_went() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    for bytes in [b"".to_vec(), b"small".to_vec(), large] {
        let answer = client.ask("POST", "/v1/main/blobs", &[], &bytes);
        assert_eq!((answer.status, &answer.json()["bytes"]), (201, &bytes.len().into()));
        let digest = answer.json()["digest"].as_str().unwrap().to_owned();
        let answer = client.get(&format!("/v1/main/blobs/{digest}"));
        assert!(answer.status == 200 && answer.body == bytes);
        let head = client.ask("HEAD", &format!("/cas/{digest}"), &[], b"");
        assert_eq!(head.header("content-length"), Some(bytes.len().to_string().as_str()));
    }
    assert_eq!(client.get(&format!("/v1/main/blobs/{}", "0".repeat(64))).code(), "not_found");
    assert_eq!(client.get("/v1/main/blobs/zz").code(), "invalid_parameter");
}

#[test]
fn a_body_that_breaks_off_is_no_content() {
    let server = Server::start(&[]);
    let mut rude = server.client();
    rude.send(b"POST /v1/main/blobs HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nabc");
    drop(rude);
    let mut client = server.client();
    assert_eq!(client.ask("POST", "/v1/main/blobs", &[], b"abc").status, 201, "the store goes on");
}

#[test]
fn the_short_form_is_for_hands() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let meta = [("xs-meta", r#"{"author":"me","n":7}"#)];
    let receipt = client.ask("POST", "/notes", &meta, br#"{"text":"hello"}"#).json();
    let event = client.get(&format!("/{}", receipt["id"].as_str().unwrap())).json();
    assert_eq!(
        (&event["data"]["text"], &event["tags"]["author"], &event["tags"]["n"]),
        (&"hello".into(), &"me".into(), &"7".into())
    );
    // What is no object is content.
    client.ask("POST", "/notes", &[], b"just text");
    let event = client.get("/1").json();
    let content = event["content"].as_str().unwrap();
    assert_eq!(client.get(&format!("/cas/{content}")).body, b"just text");
    client.ask("POST", "/notes", &[("xs-meta", "eyJhIjoiYiJ9")], b"");
    let event = client.get("/2").json();
    assert_eq!((&event["data"], &event["tags"]["a"]), (&serde_json::json!({}), &"b".into()));
    assert_eq!(client.get("/").lines().len(), 3);
    assert_eq!(client.get("/?last=1").lines().len(), 1);
    assert_eq!(client.ask("POST", "/notes", &[("xs-meta", "nonsense!")], b"").code(), "invalid_header");
    assert_eq!(client.ask("POST", "/sanctum.x", &[], b"").code(), "reserved_topic");
    assert_eq!(client.get("/nothing-here").code(), "invalid_parameter");
}
