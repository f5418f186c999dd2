//! From the text of a runeset to a [`Runeset`], or to everything that is wrong with it.

use std::path::{Path, PathBuf};

use rmpv::Value;

use super::choices::{Durability, Fault, OptionError, path, text, texts};
use super::diagnostic::Diagnostic;
use super::expand::{Environment, ExpandError, expand_tree};
use super::files::{self, FilesError};
use super::options::{self, Kind, RUNESET, Rune, SPELL};
use super::services::{self, Exec, Http, Tailed, Telemetry, check_topic};
use super::settings::{self, Problem, SpellOptions};
use super::yaml::{Node, NodeKind, Source, key_text};
use super::{Error, Runeset, SeedEntry, SpellEntry};

/// What a runeset is called in a folder that is given in place of a file.
pub const FILE_NAME: &str = "runeset.yaml";

/// Problems shown of one file.
const PROBLEMS_MAX: usize = 50;

/// Reads a runeset, a file or a folder with a `runeset.yaml`, and finds the files it names.
pub fn load(path: &Path, environment: Environment<'_>) -> Result<Runeset, Error> {
    let (runeset, problems) = survey(path, environment)?;
    if problems.is_empty() { Ok(runeset) } else { Err(Error::Invalid(problems)) }
}

/// [`load`] for those who look for problems beyond the runeset: what is good in it, and what is not. It fails
/// where there is nothing to look at.
pub fn survey(path: &Path, environment: Environment<'_>) -> Result<(Runeset, Vec<Diagnostic>), Error> {
    let file = if path.is_dir() { path.join(FILE_NAME) } else { path.to_path_buf() };
    let unreadable = |source| Error::Unreadable { path: file.to_string_lossy().into_owned(), source };
    let bytes = std::fs::read(&file).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let bytes = error.into_bytes();
        let line = bytes[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        let text = String::from_utf8_lossy(&bytes);
        let diagnostic = Diagnostic::error("a runeset is UTF-8; this line is not");
        Error::Invalid(vec![diagnostic.at(file.to_string_lossy(), &text, line, 0, 0)])
    })?;
    let base = file.parent().unwrap_or(Path::new("")).to_path_buf();
    read(&file, &base, text, environment, true)
}

/// Reads the text of a runeset without looking for the files it names.
pub fn parse(file: &Path, text: &str, environment: Environment<'_>) -> Result<Runeset, Error> {
    let base = file.parent().unwrap_or(Path::new("")).to_path_buf();
    let (runeset, problems) = read(file, &base, text.to_string(), environment, false)?;
    if problems.is_empty() { Ok(runeset) } else { Err(Error::Invalid(problems)) }
}

fn read(
    file: &Path,
    base: &Path,
    text: String,
    environment: Environment<'_>,
    find_files: bool,
) -> Result<(Runeset, Vec<Diagnostic>), Error> {
    let invalid = |diagnostic: Box<Diagnostic>| Error::Invalid(vec![*diagnostic]);
    let mut source = Source::parse(&file.to_string_lossy(), text).map_err(invalid)?;
    let unexpanded = expand_tree(&mut source, environment);
    let mut runeset = Runeset { file: file.to_path_buf(), base: base.to_path_buf(), ..Runeset::empty() };
    let mut loader = Loader { source: &source, base, find_files, found: Vec::new() };
    duplicates(&mut loader.found, &source.root);
    for (path, error) in &unexpanded {
        loader.expansion(path, error);
    }
    loader.runeset(&mut runeset);
    loader.mark(&mut runeset.spells);
    let diagnostics = loader.finish();
    runeset.source = source;
    Ok((runeset, diagnostics))
}

struct Loader<'a> {
    source: &'a Source,
    base: &'a Path,
    find_files: bool,
    found: Vec<(&'a Node, Diagnostic)>,
}

