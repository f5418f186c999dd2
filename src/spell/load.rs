//! A file to a checked spell: every problem of it at once.

use std::sync::Arc;

use super::host::Host;
use super::raw::{Member, MemberValue, Vm};
use super::report;
use super::{Clocks, Modules, OpenError, Spell};
use crate::event::msgpack::parse_path;
use crate::event::suggest::suggest;
use crate::router::filter::{Filter, Step};
use crate::router::pattern::Pattern;
use crate::runeset::settings::Problem;
use crate::runeset::{Diagnostic, Fault as FaultPolicy, Limits, Runeset, SpellOptions, StatedLimits};

/// Members that are functions.
const HOOKS: [&str; 5] = ["prepare", "cast", "tick", "unprepare", "migrate"];
/// Every member a spell may have.
const MEMBERS: [&str; 21] = [
    "name",
    "was",
    "topic",
    "filter",
    "lane",
    "lanes",
    "batch",
    "every",
    "reads",
    "start",
    "fault",
    "ward",
    "shadow",
    "limits",
    "nulls",
    "version",
    "migrate",
    "prepare",
    "cast",
    "tick",
    "unprepare",
];

/// Where a spell comes from, and what a runeset says of it.
pub struct Origin<'a> {
    /// Its file, as it is to be shown.
    pub path: String,
    /// Its text.
    pub source: Vec<u8>,
    /// Where `require` looks.
    pub modules: Modules,
    /// The runeset's entry for it, with the runeset.
    pub entry: Option<(&'a Runeset, &'a crate::runeset::SpellEntry)>,
    /// What holds for every spell of the runeset.
    pub limits: StatedLimits,
    /// What a fault does where the spell does not say.
    pub fault: FaultPolicy,
}

/// Loads a spell: runs its chunk in a fresh VM and checks every member.
pub fn load(origin: Origin<'_>, clocks: Clocks) -> Result<Spell, Vec<Diagnostic>> {
    Loader::new(&origin).load(clocks).map_err(|mut problems| {
        problems.sort_by_key(|problem| problem.place.as_ref().map_or(0, |place| place.line));
        problems
    })
}

/// Collects what is wrong with a file.
pub(super) struct Loader<'a> {
    pub(super) origin: &'a Origin<'a>,
    pub(super) text: String,
    pub(super) problems: Vec<Diagnostic>,
    pub(super) own: SpellOptions,
}

impl<'a> Loader<'a> {
    pub(super) fn new(origin: &'a Origin<'a>) -> Self {
        Self {
            origin,
            text: String::from_utf8_lossy(&origin.source).into_owned(),
            problems: Vec::new(),
            own: SpellOptions::default(),
        }
    }

