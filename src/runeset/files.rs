//! The files that a path, folder or glob stands for, always in the same order.
//!
//! A folder stands for the files of the wanted kinds directly in it, but those whose name begins with `_`
//! or `.`: sub-folders and `_` files are where a spell keeps the modules it requires. A glob stands for the files
//! that match. Both are sorted by path, bytewise, so the order of spells does not depend on the disk.

use std::io;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use crate::event::suggest::suggest;

/// What spells are written in.
pub const SPELL_KINDS: &[&str] = &["lua"];
/// What seeds may be.
pub const SEED_KINDS: &[&str] = &["lua", "ndjson", "jsonl", "json", "msgpack"];

/// Why a path gives no files.
#[derive(Debug, Error)]
pub enum FilesError {
    /// Nothing is there.
    #[error("there is no `{path}`")]
    NotFound {
        /// The path, as it was looked for.
        path: String,
        /// A file of nearly that name, as the path to it would be written.
        nearest: Option<String>,
    },
    /// A glob that no file matches.
    #[error("no file matches `{pattern}`")]
    NoMatch {
        /// The glob, as it was looked for.
        pattern: String,
    },
    /// A folder without a file of the wanted kinds.
    #[error("the folder `{path}` has no {kinds} file")]
    EmptyFolder {
        /// The folder.
        path: String,
        /// The endings looked for.
        kinds: String,
    },
    /// Not a glob.
    #[error("`{pattern}` is not a glob: {message}")]
    BadGlob {
        /// The text.
        pattern: String,
        /// What is wrong with it.
        message: &'static str,
    },
    /// The system said no.
    #[error("cannot read `{path}`: {source}")]
    Unreadable {
        /// The file or folder.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// The files that `pattern`, relative to `base`, stands for; never none.
pub fn find(base: &Path, pattern: &str, kinds: &[&str]) -> Result<Vec<PathBuf>, FilesError> {
    let path = tidy(&base.join(pattern));
    if path.is_dir() {
        return folder(&path, kinds);
    }
    if path.exists() {
        return Ok(vec![path]);
    }
    if !pattern.contains(['*', '?', '[']) {
        return Err(FilesError::NotFound { nearest: nearest(&path, pattern), path: shown(&path) });
    }
    let escaped = PathBuf::from(glob::Pattern::escape(&base.to_string_lossy()));
    let full = tidy(&escaped.join(pattern));
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let bad = |error: glob::PatternError| FilesError::BadGlob { pattern: pattern.into(), message: error.msg };
    let mut files = Vec::new();
    for entry in glob::glob_with(&full.to_string_lossy(), options).map_err(bad)? {
        let path = entry.map_err(|error| FilesError::Unreadable {
            path: shown(error.path()),
            source: io::Error::new(error.error().kind(), error.error().to_string()),
        })?;
        if path.is_file() && is_kind(&path, kinds) {
            files.push(tidy(&path));
        }
    }
    if files.is_empty() {
        return Err(FilesError::NoMatch { pattern: shown(&path) });
    }
    sort(&mut files);
    Ok(files)
}

fn folder(path: &Path, kinds: &[&str]) -> Result<Vec<PathBuf>, FilesError> {
    let unreadable = |source| FilesError::Unreadable { path: shown(path), source };
    let mut files = Vec::new();
    for entry in path.read_dir().map_err(unreadable)? {
        let file = tidy(&entry.map_err(unreadable)?.path());
        let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['_', '.']));
        if !hidden && file.is_file() && is_kind(&file, kinds) {
            files.push(file);
        }
    }
    if files.is_empty() {
        let kinds = kinds.iter().map(|kind| format!(".{kind}")).collect::<Vec<_>>().join(" or ");
        return Err(FilesError::EmptyFolder { path: shown(path), kinds });
    }
    sort(&mut files);
    Ok(files)
}

fn sort(files: &mut Vec<PathBuf>) {
    files.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    files.dedup();
}

fn is_kind(path: &Path, kinds: &[&str]) -> bool {
    path.extension().is_some_and(|ending| kinds.iter().any(|kind| ending == *kind))
}

/// A path without its `.` parts, so that `./a/./b` and `a/b` are one.
#[must_use]
pub fn tidy(path: &Path) -> PathBuf {
    let tidied: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    if tidied.as_os_str().is_empty() { PathBuf::from(".") } else { tidied }
}

/// A file of nearly that name in the same folder, written as `pattern` writes it.
fn nearest(path: &Path, pattern: &str) -> Option<String> {
    let wanted = path.file_name()?.to_string_lossy().into_owned();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut names: Vec<String> = parent
        .read_dir()
        .ok()?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let name = suggest(&wanted, names.iter().map(String::as_str))?;
    let folder = pattern.trim_end_matches('/').rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") })
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_in_order_of_path() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("a[b]");
        std::fs::create_dir_all(base.join("spells/lib")).unwrap();
        for name in ["b.lua", "a.lua", "_m.lua", ".h.lua", "notes.txt", "lib/geo.lua", "Z.lua"] {
            std::fs::write(base.join("spells").join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            let files = find(&base, pattern, SPELL_KINDS).unwrap();
            files
                .iter()
                .map(|file| file.strip_prefix(&base).unwrap().to_string_lossy().into_owned())
                .collect()
        };
        let all = ["spells/Z.lua", "spells/a.lua", "spells/b.lua"];
        assert_eq!(names("spells"), all);
        assert_eq!(names("./spells/"), all);
        assert_eq!(names("spells/[ab].lua"), ["spells/a.lua", "spells/b.lua"]);
        assert_eq!(names("spells/**/*.lua").len(), 5);
        assert_eq!(names("spells/_m.lua"), ["spells/_m.lua"]);
        let error = |pattern: &str| find(&base, pattern, SPELL_KINDS).unwrap_err();
        assert!(matches!(error("spells/x*.lua"), FilesError::NoMatch { .. }));
        assert!(matches!(error("spells/***"), FilesError::BadGlob { .. }));
        let FilesError::NotFound { nearest, .. } = error("spells/bb.lua") else { panic!() };
        assert_eq!(nearest.as_deref(), Some("spells/b.lua"));
    }
}
