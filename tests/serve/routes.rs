//! The document says what there is, and what it says is there.

use super::server::Server;

/// A request that fits a path of the document.
fn concrete(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{plane}" => "main",
        "{place}" => "0",
        "{topic}" | "{spell}" | "{bucket}" | "{key}" => "a",
        // Both a topic and an energy, in the short form.
        "{name}" => "0",
        "{digest}" => "0000000000000000000000000000000000000000000000000000000000000000",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_documented_route_answers() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.post("/v1/main/append/0", "{}");
    let document = client.get("/v1/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut seen = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let body: &[u8] = if method == "GET" || method == "DELETE" { b"" } else { b"{}" };
            let answer = client.ask(&method, &concrete(path), &[("content-type", "application/json")], body);
            let is_missing = answer.status >= 400
                && ["no_route", "method_not_allowed", "no_plane", "internal"]
                    .contains(&answer.code().as_str());
            assert!(!is_missing, "{method} {path}: {}", answer.text());
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen}");
    for path in ["/v1/main", "/v1/main/nothing", "/v1/main/events/1/2", "/a/b"] {
        assert_eq!(client.get(path).code(), "no_route", "{path}");
    }
    let answer = client.ask("PATCH", "/v1/main/events", &[], b"");
    assert_eq!((answer.code().as_str(), answer.header("allow")), ("method_not_allowed", Some("GET,HEAD")));
}

#[test]
fn what_spells_did_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let spell = "return { topic = 'n', fault = 'quarantine', cast = function(event)\n\
                 if event.n == 2 then error('two') end\n state.total = (state.total or 0) + event.n end }";
    std::fs::write(folder.path().join("sum.lua"), spell).unwrap();
    std::fs::write(folder.path().join("n.ndjson"), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n").unwrap();
    let arguments = ["cast", "sum.lua", "--seed", "n.ndjson", "--topic", "n"];
    super::server::sanctum(folder.path(), &arguments);
    let server = Server::start_in(folder, &[]);
    let mut client = server.client();
    let spells = client.get("/v1/main/spells").lines();
    assert_eq!((&spells[0]["spell"], &spells[0]["faults"]), (&"sum".into(), &1.into()), "{spells:?}");
    assert_eq!(client.get("/v1/main/state/sum?key=total").json()["value"], 4);
    assert_eq!(client.get("/v1/main/state/sum").lines()[0]["key"], "total");
    assert_eq!(client.get("/v1/main/state/sum?key=none").code(), "not_found");
    assert_eq!(client.get("/v1/main/state/nobody").code(), "not_found");
    let fault = client.get("/v1/main/faults").lines()[0].clone();
    let path = format!("/v1/main/faults/{}", fault["position"]);
    assert_eq!(client.get(&path).json()["energy"]["data"]["n"], 2);
    assert_eq!(client.post(&format!("{path}/release"), "").json()["status"], "to be released");
    assert_eq!(client.post(&format!("{path}/discard"), "").json()["status"], "discarded");
    assert!(client.get("/v1/main/faults").lines().is_empty());
    assert_eq!(client.get("/v1/main/faults?all&spell=sum").lines().len(), 1);
    assert_eq!(client.get("/v1/main/faults/0").code(), "not_found");
}

#[test]
fn the_numbers_are_for_prometheus() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.post("/v1/main/append/a?expect=none", "{}");
    client.post("/v1/main/append/a?expect=none", "{}");
    let text = client.get("/metrics");
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "sanctum_http_requests_total{method=\"POST\",route=\"/v1/{plane}/append/{topic}\",status=\"2xx\"} 1",
        "sanctum_appended_total 1",
        "sanctum_append_conflicts_total 1",
        "sanctum_log_head{plane=\"main\"} 1",
    ] {
        assert!(text.text().lines().any(|known| known == line), "{line} in {}", text.text());
    }
}
