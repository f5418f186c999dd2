//! The command line from outside: the binary over temporary folders.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "cli/append.rs"]
mod append;
#[path = "cli/apps.rs"]
mod apps;
#[path = "cli/blob.rs"]
mod blob;
#[path = "cli/care.rs"]
mod care;
#[path = "cli/cast.rs"]
mod cast;
#[path = "cli/golden.rs"]
mod golden;
#[path = "cli/profile.rs"]
mod profile;
#[path = "cli/project.rs"]
mod project;
#[path = "cli/reading.rs"]
mod reading;
#[path = "cli/replay.rs"]
mod replay;
#[path = "cli/restart.rs"]
mod restart;
#[path = "cli/spells.rs"]
mod spells;
#[path = "cli/texts.rs"]
mod texts;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A temporary folder with files in it, and the binary to run there.
pub struct Place {
    folder: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub bytes: Vec<u8>,
}

impl Ran {
    /// For snapshots.
    pub fn text(&self) -> String {
        format!("exit {}\n-- stdout\n{}-- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

impl Place {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for (path, text) in files {
            place.write(path, text);
        }
        place
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }

    pub fn has(&self, path: &str) -> bool {
        self.path().join(path).exists()
    }

    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
        command.args(arguments.split_whitespace()).current_dir(self.path());
        for name in ["COLUMNS", "SANCTUM_PATH", "SANCTUM_LOG", "XDG_DATA_HOME", "NO_COLOR"] {
            command.env_remove(name);
        }
        command.env("HOME", self.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &str) -> Ran {
        ran(self.command(arguments).output().unwrap())
    }

    pub fn run_with(&self, arguments: &str, stdin: &str) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        ran(child.wait_with_output().unwrap())
    }
}

pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        bytes: output.stdout,
    }
}

pub const DOUBLE: &str = r#"
return {
  topic = "numbers",
  cast = function(event)
    print("double", event.n)
    return { ["$topic"] = "doubled", n = event.n * 2 }
  end,
}
"#;

pub const NUMBERS: &str = r#"{"$topic":"numbers","n":1}
{"$topic":"numbers","n":2}
{"$topic":"letters","n":3}
"#;
