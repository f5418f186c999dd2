//! Commands beside a server: every verb works on a folder that is served as on one that is not.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../serve/client.rs"]
#[allow(dead_code)]
mod client;
mod ending;
mod running;
#[path = "../serve/server.rs"]
#[allow(dead_code)]
mod server;
mod table;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The binary in a folder, whose log is in `data`.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
    command.args(arguments).args(["--data", "data"]).current_dir(folder);
    for name in ["COLUMNS", "SANCTUM_LOG", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn run(folder: &Path, arguments: &[&str], stdin: &str) -> Ran {
    let mut child = command(folder, arguments).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // A command that reads nothing may have ended.
    let _ = input.write_all(stdin.as_bytes());
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
