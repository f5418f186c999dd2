//! A server on a folder of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::Client;

pub struct Server {
    process: Child,
    pub folder: TempDir,
}

impl Server {
    pub fn start(folder: TempDir) -> Self {
        let spells = folder.path().join("spells").is_dir().then_some("spells");
        let mut process = Command::new(env!("CARGO_BIN_EXE_sanctum"))
            .args(["serve", "--data", "data", "--durability", "os"])
            .args(spells)
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

    pub fn with(spells: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("spells")).unwrap();
        for (name, source) in spells {
            std::fs::write(folder.path().join(format!("spells/{name}.lua")), source).unwrap();
        }
        Self::start(folder)
    }

    /// Memory that it takes.
    pub fn resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    }

    /// With nothing to run.
    pub fn empty() -> Self {
        Self::start(tempfile::tempdir().unwrap())
    }

    /// Writes a file in its folder.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs a command in its folder.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sanctum"))
            .args(arguments)
            .args(["--data", "data"])
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub fn spell(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("spells/{name}.lua"))
    }

    pub fn client(&self) -> Client {
        Client::unix(&self.folder.path().join("data/sanctum.sock"))
    }

    pub fn append(&self, numbers: std::ops::Range<i64>) {
        let mut client = self.client();
        for number in numbers {
            assert_eq!(client.post("/v1/main/append/in", &json!({ "n": number }).to_string()).status, 201);
        }
    }

    pub fn of_topic(&self, topic: &str) -> Vec<Value> {
        let events = self.client().get(&format!("/v1/main/events?topic={topic}")).lines();
        events.into_iter().map(|event| event["data"].clone()).collect()
    }

    pub fn await_topic(&self, topic: &str, count: usize) -> Vec<Value> {
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
    pub fn end(mut self, signal: &str) -> (TempDir, Option<i32>) {
        self.signal(signal);
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
