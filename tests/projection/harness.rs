//! A log in a temporary folder, energies for it, and projections of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use sanctum::event::json::{Parser, write_value};
use sanctum::event::{Events, Extra, Head, Span, Ttl, Uuid};
use sanctum::log::file::Options;
use sanctum::log::{Commit, FileLog, Log};
use sanctum::projection::{Error, Freshness, Projection, Row, project};
use sanctum::spell::{Clocks, Fold, Modules};
use tempfile::TempDir;

pub const CLOCKS: Clocks = Clocks { steady_ms: || 0, timer_ns: None, exact: false };

/// Counts and adds up, by a field.
pub const SUM: &str = r#"
return {
  topic = "n.*",
  by = "who",
  seed = { count = 0, sum = 0 },
  snapshot_every = 7,
  fold = function(state, event)
    state.count, state.sum = state.count + 1, state.sum + event.n
    return state
  end,
}
"#;

/// The time of logs, in milliseconds since the epoch.
pub static NOW_MS: AtomicI64 = AtomicI64::new(1_000_000);

/// A log.
pub struct Place {
    pub folder: TempDir,
    pub log: FileLog,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder.path().join("log"));
        Self { folder, log }
    }

    /// The plane's folder.
    pub fn plane(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Where the projection `p` keeps its states.
    pub fn file(&self) -> PathBuf {
        self.plane().join("projections/p.redb")
    }

    /// The log once more, from the beginning.
    pub fn renew(&mut self) {
        let other = tempfile::tempdir().unwrap();
        self.log = open(other.path());
        for entry in std::fs::read_dir(self.plane()).unwrap().flatten() {
            if entry.file_name() != "projections" {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        self.log = open(&self.plane());
    }

    /// Appends energies, each a topic, a stream and its data as JSON.
    pub fn append(&self, energies: &[(&str, &str, &str)]) {
        self.append_for(energies, Ttl::Forever);
    }

    pub fn append_for(&self, energies: &[(&str, &str, &str)], ttl: Ttl) {
        let (mut events, mut parser) = (Events::default(), Parser::new());
        for (topic, stream, data) in energies {
            let mut head = Head::seed(Uuid::now_v7(), 1_000_000);
            (head.topic, head.stream) =
                (events.store_topic(topic.as_bytes()), events.store(stream.as_bytes()));
            let start = events.arena().len();
            parser.to_msgpack(data.as_bytes(), events.arena()).unwrap();
            head.data = Span::new(start, events.arena().len());
            events.push(head, (ttl != Ttl::Forever).then(|| Extra { ttl, ..Extra::default() }));
        }
        self.log.append(Commit::of(events)).unwrap();
    }

    /// A projection of this text, kept beside the log.
    pub fn projection(&self, text: &str) -> Projection {
        projection(text, &self.plane())
    }

    /// All keys and states, as text.
    pub fn ask(&self, projection: &mut Projection, freshness: Freshness) -> Vec<String> {
        shown(project(&self.log, projection, None, freshness).unwrap())
    }

    /// As a projection that nothing is kept of answers.
    pub fn made_anew(&self, text: &str, freshness: Freshness) -> Vec<String> {
        let elsewhere = tempfile::tempdir().unwrap();
        self.ask(&mut projection(text, elsewhere.path()), freshness)
    }

    /// What is wrong, with the report.
    pub fn fault(&self, projection: &mut Projection) -> String {
        match project(&self.log, projection, None, Freshness::Exact) {
            Err(Error::Fault(report)) => report.render(sanctum::runeset::Style::Plain),
            other => panic!("{other:?}"),
        }
    }
}

pub fn open(folder: &Path) -> FileLog {
    let now_ms = || NOW_MS.load(Ordering::Relaxed);
    let options = Options { segment_bytes: 256 << 10, background: false, ..Options::new(now_ms) };
    FileLog::open(folder, options).unwrap()
}

pub fn fold(text: &str) -> Result<Fold, String> {
    Fold::load("p.lua", text.into(), Modules::default(), CLOCKS).map_err(|problems| {
        let texts: Vec<_> =
            problems.iter().map(|problem| problem.render(sanctum::runeset::Style::Plain)).collect();
        texts.join("\n")
    })
}

pub fn projection(text: &str, plane: &Path) -> Projection {
    Projection::new(fold(text).unwrap_or_else(|problem| panic!("{problem}")), plane, CLOCKS)
}

pub fn json(data: &[u8]) -> String {
    let mut text = Vec::new();
    write_value(data, &mut text);
    String::from_utf8(text).unwrap()
}

/// `key @position state`
pub fn shown(rows: Vec<Row>) -> Vec<String> {
    let line = |row: Row| format!("{} @{} {}", json(&row.key), row.position, json(&row.state));
    rows.into_iter().map(line).collect()
}
