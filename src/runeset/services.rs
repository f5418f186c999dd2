//! What a server does beside running spells: answering HTTP, running programs, tailing files, printing a topic,
//! telling a collector.
//!
//! A batch run leaves these options out. Topic patterns are carried as they were written, as everywhere in runesets;
//! paths are relative to the runeset.

use std::net::SocketAddr;

use hyper::Uri;
use rmpv::Value;

use super::choices::{OptionError, choice, flag, text, texts};
use super::options::{EXEC, FILE, HTTP, Kind, Rune, TELEMETRY, help};
use super::settings::{Problem, amount, entries};
use crate::event::topic;

/// The longest name of a program, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// `http`: a public face, whose requests spells answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where it listens.
    pub listen: Option<SocketAddr>,
    /// The plane whose spells answer.
    pub plane: String,
    /// Whether other machines may reach it.
    pub public: bool,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// Bytes of a request's body at most.
    pub body_bytes: u64,
    /// Folder of files that are served first.
    pub files: Option<String>,
}

/// An entry of `exec`: a program that is kept running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// What it is called.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The plane it reads and writes.
    pub plane: String,
    /// Patterns of topics whose energies are written to its standard input.
    pub input: Vec<String>,
    /// Topic of the lines of its standard output.
    pub output: Option<String>,
    /// Whether it starts with the server.
    pub auto: bool,
    /// What happens when it ends.
    pub restart: Restart,
    /// How long the first restart waits, in milliseconds; each further one twice as long.
    pub backoff_ms: u64,
    /// How long a restart waits at most, in milliseconds.
    pub backoff_max_ms: u64,
    /// How long it may take to end when it is asked to, in milliseconds.
    pub stop_ms: u64,
}

/// An entry of `file`: a file of lines that is tailed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tailed {
    /// The file.
    pub path: String,
    /// Topic of its lines.
    pub topic: String,
    /// The plane they are appended to.
    pub plane: String,
}

/// `telemetry`: a collector that is sent spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Where it takes them: `http://`, a host, a port, maybe a path; without a slash at the end.
    pub otlp: String,
    /// What the server is called there.
    pub name: String,
}

/// What happens when a program ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// It is started again.
    #[default]
    Always,
    /// It is started again unless its exit code was 0.
    OnFailure,
    /// Nothing.
    Never,
}

impl Restart {
    /// The words it is written with.
    pub const WORDS: &[(&'static str, &'static str)] = &[
        ("always", "a program that ends is started again"),
        ("on-failure", "it is started again unless its exit code was 0"),
        ("never", "it is not started again"),
    ];

    fn read(value: &Value) -> Result<Self, OptionError> {
        Ok(match choice(value, Self::WORDS)? {
            "always" => Restart::Always,
            "on-failure" => Restart::OnFailure,
            _ => Restart::Never,
        })
    }
}

impl Http {
    /// What holds where nothing is said.
    #[must_use]
    pub fn new() -> Self {
        Self {
            listen: None,
            plane: "main".to_owned(),
            public: false,
            timeout_ms: default_of(HTTP, "timeout"),
            body_bytes: default_of(HTTP, "body"),
            files: None,
        }
    }

