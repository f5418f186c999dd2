//! A golden case: a folder, and the files in it that mean something.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::batch::{Item, Request};
use crate::runeset::FILE_NAME as RUNESET;

/// What spells printed.
pub const STDOUT: &str = "stdout.assert";
/// Faults, warnings and log lines.
pub const STDERR: &str = "stderr.assert";
/// The exit code; 0 where the file is absent.
pub const EXITCODE: &str = "exitcode.assert";
/// The run's log, an energy a line.
pub const EVENTS: &str = "events.assert";
/// Instructions and bytes per spell.
pub const COST: &str = "cost.assert";
/// All of them, in the order of reports.
pub const ASSERTS: [&str; 5] = [STDOUT, STDERR, EXITCODE, EVENTS, COST];

/// Spells of a case without a runeset.
const SPELLS: [&str; 2] = ["spell.lua", "spells"];
/// Seeds of a case, beside those of its runeset.
const SEEDS: [&str; 5] = ["seed.lua", "seed.ndjson", "seed.jsonl", "seed.json", "seed.msgpack"];
/// Folders within folders that are searched for cases.
const DEPTH_MAX: usize = 8;

/// Why there are no cases.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// It cannot be listed.
    #[error("cannot read the folder `{folder}`: {source}")]
    Unreadable {
        /// The folder.
        folder: String,
        /// Why.
        source: io::Error,
    },
    /// Not a glob.
    #[error("`{pattern}` is not a glob: {message}")]
    BadPattern {
        /// The text.
        pattern: String,
        /// What is wrong with it.
        message: &'static str,
    },
    /// Nothing in there is a case.
    #[error("no case in `{folder}`")]
    NoCase {
        /// The folder.
        folder: String,
    },
    /// There are cases, none of them as asked for.
    #[error("none of the {count} cases in `{folder}` matches {patterns}")]
    NoMatch {
        /// The folder.
        folder: String,
        /// Cases there are.
        count: usize,
        /// What was asked for.
        patterns: String,
    },
}

/// Why a case cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Nothing to run.
    #[error("no spell: a case has a `spell.lua`, a folder `spells` or a `runeset.yaml`")]
    NoSpell,
    /// Nothing to run it on.
    #[error(
        "no seed: a case has a `seed.lua`, `seed.ndjson`, `seed.json` or `seed.msgpack`, or its runeset names seeds"
    )]
    NoSeed,
    /// A file of it cannot be read or written.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// An assertion file that makes no sense.
    #[error("{file}: {message}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong with it.
        message: String,
    },
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its folder below the one that was searched.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
}

impl Case {
    /// Whether the case has this file.
    #[must_use]
    pub fn has(&self, file: &str) -> bool {
        self.folder.join(file).exists()
    }

    /// Reads a file of the case; `None` where there is none.
    pub fn read(&self, file: &str) -> Result<Option<Vec<u8>>, Broken> {
        match fs::read(self.folder.join(file)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Broken::File { file: file.to_owned(), source }),
        }
    }

    /// What the case runs.
    pub fn request(&self) -> Result<Request, Broken> {
        let item = |file: &str| Item::new(&self.folder, file);
        let mut request = Request { exact: true, ..Request::default() };
        request.runeset = self.has(RUNESET).then(|| item(RUNESET));
        if request.runeset.is_none() {
            let spells = SPELLS.into_iter().find(|file| self.has(file)).ok_or(Broken::NoSpell)?;
            request.spells.push(item(spells));
        }
        request.seeds = SEEDS.into_iter().filter(|file| self.has(file)).map(item).collect();
        if request.runeset.is_none() && request.seeds.is_empty() {
            return Err(Broken::NoSeed);
        }
        Ok(request)
    }
}

/// The cases in `folder`, by name. `patterns` are globs, or parts of names; without any, all cases.
pub fn find(folder: &Path, patterns: &[String]) -> Result<Vec<Case>, FindError> {
    let mut cases = Vec::new();
    let shown = folder.to_string_lossy().into_owned();
    if is_case(folder) {
        let full = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = full.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
        cases.push(Case { name, folder: folder.to_owned() });
    } else {
        search(folder, "", 0, &mut cases)?;
    }
    if cases.is_empty() {
        return Err(FindError::NoCase { folder: shown });
    }
    let count = cases.len();
    if !patterns.is_empty() {
        let patterns = patterns.iter().map(|text| Wanted::parse(text)).collect::<Result<Vec<_>, _>>()?;
        cases.retain(|case| patterns.iter().any(|pattern| pattern.matches(&case.name)));
    }
    if cases.is_empty() {
        let patterns = patterns.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(" or ");
        return Err(FindError::NoMatch { folder: shown, count, patterns });
    }
    Ok(cases)
}

/// One pattern of names.
enum Wanted {
    Glob(glob::Pattern),
    Part(String),
}

impl Wanted {
    fn parse(text: &str) -> Result<Self, FindError> {
        if !text.contains(['*', '?', '[']) {
            return Ok(Self::Part(text.trim_end_matches('/').to_owned()));
        }
        let bad =
            |error: glob::PatternError| FindError::BadPattern { pattern: text.into(), message: error.msg };
        glob::Pattern::new(text).map(Self::Glob).map_err(bad)
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Glob(pattern) => pattern.matches(name),
            Self::Part(part) => name.contains(part),
        }
    }
}

/// Adds the cases below `folder`. A folder without sub-folders is one, good or broken; others are groups.
fn search(folder: &Path, prefix: &str, depth: usize, cases: &mut Vec<Case>) -> Result<(), FindError> {
    let failed = |source| FindError::Unreadable { folder: folder.to_string_lossy().into_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(['.', '_']) && entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort();
    for name in names {
        let below = folder.join(&name);
        let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let before = cases.len();
        if !is_case(&below) && depth < DEPTH_MAX {
            search(&below, &name, depth + 1, cases)?;
        }
        if cases.len() == before {
            cases.push(Case { name, folder: below });
        }
    }
    Ok(())
}

/// Whether the folder holds anything that only a case has.
fn is_case(folder: &Path) -> bool {
    let marks = ASSERTS.into_iter().chain(SEEDS).chain(["spell.lua"]);
    marks.into_iter().any(|file| folder.join(file).is_file())
        || (folder.join(RUNESET).is_file() && !folder.join("regression").is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_found_in_groups() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["b/spell.lua", "a/x/seed.lua", "a/y/stdout.assert", "empty/notes.txt", "_lib/spell.lua"]
        {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let names = |patterns: &[&str]| -> Vec<String> {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            find(folder.path(), &patterns).unwrap().into_iter().map(|case| case.name).collect()
        };
        assert_eq!(names(&[]), ["a/x", "a/y", "b", "empty"]);
        assert_eq!(names(&["a/*"]), ["a/x", "a/y"]);
        assert_eq!(names(&["mpt", "b"]), ["b", "empty"]);
        let error = find(folder.path(), &["zz".to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with("none of the 4 cases"), "{error}");
        assert_eq!(find(&folder.path().join("b"), &[]).unwrap()[0].name, "b");
    }
}
