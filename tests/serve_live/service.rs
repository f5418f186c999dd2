//! A server with files of its own in a folder of its own: for what runesets have it do beside running spells.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::client::Client;

pub struct Service {
    process: Child,
    folder: TempDir,
    /// Addresses that it listens on by TCP, in order.
    pub addresses: Vec<String>,
    stdout: Arc<Mutex<Vec<String>>>,
}

/// A folder with these files.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// What the server says that does not start: exit code and standard error.
pub fn refused(files: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let folder = folder(files);
    let output = command(folder.path(), arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
    command.args(["serve", "--data", "data", "--durability", "os"]).args(arguments);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// Waits until something is there.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Service {
    pub fn start(files: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::start_in(folder(files), arguments)
    }

    pub fn start_in(folder: TempDir, arguments: &[&str]) -> Self {
        let mut service = Self::unread_in(folder, arguments);
        let (lines, stdout) = (service.stdout.clone(), service.process.stdout.take().unwrap());
        std::thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| lines.lock().unwrap().push(line));
        });
        service
    }

    /// One whose standard output nobody reads, though it is open.
    pub fn unread_in(folder: TempDir, arguments: &[&str]) -> Self {
        let mut command = command(folder.path(), arguments);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let (mut line, mut said) = (String::new(), String::new());
        while !line.starts_with("listening on ") {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "the server did not start: {said}");
            said.push_str(&line);
        }
        let addresses = line.split("://").skip(1);
        let addresses = addresses.map(|rest| rest.split_whitespace().next().unwrap().to_owned()).collect();
        // What else it says is not to stop it.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Self { process, folder, addresses, stdout: Arc::default() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn client(&self) -> Client {
        Client::unix(&self.path("data/sanctum.sock"))
    }

    /// A client of the address that it listens on last.
    pub fn web(&self) -> Client {
        Client::tcp(self.addresses.last().unwrap())
    }

    /// What it printed so far.
    pub fn printed(&self) -> Vec<String> {
        self.stdout.lock().unwrap().clone()
    }

    /// All energies of a topic.
    pub fn energies(&self, topic: &str) -> Vec<Value> {
        self.client().get(&format!("/v1/main/events?topic={topic}")).lines()
    }

    /// Waits for so many energies of a topic, and gives the data of all.
    pub fn await_topic(&self, topic: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{topic}: {count}"), || {
            let found = self.energies(topic);
            (found.len() >= count).then(|| found.into_iter().map(|event| event["data"].clone()).collect())
        })
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Its exit code, once it has ended.
    pub fn try_end(&mut self) -> Option<Option<i32>> {
        self.process.try_wait().unwrap().map(|status| status.code())
    }

    /// Ends it, and gives its folder and exit code.
    pub fn end(mut self, signal: &str) -> (TempDir, Option<i32>) {
        self.signal(signal);
        let code = self.process.wait().unwrap().code();
        (std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap()), code)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        // Whoever it started is to end with it.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        for _ in 0..500 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
