//! Options: what a runeset says, and how everything that points at a source says it.
//!
//! A runeset is a YAML file of options: where the log is, which spells and seeds, with which runes and
//! within which limits. [`load`] reads it strictly and gives every problem at once, each with its line. All
//! options stand in the tables of [`options`] and [`limits`], from which the documentation and the
//! schema for editors are made ([`mod@reference`]).
//!
//! What is not here: topic patterns and filters are carried as they were written. Whoever compiles them
//! points at the runeset with [`Runeset::diagnostic`].

pub mod choices;
pub mod diagnostic;
pub mod expand;
pub mod files;
pub mod limits;
mod load;
pub mod options;
pub mod reference;
mod render;
pub mod services;
pub mod settings;
pub mod units;
pub mod yaml;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub use choices::{Batch, Durability, Fault, Start};
pub use diagnostic::{Diagnostic, Style};
pub use limits::{Limits, StatedLimits};
pub use load::{FILE_NAME, load, parse, survey};
pub use services::{Exec, Http, Restart, Tailed, Telemetry};
pub use settings::{Problem, SpellOptions};

/// A runeset that was read and found good.
#[derive(Clone, Debug)]
pub struct Runeset {
    /// The file; empty for [`Runeset::empty`].
    pub file: PathBuf,
    /// The folder that paths in it are relative to; empty for the current one.
    pub base: PathBuf,
    /// Folder of log and state.
    pub data: Option<PathBuf>,
    /// When an acknowledged energy is on the disk.
    pub durability: Durability,
    /// Limits for every spell.
    pub limits: StatedLimits,
    /// What happens when a cast of a spell that does not say so fails.
    pub fault: Option<Fault>,
    /// Whether spells that do not say so must pass their golden cases in a server.
    pub ward: bool,
    /// The spells, in order.
    pub spells: Vec<SpellEntry>,
    /// The seeds, in order.
    pub seeds: Vec<SeedEntry>,
    /// Topic of seeds without one.
    pub topic: Option<String>,
    /// Path of the field with a seed's time.
    pub time: Option<String>,
    /// Threads that cast.
    pub workers: Option<u64>,
    /// Casts of a batch run until everything has settled.
    pub max_casts: u64,
    /// HTTP requests that spells answer, in a server.
    pub http: Option<Http>,
    /// Programs that a server keeps running.
    pub exec: Vec<Exec>,
    /// Files that a server tails.
    pub tails: Vec<Tailed>,
    /// Patterns of topics that a server prints.
    pub stdout: Vec<String>,
    /// Where a server sends spans.
    pub telemetry: Option<Telemetry>,
    source: yaml::Source,
}

/// An entry of `spells`.
#[derive(Clone, Debug, Default)]
pub struct SpellEntry {
    /// Its place in the list.
    pub index: usize,
    /// File, folder or glob as written.
    pub path: String,
    /// The files it stands for, sorted; none after [`parse`].
    pub files: Vec<PathBuf>,
    /// What replaces the spell's own members.
    pub options: SpellOptions,
    /// One canonical MessagePack map.
    pub runes: Vec<u8>,
    /// Whether something in it was refused, and so is missing here.
    pub is_flawed: bool,
}

/// An entry of `seeds`.
#[derive(Clone, Debug)]
pub struct SeedEntry {
    /// File, folder or glob as written.
    pub path: String,
    /// The files it stands for, sorted; none after [`parse`].
    pub files: Vec<PathBuf>,
}

/// Why a runeset cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the runeset `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Everything that is wrong with it, in the order of the text.
    #[error("{}", diagnostic::render_all(.0, Style::Plain).trim_end())]
    Invalid(Vec<Diagnostic>),
}

impl Error {
    /// Every problem, ready to be shown.
    #[must_use]
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        match self {
            Error::Unreadable { .. } => vec![Diagnostic::error(self.to_string())],
            Error::Invalid(diagnostics) => diagnostics.clone(),
        }
    }
}

impl Runeset {
    /// What holds where no runeset is given.
    #[must_use]
    pub fn empty() -> Self {
        let root = yaml::Node { id: 0, kind: yaml::NodeKind::Scalar(rmpv::Value::Nil) };
        let source = yaml::Source { file: String::new(), text: String::new(), root };
        Self {
            file: PathBuf::new(),
            base: PathBuf::new(),
            data: None,
            durability: Durability::default(),
            limits: StatedLimits::default(),
            fault: None,
            spells: Vec::new(),
            seeds: Vec::new(),
            topic: None,
            time: None,
            ward: false,
            workers: None,
            max_casts: options::MAX_CASTS,
            http: None,
            exec: Vec::new(),
            tails: Vec::new(),
            stdout: Vec::new(),
            telemetry: None,
            source,
        }
    }

    /// An error that points at a value of this runeset, or at the nearest part of the way to it that exists:
    /// `["spells", "0", "filter", "amount"]`.
    #[must_use]
    pub fn diagnostic(&self, path: &[impl AsRef<str>], message: impl Into<String>) -> Diagnostic {
        self.source.point(Diagnostic::error(message), self.source.find(path, false))
    }

    /// [`Runeset::diagnostic`] for a path within an entry of `spells`: `["topic"]`, `["filter", "amount", "gt"]`.
    /// With `on_key` it points at the last key instead of its value.
    #[must_use]
    pub fn spell_diagnostic(
        &self,
        entry: &SpellEntry,
        path: &[impl AsRef<str>],
        on_key: bool,
        message: impl Into<String>,
    ) -> Diagnostic {
        let mut full = vec!["spells".to_string(), entry.index.to_string()];
        full.extend(path.iter().map(|step| step.as_ref().to_string()));
        self.source.point(Diagnostic::error(message), self.source.find(&full, on_key))
    }
}
