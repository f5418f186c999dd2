//! One seed: what it is called, where its bytes are, how they are to be read.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::event::suggest::suggest;
use crate::runeset::Diagnostic;
use crate::runeset::files::SEED_KINDS;
use crate::spell::Modules;

/// What standard input is called.
const STDIN: &str = "<stdin>";
/// What a text of the command line is called.
const ARGUMENT: &str = "<argument>";

/// What a seed is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A chunk that returns energies.
    Lua,
    /// An object a line.
    Ndjson,
    /// An object, or an array of them.
    Json,
    /// A stream of maps.
    Msgpack,
    /// One object, and nothing else.
    Object,
}

impl Kind {
    /// The kind that a file's ending says.
    pub fn of_path(path: &Path) -> Result<Self, Box<Diagnostic>> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned());
        Ok(match ending.as_deref() {
            Some("lua") => Self::Lua,
            Some("ndjson" | "jsonl") => Self::Ndjson,
            Some("json") => Self::Json,
            Some("msgpack") => Self::Msgpack,
            ending => return Err(Box::new(unknown(path, ending))),
        })
    }
}

#[cold]
fn unknown(path: &Path, ending: Option<&str>) -> Diagnostic {
    let shown = path.to_string_lossy();
    let diagnostic = Diagnostic::error(match ending {
        Some(ending) => format!("`{shown}` is no seed: unknown ending `.{ending}`"),
        None => format!("`{shown}` is no seed: its name has no ending that says what it holds"),
    });
    let lower = ending.unwrap_or_default().to_lowercase();
    let near = SEED_KINDS.iter().copied().find(|kind| *kind == lower);
    let near = near.or_else(|| suggest(&lower, SEED_KINDS.iter().copied()));
    let diagnostic = match near {
        Some(near) => diagnostic.help(format!("did you mean `.{near}`?")),
        None => diagnostic,
    };
    let kinds = SEED_KINDS.iter().map(|kind| format!(".{kind}")).collect::<Vec<_>>().join(", ");
    diagnostic.help(format!("seeds are {kinds} files, or `-` for NDJSON on standard input"))
}

/// Where a seed's bytes are.
#[derive(Clone, Debug)]
pub enum Input {
    /// In a file, or in anything else that a path names.
    Path(PathBuf),
    /// On standard input.
    Stdin,
    /// In memory, as in a bundle.
    Bytes(Arc<[u8]>),
}

/// One seed.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name in messages. The ids of its energies are derived from it, so it should be the same
    /// wherever the run is made; where it occurs twice, ids differ nevertheless.
    pub shown: String,
    /// Its bytes.
    pub input: Input,
    /// How they are read.
    pub kind: Kind,
    /// Where `require` looks in a `.lua` seed.
    pub modules: Modules,
}

impl Source {
    /// A file, of the kind that its ending says. A `.lua` seed finds modules in its folder.
    pub fn file(shown: impl Into<String>, path: impl Into<PathBuf>) -> Result<Self, Box<Diagnostic>> {
        let (shown, path) = (shown.into(), path.into());
        let kind = Kind::of_path(&path)?;
        let modules = Modules::folder(path.parent().unwrap_or(Path::new("")));
        Ok(Self { shown, input: Input::Path(path), kind, modules })
    }

    /// NDJSON on standard input.
    #[must_use]
    pub fn stdin() -> Self {
        Self { shown: STDIN.into(), input: Input::Stdin, kind: Kind::Ndjson, modules: Modules::default() }
    }

    /// One energy as JSON, from the command line.
    #[must_use]
    pub fn argument(text: &str) -> Self {
        let input = Input::Bytes(text.as_bytes().into());
        Self { shown: ARGUMENT.into(), input, kind: Kind::Object, modules: Modules::default() }
    }

    /// What is in memory, of the kind that the ending of its name says.
    pub fn bytes(shown: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Result<Self, Box<Diagnostic>> {
        let shown = shown.into();
        let kind = Kind::of_path(Path::new(&shown))?;
        Ok(Self { shown, input: Input::Bytes(bytes.into()), kind, modules: Modules::default() })
    }

    /// Its bytes, where they can be counted beforehand.
    pub(super) fn size(&self) -> Option<u64> {
        match &self.input {
            Input::Path(path) => {
                fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|about| about.len())
            }
            Input::Stdin => None,
            Input::Bytes(bytes) => Some(bytes.len() as u64),
        }
    }

    /// Its bytes, where they are in memory already.
    pub(super) fn bytes_in_memory(&self) -> Option<usize> {
        match &self.input {
            Input::Bytes(bytes) => Some(bytes.len()),
            Input::Path(_) | Input::Stdin => None,
        }
    }

    /// Why it cannot be opened.
    pub(super) fn problem(&self) -> Option<Diagnostic> {
        let Input::Path(path) = &self.input else { return None };
        match fs::metadata(path) {
            // Opening a pipe may wait for its writer, and end it.
            Ok(about) if !about.is_file() && !about.is_dir() => None,
            Ok(_) => self.open().err().map(|diagnostic| *diagnostic),
            Err(error) => Some(self.unreadable(&error)),
        }
    }

    pub(super) fn open(&self) -> Result<Box<dyn Read>, Box<Diagnostic>> {
        Ok(match &self.input {
            Input::Stdin => Box::new(io::stdin()),
            Input::Bytes(bytes) => Box::new(Cursor::new(bytes.clone())),
            Input::Path(path) => {
                let file = File::open(path).map_err(|error| self.unreadable(&error))?;
                if file.metadata().is_ok_and(|about| about.is_dir()) {
                    return Err(Box::new(self.unreadable(&io::ErrorKind::IsADirectory.into())));
                }
                Box::new(file)
            }
        })
    }

    fn unreadable(&self, error: &io::Error) -> Diagnostic {
        unreadable(&self.shown, error)
    }
}

/// A source that failed, at its start or in its middle.
#[cold]
pub(super) fn unreadable(shown: &str, error: &io::Error) -> Diagnostic {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    Diagnostic::error(format!("cannot read the seed `{shown}`: {why}")).field("file", shown)
}
