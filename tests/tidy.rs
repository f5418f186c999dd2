//! The tree keeps its shape: who may use whom, what is absent, how long a file is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules in their order: each may use itself and those before it, but for its equals.
const LAYERS: [&[&str]; 9] = [
    &["event"],
    &["router", "runeset", "disk"],
    &["log", "blob"],
    &["state"],
    &["spell"],
    &["projection"],
    &["engine"],
    &["regression", "server"],
    &["cli"],
];

/// What may stand only in certain places: the words, where they may, and why.
const CONFINED: [(&[&str], &[&str], &str); 6] = [
    (&["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"], &["src/spell/raw/"], "unsafe code"),
    (&["mlua"], &["src/spell/raw/"], "Lua types"),
    (
        &["Instant::now", "SystemTime::now", "UtcDateTime::now", "Timestamp::now"],
        &["src/engine/clock.rs", "src/cli/"],
        "reading a clock",
    ),
    (&["process::exit"], &["src/main.rs"], "ending the process"),
    (&["async fn", ".await"], &["src/server/"], "async code"),
    (&["anyhow::", "use anyhow"], &["src/cli/", "src/main.rs"], "anyhow"),
];

/// Lines of a source file at most.
const LINES_MAX: usize = 600;

/// Licences of dependencies; `.ci/deny.toml` has the same.
const LICENCES: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under a folder, with its path from the root and its text without the test module.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name =
                    path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
                files.push((name, fs::read_to_string(&path).expect("UTF-8")));
            }
        }
    }
    files.sort();
    files
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The module at the top of the tree that a file belongs to.
fn module_of(file: &str) -> &str {
    file.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default()
}

/// The code of a file: no comments, no test module.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    body.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(at, line)| (at + 1, line))
}

#[test]
fn modules_use_only_what_comes_before_them() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        let module = module_of(&file);
        let Some(layer) = layer_of(module) else { continue };
        for (line, code) in code(&text) {
            for (at, _) in code.match_indices("crate::") {
                let used = code[at + 7..]
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next()
                    .unwrap_or_default();
                if let Some(other) = layer_of(used)
                    && used != module
                    && other >= layer
                {
                    wrong.push(format!("{file}:{line}: `{module}` uses `{used}`"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "dependencies point one way (DESIGN, layout):\n{}", wrong.join("\n"));
}

#[test]
fn what_is_confined_stays_where_it_is() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        for (words, homes, what) in CONFINED {
            if homes.iter().any(|home| file.starts_with(home)) || file.ends_with("/tests.rs") {
                continue;
            }
            for (line, code) in code(&text) {
                if words.iter().any(|word| code.contains(word)) {
                    wrong.push(format!("{file}:{line}: {what}: {}", code.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn files_are_one_noun() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{file}: {lines} lines, at most {LINES_MAX}"));
        }
        let front = text.lines().next().unwrap_or_default();
        if !front.starts_with("//!") {
            wrong.push(format!("{file}: opens without saying what it is for"));
        }
        let name = Path::new(&file).file_stem().expect("a name").to_string_lossy().into_owned();
        if ["utils", "util", "common", "helpers", "misc", "types", "manager"].contains(&name.as_str()) {
            wrong.push(format!("{file}: `{name}` is no noun of this tree"));
        }
        for word in ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX"] {
            if text.contains(word) {
                wrong.push(format!("{file}: `{word}` is left in it"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn unwrap_stays_in_tests() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        for (line, code) in code(&text) {
            if code.contains(".unwrap()") && !file.ends_with("tests.rs") {
                wrong.push(format!("{file}:{line}: {}", code.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let (mut section, mut reasoned, mut wrong) = (String::new(), false, Vec::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            (section, reasoned) = (line.to_owned(), false);
        } else if line.starts_with('#') {
            reasoned = true;
        } else if section.contains("dependencies") && line.contains('=') && !reasoned {
            wrong.push(line.to_owned());
        }
    }
    assert!(wrong.is_empty(), "no comment says why:\n{}", wrong.join("\n"));
}

#[test]
fn licences_allow_what_we_do() {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut refused = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or("none").replace('/', " OR ");
        if !allowed(&licence) {
            refused.insert(name.to_owned(), licence);
        }
    }
    assert!(refused.is_empty(), "{refused:?}");
}

/// Whether an SPDX expression can be met: one side of every OR, each part of an AND.
fn allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim())))
}

#[test]
fn no_path_of_a_machine_is_committed() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for (file, text) in sources(folder) {
            if file == "tests/tidy.rs" {
                continue;
            }
            for word in ["/work/", "/root/", "/home/", "../shared"] {
                if text.contains(word) {
                    wrong.push(format!("{file}: {word}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
