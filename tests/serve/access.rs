//! Who may do what: each route, as each role.

use super::server::{Server, sanctum};

fn token(folder: &std::path::Path, name: &str, more: &[&str]) -> String {
    let output = sanctum(folder, &[&["token", "add", name], more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    format!("Bearer {}", String::from_utf8(output.stdout).unwrap().trim())
}

#[test]
fn each_route_takes_the_roles_that_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let roles = ["read", "append", "admin"];
    let tokens: Vec<_> = roles.iter().map(|role| token(folder.path(), role, &["--role", role])).collect();
    let elsewhere = token(folder.path(), "elsewhere", &["--role", "admin", "--plane", "other"]);
    let server = Server::start_in(folder, &["--listen", "127.0.0.1:0"]);
    let document = server.client().get("/v1/openapi.json").json();
    let mut client = server.tcp();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let concrete = path.replace("{plane}", "main").replace(['{', '}'], "");
        for (method, operation) in operations.as_object().unwrap() {
            let needed = operation["x-role"]
                .as_str()
                .map(|role| roles.iter().position(|known| *known == role).unwrap());
            let method = method.to_uppercase();
            let mut status = |authorization: Option<&str>| {
                let headers: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
                let body: &[u8] = if method == "GET" || method == "DELETE" { b"" } else { b"{}" };
                client.ask(&method, &concrete, &headers, body).status
            };
            let Some(needed) = needed else {
                assert_ne!(status(None), 401, "{method} {path} is for all");
                continue;
            };
            for wrong in [None, Some("Bearer sanctum_0"), Some("Basic eDp5"), Some("Bearer")] {
                assert_eq!(status(wrong), 401, "{method} {path} with {wrong:?}");
            }
            for (role, token) in tokens.iter().enumerate() {
                let status = status(Some(token));
                assert_eq!(status == 403, role < needed, "{method} {path} as {}: {status}", roles[role]);
                assert_ne!(status, 401);
            }
            if path != "/metrics" {
                assert_eq!(status(Some(&elsewhere)), 403, "{method} {path} with a token of another plane");
            }
        }
    }
    assert_eq!(server.client().post("/v1/main/append/a", "{}").status, 201, "the socket needs no token");
}

#[test]
fn a_token_that_is_taken_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = token(folder.path(), "first", &["--role", "read"]);
    token(folder.path(), "second", &["--role", "read"]);
    let server = Server::start_in(folder, &["--listen", "127.0.0.1:0"]);
    let mut client = server.tcp();
    let headers = [("authorization", first.as_str())];
    assert_eq!(client.ask("GET", "/v1/main/topics", &headers, b"").status, 200);
    let list = String::from_utf8(server.sanctum(&["token", "list"]).stdout).unwrap();
    assert!(
        list.contains("\"name\":\"first\",\"role\":\"read\"")
            && !list.contains(first.trim_start_matches("Bearer "))
    );
    assert!(server.sanctum(&["token", "remove", "first"]).status.success());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while client.ask("GET", "/v1/main/topics", &headers, b"").status != 401 {
        assert!(std::time::Instant::now() < deadline, "it is still taken");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn without_tokens_only_this_machine_asks() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let mut client = server.tcp();
    assert_eq!(client.post("/v1/main/append/a", "{}").status, 201);
    let origin = |client: &mut super::client::Client, origin| {
        client.ask("GET", "/", &[("origin", origin)], b"").status
    };
    assert_eq!(origin(&mut client, "http://localhost:3000"), 200);
    for page in ["https://example.org", "null", "https://localhost.example.org"] {
        assert_eq!(origin(&mut client, page), 403, "{page}");
    }
    assert_eq!(client.post("/v1/main/faults/0/release", "").code(), "forbidden");
    assert_eq!(
        client.post("/local/main", "").code(),
        "no_route",
        "what commands ask is for the socket alone"
    );
    assert_eq!(server.client().post("/local/main", "{}").code(), "invalid_body");
    client.send(b"GET / HTTP/1.1\r\nhost: rebound.example.org\r\n\r\n");
    assert_eq!(client.answer(false).code(), "forbidden");
}
