//! Runs a hostile spell next to a kind one, and says how it ended.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sanctum::engine::{Engine, Failure, Intake, Options, Sink, clock};
use sanctum::event::envelope::SeedChain;
use sanctum::event::{EventRef, Events, Fields, Head, Span, json};
use sanctum::runeset::{Diagnostic, Fault, StatedLimits, Style};
use sanctum::spell::{Clocks, Modules, Origin, Spell, load};

/// Wall time that no attack may take; far above what one does on an idle machine.
pub const TIME_MAX: Duration = Duration::from_secs(20);
/// The limits of attacks that do not choose their own.
pub const LIMITS: &str = r#"{ memory = "4MiB", instructions = 1000000, time = "2s" }"#;

struct Seeds {
    lines: Vec<String>,
    next: usize,
    chain: SeedChain,
    parser: json::Parser,
}

impl Intake for Seeds {
    fn fill(&mut self, batch: &mut Events) -> Result<bool, Box<Diagnostic>> {
        while let Some(line) = self.lines.get(self.next) {
            self.next += 1;
            let mut head = Head::seed(self.chain.next(line.as_bytes()), 1000 * self.next as i64);
            let start = batch.byte_len();
            let mut fields = Fields::default();
            self.parser.to_event(line.as_bytes(), batch.arena(), &mut fields).expect("seed");
            head.data = Span::new(start, batch.byte_len());
            head.topic = batch.store(fields.topic.as_deref().unwrap_or("x").as_bytes());
            head.stream = head.topic;
            batch.push(head, fields.extra());
        }
        Ok(false)
    }
    fn set_settled(&mut self, _: u64) {}
    fn big_uints(&self) -> u64 {
        0
    }
    fn progress(&self) -> Option<(u64, u64)> {
        None
    }
}

/// What a run did.
#[derive(Default, Debug)]
pub struct Record {
    /// Prints and outputs that nobody consumed.
    pub out: String,
    /// `log.*` lines.
    pub notes: Vec<u8>,
    /// Kind and message of every fault.
    pub faults: Vec<(String, String)>,
    /// How long it took.
    pub time: Duration,
}

impl Sink for Record {
    fn print(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.push_str(&String::from_utf8_lossy(bytes));
        Ok(())
    }
    fn note(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.notes.extend_from_slice(bytes);
        Ok(())
    }
    fn output(&mut self, event: EventRef<'_>, consumed: bool) -> io::Result<()> {
        if !consumed {
            let mut line = Vec::new();
            json::write_output(event, &mut line);
            self.out.push_str(&String::from_utf8_lossy(&line));
            self.out.push('\n');
        }
        Ok(())
    }
    fn dump(&mut self, _: EventRef<'_>) -> io::Result<()> {
        Ok(())
    }
    fn warn(&mut self, diagnostic: &Diagnostic) -> io::Result<()> {
        self.fault(diagnostic);
        Ok(())
    }
    fn progress(&mut self, _: u64, _: u64) {}
}

impl Record {
    fn fault(&mut self, diagnostic: &Diagnostic) {
        let kind = diagnostic.fields.get("kind").and_then(|kind| kind.as_str()).unwrap_or("none");
        self.faults.push((kind.to_owned(), diagnostic.render(Style::Plain)));
    }

    /// The kinds of the faults, in order.
    pub fn kinds(&self) -> Vec<&str> {
        self.faults.iter().map(|(kind, _)| kind.as_str()).collect()
    }
}

/// Loads a spell; one that names no topic gets the energies of topic `x`, and so not its own.
pub fn spell(name: &str, source: &str, modules: Modules) -> Result<Arc<Spell>, Vec<Diagnostic>> {
    let mut source = source.to_owned();
    if !source.contains("topic =") {
        source = source.replacen("cast = function", "topic = 'x', cast = function", 1);
    }
    let origin = Origin {
        path: format!("{name}.lua"),
        source: source.into(),
        modules,
        entry: None,
        limits: StatedLimits::default(),
        fault: Fault::Stop,
    };
    let clocks = Clocks { steady_ms: clock::steady_ms, timer_ns: None, exact: false };
    load(origin, clocks).map(Arc::new)
}

fn text(problems: &[Diagnostic]) -> String {
    problems.iter().map(|problem| problem.render(Style::Plain)).collect::<Vec<_>>().join("\n")
}

