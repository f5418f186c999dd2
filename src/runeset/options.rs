//! Every option, once: the parser, `docunomicon/runesets.md` and `docunomicon/runeset.schema.json` read
//! these tables. The limits have a table of their own, [`super::limits::LIMITS`].
//!
//! A spell's own table has most of the options of [`SPELL`] too: see [`super::settings::SpellOptions`].

use super::choices::{Durability, Fault};
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
}

impl Kind {
    /// What is taken, for messages.
    #[must_use]
    pub fn expected(self) -> &'static str {
        match self {
            Kind::Text(what) | Kind::Texts(what) | Kind::Map(what) => what,
            Kind::Measure(measure) => measure.unit.expected(),
            Kind::Durability | Kind::Fault => "a word",
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

const fn rune(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Rune {
    Rune { name, kind, default, help }
}

/// Energies that one batch run may cast, unless told otherwise.
pub const MAX_CASTS: u64 = 1_000_000;
/// Energies of a batch whose size is not said.
pub const BATCH_SIZE: u64 = 100;
const WEEK_MS: u64 = 604_800_000;

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
        _ => rune.help.to_string(),
    }
}

fn words(words: &[(&str, &str)]) -> String {
    words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}
