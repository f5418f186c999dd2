//! The documents hold what they say: every code block of `README.md`, `CHANGELOG.md` and `docunomicon/` is run, every link
//! leads somewhere, and nothing that the binary has is left out.
//!
//! What a block is follows from its language and from the words after it on the line of the fence:
//!
//! | Fence | What is done |
//! |---|---|
//! | `lua` | a fragment: it must compile inside a `cast` |
//! | `lua prints` | a fragment that is cast once; what it prints are the texts after `-->` |
//! | `lua spell=NAME` | written to `NAME.lua`; `sanctum check` must accept it |
//! | `lua file=PATH`, `yaml file=PATH`, … | written to `PATH`; with the word `spell` or as `yaml` also checked |
//! | `ndjson seed=NAME`, `json seed=NAME`, `lua seed=NAME` | the seed of the spell `NAME` |
//! | `text stdout=NAME` | what the spell prints on its seed, exactly; `stdout=a+b` casts two spells on the seed of `a` |
//! | `ndjson output=NAME` | what `--output` writes for it, exactly |
//! | `yaml` | a runeset: it must load, in a folder of stub spells |
//! | `json`, `ndjson` | must parse |
//! | `console` | lines after `$ ` are run in bash, in order; what follows each is its output, exactly; a line `...` stands for any lines, at the end of a line for the rest of it |
//! | `sh` | every line is run and must succeed |
//! | `sh ignore=REASON` | not run |
//! | `text`, `mermaid` | a picture: nothing |
//!
//! Any other language fails, so that no block escapes. Each document has a temporary folder of its own, in which
//! its blocks are written and run in order; documents that name `examples/` get a copy of the examples and spells.

#![allow(clippy::unwrap_used)]

mod block;
mod coverage;
mod link;
mod page;

use std::path::{Path, PathBuf};

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All documents, relative to the repository.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("README.md"), PathBuf::from("CHANGELOG.md")];
    let mut folders = vec![PathBuf::from("docunomicon")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(document: &Path) -> String {
    std::fs::read_to_string(root().join(document))
        .unwrap_or_else(|error| panic!("{}: {error}", document.display()))
}

#[test]
fn every_block_does_what_it_says() {
    let only = std::env::var("SANCTUM_DOCUMENT").unwrap_or_default();
    let wanted = documents().into_iter().filter(|path| path.to_string_lossy().contains(&only));
    let problems: Vec<String> = wanted.flat_map(|document| page::run(&document, &read(&document))).collect();
    assert!(problems.is_empty(), "{} problems\n\n{}", problems.len(), problems.join("\n\n"));
}

#[test]
fn every_link_leads_somewhere() {
    let problems: Vec<String> =
        documents().iter().flat_map(|document| link::problems(document, &read(document))).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
