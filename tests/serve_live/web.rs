//! HTTP requests that spells answer.

use serde_json::json;

use super::client::{Client, request};
use super::service::{Service, eventually, refused};

const FACE: &[&str] = &["--http", "127.0.0.1:0", "spells"];

const ECHO: &str = r#"return { topic = "http.request", cast = function(request, envelope)
  local body = request.body
  if envelope.content then body = "content of " .. #blob.get(envelope.content) end
  return { ["$topic"] = "http.response", headers = { ["X-Spell"] = "echo" }, body = {
    method = request.method, path = request.path, query = request.query, body = body,
    host = request.headers.host, twice = request.headers["x-twice"],
  } }
end }"#;

#[test]
fn a_spell_answers() {
    let service = Service::start(&[("spells/echo.lua", ECHO)], FACE);
    let mut client = service.web();
    let answer = client.ask(
        "POST",
        "/a%20b/c?x=1&y=two+words&x=3&flag",
        &[("X-Twice", "one"), ("x-twice", "two")],
        b"hello",
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-spell"), Some("echo"));
    let expected = json!({
        "method": "POST", "path": "/a b/c", "body": "hello", "host": "localhost", "twice": "one, two",
        "query": { "x": ["1", "3"], "y": "two words", "flag": "" },
    });
    assert_eq!(answer.json(), expected);
    // The same connection goes on; a body that is too large for an energy is content.
    let large = client.ask("PUT", "/", &[], &vec![b'x'; 100_000]);
    assert_eq!(large.json()["body"], "content of 100000");
    let head = client.ask("HEAD", "/", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let requests = service.energies("http.request");
    assert_eq!(requests.len(), 3);
    let responses = service.energies("http.response");
    assert_eq!(responses[0]["causation"], requests[0]["id"]);
}

#[test]
fn an_answer_says_status_headers_and_body() {
    let spell = r#"
    local answers = {
      ["/none"] = { status = 204 },
      ["/text"] = { body = "text" },
      ["/bytes"] = { body = "\xff\x00" },
      ["/list"] = { status = 201, body = array{ 1, 2.5, "x" } },
      ["/page"] = { headers = { ["Content-Type"] = "text/html", ["Set-Cookie"] = { "a=1", "b=2" },
                                ["Content-Length"] = "7", ["Transfer-Encoding"] = "chunked" }, body = "<p>" },
      ["/status"] = { status = 99 },
      ["/name"] = { headers = { ["a b"] = "c" } },
      ["/split"] = { headers = { a = "b\r\nc: d" } },
      ["/passing"] = { ["$ttl"] = "ephemeral", body = "not stored" },
      ["/parts"] = { ["$ttl"] = "ephemeral", body = "not stored", more = true },
      ["/lost"] = { ["$content"] = ("0"):rep(64) },
      ["/silent"] = { status = 204, body = "nobody reads this" },
      ["/known"] = { status = 304, body = "nor this", headers = { ETag = '"1"' } },
      ["/many"] = { headers = {} },
      ["/long"] = { headers = { a = ("x"):rep(70000) } },
    }
    for number = 1, 40000 do answers["/many"].headers["x" .. number] = "" end
    return { topic = "http.request", cast = function(request)
      local answer = answers[request.path]
      if request.path == "/blob" then answer = { ["$content"] = blob.put(("blob "):rep(100000)) } end
      if answer then answer["$topic"] = "http.response" end
      return answer
    end }"#;
    let service = Service::start(
        &[("spells/answers.lua", spell), ("runeset.yaml", "http: { listen: 127.0.0.1:0, timeout: 300ms }\n")],
        &["runeset.yaml", "spells"],
    );
    let mut client = service.web();
    let none = client.get("/none");
    assert_eq!((none.status, none.body.len(), none.header("content-type")), (204, 0, None));
    for (path, status) in [("/silent", 204), ("/known", 304)] {
        client.send(&request("GET", path, &[], b""));
        let silent = client.head();
        assert_eq!((silent.status, silent.header("content-length")), (status, None), "{path} has no body");
        assert_eq!(
            (silent.header("content-type"), silent.header("transfer-encoding")),
            (None, None),
            "{path}"
        );
    }
    let text = client.get("/text");
    assert_eq!((text.text(), text.header("content-type")), ("text", Some("text/plain; charset=utf-8")));
    assert_eq!(client.get("/bytes").body, [0xff, 0]);
    let list = client.get("/list");
    assert_eq!((list.status, list.text()), (201, r#"[1,2.5,"x"]"#));
    let page = client.get("/page");
    assert_eq!((page.text(), page.header("content-type")), ("<p>", Some("text/html")));
    assert_eq!(page.header("content-length"), Some("3"), "lengths are the server's affair");
    assert_eq!(page.headers.iter().filter(|(name, _)| name == "set-cookie").count(), 2);
    let blob = client.get("/blob");
    assert_eq!((blob.body.len(), blob.header("content-length")), (500_000, Some("500000")));
    assert_eq!(client.get("/passing").text(), "not stored");
    for path in ["/status", "/name", "/split", "/lost", "/parts", "/many", "/long"] {
        let bad = client.get(path);
        assert_eq!((bad.status, bad.code().as_str()), (502, "bad_answer"), "{path}");
    }
    let nobody = client.get("/nobody");
    assert_eq!((nobody.status, nobody.code().as_str()), (504, "no_answer"));
    assert_eq!(nobody.json()["request"], service.energies("http.request").last().unwrap()["id"]);
    let metrics = service.client().get("/metrics");
    assert!(metrics.text().contains("sanctum_web_requests_total{status=\"5xx\"} 8"), "{}", metrics.text());
}

#[test]
fn an_answer_is_streamed_and_breaks_off_where_parts_are_missing() {
    let spell = r#"return { topic = "http.request", cast = function(request)
      local function part(body, more)
        return { ["$topic"] = "http.response", body = body, more = more, headers = { ["Content-Type"] = "text/event-stream" } }
      end
      if request.path == "/open" then return part("first", true) end
      local parts = {}
      for number = 1, 5000 do parts[number] = part("data: " .. number .. "\n\n", number < 5000) end
      return parts
    end, limits = { outputs = 10000 } }"#;
    let runeset = "http: { listen: 127.0.0.1:0, timeout: 500ms }\nspells: [ { path: stream.lua } ]\n";
    let service = Service::start(&[("stream.lua", spell), ("runeset.yaml", runeset)], &["runeset.yaml"]);
    let mut client = service.web();
    for _ in 0..3 {
        let whole = client.get("/whole");
        assert_eq!(whole.header("content-type"), Some("text/event-stream"));
        let expected: String = (1..=5_000).map(|number| format!("data: {number}\n\n")).collect();
        assert!(whole.text() == expected, "{} bytes", whole.body.len());
    }
    // A client may add parts, too: what it appends has the request as its cause.
    client.send(&request("GET", "/open", &[], b""));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().as_deref(), Some(&b"first"[..]));
    let id = service.energies("http.request").last().unwrap()["id"].as_str().unwrap().to_owned();
    let added =
        service.client().post(&format!("/v1/main/append/http.response?causation={id}"), r#"{"body":"last"}"#);
    assert_eq!(added.status, 201);
    assert_eq!(client.chunk().as_deref(), Some(&b"last"[..]));
    assert_eq!(client.chunk(), None);
    client.send(&request("GET", "/open", &[], b""));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().as_deref(), Some(&b"first"[..]));
    assert_eq!(client.line(), None, "it is not whole, and does not end as if it were");
}

#[test]
fn many_ask_at_the_same_time_and_each_gets_its_own_answer() {
    let service = Service::start(&[("spells/echo.lua", ECHO)], FACE);
    std::thread::scope(|scope| {
        for client in 0..16 {
            let address = service.addresses[0].clone();
            scope.spawn(move || {
                let mut wire = Client::tcp(&address);
                for number in 0..50 {
                    let path = format!("/{client}/{number}");
                    assert_eq!(wire.get(&path).json()["path"], path);
                }
            });
        }
    });
    assert_eq!(service.energies("http.request").len(), 800);
}

#[test]
fn limits_are_kept() {
    let runeset = "http:\n  listen: 127.0.0.1:0\n  body: 1KiB\nspells:\n  - path: echo.lua\n";
    let service = Service::start(&[("echo.lua", ECHO), ("runeset.yaml", runeset)], &["runeset.yaml"]);
    let large = service.web().ask("POST", "/", &[], &[b'x'; 1_025]);
    assert_eq!((large.status, large.code().as_str()), (413, "too_large"));
    let mut client = service.web();
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n800\r\n");
    client.send(&[b'x'; 0x800]);
    assert_eq!(client.answer(false).status, 413);
    let query = (0..300).map(|number| format!("a{number}=1&")).collect::<String>();
    assert_eq!(service.web().get(&format!("/?{query}")).status, 400);
    assert_eq!(service.energies("http.request").len(), 0, "what is refused is not appended");
    assert_eq!(service.web().get("/").status, 200);
    // Requests that wait are finished when the server stops.
    assert_eq!(service.end("-TERM").1, Some(0));
}

#[test]
fn files_are_served_first() {
    let service = Service::start(
        &[
            ("spells/echo.lua", ECHO),
            ("public/index.html", "<h1>home</h1>"),
            ("public/app/main.js", "let a;"),
            ("public/.secret", "secret"),
            ("public/a b.txt", "blank"),
            ("outside.txt", "outside"),
        ],
        &["--http", "127.0.0.1:0", "--http-files", "public", "spells"],
    );
    std::fs::write(service.path("public/large.bin"), vec![7; 1 << 20]).unwrap();
    std::os::unix::fs::symlink(service.path("outside.txt"), service.path("public/link.txt")).unwrap();
    std::os::unix::fs::symlink(service.path("public/.secret"), service.path("public/open.txt")).unwrap();
    let mut client = service.web();
    let home = client.get("/");
    assert_eq!(
        (home.text(), home.header("content-type")),
        ("<h1>home</h1>", Some("text/html; charset=utf-8"))
    );
    let script = client.get("/app/main.js?v=1");
    assert_eq!((script.text(), script.header("x-content-type-options")), ("let a;", Some("nosniff")));
    let tag = script.header("etag").unwrap().to_owned();
    assert_eq!(client.ask("GET", "/app/main.js", &[("if-none-match", &tag)], b"").status, 304);
    assert_eq!(client.get("/a%20b.txt").text(), "blank");
    assert_eq!(client.get("/large.bin").body.len(), 1 << 20);
    let head = client.ask("HEAD", "/large.bin", &[], b"");
    assert_eq!(head.header("content-length"), Some("1048576"));
    let part = client.ask("GET", "/large.bin", &[("range", "bytes=1048570-")], b"");
    assert_eq!((part.status, part.body.len()), (206, 6));
    assert_eq!(part.header("content-range"), Some("bytes 1048570-1048575/1048576"));
    assert_eq!(client.ask("GET", "/large.bin", &[("range", "bytes=9999999-")], b"").status, 416);
    let asked =
        ["/.secret", "/link.txt", "/open.txt", "/../outside.txt", "/%2e%2e/outside.txt", "/app", "/none"];
    for path in asked {
        assert_eq!(client.get(path).json()["method"], "GET", "{path} is left to spells");
    }
    assert_eq!(client.post("/", "{}").json()["method"], "POST");
    assert_eq!(service.energies("http.request").len(), asked.len() + 1);
}

#[test]
fn a_public_face_is_said_to_be_one() {
    let (code, said) = refused(&[], &["--http", "0.0.0.0:0"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("--http-public"), "{said}");
    let (code, said) = refused(&[], &["--http-files", "public"]);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = refused(&[], &["--http", "127.0.0.1:0", "--http-files", "public"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot serve files of `public`"), "{said}");
    let (code, said) = refused(&[], &["--http", "127.0.0.1:0", "--http-plane", "other"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("`other` is not served; served are `main`"), "{said}");
    let service =
        Service::start(&[("spells/echo.lua", ECHO)], &["--http", "0.0.0.0:0", "--http-public", "spells"]);
    let port = service.addresses[0].rsplit(':').next().unwrap().to_owned();
    let mut client = eventually("an answer", || Some(Client::tcp(&format!("127.0.0.1:{port}"))));
    assert_eq!(client.get("/").status, 200);
}