    fn load(mut self, clocks: Clocks) -> Result<Spell, Vec<Diagnostic>> {
        let origin = self.origin;
        let entry_options = origin.entry.map(|(_, entry)| entry.options.clone()).unwrap_or_default();
        let stem = stem(&origin.path);
        let runes = origin.entry.map_or_else(|| vec![0x80], |(_, entry)| entry.runes.clone());
        // The chunk itself runs under what the runeset allows.
        let limits = Limits::resolve(&origin.limits, &StatedLimits::default(), &entry_options.limits);
        let host = Host::new(&stem, limits, runes.clone(), origin.modules.clone());
        let mut vm = Vm::new(host, clocks.steady_ms, clocks.exact)
            .map_err(|error| vec![Diagnostic::error(error.to_string()).in_file(&origin.path)])?;
        let members = vm
            .load(&origin.path, &origin.source)
            .map_err(|fault| vec![report::load_fault(&origin.path, &self.text, &fault)])?;
        drop(vm);

        let mut functions = Functions::default();
        let mut own = Own::default();
        for member in &members {
            self.member(member, &mut functions, &mut own);
        }
        if functions.cast.is_none() && !members.iter().any(|member| member.name == "cast") {
            let mut problem = Diagnostic::error("the spell has no `cast`").in_file(&origin.path);
            let near = members.iter().find(|member| suggest(&member.name, ["cast"]).is_some());
            if let Some(near) = near {
                problem = self.at_key(&near.name, "the spell has no `cast`").suggest(Some("cast"));
            }
            self.problems.push(problem.help("add `cast = function(event) ... end` to the table it returns"));
        }
        let options = over(&self.own, &entry_options);
        let topics = self.topics(&entry_options);
        let filter = self.filter(&entry_options);
        if options.every_ms.is_some() && !functions.tick {
            let by_entry = entry_options.every_ms.is_some();
            self.complain_of_option("every", by_entry, "`every` needs a function `tick`");
        }
        // What an entry lacks may be what was refused in it.
        let is_flawed = origin.entry.is_some_and(|(_, entry)| entry.is_flawed);
        if functions.tick && options.every_ms.is_none() && !is_flawed {
            self.complain("tick", "`tick` is never called without `every`", Some("add `every = \"10s\"`"));
        }
        if options.batch.is_some() && functions.filter.is_some() {
            self.complain(
                "filter",
                "a filter function cannot be combined with `batch`",
                Some("use a table filter, or filter inside `cast`"),
            );
        }
        if options.lanes.is_some() && options.lane.is_none() && !is_flawed {
            self.complain_of_option(
                "lanes",
                entry_options.lanes.is_some(),
                "`lanes` has no meaning without `lane`, the path of the partition key",
            );
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        Ok(Spell {
            name: options.name.as_deref().unwrap_or(&stem).into(),
            was: options.was.as_deref().map(Arc::from),
            path: origin.path.clone(),
            source: Arc::from(origin.source.as_slice()),
            topics,
            filter_function: filter.is_none() && functions.filter.is_some(),
            filter,
            lane: options.lane.as_deref().map(parse_path),
            lanes: options.lanes.unwrap_or(1) as usize,
            batch: options.batch,
            every_ms: options.every_ms,
            reads: own.reads,
            start: options.start,
            // What a shadow does is seen, and has no consequences.
            fault: match options.shadow {
                Some(_) => FaultPolicy::Skip,
                None => options.fault.unwrap_or(origin.fault),
            },
            ward: options.ward.unwrap_or(origin.entry.is_some_and(|(runeset, _)| runeset.ward)),
            shadow: options.shadow.as_deref().map(Arc::from),
            version: own.version,
            limits: Limits::resolve(&origin.limits, &self.own.limits, &entry_options.limits),
            nulls: own.nulls,
            runes,
            modules: origin.modules.clone(),
            cast_envelope: functions.cast.unwrap_or(false),
            filter_envelope: functions.filter.unwrap_or(false),
        })
    }

    fn member(&mut self, member: &Member, functions: &mut Functions, own: &mut Own) {
        let name = member.name.as_str();
        match (&member.value, name) {
            (&MemberValue::Function { takes_envelope, .. }, "cast") => functions.cast = Some(takes_envelope),
            (&MemberValue::Function { takes_envelope, .. }, "filter") => {
                functions.filter = Some(takes_envelope);
            }
            (MemberValue::Function { .. }, "tick") => functions.tick = true,
            (MemberValue::Function { .. }, "prepare" | "unprepare" | "migrate") => {}
            (_, name) if !MEMBERS.contains(&name) => {
                let problem = self
                    .at_key(name, format!("unknown member `{name}`"))
                    .suggest(suggest(name, MEMBERS))
                    .help(format!("a spell's members: {}", MEMBERS.join(", ")));
                self.problems.push(problem);
            }
            (value, name) if HOOKS.contains(&name) => {
                let text = format!("`{name}` is {}, not a function", kind_of(value));
                self.complain(name, &text, None);
            }
            (MemberValue::Data(bytes), "reads") => match string_list(bytes) {
                Some(fields) => own.reads = Some(fields),
                None => self.complain("reads", "`reads` is a list of field names", None),
            },
            (MemberValue::Data(bytes), "nulls") => match bytes.as_slice() {
                [0xc2] => own.nulls = false,
                [0xc3] => own.nulls = true,
                _ => self.complain("nulls", "`nulls` is true or false", None),
            },
            (MemberValue::Data(bytes), "version") => match whole(bytes) {
                Some(version) => own.version = version,
                None => self.complain("version", "`version` is a whole number, 0 or more", None),
            },
            (MemberValue::Data(bytes), name) => {
                let Ok(value) = rmpv::decode::read_value(&mut bytes.as_slice()) else { return };
                for problem in self.own.apply(name, &value) {
                    self.option_problem(&problem);
                }
            }
            (value, name) => {
                let text = format!("`{name}` is {}", kind_of(value));
                self.complain(name, &text, None);
            }
        }
    }

    /// A problem of an option, pointed at in the spell's text.
    pub(super) fn option_problem(&mut self, problem: &Problem) {
        let key = problem.path.iter().rev().find(|step| self.find_key(step).is_some());
        let key = key.or(problem.path.first()).cloned().unwrap_or_default();
        let mut diagnostic = self.at_key(&key, problem.message.clone()).suggest(problem.nearest.as_deref());
        if let Some(help) = &problem.help {
            diagnostic = diagnostic.help(help.clone());
        }
        self.problems.push(diagnostic);
    }

    pub(super) fn topics(&mut self, entry: &SpellOptions) -> Vec<Pattern> {
        let by_entry = entry.topic.is_some();
        let texts = entry.topic.clone().or_else(|| self.own.topic.clone()).unwrap_or_default();
        let mut patterns = Vec::new();
        // An empty one was refused when the option was read.
        for (index, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            match Pattern::parse(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => {
                    let message = format!("`topic`: {error}");
                    let problem = match self.origin.entry {
                        Some((runeset, entry)) if by_entry => {
                            let path = ["topic".to_owned(), index.to_string()];
                            runeset.spell_diagnostic(entry, &path, false, message)
                        }
                        _ => self.at_text(text, message),
                    };
                    self.problems.push(problem);
                }
            }
        }
        patterns
    }

    fn filter(&mut self, entry: &SpellOptions) -> Option<Filter> {
        let by_entry = entry.filter.is_some();
        let spec = entry.filter.as_ref().or(self.own.filter.as_ref())?.clone();
        let problems = match Filter::check(&spec) {
            Ok(filter) => return Some(filter),
            Err(problems) => problems,
        };
        for error in problems {
            let step = |step: &Step| match step {
                Step::Key(key) => key.clone(),
                // A runeset counts from 0.
                Step::Index(index) => index.saturating_sub(1).to_string(),
            };
            let steps: Vec<String> = error.path().iter().map(step).collect();
            let message = format!("`filter`: {error}");
            let problem = match self.origin.entry {
                Some((runeset, entry)) if by_entry => {
                    let mut path = vec!["filter".to_owned()];
                    path.extend(steps);
                    runeset.spell_diagnostic(entry, &path, true, message)
                }
                _ => {
                    let key = steps.iter().rev().find(|step| self.find_key(step).is_some());
                    self.at_key(key.map_or("filter", String::as_str), message)
                }
            };
            self.problems.push(problem);
        }
        None
    }

    pub(super) fn complain(&mut self, key: &str, message: &str, help: Option<&str>) {
        let mut problem = self.at_key(key, message);
        if let Some(help) = help {
            problem = problem.help(help);
        }
        self.problems.push(problem);
    }

    /// Points at an option where it is stated: in the runeset's entry or in the spell.
    fn complain_of_option(&mut self, key: &str, by_entry: bool, message: &str) {
        match self.origin.entry {
            Some((runeset, entry)) if by_entry => {
                self.problems.push(runeset.spell_diagnostic(entry, &[key], true, message));
            }
            _ => self.complain(key, message, None),
        }
    }

    /// Points at the first line that sets `key` in a table.
    pub(super) fn at_key(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        match self.find_key(key) {
            Some((line, column)) => {
                let length = key.chars().count();
                Diagnostic::error(message).at(&self.origin.path, &self.text, line, column, length)
            }
            None => Diagnostic::error(message).in_file(&self.origin.path),
        }
    }

    /// Points at the first line that holds `text` in quotes.
    fn at_text(&self, text: &str, message: impl Into<String>) -> Diagnostic {
        for (index, line) in self.text.lines().enumerate() {
            if let Some(at) = line.find(&format!("\"{text}\"")).or_else(|| line.find(&format!("'{text}'"))) {
                let column = line[..at].chars().count() + 2;
                let length = text.chars().count().max(1);
                return Diagnostic::error(message).at(
                    &self.origin.path,
                    &self.text,
                    index + 1,
                    column,
                    length,
                );
            }
        }
        self.at_key("topic", message)
    }

    /// Line and column, from 1, of `key =` or `["key"] =`. A search in the text: Lua keeps no positions
    /// of table fields.
    fn find_key(&self, key: &str) -> Option<(usize, usize)> {
        if key.is_empty() {
            return None;
        }
        for (index, line) in self.text.lines().enumerate() {
            let code = line.split("--").next().unwrap_or(line);
            for (at, _) in code.match_indices(key) {
                let before = code[..at].chars().next_back();
                let after = code[at + key.len()..].trim_start_matches(['"', '\'', ']']).trim_start();
                let whole = before.is_none_or(|char| !char.is_alphanumeric() && char != '_' && char != '.');
                if whole && after.starts_with('=') && !after.starts_with("==") {
                    return Some((index + 1, code[..at].chars().count() + 1));
                }
            }
        }
        None
    }
}

/// Which functions a spell has; for `cast` and `filter` whether they take the envelope.
#[derive(Default)]
struct Functions {
    cast: Option<bool>,
    filter: Option<bool>,
    tick: bool,
}

/// Members that only a spell has.
#[derive(Default)]
struct Own {
    reads: Option<Vec<Box<[u8]>>>,
    nulls: bool,
    version: u64,
}

/// What a runeset's entry says goes before what the spell says.
fn over(own: &SpellOptions, entry: &SpellOptions) -> SpellOptions {
    SpellOptions {
        name: entry.name.clone().or_else(|| own.name.clone()),
        was: entry.was.clone().or_else(|| own.was.clone()),
        topic: entry.topic.clone().or_else(|| own.topic.clone()),
        filter: entry.filter.clone().or_else(|| own.filter.clone()),
        lane: entry.lane.clone().or_else(|| own.lane.clone()),
        lanes: entry.lanes.or(own.lanes),
        batch: entry.batch.or(own.batch),
        every_ms: entry.every_ms.or(own.every_ms),
        start: entry.start.or(own.start),
        fault: entry.fault.or(own.fault),
        ward: entry.ward.or(own.ward),
        shadow: entry.shadow.clone().or_else(|| own.shadow.clone()),
        limits: own.limits,
    }
}

pub(super) fn stem(path: &str) -> String {
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    file.strip_suffix(".lua").unwrap_or(file).to_owned()
}

/// A number up to the greatest that Lua has.
fn whole(bytes: &[u8]) -> Option<u64> {
    let value = rmpv::decode::read_value(&mut &*bytes).ok()?;
    value.as_u64().filter(|number| i64::try_from(*number).is_ok())
}

fn string_list(bytes: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let value = rmpv::decode::read_value(&mut &*bytes).ok()?;
    let mut fields: Vec<Box<[u8]>> = value
        .as_array()?
        .iter()
        .map(|item| item.as_str().map(|text| text.as_bytes().into()))
        .collect::<Option<_>>()?;
    fields.sort();
    fields.dedup();
    Some(fields)
}

pub(super) fn kind_of(value: &MemberValue) -> String {
    match value {
        MemberValue::Function { line, .. } => format!("a function (line {line})"),
        MemberValue::Other(name) => format!("a {name}"),
        MemberValue::Data(bytes) => match bytes.first() {
            Some(0xc2 | 0xc3) => "a boolean".to_owned(),
            Some(0xa0..=0xbf | 0xd9..=0xdb | 0xc4..=0xc6) => "a string".to_owned(),
            Some(0x80..=0x9f | 0xdc..=0xdf) => "a table".to_owned(),
            _ => "a number".to_owned(),
        },
    }
}

impl From<OpenError> for Diagnostic {
    fn from(error: OpenError) -> Self {
        Diagnostic::error(error.to_string())
    }
}
