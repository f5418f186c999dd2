//! Runs the blocks of one document.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::block::{self, Block};
use crate::root;

/// How a document starts the binary on a fresh machine.
const CARGO: &str = "cargo run --release -- ";
/// What fragments are cast on.
const ENERGY: &str = r#"{"$topic":"orders.eu","$time":1517363399650,"amount":70,"user":{"id":"u1"}}"#;
/// What the runesets of the documents name.
const STUBS: [&str; 6] = ["alerts", "report", "count", "strangers/one", "strangers/two", "clean"];

/// Runs all blocks; returns what is wrong, each with file and line.
pub fn run(document: &Path, text: &str) -> Vec<String> {
    let (blocks, _) = block::split(text);
    let page = Page::new(text);
    let mut problems = Vec::new();
    for block in &blocks {
        if let Err(problem) = page.block(block) {
            problems.push(format!("{}:{}: {problem}", document.display(), block.line));
        }
    }
    problems
}

/// The folder of a document while its blocks run.
struct Page {
    folder: TempDir,
    bin: TempDir,
}

impl Page {
    fn new(text: &str) -> Self {
        let page = Self { folder: tempfile::tempdir().unwrap(), bin: tempfile::tempdir().unwrap() };
        let binary = page.bin.path().join(format!("sanctum{}", std::env::consts::EXE_SUFFIX));
        fs::copy(env!("CARGO_BIN_EXE_sanctum"), binary).unwrap();
        if text.contains("examples/") {
            for folder in ["examples", "spells", "runesets"] {
                copy(&root().join(folder), &page.folder.path().join(folder));
            }
        }
        page
    }

    fn block(&self, block: &Block) -> Result<(), String> {
        if let Some(path) = block.word("file") {
            self.write(path, &block.text);
        }
        match block.language.as_str() {
            "lua" => self.lua(block),
            "yaml" => self.yaml(block),
            "json" | "ndjson" => self.json(block),
            "console" => self.console(&block.text),
            "sh" => self.sh(block),
            "text" => match block.word("stdout") {
                Some(name) => same(&block.text, &self.cast(name, "")?),
                None => Ok(()),
            },
            "mermaid" => Ok(()),
            other => Err(format!("a block of `{other}` is not known to tests/documents")),
        }
    }

    fn lua(&self, block: &Block) -> Result<(), String> {
        if let Some(name) = block.word("seed") {
            self.write(&format!("{name}.seed.lua"), &block.text);
            return Ok(());
        }
        if let Some(name) = block.word("spell") {
            let path = match block.word("file") {
                Some(path) => path.to_owned(),
                None => format!("{name}.lua"),
            };
            self.write(&path, &block.text);
            return self.good(&format!("sanctum check {path}")).map(drop);
        }
        if block.word("file").is_some() {
            return Ok(());
        }
        let fragment = format!("return {{ cast = function(event, envelope)\n{}\nend }}\n", block.text);
        self.write("fragment.lua", &fragment);
        if block.word("prints").is_none() {
            return self.good("sanctum check fragment.lua").map(drop);
        }
        self.write("fragment.seed.ndjson", ENERGY);
        let texts = block.text.lines().filter_map(|line| line.split_once("--> "));
        let expected: String = texts.map(|(_, text)| format!("{text}\n")).collect();
        same(&expected, &self.cast("fragment", "")?)
    }

    fn yaml(&self, block: &Block) -> Result<(), String> {
        if let Some(path) = block.word("file") {
            return self.good(&format!("sanctum check {path}")).map(drop);
        }
        for stub in STUBS {
            let text = "return { cast = function() end, tick = function() end, every = '1h' }\n";
            self.write(&format!("stubs/spells/{stub}.lua"), text);
        }
        self.write("stubs/seeds/orders.ndjson", ENERGY);
        self.write("stubs/runeset.yaml", &block.text);
        self.good("sanctum check stubs/runeset.yaml").map(drop)
    }

    fn json(&self, block: &Block) -> Result<(), String> {
        if let Some(names) = block.word("output") {
            self.cast(names, "--output produced")?;
            let produced = fs::read_to_string(self.folder.path().join("produced")).unwrap_or_default();
            same(&block.text, &produced)?;
        }
        if let Some(name) = block.word("seed") {
            self.write(&format!("{name}.seed.{}", block.language), &block.text);
        }
        let mut values = serde_json::Deserializer::from_str(&block.text).into_iter::<serde_json::Value>();
        values.try_for_each(|value| value.map(drop).map_err(|error| error.to_string()))
    }

    /// What the spells print on the seed of the first.
    fn cast(&self, names: &str, flags: &str) -> Result<String, String> {
        let first = names.split('+').next().unwrap_or(names);
        let spells: String = names.split('+').map(|name| format!(" {name}.lua")).collect();
        self.good(&format!("sanctum cast{spells} --seed '{first}.seed.*' {flags}"))
    }

    fn console(&self, text: &str) -> Result<(), String> {
        let mut steps: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => steps.push((command.to_owned(), String::new())),
                None => {
                    let (command, expected) = steps.last_mut().ok_or("output before the first command")?;
                    if command.ends_with('\\') {
                        command.pop();
                        command.push_str(line.trim_start());
                    } else {
                        expected.push_str(line);
                        expected.push('\n');
                    }
                }
            }
        }
        let mut code = 0;
        for (command, expected) in steps {
            let (output, exit) = self.bash(&format!("(exit {code}); {command}"));
            code = exit;
            same(&expected, &output).map_err(|problem| format!("$ {command}\n{problem}"))?;
        }
        Ok(())
    }

    fn sh(&self, block: &Block) -> Result<(), String> {
        if let Some(reason) = block.word("ignore") {
            return if reason.is_empty() { Err("`ignore=` needs a reason".to_owned()) } else { Ok(()) };
        }
        let mut commands = block.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        commands.try_for_each(|command| self.good(command).map(drop))
    }

    /// Runs a command that must succeed.
    fn good(&self, command: &str) -> Result<String, String> {
        match self.bash(command) {
            (output, 0) => Ok(output),
            (output, code) => Err(format!("$ {command}\nended with {code}:\n{output}")),
        }
    }

    /// Standard output and standard error in the order of writing, and the exit code.
    fn bash(&self, command: &str) -> (String, i32) {
        let command = command.replace(CARGO, "sanctum ");
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.bin.path().display()))
            .env("HOME", self.folder.path())
            .env_remove("XDG_DATA_HOME")
            .env_remove("SANCTUM_PATH")
            .env_remove("SANCTUM_LOG")
            .output()
            .unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Compares texts; a line `...` of the expected one stands for any lines, ` ...` at the end of a line for the rest of it.
fn same(expected: &str, actual: &str) -> Result<(), String> {
    let lines = |text: &str| -> Vec<String> { text.lines().map(|line| line.trim_end().to_owned()).collect() };
    if matches(&lines(expected), &lines(actual)) {
        return Ok(());
    }
    Err(format!("--- the document says\n{expected}--- it is\n{actual}---"))
}

fn matches(expected: &[String], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((line, rest)) if line.trim() == "..." => {
            (0..=actual.len()).any(|skip| matches(rest, &actual[skip..]))
        }
        Some((line, rest)) => match (actual.first(), line.strip_suffix("...")) {
            (Some(first), Some(start)) => first.starts_with(start) && matches(rest, &actual[1..]),
            (first, _) => first == Some(line) && matches(rest, &actual[1..]),
        },
    }
}

fn copy(from: &PathBuf, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else { return };
    fs::create_dir_all(to).unwrap();
    for entry in entries {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