impl<'a> Loader<'a> {
    /// The problems in the order of the text, with their places; one per node.
    fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|(node, _)| node.id);
        self.found.dedup_by_key(|(node, _)| node.id);
        let more = self.found.len().saturating_sub(PROBLEMS_MAX);
        self.found.truncate(PROBLEMS_MAX);
        let source = self.source;
        let mut diagnostics: Vec<Diagnostic> =
            self.found.into_iter().map(|(node, diagnostic)| source.point(diagnostic, node)).collect();
        if let Some(last) = diagnostics.pop() {
            diagnostics.push(if more > 0 { last.note(format!("and {more} more problems")) } else { last });
        }
        diagnostics
    }

    /// Marks the entries in which anything was found.
    fn mark(&self, spells: &mut [SpellEntry]) {
        for entry in spells {
            let node = self.source.find(&["spells", &entry.index.to_string()], false);
            let ids = node.id..=node.last_id();
            entry.is_flawed = self.found.iter().any(|(node, _)| ids.contains(&node.id));
        }
    }

    fn problem(&mut self, prefix: &[&str], problem: Problem) {
        let path: Vec<&str> = prefix.iter().copied().chain(problem.path.iter().map(String::as_str)).collect();
        let node = self.source.find(&path, problem.on_key);
        let mut diagnostic = Diagnostic::error(problem.message).suggest(problem.nearest.as_deref());
        if let Some(help) = problem.help {
            diagnostic = diagnostic.help(help);
        }
        self.found.push((node, diagnostic));
    }

    fn expansion(&mut self, path: &[String], error: &ExpandError) {
        let diagnostic = Diagnostic::error(error.to_string()).help(match error {
            ExpandError::Missing(name) => format!("set it, or give a default: `${{{name}:-default}}`"),
            _ => "write `${NAME}` or `${NAME:-default}`; `$${` stands for a literal `${`".into(),
        });
        self.found.push((self.source.find(path, false), diagnostic));
    }

    fn no_files(&mut self, path: &[&str], error: &FilesError) {
        let mut diagnostic = Diagnostic::error(error.to_string()).help("paths are relative to the runeset");
        if let FilesError::NotFound { nearest, .. } = error {
            diagnostic = diagnostic.suggest(nearest.as_deref());
        }
        self.found.push((self.source.find(path, false), diagnostic));
    }

    fn runeset(&mut self, runeset: &mut Runeset) {
        let root = self.source.root.to_value();
        if root.is_nil() {
            return;
        }
        let Some(entries) = settings::entries(&root) else {
            let problem = Problem::value(&[], &OptionError::wrong_type("a map of options", &root), None);
            return self.problem(&[], problem);
        };
        let base = self.base;
        for (key, value) in entries {
            let Some(rune) = RUNESET.iter().find(|rune| rune.name == key) else {
                let known: Vec<&str> = RUNESET.iter().map(|rune| rune.name).collect();
                self.problem(&[], Problem::unknown_key(&[&key], &known));
                continue;
            };
            let result = match (rune.name, rune.kind) {
                ("data", Kind::Text(what)) => {
                    text(value, what).map(|data| runeset.data = Some(files::tidy(&base.join(data))))
                }
                ("time", Kind::Text(what)) => path(value, what).map(|time| runeset.time = Some(time)),
                ("topic", Kind::Text(what)) => text(value, what).and_then(|topic| {
                    check_topic(&topic)?;
                    runeset.topic = Some(topic);
                    Ok(())
                }),
                ("durability", _) => {
                    Durability::read(value).map(|durability| runeset.durability = durability)
                }
                ("fault", _) => Fault::read(value).map(|fault| runeset.fault = Some(fault)),
                ("ward", _) => super::choices::flag(value).map(|ward| runeset.ward = ward),
                ("workers", Kind::Measure(measure)) => {
                    settings::amount(measure, value).map(|workers| runeset.workers = Some(workers))
                }
                ("max_casts", Kind::Measure(measure)) => {
                    settings::amount(measure, value).map(|casts| runeset.max_casts = casts)
                }
                ("seeds", Kind::Texts(what)) => {
                    runeset.seeds = self.seeds(value, what, rune);
                    Ok(())
                }
                ("spells", _) => self.spells(value).map(|spells| runeset.spells = spells),
                ("http" | "exec" | "file" | "stdout" | "telemetry", _) => {
                    self.service(runeset, rune, value);
                    Ok(())
                }
                _ => {
                    for problem in settings::apply_limits(&mut runeset.limits, value) {
                        self.problem(&[], problem);
                    }
                    Ok(())
                }
            };
            if let Err(error) = result {
                self.problem(&[], Problem::value(&[&key], &error, Some(options::help(rune))));
            }
        }
    }

    /// What a server does beside running spells.
    fn service(&mut self, runeset: &mut Runeset, rune: &Rune, value: &Value) {
        let problems = match rune.name {
            "http" => {
                let (http, problems) = Http::read(value);
                runeset.http = Some(http);
                problems
            }
            "telemetry" => {
                let (telemetry, problems) = Telemetry::read(value);
                runeset.telemetry = Some(telemetry);
                problems
            }
            "exec" => settled(Exec::read(value), &mut runeset.exec),
            "file" => settled(Tailed::read(value), &mut runeset.tails),
            _ => settled(services::read_stdout(value, rune), &mut runeset.stdout),
        };
        for problem in problems {
            self.problem(&[], problem);
        }
    }

    fn seeds(&mut self, value: &Value, what: &'static str, rune: &Rune) -> Vec<SeedEntry> {
        if matches!(value, Value::Array(items) if items.is_empty()) {
            return Vec::new();
        }
        let (paths, errors) = texts(value, what);
        for (index, error) in errors {
            self.problem(&[], Problem::item("seeds", index, &error, options::help(rune)));
        }
        let mut seeds = Vec::new();
        for (index, path) in paths.into_iter().enumerate().filter(|(_, path)| !path.is_empty()) {
            let files = self.files(&["seeds", &index.to_string()], &path, files::SEED_KINDS);
            seeds.push(SeedEntry { path, files });
        }
        seeds
    }

    fn spells(&mut self, value: &Value) -> Result<Vec<SpellEntry>, OptionError> {
        let Value::Array(items) = value else {
            return Err(OptionError::wrong_type("a list of maps, each with a `path`", value));
        };
        Ok(items.iter().enumerate().map(|(index, item)| self.spell(index, item)).collect())
    }

    fn spell(&mut self, index: usize, value: &Value) -> SpellEntry {
        let number = index.to_string();
        let place = ["spells", number.as_str()];
        let mut entry = SpellEntry { index, runes: vec![0x80], ..SpellEntry::default() };
        let Some(entries) = settings::entries(value) else {
            let error = OptionError::wrong_type("a map with a `path`", value);
            self.problem(&[], Problem::value(&place, &error, Some("write `- path: spells/*.lua`".into())));
            return entry;
        };
        for (key, value) in &entries {
            let Some(rune) = SPELL.iter().find(|rune| rune.name == key) else {
                let known: Vec<&str> = SPELL.iter().map(|rune| rune.name).collect();
                self.problem(&place, Problem::unknown_key(&[key], &known));
                continue;
            };
            if SpellOptions::KEYS.contains(&rune.name) {
                for problem in entry.options.apply(key, value) {
                    self.problem(&place, problem);
                }
            } else if let Err(error) = own(&mut entry, rune, value) {
                self.problem(&place, Problem::value(&[key], &error, Some(options::help(rune))));
            }
        }
        if entries.iter().all(|(key, _)| key != "path") {
            let node = self.source.find(&place, false);
            self.found
                .push((node, Diagnostic::error("a spell without `path`").help(options::help(&SPELL[0]))));
        }
        if !entry.path.is_empty() {
            entry.files = self.files(&["spells", &number, "path"], &entry.path, files::SPELL_KINDS);
        }
        if entry.files.len() > 1 && entry.options.name.is_some() {
            let count = entry.files.len();
            let message = format!("`name` is for one spell, but `path` stands for {count} files");
            self.found
                .push((self.source.find(&["spells", &number, "name"], false), Diagnostic::error(message)));
        }
        entry
    }

    fn files(&mut self, place: &[&str], path: &str, kinds: &[&str]) -> Vec<PathBuf> {
        if !self.find_files {
            return Vec::new();
        }
        files::find(self.base, path, kinds).unwrap_or_else(|error| {
            self.no_files(place, &error);
            Vec::new()
        })
    }
}

/// The options of an entry that a spell's own table does not have.
fn own(entry: &mut SpellEntry, rune: &Rune, value: &Value) -> Result<(), OptionError> {
    match rune.kind {
        Kind::Map(what) => settings::map(value, what).map(|runes| entry.runes = runes),
        kind => text(value, kind.expected()).map(|path| entry.path = path),
    }
}

/// Keeps what was read, and gives what is wrong with it.
fn settled<T>((read, problems): (T, Vec<Problem>), kept: &mut T) -> Vec<Problem> {
    *kept = read;
    problems
}

/// Every key that its map already has.
fn duplicates<'a>(found: &mut Vec<(&'a Node, Diagnostic)>, node: &'a Node) {
    match &node.kind {
        NodeKind::Scalar(_) => {}
        NodeKind::List(items) => items.iter().for_each(|item| duplicates(found, item)),
        NodeKind::Map(entries) => {
            let mut seen = std::collections::HashSet::new();
            for (key, value) in entries {
                let name = key_text(key);
                let message = format!("the key `{name}` is already there");
                if !seen.insert(name) {
                    found.push((key, Diagnostic::error(message).help("a key may stand once in a map")));
                }
                duplicates(found, value);
            }
        }
    }
}
