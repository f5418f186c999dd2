//! Energies, appended.

use super::server::Server;

#[test]
fn one_energy_gets_a_receipt() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let answer = client.post("/v1/main/append/orders.eu?stream=o-1&tag=a=b&expect=none", r#"{"amount":70}"#);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let receipt = answer.json();
    assert_eq!(
        (&receipt["position"], &receipt["stream"], &receipt["version"]),
        (&0.into(), &"o-1".into(), &0.into())
    );
    let event = client.get("/v1/main/events/0").json();
    assert_eq!(event["id"], receipt["id"]);
    assert_eq!(
        (&event["topic"], &event["tags"]["a"], &event["data"]["amount"]),
        (&"orders.eu".into(), &"b".into(), &70.into())
    );
    let by_id = client.get(&format!("/v1/main/events/{}", receipt["id"].as_str().unwrap()));
    assert_eq!(by_id.json(), event);
}

#[test]
fn keys_of_the_energy_go_before_the_query() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.post(
        "/v1/main/append/a?stream=s&tag=x=1",
        r#"{"$topic":"b","$stream":"t","$tags":{"x":"2"},"n":1}"#,
    );
    let event = client.get("/v1/main/events/0").json();
    assert_eq!(
        (&event["topic"], &event["stream"], &event["tags"]["x"]),
        (&"b".into(), &"t".into(), &"2".into())
    );
}

#[test]
fn a_batch_is_one_commit() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let ndjson = [("content-type", "application/x-ndjson")];
    let answer = client.ask("POST", "/v1/main/append/many", &ndjson, b"{\"n\":1}\n{\"n\":2}\n\n{\"n\":3}");
    assert_eq!((answer.status, answer.json().as_array().unwrap().len()), (201, 3));
    // One line of three is bad: none is stored.
    let answer = client.ask("POST", "/v1/main/append/many", &ndjson, b"{\"n\":4}\n{\"n\":\n{\"n\":6}\n");
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_body"));
    assert_eq!(answer.json()["line"], 2);
    // The second does not fit the first: none is stored.
    let body = b"{\"$stream\":\"s\",\"n\":1}\n{\"$stream\":\"s\",\"$expect\":\"none\",\"n\":2}\n";
    let answer = client.ask("POST", "/v1/main/append/many", &ndjson, body);
    assert_eq!((answer.status, answer.code().as_str()), (409, "version_conflict"));
    assert_eq!((&answer.json()["index"], &answer.json()["stream"]), (&1.into(), &"s".into()));
    let answer = client.post("/v1/main/append/many", r#"[{"n":7},{"n":8}]"#);
    assert_eq!(answer.json().as_array().unwrap().len(), 2);
    let msgpack = [("content-type", "application/msgpack")];
    let answer = client.ask("POST", "/v1/main/append/many", &msgpack, b"\x81\xa1n\x09\x81\xa1n\x0a");
    assert_eq!(answer.json().as_array().unwrap().len(), 2, "{}", answer.text());
    let numbers: Vec<_> =
        client.get("/v1/main/events").lines().iter().map(|event| event["data"]["n"].clone()).collect();
    assert_eq!(numbers, [1, 2, 3, 7, 8, 9, 10]);
}

