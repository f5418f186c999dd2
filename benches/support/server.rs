//! A server of its own, and what it takes.

// Each benchmark uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::wire::Address;

/// Clock ticks a second in `/proc/PID/stat`: the same on every Linux.
const TICKS: f64 = 100.0;

/// See the module. Ends with its value.
pub struct Server {
    process: Child,
    /// Removed with it.
    _own: Option<tempfile::TempDir>,
    socket: PathBuf,
    address: String,
}

impl Server {
    /// Starts one in a folder of its own; returns when it listens.
    pub fn start(arguments: &[&str]) -> io::Result<Self> {
        let own = tempfile::tempdir()?;
        let mut server = Self::start_in(own.path(), arguments)?;
        server._own = Some(own);
        Ok(server)
    }

    /// Starts one in a folder.
    pub fn start_in(folder: &Path, arguments: &[&str]) -> io::Result<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sanctum"))
            .args(["serve", "--data", "data", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = process.stderr.take().ok_or_else(|| io::Error::other("no standard error"))?;
        let mut stderr = BufReader::new(stderr);
        let mut line = String::new();
        stderr.read_line(&mut line)?;
        let Some((_, address)) = line.trim().split_once("http://") else {
            return Err(io::Error::other(format!("it does not listen: {line}")));
        };
        let address = address.split_whitespace().next().unwrap_or_default().to_owned();
        // What else it says is not to stop it.
        std::thread::spawn(move || io::copy(&mut stderr, &mut io::stderr()));
        Ok(Self { process, _own: None, socket: folder.join("data/sanctum.sock"), address })
    }

    /// Its address by TCP.
    pub fn tcp(&self) -> Address {
        Address::Tcp(self.address.clone())
    }

    /// Its Unix socket.
    pub fn unix(&self) -> Address {
        Address::Unix(self.socket.clone())
    }

    /// Seconds of CPU so far, user and system, of all its threads.
    pub fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
        // The name, in brackets, may hold blanks; fields are counted after it: state is the first.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = [11, 12].map(|at| fields.get(at).and_then(|text| text.parse::<f64>().ok()));
        ticks.iter().flatten().sum::<f64>() / TICKS
    }

    /// What is resident now, in MiB.
    pub fn resident(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default() / 1024.0
    }
}

impl Server {
    /// Ends it as a lost process ends.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
