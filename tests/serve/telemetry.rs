//! Spans, as a collector receives them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::server::Server;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const COPY: &str =
    r#"return { topic = "in", cast = function(e) return { ["$topic"] = "out", n = e.n } end }"#;

/// A collector that takes all, and what was posted to it.
struct Collector {
    address: String,
    posts: Receiver<Value>,
    spans: Vec<Value>,
}

impl Collector {
    fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn on(listener: TcpListener) -> Self {
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, posts) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                take(stream.unwrap(), &sender);
            }
        });
        Self { address, posts, spans: Vec::new() }
    }

    /// The first span that is as it should be; it may be still to come.
    fn await_span(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(span) = self.spans.iter().find(|span| is_wanted(span)) {
                return span.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let post = self.posts.recv_timeout(left);
            let post = post.unwrap_or_else(|_| panic!("no such span in {:#?}", self.spans));
            let resource = &post["resourceSpans"][0];
            assert_eq!(attribute(&resource["resource"], "service.name"), "shop", "{post}");
            self.spans.extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().iter().cloned());
        }
    }

    fn await_named(&mut self, name: &str) -> Value {
        self.await_span(|span| span["name"] == name)
    }
}

/// Takes the one request of a connection.
fn take(stream: TcpStream, posts: &Sender<Value>) {
    let mut stream = BufReader::new(stream);
    let (mut head, mut len) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        len = line.strip_prefix("content-length: ").map_or(len, |text| text.parse().unwrap());
        head.push(line);
    }
    assert_eq!(head[0], "post /v1/traces http/1.1");
    assert!(head.contains(&"content-type: application/json".to_owned()), "{head:?}");
    let mut body = vec![0; len];
    stream.read_exact(&mut body).unwrap();
    let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    stream.get_mut().write_all(answer).unwrap();
    // A test that has seen enough hears no more.
    let _ = posts.send(serde_json::from_slice(&body).unwrap());
}

/// An attribute of a span or a resource, whatever its type; OTLP writes integers as text.
fn attribute(of: &Value, key: &str) -> String {
    let all = of["attributes"].as_array().unwrap();
    let found = all.iter().find(|attribute| attribute["key"] == key);
    let value = &found.unwrap_or_else(|| panic!("no {key}: {of:#}"))["value"];
    let value = value.as_object().unwrap().values().next().unwrap();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A folder whose runeset names the collector, and its spell.
fn folder_for(collector: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("copy.lua"), COPY).unwrap();
    let runeset =
        format!("spells: [ {{ path: copy.lua }} ]\ntelemetry: {{ otlp: \"{collector}/\", name: shop }}\n");
    std::fs::write(folder.path().join("runeset.yaml"), runeset).unwrap();
    folder
}

/// The value of a metric.
fn metric(server: &Server, name: &str) -> u64 {
    let text = server.client().get("/metrics");
    let line = text.text().lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name}")).trim().parse().unwrap()
}

#[test]
fn a_collector_is_told_of_requests_appends_and_rounds() {
    let mut collector = Collector::start();
    let server = Server::start_in(folder_for(&collector.address), &["runeset.yaml"]);
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", parent.as_str()), ("content-type", "application/x-ndjson")];
    let posted = server.client().ask("POST", "/v1/main/append/in", &headers, b"{\"n\":1}\n{\"n\":2}\n");
    assert_eq!(posted.status, 201);
    let request = collector.await_named("POST /v1/{plane}/append/{topic}");
    assert_eq!((&request["traceId"], &request["parentSpanId"]), (&TRACE.into(), &PARENT.into()));
    assert_eq!(request["kind"], 2, "it is a server's: {request:#}");
    assert_eq!(attribute(&request, "http.request.method"), "POST");
    assert_eq!(attribute(&request, "http.route"), "/v1/{plane}/append/{topic}");
    assert_eq!(attribute(&request, "url.path"), "/v1/main/append/in");
    assert_eq!(attribute(&request, "http.response.status_code"), "201");
    let append = collector.await_named("append");
    assert_eq!((&append["traceId"], &append["parentSpanId"]), (&TRACE.into(), &request["spanId"]));
    assert_eq!(attribute(&append, "sanctum.energies"), "2");
    let round =
        collector.await_span(|span| span["name"] == "round" && attribute(span, "sanctum.casts") == "2");
    assert_eq!(attribute(&round, "sanctum.plane"), "main");
    let number = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    assert!(number(&round, "endTimeUnixNano") >= number(&round, "startTimeUnixNano"), "{round:#}");
    drop(server.stop());
}

