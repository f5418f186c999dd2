//! A batch run, from paths to what an engine takes: spells that are loaded and seeds that are found.
//!
//! Every path is given with the folder it is relative to, and is shown without it: so a golden case or
//! an app reads the same wherever its folder is. Problems of all spells, runesets and seeds are
//! collected, so that one run shows them all.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::event::topic;
use crate::runeset::files::{self, FilesError, SEED_KINDS, SPELL_KINDS};
use crate::runeset::{self, Diagnostic, Fault, Limits, Runeset, SpellEntry, SpellOptions, StatedLimits};
use crate::spell::{self, Clocks, Modules, Origin, Spell};

use super::seed::{SeedOptions, Seeds, Source};
use super::{Clock, Options, clock};

/// The largest file of a spell.
pub const SPELL_BYTES_MAX: u64 = 16 << 20;

/// A file, folder or glob, and the folder it is relative to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Empty for the current folder.
    pub base: PathBuf,
    /// As the user wrote it.
    pub path: String,
}

impl Item {
    /// A path relative to `base`.
    #[must_use]
    pub fn new(base: impl Into<PathBuf>, path: impl Into<String>) -> Self {
        let base = base.into();
        // Found files have no `.` in their paths; so that they can be shown without the folder, nor has it.
        let base = if base.as_os_str().is_empty() { base } else { files::tidy(&base) };
        Self { base, path: path.into() }
    }

    /// The path as the system takes it.
    #[must_use]
    pub fn full(&self) -> PathBuf {
        self.base.join(&self.path)
    }
}

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// A runeset; its spells and seeds come first.
    pub runeset: Option<Item>,
    /// Further spells.
    pub spells: Vec<Item>,
    /// Further seeds; `-` is standard input.
    pub seeds: Vec<Item>,
    /// Whether every instruction is counted.
    pub exact: bool,
    /// What a fault does where neither spell nor runeset say it; `None`: it stops.
    pub fault: Option<Fault>,
}

/// What was loaded.
#[derive(Debug)]
pub struct Batch {
    /// The spells, in spell order.
    pub spells: Vec<Arc<Spell>>,
    /// The seeds, in order, not yet opened.
    pub seeds: Vec<Source>,
    /// The runeset, or an empty one.
    pub runeset: Runeset,
}

impl Batch {
    /// How the run is made, as far as the runeset says.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            workers: self.runeset.workers.unwrap_or(0) as usize,
            max_casts: self.runeset.max_casts,
            ..Options::default()
        }
    }

    /// The seeds, as the engine takes them.
    #[must_use]
    pub fn intake(&self, options: SeedOptions) -> Seeds {
        Seeds::new(self.seeds.clone(), options)
    }

    /// How they are read, as far as the runeset says.
    #[must_use]
    pub fn seed_options(&self, clock: Clock) -> SeedOptions {
        SeedOptions {
            topic: self.runeset.topic.clone(),
            time: self.runeset.time.clone(),
            clock,
            limits: Limits::resolve(&self.runeset.limits, &StatedLimits::default(), &StatedLimits::default()),
            clocks: clocks(true),
            ..SeedOptions::default()
        }
    }
}

fn clocks(exact: bool) -> Clocks {
    Clocks { steady_ms: clock::steady_ms, timer_ns: None, exact }
}

/// Loads everything, or says everything that is wrong. `environment` is what runesets expand.
pub fn load(
    request: &Request,
    environment: runeset::expand::Environment<'_>,
) -> Result<Batch, Vec<Diagnostic>> {
    let mut loader = Loader {
        clocks: clocks(request.exact),
        fault: request.fault.unwrap_or(Fault::Stop),
        batch: Batch { spells: Vec::new(), seeds: Vec::new(), runeset: Runeset::empty() },
        problems: Vec::new(),
    };
    if let Some(item) = &request.runeset {
        loader.runeset(item, environment);
    }
    for item in &request.spells {
        loader.spells(item);
    }
    for item in &request.seeds {
        loader.seeds(item);
    }
    loader.names();
    let seeds = Seeds::new(loader.batch.seeds.clone(), SeedOptions::default());
    loader.problems.extend(seeds.problems());
    if loader.problems.is_empty() { Ok(loader.batch) } else { Err(loader.problems) }
}

