//! Spells in a server.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::Client;

const COPY: &str =
    r#"return { topic = "in", cast = function(e) return { ["$topic"] = "out", n = e.n } end }"#;
const COUNT: &str = r#"return { topic = "in", cast = function(e)
  state.n = state:get("n", 0) + 1
  return { ["$topic"] = "count", n = state.n }
end }"#;

struct Server {
    process: Child,
    folder: TempDir,
}

impl Server {
    fn start(folder: TempDir) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sanctum"))
            .args(["serve", "--data", "data", "--durability", "os", "spells"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("listening on ") {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "the server did not start");
        }
        // What else it says is not to stop it.
        std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
        Self { process, folder }
    }

    fn with(spells: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("spells")).unwrap();
        for (name, source) in spells {
            std::fs::write(folder.path().join(format!("spells/{name}.lua")), source).unwrap();
        }
        Self::start(folder)
    }

    fn spell(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("spells/{name}.lua"))
    }

    fn client(&self) -> Client {
        Client::unix(&self.folder.path().join("data/sanctum.sock"))
    }

    fn append(&self, numbers: std::ops::Range<i64>) {
        let mut client = self.client();
        for number in numbers {
            assert_eq!(client.post("/v1/main/append/in", &json!({ "n": number }).to_string()).status, 201);
        }
    }

    fn of_topic(&self, topic: &str) -> Vec<Value> {
        let events = self.client().get(&format!("/v1/main/events?topic={topic}")).lines();
        events.into_iter().map(|event| event["data"].clone()).collect()
    }

    fn await_topic(&self, topic: &str, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let found = self.of_topic(topic);
            if found.len() >= count {
                return found;
            }
            assert!(Instant::now() < deadline, "{topic}: {} of {count}", found.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it, and gives its folder and exit code.
    fn end(mut self, signal: &str) -> (TempDir, Option<i32>) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let code = self.process.wait().unwrap().code();
        (std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap()), code)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn numbers(range: std::ops::Range<i64>) -> Vec<Value> {
    range.map(|number| json!({ "n": number })).collect()
}

#[test]
fn spells_draw_on_what_clients_append_and_a_kill_loses_and_repeats_nothing() {
    let mut server = Server::with(&[("copy", COPY), ("count", COUNT)]);
    for round in 0..4 {
        server.append(round * 50..round * 50 + 50);
        let (folder, _) = server.end("-KILL");
        server = Server::start(folder);
    }
    server.await_topic("count", 200);
    assert_eq!(server.await_topic("out", 200), numbers(0..200));
    assert_eq!(server.of_topic("count"), numbers(1..201));
    assert_eq!(server.of_topic("sanctum.spell.bound").len(), 2, "they are the same spells");
    let (folder, code) = server.end("-TERM");
    assert_eq!(code, Some(0));
    let server = Server::start(folder);
    server.append(200..201);
    assert_eq!(server.await_topic("count", 201).last(), Some(&json!({ "n": 201 })));
}

#[test]
fn a_changed_spell_is_loaded_and_a_bad_one_refused() {
    let server = Server::with(&[("copy", COPY)]);
    server.append(0..1);
    server.await_topic("out", 1);
    std::fs::write(server.spell("copy"), "return {").unwrap();
    let refused = server.await_topic("sanctum.spell.refused", 1);
    assert!(refused[0]["report"].as_str().unwrap().contains("copy.lua"), "{refused:?}");
    server.append(1..2);
    assert_eq!(server.await_topic("out", 2), numbers(0..2), "the old one goes on");
    std::fs::write(server.spell("copy"), COPY.replace("e.n }", "e.n * 10 }")).unwrap();
    let bound = server.await_topic("sanctum.spell.bound", 2);
    let source = server.client().get(&format!("/v1/main/blobs/{}", bound[1]["hash"].as_str().unwrap()));
    assert!(source.text().contains("e.n * 10"), "history has the source");
    server.append(2..3);
    assert_eq!(server.await_topic("out", 3)[2], json!({ "n": 20 }));
    std::fs::remove_file(server.spell("copy")).unwrap();
    std::fs::write(server.spell("count"), COUNT).unwrap();
    assert_eq!(server.await_topic("sanctum.spell.unbound", 1), [json!({ "spell": "copy" })]);
    server.append(3..4);
    assert_eq!(server.await_topic("count", 1), numbers(1..2));
    assert_eq!(server.of_topic("out").len(), 3);
}

#[test]
fn a_spell_that_faults_takes_no_server_down() {
    let bad = r#"return { topic = "in", cast = function(e) return nil + e.n end }"#;
    let stopping = bad.replace("return {", "return { fault = \"stop\",");
    let server = Server::with(&[("bad", bad), ("copy", COPY), ("stopping", &stopping)]);
    server.append(0..3);
    assert_eq!(server.await_topic("out", 3), numbers(0..3));
    let stopped = server.await_topic("sanctum.spell.stopped", 1);
    assert_eq!((stopped.len(), &stopped[0]["spell"]), (1, &json!("stopping")));
    assert_eq!(server.await_topic("sanctum.fault", 3).len(), 3, "who does not say stop is quarantined");
    assert_eq!(server.end("-TERM").1, Some(0));
}