    /// Reads the section; the paths of problems begin with `http`.
    pub(super) fn read(value: &Value) -> (Self, Vec<Problem>) {
        let mut http = Self::new();
        let problems = section(HTTP, &["http"], value, |rune, value| {
            match (rune.name, rune.kind) {
                ("listen", kind) => http.listen = Some(address(value, kind.expected())?),
                ("plane", kind) => http.plane = text(value, kind.expected())?,
                ("public", _) => http.public = flag(value)?,
                ("timeout", Kind::Measure(measure)) => http.timeout_ms = amount(measure, value)?,
                ("body", Kind::Measure(measure)) => http.body_bytes = amount(measure, value)?,
                (_, kind) => http.files = Some(text(value, kind.expected())?),
            }
            Ok(())
        });
        (http, problems)
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Exec {
    fn new() -> Self {
        Self {
            name: String::new(),
            command: Vec::new(),
            plane: "main".to_owned(),
            input: Vec::new(),
            output: None,
            auto: true,
            restart: Restart::default(),
            backoff_ms: default_of(EXEC, "backoff"),
            backoff_max_ms: default_of(EXEC, "backoff_max"),
            stop_ms: default_of(EXEC, "stop"),
        }
    }

    /// Reads the list; the paths of problems begin with `exec`.
    pub(super) fn read(value: &Value) -> (Vec<Self>, Vec<Problem>) {
        let (mut all, mut problems): (Vec<Self>, _) = (Vec::new(), Vec::new());
        for (index, item) in items("exec", value, &mut problems).iter().enumerate() {
            let (mut exec, number) = (Self::new(), index.to_string());
            let place = ["exec", &number];
            problems.extend(section(EXEC, &place, item, |rune, value| exec.set(rune, value)));
            if !exec.name.is_empty() && all.iter().any(|other| other.name == exec.name) {
                let error = OptionError::BadData(format!("`{}` is there already", exec.name));
                problems.push(Problem::value(&["exec", &number, "name"], &error, None));
            }
            all.push(exec);
        }
        (all, problems)
    }

    fn set(&mut self, rune: &Rune, value: &Value) -> Result<(), OptionError> {
        match (rune.name, rune.kind) {
            ("name", kind) => self.name = name(value, kind.expected())?,
            ("command", kind) => self.command = all_texts(value, kind.expected())?,
            ("plane", kind) => self.plane = text(value, kind.expected())?,
            ("input", kind) => self.input = all_texts(value, kind.expected())?,
            ("output", kind) => self.output = Some(a_topic(value, kind.expected())?),
            ("auto", _) => self.auto = flag(value)?,
            ("restart", _) => self.restart = Restart::read(value)?,
            ("backoff", Kind::Measure(measure)) => self.backoff_ms = amount(measure, value)?,
            ("backoff_max", Kind::Measure(measure)) => self.backoff_max_ms = amount(measure, value)?,
            (_, Kind::Measure(measure)) => self.stop_ms = amount(measure, value)?,
            _ => {}
        }
        Ok(())
    }
}

impl Tailed {
    /// Reads the list; the paths of problems begin with `file`.
    pub(super) fn read(value: &Value) -> (Vec<Self>, Vec<Problem>) {
        let (mut all, mut problems): (Vec<Self>, _) = (Vec::new(), Vec::new());
        for (index, item) in items("file", value, &mut problems).iter().enumerate() {
            let mut tailed = Self { path: String::new(), topic: String::new(), plane: "main".to_owned() };
            let number = index.to_string();
            problems.extend(section(FILE, &["file", &number], item, |rune, value| {
                let expected = rune.kind.expected();
                match rune.name {
                    "path" => tailed.path = text(value, expected)?,
                    "topic" => tailed.topic = a_topic(value, expected)?,
                    _ => tailed.plane = text(value, expected)?,
                }
                Ok(())
            }));
            let is_same = |other: &Self| (&other.path, &other.plane) == (&tailed.path, &tailed.plane);
            if !tailed.path.is_empty() && all.iter().any(is_same) {
                let error = OptionError::BadData(format!("`{}` is tailed already", tailed.path));
                problems.push(Problem::value(&["file", &number, "path"], &error, None));
            }
            all.push(tailed);
        }
        (all, problems)
    }
}

impl Telemetry {
    /// Reads the section; the paths of problems begin with `telemetry`.
    pub(super) fn read(value: &Value) -> (Self, Vec<Problem>) {
        let mut telemetry = Self { otlp: String::new(), name: "sanctum".to_owned() };
        let problems = section(TELEMETRY, &["telemetry"], value, |rune, value| {
            let expected = rune.kind.expected();
            match rune.name {
                "otlp" => telemetry.otlp = endpoint(value, expected)?,
                _ => telemetry.name = text(value, expected)?,
            }
            Ok(())
        });
        (telemetry, problems)
    }
}

/// Reads the patterns of `stdout`.
pub(super) fn read_stdout(value: &Value, rune: &Rune) -> (Vec<String>, Vec<Problem>) {
    let (patterns, errors) = texts(value, rune.kind.expected());
    let problem = |(index, error)| Problem::item("stdout", index, &error, help(rune));
    (patterns, errors.into_iter().map(problem).collect())
}

/// Goes through a map whose keys are those of a table; gives every problem.
fn section(
    table: &'static [Rune],
    place: &[&str],
    value: &Value,
    mut set: impl FnMut(&Rune, &Value) -> Result<(), OptionError>,
) -> Vec<Problem> {
    let Some(entries) = entries(value) else {
        return vec![Problem::value(place, &OptionError::wrong_type("a map", value), Some(known(table)))];
    };
    let mut problems = Vec::new();
    for (key, value) in &entries {
        let path: Vec<&str> = place.iter().copied().chain([key.as_str()]).collect();
        let Some(rune) = table.iter().find(|rune| rune.name == key) else {
            let names: Vec<&'static str> = table.iter().map(|rune| rune.name).collect();
            problems.push(Problem::unknown_key(&path, &names));
            continue;
        };
        if let Err(error) = set(rune, value) {
            problems.push(Problem::value(&path, &error, Some(help(rune))));
        }
    }
    for rune in table.iter().filter(|rune| rune.default == "required") {
        if entries.iter().all(|(key, _)| key != rune.name) {
            problems.push(Problem {
                path: place.iter().map(ToString::to_string).collect(),
                on_key: false,
                message: format!("`{}` without `{}`", place[0], rune.name),
                nearest: None,
                help: Some(help(rune)),
            });
        }
    }
    problems
}

fn items<'a>(key: &str, value: &'a Value, problems: &mut Vec<Problem>) -> &'a [Value] {
    match value {
        Value::Array(items) => items,
        _ => {
            let error = OptionError::wrong_type("a list of maps", value);
            problems.push(Problem::value(&[key], &error, None));
            &[]
        }
    }
}

