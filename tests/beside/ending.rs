//! A server that ends while commands write through it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use serde_json::Value;

use super::server::Server;
use super::{command, run};

/// An `append` that reads lines and stays open.
struct Appending {
    child: std::process::Child,
    receipts: BufReader<std::process::ChildStdout>,
}

impl Appending {
    fn start(folder: &Path) -> Self {
        let mut child = command(folder, &["append", "a", "-"]).spawn().unwrap();
        let receipts = BufReader::new(child.stdout.take().unwrap());
        Self { child, receipts }
    }

    fn write(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    fn receipt(&mut self) -> Value {
        let mut line = String::new();
        self.receipts.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn end(mut self) -> (Option<i32>, String) {
        drop(self.child.stdin.take());
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stderr)
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_the_rest_is_said_to_be_lost() {
    let mut server = Server::start(&["--durability", "commit"]);
    let mut appending = Appending::start(server.folder.path());
    for number in 0..20 {
        appending.write(&format!("{{\"n\":{number}}}\n"));
        assert_eq!(appending.receipt()["position"], number);
    }
    server.signal("-KILL");
    server.wait();
    appending.write("{\"n\":20}\n");
    let (code, stderr) = appending.end();
    assert_eq!(code, Some(1), "{stderr}");
    let is_told =
        stderr.starts_with("error: the server that ha") && stderr.contains("what was acknowledged is stored");
    assert!(is_told && stderr.lines().count() == 1, "{stderr}");
    // Nobody serves it any more: the files are opened.
    let folder = server.folder.path();
    assert_eq!(run(folder, &["cat"], "").stdout.lines().count(), 20);
    assert_eq!(run(folder, &["append", "a", "{}"], "").code, Some(0));
}

#[test]
fn a_server_that_begins_anew_is_found_again() {
    let server = Server::start(&[]);
    let mut appending = Appending::start(server.folder.path());
    appending.write("{}\n");
    assert_eq!(appending.receipt()["position"], 0);
    let path = server.folder.path().to_owned();
    let folder = server.stop();
    // It is the same folder, under another owner.
    let server = Server::start_in(folder, &[]);
    assert_eq!(server.folder.path(), path);
    appending.write("{}\n");
    assert_eq!(appending.receipt()["position"], 1);
    assert_eq!(appending.end(), (Some(0), String::new()));
}

#[test]
fn a_command_waits_for_a_server_that_ends() {
    let server = Server::start(&[]);
    let folder = server.folder.path().to_owned();
    server.signal("-TERM");
    let ran = run(&folder, &["append", "a", "{}"], "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(run(&folder, &["topics"], "").stdout, "{\"topic\":\"a\",\"events\":1}\n");
}