/// Loads one spell more, as a runeset would that says `options` of it. `fault`: what a fault does where neither spell nor
/// runeset say it.
pub fn load_spell(
    item: &Item,
    runeset: &Runeset,
    options: SpellOptions,
    fault: Fault,
) -> Result<Arc<Spell>, Vec<Diagnostic>> {
    let batch = Batch { spells: Vec::new(), seeds: Vec::new(), runeset: Runeset::empty() };
    let mut loader = Loader { clocks: clocks(false), fault, batch, problems: Vec::new() };
    let entry = SpellEntry { options, runes: vec![0x80], ..SpellEntry::default() };
    loader.spell(&item.base, &item.full(), Some((runeset, &entry)));
    loader.batch.spells.pop().ok_or(loader.problems)
}

/// Loads a spell from its text alone, under a name: there are no modules, and no options but its own.
pub fn load_source(path: &str, source: Vec<u8>, name: &str, fault: Fault) -> Result<Spell, Vec<Diagnostic>> {
    let (modules, limits) = (Modules::default(), StatedLimits::default());
    let origin = Origin { path: path.to_owned(), source, modules, entry: None, limits, fault };
    let mut spell = spell::load(origin, clocks(false))?;
    spell.name = name.into();
    Ok(spell)
}

struct Loader {
    clocks: Clocks,
    fault: Fault,
    batch: Batch,
    problems: Vec<Diagnostic>,
}

impl Loader {
    fn runeset(&mut self, item: &Item, environment: runeset::expand::Environment<'_>) {
        match runeset::survey(&item.full(), environment) {
            Ok((runeset, problems)) => {
                self.problems.extend(problems.into_iter().map(|problem| relative(problem, &item.base)));
                for entry in &runeset.spells {
                    for file in &entry.files {
                        self.spell(&item.base, file, Some((&runeset, entry)));
                    }
                }
                for file in runeset.seeds.iter().flat_map(|entry| &entry.files) {
                    self.seed(&item.base, file);
                }
                self.batch.runeset = runeset;
            }
            Err(error) => {
                let problems = error.diagnostics().into_iter();
                self.problems.extend(problems.map(|problem| relative(problem, &item.base)));
            }
        }
    }

    fn spells(&mut self, item: &Item) {
        match files::find(&item.base, &item.path, SPELL_KINDS) {
            Ok(files) => files.iter().for_each(|file| self.spell(&item.base, file, None)),
            Err(error) => self.missing(&error, item),
        }
    }

    fn seeds(&mut self, item: &Item) {
        if item.path == "-" {
            self.batch.seeds.push(Source::stdin());
            return;
        }
        match files::find(&item.base, &item.path, SEED_KINDS) {
            Ok(files) => files.iter().for_each(|file| self.seed(&item.base, file)),
            Err(error) => self.missing(&error, item),
        }
    }

    fn seed(&mut self, base: &Path, file: &Path) {
        match Source::file(shown(base, file), file) {
            Ok(mut source) => {
                let folder = file.parent().unwrap_or(Path::new(""));
                source.modules = Modules::shown(folder, shown(base, folder));
                self.batch.seeds.push(source);
            }
            Err(problem) => self.problems.push(*problem),
        }
    }

    fn missing(&mut self, error: &FilesError, item: &Item) {
        let mut problem = Diagnostic::error(error.to_string());
        if let FilesError::NotFound { nearest: Some(nearest), .. } = error {
            problem = problem.help(format!("did you mean `{nearest}`?"));
        }
        self.problems.push(relative(problem, &item.base));
    }