fn known(table: &[Rune]) -> String {
    format!("known keys: {}", table.iter().map(|rune| rune.name).collect::<Vec<_>>().join(", "))
}

/// The default that a table has for an amount.
fn default_of(table: &[Rune], name: &str) -> u64 {
    table.iter().find(|rune| rune.name == name).map_or(0, |rune| match rune.kind {
        Kind::Measure(measure) => measure.default,
        _ => 0,
    })
}

fn all_texts(value: &Value, expected: &'static str) -> Result<Vec<String>, OptionError> {
    let (texts, mut errors) = texts(value, expected);
    if errors.is_empty() { Ok(texts) } else { Err(errors.swap_remove(0).1) }
}

fn address(value: &Value, expected: &'static str) -> Result<SocketAddr, OptionError> {
    let text = text(value, expected)?;
    text.parse().map_err(|_| OptionError::BadData(format!("`{text}` is not {expected}")))
}

/// A URL of HTTP without TLS, a query or a user.
fn endpoint(value: &Value, expected: &'static str) -> Result<String, OptionError> {
    let text = text(value, expected)?;
    let url: Option<Uri> = text.parse().ok();
    let is_good = url.is_some_and(|url| {
        let has_host = url.authority().is_some_and(|at| !at.host().is_empty() && !at.as_str().contains('@'));
        url.scheme_str() == Some("http") && has_host && url.query().is_none()
    });
    if is_good && !text.contains('#') {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(OptionError::BadData(format!("`{}` is not {expected}", text.escape_debug())))
    }
}

fn a_topic(value: &Value, expected: &'static str) -> Result<String, OptionError> {
    let text = text(value, expected)?;
    check_topic(&text)?;
    Ok(text)
}

/// A topic that is not the engine's.
pub(super) fn check_topic(text: &str) -> Result<(), OptionError> {
    topic::validate(text).map_err(|error| OptionError::BadData(error.to_string()))?;
    if topic::is_reserved(text) {
        return Err(OptionError::BadData(format!("topic `{text}` belongs to the engine")));
    }
    Ok(())
}

fn name(value: &Value, expected: &'static str) -> Result<String, OptionError> {
    let text = text(value, expected)?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.len() > NAME_BYTES_MAX || !text.bytes().all(good) {
        let why = format!("`{text}` is no name: that is 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 - _");
        return Err(OptionError::BadData(why));
    }
    Ok(text)
}