#[test]
fn a_parent_that_makes_no_sense_is_none_and_one_that_is_not_sampled_is_heeded() {
    let mut collector = Collector::start();
    let server = Server::start_in(folder_for(&collector.address), &["runeset.yaml"]);
    let mut client = server.client();
    for (parent, path) in [
        (format!("00-{TRACE}-{PARENT}-00"), "/v1/main/topics"),
        ("00-".to_owned() + &"0".repeat(32) + "-" + PARENT + "-01", "/v1/main/append/zero"),
        ("x".repeat(5_000), "/v1/main/append/text"),
        (format!("00-{TRACE}-{PARENT}"), "/v1/main/append/short"),
    ] {
        let method = if path.ends_with("topics") { "GET" } else { "POST" };
        let answer = client.ask(method, path, &[("traceparent", &parent)], b"");
        assert!(answer.status < 500, "{answer:?}");
    }
    assert_eq!(client.get("/nothing/here/at/all").status, 404);
    assert_eq!(client.get("/healthz").status, 200);
    collector.await_named("GET /healthz");
    for path in ["zero", "text", "short"] {
        let span = collector.await_span(|span| attribute(span, "url.path").ends_with(path));
        assert_ne!(span["traceId"], TRACE);
        assert!(matches!(span["parentSpanId"].as_str(), None | Some("")), "{span:#}");
    }
    assert!(collector.spans.iter().all(|span| span["name"] != "GET /v1/{plane}/topics"));
    drop(server.stop());
}

#[test]
fn a_server_goes_on_without_its_collector_and_says_so_once() {
    // A port that nobody listens on, until somebody does.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let folder = folder_for(&format!("http://{address}"));
    let log = folder.path().join("log");
    let server = Server::start_logged(folder, &["runeset.yaml", "--log-format", "json"], &log);
    let deadline = Instant::now() + Duration::from_secs(30);
    for wanted in [1, 2] {
        // Batches that are refused, one after the other.
        let before = metric(&server, "sanctum_spans_dropped_total ");
        while metric(&server, "sanctum_spans_dropped_total ") == before {
            assert!(Instant::now() < deadline, "no batch was refused");
            assert_eq!(
                server.client().post("/v1/main/append/in", &format!("{{\"n\":{wanted}}}")).status,
                201
            );
        }
    }
    let mut collector = Collector::on(TcpListener::bind(address).unwrap());
    assert_eq!(server.client().post("/v1/main/append/late", "{}").status, 201);
    collector.await_span(|span| span["name"] == "append");
    while metric(&server, "sanctum_spans_sent_total ") == 0 {
        assert!(Instant::now() < deadline, "nothing is counted as sent");
    }
    let _folder = server.stop();
    let text = std::fs::read_to_string(&log).unwrap();
    let told = |what: &str| text.lines().filter(|line| line.contains(what)).count();
    assert_eq!(told("the collector takes no spans"), 1, "{text}");
    assert_eq!(told("the collector takes spans again"), 1, "{text}");
    assert!(!text.contains("otel.name") && !text.contains("sanctum.energies"), "lines have no spans: {text}");
}

#[test]
fn a_collector_that_never_answers_holds_up_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = folder_for(&format!("http://{}", listener.local_addr().unwrap()));
    let mut server = Server::start_in(folder, &["runeset.yaml"]);
    // More spans than may wait; the collector has taken a connection, and nothing else.
    let mut client = server.client();
    let deadline = Instant::now() + Duration::from_secs(120);
    while metric(&server, "sanctum_spans_dropped_total ") == 0 {
        assert!(Instant::now() < deadline, "no span was dropped");
        for _ in 0..1_000 {
            assert_eq!(client.get("/healthz").status, 200);
        }
    }
    server.signal("-TERM");
    assert_eq!(server.wait(), Some(0));
    drop(listener);
}
