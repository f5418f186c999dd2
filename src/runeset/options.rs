//! Every option, once: the parser, `docunomicon/runesets.md` and `docunomicon/runeset.schema.json` read
//! these tables. The limits have a table of their own, [`super::limits::LIMITS`].
//!
//! A spell's own table has most of the options of [`SPELL`] too: see [`super::settings::SpellOptions`].

use super::choices::{Durability, Fault};
use super::services::Restart;
use super::units::{Measure, Unit};

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Rune {
    /// The key.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The default as the documentation says it; empty where the kind has it, or there is none.
    pub default: &'static str,
    /// One or two sentences.
    pub help: &'static str,
}

/// What an option takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text; the words say what it is.
    Text(&'static str),
    /// A text or a list of them.
    Texts(&'static str),
    /// True or false.
    Flag,
    /// An amount.
    Measure(Measure),
    /// `commit`, `interval:MS`, `os`.
    Durability,
    /// `stop`, `skip`, `retry`, `quarantine`.
    Fault,
    /// `new`, `oldest`, a position, a time.
    Start,
    /// A map whose keys are the writer's.
    Map(&'static str),
    /// A map with these keys.
    Section(&'static [Rune]),
    /// A list of maps with these keys.
    Sections(&'static [Rune]),
    /// A map of limits.
    Limits,
    /// `always`, `on-failure`, `never`.
    Restart,
}

impl Kind {
    /// What is taken, for messages.
    #[must_use]
    pub fn expected(self) -> &'static str {
        match self {
            Kind::Text(what) | Kind::Texts(what) | Kind::Map(what) => what,
            Kind::Measure(measure) => measure.unit.expected(),
            Kind::Durability | Kind::Fault | Kind::Restart => "a word",
            Kind::Flag => "true or false",
            Kind::Start => "`new`, `oldest`, a position or an RFC 3339 time",
            Kind::Section(_) | Kind::Limits => "a map",
            Kind::Sections(_) => "a list of maps",
        }
    }
}

const fn count(default: u64, min: u64, max: u64) -> Kind {
    Kind::Measure(Measure { unit: Unit::Count, default, min, max })
}

const fn duration(default: u64, min: u64, max: u64) -> Kind {
    Kind::Measure(Measure { unit: Unit::Milliseconds, default, min, max })
}

const fn bytes(default: u64, min: u64, max: u64) -> Kind {
    Kind::Measure(Measure { unit: Unit::Bytes, default, min, max })
}

const PLANE: Kind = Kind::Text("the name of a plane");

const fn rune(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Rune {
    Rune { name, kind, default, help }
}

/// Energies that one batch run may cast, unless told otherwise.
pub const MAX_CASTS: u64 = 1_000_000;
/// Energies of a batch whose size is not said.
pub const BATCH_SIZE: u64 = 100;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const WEEK_MS: u64 = 7 * DAY_MS;

/// The keys of a runeset.
pub const RUNESET: &[Rune] = &[
    rune(
        "data",
        Kind::Text("the path of a folder"),
        "none: a run keeps its log in memory",
        "Folder of the log and the state, relative to the runeset.",
    ),
    rune("durability", Kind::Durability, "`commit`", "When an energy that was acknowledged is on the disk."),
    rune(
        "limits",
        Kind::Limits,
        "",
        "Limits of every spell. A spell may choose its own, but none above one that is stated here.",
    ),
    rune(
        "fault",
        Kind::Fault,
        "`stop` in a batch run, `quarantine` in a server",
        "What happens when a cast fails, for spells that do not say so themselves.",
    ),
    rune(
        "ward",
        Kind::Flag,
        "false",
        "Whether spells that do not say so themselves must pass their golden cases before a server runs them.",
    ),
    rune(
        "spells",
        Kind::Sections(SPELL),
        "none",
        "The spells, in the order in which they receive an energy.",
    ),
    rune(
        "seeds",
        Kind::Texts("a path or a list of paths"),
        "none",
        "Files, folders or globs of seeds (`.lua`, `.ndjson`, `.jsonl`, `.json`, `.msgpack`), relative to the runeset.",
    ),
    rune("topic", Kind::Text("a topic"), "none", "Topic of seeds that have no `$topic`, as `--topic`."),
    rune(
        "time",
        Kind::Text("the path of a field"),
        "none",
        "Dotted path of the field that holds a seed's time (milliseconds since the epoch, or RFC 3339), as `--time`.",
    ),
    rune(
        "workers",
        count(1, 1, 256),
        "the number of processors",
        "Threads that cast. The results do not depend on it.",
    ),
    rune(
        "max_casts",
        count(MAX_CASTS, 1, 1_000_000_000_000_000),
        "",
        "Casts after which a batch run that has not settled is taken for a loop, as `--max-casts`; counted anew for each \
         chunk of 4,096 seeds.",
    ),
    rune("http", Kind::Section(HTTP), "none", "In a server: HTTP requests that spells answer."),
    rune("exec", Kind::Sections(EXEC), "none", "In a server: programs that are kept running."),
    rune("file", Kind::Sections(FILE), "none", "In a server: files whose lines become energies."),
    rune(
        "stdout",
        Kind::Texts("a topic pattern or a list of them"),
        "none",
        "In a server: energies of the plane `main` that are printed on its standard output, one as JSON a line.",
    ),
    rune(
        "telemetry",
        Kind::Section(TELEMETRY),
        "none",
        "In a server: spans of its work, sent to a collector.",
    ),
];

/// The keys of `http`.
pub const HTTP: &[Rune] = &[
    rune(
        "listen",
        Kind::Text("an address and a port, such as 127.0.0.1:8080"),
        "required",
        "Where requests come in, as `--http`.",
    ),
    rune(
        "plane",
        PLANE,
        "`main`",
        "The plane that has the requests, and whose spells answer, as `--http-plane`.",
    ),
    rune("public", Kind::Flag, "`false`", "Whether other machines may reach it, as `--http-public`."),
    rune(
        "timeout",
        duration(30_000, 1, DAY_MS),
        "",
        "How long an answer may take, and each further part of it.",
    ),
    rune("body", bytes(1 << 20, 1, 64 << 20), "", "Size of a request's body."),
    rune(
        "files",
        Kind::Text("the path of a folder"),
        "none",
        "Folder of files that are served before spells are asked, relative to the runeset, as `--http-files`.",
    ),
];

/// The keys of an entry of `exec`.
pub const EXEC: &[Rune] = &[
    rune("name", Kind::Text("a name"), "required", "What the program is called in energies and by requests."),
    rune(
        "command",
        Kind::Texts("a program, or a list of it and its arguments"),
        "required",
        "What is run, without a shell, in the folder of the runeset.",
    ),
    rune("plane", PLANE, "`main`", "The plane whose energies it gets and gives."),
    rune(
        "input",
        Kind::Texts("a topic pattern or a list of them"),
        "none: its standard input is empty",
        "Topic patterns: energies that match are written to its standard input, one as JSON a line.",
    ),
    rune(
        "output",
        Kind::Text("a topic"),
        "none: its standard output is not read",
        "Topic of the lines of its standard output: a JSON object is the data, any other line its field `line`.",
    ),
    rune("auto", Kind::Flag, "`true`", "Whether it starts with the server, or only when a request says so."),
    rune("restart", Kind::Restart, "`always`", "What happens when it ends."),
    rune(
        "backoff",
        duration(1_000, 10, HOUR_MS),
        "",
        "How long the first restart waits; each further one twice as long, until it ran for longer than `backoff_max`.",
    ),
    rune("backoff_max", duration(60_000, 10, DAY_MS), "", "How long a restart waits at most."),
    rune(
        "stop",
        duration(5_000, 0, HOUR_MS),
        "",
        "How long it may take to end after SIGTERM; then it is killed.",
    ),
];

/// The keys of an entry of `file`.
pub const FILE: &[Rune] = &[
    rune("path", Kind::Text("the path of a file"), "required", "The file, relative to the runeset."),
    rune(
        "topic",
        Kind::Text("a topic"),
        "required",
        "Topic of its lines: a JSON object is the data, any other line its field `line`.",
    ),
    rune("plane", PLANE, "`main`", "The plane that they are appended to."),
];

/// The keys of `telemetry`.
pub const TELEMETRY: &[Rune] = &[
    rune(
        "otlp",
        Kind::Text("an address such as http://127.0.0.1:4318"),
        "required",
        "Where the collector takes OTLP over HTTP, without TLS; spans are posted to `/v1/traces` there, as JSON.",
    ),
    rune("name", Kind::Text("a name"), "`sanctum`", "What the server is called there: `service.name`."),
];

/// The keys of an entry of `spells`.
pub const SPELL: &[Rune] = &[
    rune(
        "path",
        Kind::Text("the path of a spell"),
        "required",
        "File, folder or glob of spells, relative to the runeset. A folder stands for the `.lua` files directly in \
         it, but those whose name begins with `_` or `.`.",
    ),
    rune(
        "name",
        Kind::Text("a name"),
        "the spell's own",
        "Name of the spell; only where `path` is one file.",
    ),
    rune(
        "was",
        Kind::Text("a spell's name"),
        "none",
        "What the spell was called before: on a durable log it goes on where that one stood.",
    ),
    rune(
        "topic",
        Kind::Texts("a topic pattern or a list of them"),
        "the spell's own",
        "Topic patterns that the spell draws on: `*` is one token, `>` one or more at the end.",
    ),
    rune(
        "filter",
        Kind::Map("a map of fields to conditions"),
        "the spell's own",
        "Table filter over the energy.",
    ),
    rune("lane", Kind::Text("the path of a field"), "the spell's own", "Dotted path of the partition key."),
    rune("lanes", count(1, 1, 256), "the spell's own, or 1", "Lanes that cast side by side."),
    rune("batch", Kind::Section(BATCH), "the spell's own", "Cast receives a list of energies."),
    rune(
        "every",
        duration(WEEK_MS, 1, 52 * WEEK_MS),
        "the spell's own",
        "How often `tick` is called, in the energies' time in a batch run.",
    ),
    rune("start", Kind::Start, "the spell's own, or `new`", "Where in an existing log a new spell begins."),
    rune("fault", Kind::Fault, "the spell's own", "What happens when a cast fails."),
    rune(
        "ward",
        Kind::Flag,
        "the spell's own",
        "Whether the spell must pass its golden cases before a server runs it.",
    ),
    rune(
        "shadow",
        Kind::Text("a spell's name"),
        "the spell's own",
        "The spell that this one is compared with: it gets the same energies, and what it produces is dropped.",
    ),
    rune(
        "limits",
        Kind::Limits,
        "the spell's own",
        "Limits of this spell; they hold whatever the spell says.",
    ),
    rune(
        "runes",
        Kind::Map("a map"),
        "empty",
        "Any data: handed to the spell's `prepare`, and there as `runes`.",
    ),
];

/// The keys of `batch`.
pub const BATCH: &[Rune] = &[
    rune("size", count(BATCH_SIZE, 1, 65_536), "", "A batch of this size is cast at once."),
    rune(
        "within",
        duration(1_000, 1, WEEK_MS),
        "none: at the end of the run",
        "A smaller batch is cast when its first energy is this old, in the energies' time.",
    ),
];

/// What an option is for and what it takes, for the help line of a message.
#[must_use]
pub fn help(rune: &Rune) -> String {
    match rune.kind {
        Kind::Measure(measure) => {
            let [min, max] = [measure.min, measure.max].map(|amount| measure.unit.format(amount));
            format!("{} From {min} to {max}.", rune.help)
        }
        Kind::Fault => format!("{} One of {}.", rune.help, words(Fault::WORDS)),
        Kind::Durability => format!("{} One of {}.", rune.help, words(Durability::WORDS)),
        Kind::Restart => format!("{} One of {}.", rune.help, words(Restart::WORDS)),
        _ => rune.help.to_string(),
    }
}

fn words(words: &[(&str, &str)]) -> String {
    words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}