#[test]
fn conflicts_say_what_is_there() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.post("/v1/main/append/seats.booked?stream=s&tag=seat=12A", "{}");
    client.post("/v1/main/append/seats.booked?stream=s", "{}");
    let answer = client.post("/v1/main/append/x?stream=s&expect=0", "{}");
    assert_eq!((answer.status, answer.code().as_str()), (409, "version_conflict"));
    assert_eq!((&answer.json()["actual"], &answer.json()["expected"]), (&1.into(), &0.into()));
    let unless = "/v1/main/append/seats.booked?unless-topic=seats.booked&unless-tag=seat=12A";
    let answer = client.post(unless, "{}");
    assert_eq!((answer.status, answer.code().as_str()), (409, "condition_failed"));
    assert_eq!(answer.json()["position"], 0);
    assert_eq!(client.post(&format!("{unless}&unless-after=0"), "{}").status, 201);
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let path = format!("/v1/main/append/x?id={id}");
    let first = client.post(&path, r#"{"a":1}"#).json();
    assert_eq!(client.post(&path, r#"{"a":1}"#).json(), first, "a retry is given the first receipt");
    let answer = client.post(&path, r#"{"a":2}"#);
    assert_eq!((answer.status, answer.code().as_str()), (409, "id_conflict"));
    assert_eq!(answer.json()["position"], first["position"]);
}

#[test]
fn effects_know_their_cause() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let cause = client.post("/v1/main/append/a", "{}").json()["id"].as_str().unwrap().to_owned();
    client.post(&format!("/v1/main/append/b?causation={cause}"), "{}");
    let trace = client.get("/v1/main/trace/0").json();
    assert_eq!(trace["descendants"][0]["topic"], "b");
    assert_eq!(trace["descendants"][0]["causation"], cause);
    let answer = client.post("/v1/main/append/b?causation=01890a5d-ac96-774b-bcce-b302099a8057", "{}");
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
}

#[test]
fn what_is_no_energy_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (path, body, status, code) in [
        ("/v1/main/append/a", "", 400, "invalid_body"),
        ("/v1/main/append/a", "[1]", 400, "invalid_body"),
        ("/v1/main/append/a", "7", 400, "invalid_body"),
        ("/v1/main/append/a", "{} {}", 400, "invalid_body"),
        ("/v1/main/append/a", r#"{"$position":1}"#, 400, "invalid_body"),
        ("/v1/main/append/a", r#"{"$topic":"sanctum.fault"}"#, 400, "invalid_body"),
        ("/v1/main/append/sanctum.fault", "{}", 403, "reserved_topic"),
        ("/v1/main/append/a..b", "{}", 400, "invalid_topic"),
        ("/v1/main/append/a%20b", "{}", 400, "invalid_topic"),
        ("/v1/main/append/a?expect=often", "{}", 400, "invalid_parameter"),
        ("/v1/main/append/a?ttl=later", "{}", 400, "invalid_parameter"),
        ("/v1/main/append/a?tag=x", "{}", 400, "invalid_parameter"),
        ("/v1/main/append/a?stream=a&stream=b", "{}", 400, "invalid_parameter"),
        ("/v1/main/append/a?strem=a", "{}", 400, "invalid_parameter"),
        ("/v1/main/append/a?unless-after=3", "{}", 400, "invalid_parameter"),
        ("/v1/main/append/a?id=01890a5d-ac96-774b-bcce-b302099a8057", "[{},{}]", 400, "invalid_parameter"),
        ("/v1/none/append/a", "{}", 404, "no_plane"),
    ] {
        let answer = client.post(path, body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path} {body}: {}",
            answer.text()
        );
    }
    let xml = [("content-type", "text/xml")];
    let answer = client.ask("POST", "/v1/main/append/a", &xml, b"<a/>");
    assert_eq!((answer.status, answer.code().as_str()), (415, "unsupported_media_type"));
    assert_eq!(client.get("/v1/main/events").body, b"");
}

#[test]
fn appenders_share_one_order() {
    let server = Server::start(&["--durability", "commit"]);
    std::thread::scope(|scope| {
        for name in 0..8 {
            let mut client = server.client();
            scope.spawn(move || {
                for version in 0..50 {
                    let receipt = client.post(&format!("/v1/main/append/t?stream=s{name}"), "{}").json();
                    assert_eq!(receipt["version"], version);
                }
            });
        }
    });
    let events = server.client().get("/v1/main/events").lines();
    assert_eq!(events.len(), 400);
    assert!(events.iter().enumerate().all(|(at, event)| event["position"] == at));
}