    fn spell(&mut self, base: &Path, file: &Path, entry: Option<(&Runeset, &SpellEntry)>) {
        let path = shown(base, file);
        if file.extension().is_none_or(|kind| !SPELL_KINDS.iter().any(|known| kind == *known)) {
            let problem = Diagnostic::error(format!("`{path}` is no spell: spells are `.lua` files"));
            let kind = file.extension().unwrap_or_default();
            let seed = SEED_KINDS.iter().any(|known| kind == *known);
            self.problems.push(if seed { problem.help("a seed goes after `--seed`") } else { problem });
            return;
        }
        let source = match read_source(file) {
            Ok(source) => source,
            Err(message) => {
                self.problems.push(Diagnostic::error(format!("cannot read the spell `{path}`: {message}")));
                return;
            }
        };
        let folder = file.parent().unwrap_or(Path::new(""));
        let modules = Modules::shown(folder, shown(base, folder));
        let limits = entry.map_or_else(StatedLimits::default, |(runeset, _)| runeset.limits);
        let fault = entry.and_then(|(runeset, _)| runeset.fault).unwrap_or(self.fault);
        match spell::load(Origin { path, source, modules, entry, limits, fault }, self.clocks) {
            // It may have been meant to have another name.
            Ok(_) if entry.is_some_and(|(_, entry)| entry.is_flawed) => {}
            Ok(spell) => self.batch.spells.push(Arc::new(spell)),
            Err(problems) => {
                self.problems.extend(problems.into_iter().map(|problem| relative(problem, base)));
            }
        }
    }

    /// Two spells of one name would share outputs' ids and could not be told apart in reports.
    fn names(&mut self) {
        let mut seen: HashMap<Arc<str>, String> = HashMap::new();
        for spell in &self.batch.spells {
            let Some(other) = seen.insert(spell.name.clone(), spell.path.clone()) else { continue };
            let message = if other == spell.path {
                format!("spell `{}` is loaded twice", spell.name)
            } else {
                format!("two spells are called `{}`: {other} and {}", spell.name, spell.path)
            };
            let problem = Diagnostic::error(message).in_file(&spell.path);
            self.problems
                .push(problem.help("give one of them another `name`, in the spell or in the runeset"));
        }
        let spells = &self.batch.spells;
        self.problems.extend(spells.iter().filter_map(|spell| shadow_problem(spell, spells)));
    }
}

/// What is wrong with the spell that a shadow names.
#[must_use]
pub fn shadow_problem(spell: &Spell, spells: &[Arc<Spell>]) -> Option<Diagnostic> {
    let of = spell.shadow.as_ref()?;
    let name = &spell.name;
    let text = match spells.iter().find(|other| other.name == *of) {
        _ if of == name => format!("spell `{name}` cannot be its own shadow"),
        None => format!("spell `{name}` is to be the shadow of `{of}`, which is not there"),
        Some(other) if other.shadow.is_some() => {
            format!("spell `{name}` is to be the shadow of `{of}`, which is a shadow itself")
        }
        Some(_) => return None,
    };
    Some(Diagnostic::error(text).in_file(&spell.path))
}

/// Reads a Lua file of bounded size.
///
/// # Errors
/// Why it cannot be read, in words: what is no file, too, and what is too large.
pub fn read_source(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    // What is no file, such as a pipe, would make who opens it wait, and a server with it.
    if !fs::metadata(file).map_err(|error| error.to_string())?.is_file() {
        return Err("it is no file".to_owned());
    }
    let opened = fs::File::open(file).map_err(|error| error.to_string())?;
    opened.take(SPELL_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > SPELL_BYTES_MAX {
        return Err(format!("it is larger than {} MiB", SPELL_BYTES_MAX >> 20));
    }
    Ok(bytes)
}

/// A path without the folder it is relative to, with `/` between its parts.
#[must_use]
pub fn shown(base: &Path, path: &Path) -> String {
    let path = if base.as_os_str().is_empty() { path } else { path.strip_prefix(base).unwrap_or(path) };
    path.to_string_lossy().into_owned()
}

/// A diagnostic whose paths are without the folder they are relative to.
#[must_use]
pub fn relative(mut diagnostic: Diagnostic, base: &Path) -> Diagnostic {
    let text = base.to_string_lossy();
    let prefix = text.trim_end_matches('/');
    if prefix.is_empty() {
        return diagnostic;
    }
    let prefix = format!("{prefix}/");
    if let Some(place) = &mut diagnostic.place {
        place.file = shown(base, Path::new(&place.file));
    }
    diagnostic.message = diagnostic.message.replace(&prefix, "");
    for (_, text) in &mut diagnostic.notes {
        *text = text.replace(&prefix, "");
    }
    diagnostic
}

/// Whether a topic may be given to seeds; the message says why not.
pub fn check_topic(text: &str) -> Result<(), String> {
    topic::validate(text).map_err(|error| error.to_string())?;
    if topic::is_reserved(text) {
        return Err(format!("topic `{text}` belongs to the engine"));
    }
    Ok(())
}
