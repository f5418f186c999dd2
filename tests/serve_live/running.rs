//! A live run on a thread of its own, over a durable log in a folder of its own.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sanctum::engine::live::{Control, Live};
use sanctum::engine::{Clock, Failure, Options, Sink, clock};
use sanctum::event::{EventRef, Events, Head, Uuid, json};
use sanctum::log::file::{self, Durability};
use sanctum::log::{Commit, FileLog, Log};
use sanctum::runeset::{Diagnostic, Fault, StatedLimits, Style};
use sanctum::spell::{Clocks, Modules, Origin, Spell, load};
use serde_json::{Value, json};

/// Gives each energy on.
pub const COPY: &str =
    r#"return { topic = "in", cast = function(e) return { ["$topic"] = "out", n = e.n } end }"#;
/// Counts them.
pub const COUNT: &str = r#"return { topic = "in", cast = function(e)
  state.n = state:get("n", 0) + 1
  return { ["$topic"] = "count", n = state.n }
end }"#;

pub fn spell(name: &str, source: &str) -> Arc<Spell> {
    let origin = Origin {
        path: format!("{name}.lua"),
        source: source.into(),
        modules: Modules::default(),
        entry: None,
        limits: StatedLimits::default(),
        fault: Fault::Stop,
    };
    let clocks = Clocks { steady_ms: clock::steady_ms, timer_ns: None, exact: false };
    let loaded = load(origin, clocks);
    Arc::new(loaded.unwrap_or_else(|problems| panic!("{}", problems[0].render(Style::Plain))))
}

pub fn open(folder: &Path) -> Arc<FileLog> {
    let options = file::Options { durability: Durability::Os, ..file::Options::new(|| 0) };
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match FileLog::open(folder, options.clone()) {
            // A process that another test starts has the file of the lock for a moment.
            Err(sanctum::log::Error::Locked { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return Arc::new(opened.unwrap()),
        }
    }
}

/// Appends one energy, as a client would.
pub fn append(log: &dyn Log, topic: &str, number: i64, time_ms: i64) {
    let mut events = Events::default();
    let mut head = Head::seed(Uuid::nil(), time_ms);
    head.topic = events.store(topic.as_bytes());
    head.stream = head.topic;
    let mut data = Vec::new();
    sanctum::event::msgpack::write_map_len(&mut data, 1);
    sanctum::event::msgpack::write_str(&mut data, "n");
    sanctum::event::msgpack::write_int(&mut data, number);
    head.data = events.store(&data);
    events.push(head, None);
    log.append(Commit::of(events)).unwrap();
}

/// The data of all energies of a topic.
pub fn of_topic(log: &dyn Log, topic: &str) -> Vec<Value> {
    let (mut at, mut found) = (0, Vec::new());
    while let Some((events, first)) = log.read(at).unwrap() {
        for index in first..events.len() {
            let event = events.get(index);
            if event.topic() == Some(topic) {
                let mut text = Vec::new();
                json::write_value(event.data(), &mut text);
                found.push(serde_json::from_slice(&text).unwrap());
            }
            at = event.head().position + 1;
        }
    }
    found
}

/// Waits for so many energies of a topic, and gives their data.
pub fn await_topic(log: &dyn Log, topic: &str, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = of_topic(log, topic);
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < deadline, "{topic}: {} of {count}", found.len());
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn numbers(range: std::ops::Range<i64>) -> Vec<Value> {
    range.map(|number| json!({ "n": number })).collect()
}

pub struct Running {
    pub control: Arc<Control>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Running {
    pub fn start(log: Arc<dyn Log>, spells: &[Arc<Spell>], clock: Clock) -> Self {
        let control = Arc::new(Control::default());
        let options = Options { workers: 2, ..Options::default() };
        let mut live = Live::new(log, options, clock, control.clone()).unwrap();
        live.replace(spells.to_vec()).unwrap();
        let thread = std::thread::spawn(move || live.run(&mut Silence));
        Self { control, thread }
    }

    pub fn stop(self) {
        self.control.stop();
        self.thread.join().unwrap().unwrap();
    }
}

struct Silence;

impl Sink for Silence {
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
    fn warn(&mut self, _: &Diagnostic) -> io::Result<()> {
        Ok(())
    }
    fn progress(&mut self, _: u64, _: u64) {}
}
