//! A server in a folder of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::Client;

pub struct Server {
    process: Child,
    pub folder: TempDir,
    /// The TCP address, if it has one.
    pub address: Option<String>,
    listening: Option<JoinHandle<()>>,
}

pub fn sanctum(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
    command.args(arguments).args(["--data", "data"]).current_dir(folder).stdin(Stdio::null());
    command.output().unwrap()
}

impl Server {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments)
    }

    pub fn start_in(folder: TempDir, arguments: &[&str]) -> Self {
        Self::start_as(folder, arguments, &[])
    }

    /// With variables of its environment.
    pub fn start_as(folder: TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::spawn(folder, arguments, variables, Box::new(std::io::sink()))
    }

    /// What it says after its first line goes to a file.
    pub fn start_logged(folder: TempDir, arguments: &[&str], log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        Self::spawn(folder, arguments, &[], Box::new(log))
    }

    fn spawn(
        folder: TempDir,
        arguments: &[&str],
        variables: &[(&str, &str)],
        mut log: Box<dyn std::io::Write + Send>,
    ) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sanctum"))
            .args(["serve", "--data", "data"])
            .args(if arguments.contains(&"--durability") { &[][..] } else { &["--durability", "os"] })
            .args(arguments)
            .envs(variables.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on "), "{line}");
        let address = line.split("://").nth(1).map(|address| address.trim().to_owned());
        // What else it says is not to stop it.
        let listening = std::thread::spawn(move || drop(std::io::copy(&mut stderr, &mut log)));
        Self { process, folder, address, listening: Some(listening) }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("data/sanctum.sock")
    }

    pub fn client(&self) -> Client {
        Client::unix(&self.socket())
    }

    pub fn tcp(&self) -> Client {
        Client::tcp(self.address.as_deref().unwrap())
    }

    /// Another command on the same folder.
    pub fn sanctum(&self, arguments: &[&str]) -> Output {
        sanctum(self.folder.path(), arguments)
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits for the end: the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not end");
    }

    /// Stops it, and gives its folder back.
    pub fn stop(mut self) -> TempDir {
        self.signal("-TERM");
        assert_eq!(self.wait(), Some(0));
        self.listening.take().map(JoinHandle::join);
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
