//! A run over a durable log whose spells put content, and a machine that stops at any operation on the disk.

use std::io;
use std::path::Path;
use std::sync::Arc;

use sanctum::blob::Hash;
use sanctum::blob::store::{Access, ContentStore};
use sanctum::disk::{Disk, SimulatedDisk};
use sanctum::engine::seed::{SeedOptions, Seeds, Source};
use sanctum::engine::{Clock, Engine, Failure, Options, Sink, clock};
use sanctum::event::{EventRef, Events, json};
use sanctum::log::{self, Direction, FileLog, Log, Query};
use sanctum::runeset::{Diagnostic, Fault, StatedLimits};
use sanctum::spell::{Clocks, Modules, Origin, Spell, load};

/// Puts content for each number, and says its digest.
const PUT: &str = r#"return { topic = "number", start = "oldest", cast = function(event)
  return { ["$topic"] = "stored", ["$content"] = blob.put(("content %d"):format(event.n):rep(event.n)), n = event.n }
end }"#;

/// Reads what was put, in runs after it as well.
const GET: &str = r#"return { topic = "stored", start = "oldest", cast = function(event, envelope)
  local content = blob.get(envelope.content)
  return { ["$topic"] = "read", n = event.n, whole = content == ("content %d"):format(event.n):rep(event.n) }
end }"#;

struct Silent;

impl Sink for Silent {
    fn print(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn note(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn output(&mut self, _: EventRef<'_>, _: bool) -> io::Result<()> {
        Ok(())
    }
    fn dump(&mut self, _: EventRef<'_>) -> io::Result<()> {
        Ok(())
    }
    fn warn(&mut self, diagnostic: &Diagnostic) -> io::Result<()> {
        panic!("{diagnostic:?}")
    }
    fn progress(&mut self, _: u64, _: u64) {}
}

fn spell(name: &str, source: &str) -> Arc<Spell> {
    let origin = Origin {
        path: format!("{name}.lua"),
        source: source.as_bytes().into(),
        modules: Modules::default(),
        entry: None,
        limits: StatedLimits::default(),
        fault: Fault::Stop,
    };
    load(origin, clocks()).map(Arc::new).unwrap()
}

fn clocks() -> Clocks {
    Clocks { steady_ms: clock::steady_ms, timer_ns: None, exact: false }
}

fn open_log(disk: &SimulatedDisk) -> Result<FileLog, log::Error> {
    let disk = Arc::new(disk.clone());
    let options = log::file::Options { disk, background: false, ..log::file::Options::new(|| 0) };
    FileLog::open(Path::new("plane"), options)
}

/// A run over what is on the disk; `None` where the power went.
fn run(disk: &SimulatedDisk) -> Option<()> {
    let log: Arc<dyn Log> = Arc::new(open_log(disk).ok()?);
    let store = ContentStore::open(Arc::new(disk.clone()), Path::new("plane/blobs"), Access::Write).ok()?;
    let spells = vec![spell("put", PUT), spell("get", GET)];
    let store = Some(Arc::new(store));
    let options = Options { workers: 1, resume: true, round_events: 3, store, ..Options::default() };
    let mut engine = Engine::over(log.clone(), spells, options).ok()?;
    let numbers: Vec<String> = (1..9).map(|n| format!(r#"{{"$topic":"number","n":{n}}}"#)).collect();
    let source = Source::bytes("numbers.ndjson", numbers.join("\n").into_bytes()).unwrap();
    let options = SeedOptions { clock: Clock::FixedMs(clock::GOLDEN_MS), ..SeedOptions::default() };
    let mut seeds = Seeds::new(vec![source], options);
    seeds.follow(&*log, false).ok()?;
    match engine.run(&mut seeds, &mut Silent) {
        Ok(()) => log.sync().ok(),
        Err(Failure::Diagnostic(diagnostic)) => panic!("{diagnostic:?}"),
        Err(_) => None,
    }
}

/// What the log says, but for its seeds' fate.
fn lines(disk: &SimulatedDisk) -> Vec<String> {
    let log = open_log(disk).unwrap();
    let store = ContentStore::open(Arc::new(disk.clone()), Path::new("plane/blobs"), Access::Read).unwrap();
    let mut events = Events::default();
    log.scan(0, Direction::Forward, &Query::default(), 1_000, &mut events).unwrap();
    let line = |event: EventRef<'_>| {
        if let Some(content) = event.extra().and_then(|extra| extra.content.as_deref()) {
            let found = store.get(&Hash::from_hex(content).unwrap(), 1_000).unwrap();
            assert!(found.is_some(), "{content} is named and not there");
        }
        let mut line = Vec::new();
        json::write_event(event, &mut line);
        String::from_utf8(line).unwrap()
    };
    events.iter().map(line).collect()
}

#[test]
fn what_the_log_names_is_there_wherever_the_machine_stops() {
    let disk = SimulatedDisk::new(0);
    run(&disk).unwrap();
    let whole = lines(&disk);
    assert!(whole.iter().filter(|line| line.contains("\"whole\":true")).count() == 8, "{whole:#?}");
    let operations = disk.operations();
    assert!(operations > 30, "{operations}");
    for operation in 1..operations {
        for seed in 0..3 {
            let disk = SimulatedDisk::new(seed);
            disk.crash_after(operation);
            // Where the power goes while the log is closed, the run is over.
            let _over = run(&disk);
            disk.crash();
            if disk.exists(Path::new("plane/MANIFEST")) {
                lines(&disk);
            }
            run(&disk).unwrap();
            assert_eq!(lines(&disk), whole, "operation {operation}, seed {seed}");
        }
    }
}