/// Runs spells over seeds, on the calling thread.
pub fn run(spells: Vec<Arc<Spell>>, seeds: &[&str], workers: usize) -> Record {
    let begin = Instant::now();
    let mut record = Record::default();
    let options = Options { workers, ..Options::default() };
    let mut engine = match Engine::open(spells, options) {
        Ok(engine) => engine,
        Err(problems) => {
            problems.iter().for_each(|problem| record.fault(problem));
            record.time = begin.elapsed();
            return record;
        }
    };
    let mut intake = Seeds {
        lines: seeds.iter().map(|&line| line.to_owned()).collect(),
        next: 0,
        chain: SeedChain::new("seeds"),
        parser: json::Parser::default(),
    };
    if let Err(Failure::Diagnostic(diagnostic)) = engine.run(&mut intake, &mut record) {
        record.fault(&diagnostic);
    }
    record.time = begin.elapsed();
    record
}

/// Runs one spell and returns what came out; faults are part of it.
pub fn cast(source: &str, seeds: &[&str]) -> Record {
    match spell("spell", source, Modules::default()) {
        Ok(spell) => run(vec![spell], seeds, 1),
        Err(problems) => panic!("{}", text(&problems)),
    }
}

/// What a spell with this as its `cast` body returns for one energy, as the text of its output.
pub fn answer(body: &str) -> String {
    let record =
        cast(&format!("return {{ cast = function(event, envelope)\n{body}\nend }}"), &[r#"{"n":1}"#]);
    assert_eq!(record.faults, [], "{body}");
    record.out.trim().to_owned()
}

/// A hostile spell whose `attack(event)` has this body, called by `call`, under `limits`.
pub fn hostile(prelude: &str, body: &str, call: &str, limits: &str) -> String {
    format!(
        r#"{prelude}
local function attack(event)
{body}
end
local co
return {{
  topic = "evil", fault = "skip", limits = {limits},
  prepare = function()
    co = coroutine.create(function() attack(coroutine.yield()) end)
    coroutine.resume(co)
  end,
  cast = function(event)
    if event.calm then return {{ ["$topic"] = "calm", ok = true }} end
    {call}
  end,
}}"#
    )
}

/// Runs a hostile spell: two attacks and a calm energy, beside a spell that answers each. Returns what is wrong.
pub fn attack(name: &str, source: &str, expected: &[&str], second: &[&str]) -> Result<Duration, String> {
    let evil = spell("evil", source, Modules::default())
        .map_err(|problems| format!("{name}: {}", text(&problems)))?;
    let kind = r#"return { topic = "evil", cast = function() return { ["$topic"] = "kind" } end }"#;
    let kind = spell("kind", kind, Modules::default()).expect("kind");
    let seeds = [r#"{"$topic":"evil"}"#, r#"{"$topic":"evil"}"#, r#"{"$topic":"evil","calm":true}"#];
    let record = run(vec![evil, kind], &seeds, 1);
    let kinds = record.kinds();
    let fits = kinds.len() == 2 && expected.contains(&kinds[0]) && second.contains(&kinds[1]);
    let kind = record.out.matches(r#""$topic":"kind""#).count();
    let calm = record.out.matches(r#""ok":true"#).count();
    let short = record.faults.iter().all(|(_, message)| message.len() < 20_000);
    if fits && kind == 3 && calm == 1 && record.time < TIME_MAX && short {
        return Ok(record.time);
    }
    let faults: String =
        record.faults.iter().map(|(_, text)| text.chars().take(400).collect::<String>()).collect();
    Err(format!(
        "{name}: faults {kinds:?} for {expected:?}, then {second:?}; kind {kind}, calm {calm}, {:?}\n{faults}",
        record.time
    ))
}

/// Runs attacks one after the other and fails with all that went wrong.
pub fn all(results: impl IntoIterator<Item = Result<Duration, String>>) {
    let wrong: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{} attacks succeeded:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Runs bodies as they are: `(name, body, kinds of fault)`.
pub fn plainly(bodies: &[(&str, &str, &[&str])]) {
    all(bodies.iter().map(|(name, body, expected)| {
        attack(name, &hostile("", body, "return attack(event)", LIMITS), expected, expected)
    }));
}
