//! Runs one spell over a few energies.

use std::sync::Arc;

use sanctum::event::json::{Parser, write_output};
use sanctum::event::{Events, Head, Span, Uuid};
use sanctum::runeset::{Fault as FaultPolicy, StatedLimits};
use sanctum::spell::{Clocks, Lane, Modules, Origin, Outcome, Spell, Task, load};

const CLOCKS: Clocks = Clocks { steady_ms: || 0, timer_ns: None, exact: true };

/// A live spell.
pub struct Run {
    lane: Lane,
}

impl Run {
    /// A spell of this text. Every fault is one of its cast, and the next cast goes on.
    pub fn new(source: &str) -> Self {
        match Self::open(source) {
            Ok(run) => run,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`Run::new`], with what is wrong at load.
    pub fn open(source: &str) -> Result<Self, String> {
        let origin = Origin {
            path: "spell.lua".into(),
            source: source.into(),
            modules: Modules::default(),
            entry: None,
            limits: StatedLimits::default(),
            fault: FaultPolicy::Skip,
        };
        let spell: Spell = load(origin, CLOCKS).map_err(|problems| {
            problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("\n")
        })?;
        spell.open(CLOCKS).map(|lane| Self { lane }).map_err(|error| error.to_string())
    }

    /// Casts energies, each a time and its data as JSON: the outputs as JSON, a fault as `! message`.
    pub fn cast(&mut self, energies: &[(i64, &str)]) -> Vec<String> {
        let tasks = (0..energies.len() as u32).map(Task::Cast).collect();
        self.run(energies, tasks)
    }

    /// One tick at a time.
    pub fn tick(&mut self, now_ms: i64) -> Vec<String> {
        self.run(&[(now_ms, "{}")], vec![Task::Tick { now_ms, event: 0, ordinal: 0 }])
    }

    fn run(&mut self, energies: &[(i64, &str)], tasks: Vec<Task>) -> Vec<String> {
        let mut events = Events::default();
        let mut parser = Parser::new();
        for (index, (time_ms, text)) in energies.iter().enumerate() {
            let start = events.arena().len();
            parser.to_msgpack(text.as_bytes(), events.arena()).expect("JSON");
            let mut head = Head::seed(Uuid::from_u128(index as u128 + 1), *time_ms);
            head.data = Span::new(start, events.arena().len());
            events.push(head, None);
        }
        self.lane.run(&Arc::new(events), tasks);
        let round = self.lane.take_round();
        let mut results = Vec::new();
        let mut from = 0;
        for cast in &round.casts {
            for index in from..cast.outputs_end as usize {
                let mut line = Vec::new();
                write_output(round.outputs.get(index), &mut line);
                results.push(String::from_utf8(line).expect("UTF-8"));
            }
            from = cast.outputs_end as usize;
            if let Outcome::Fault(fault) = &cast.outcome {
                results.push(format!("! {}", fault.message));
            }
        }
        results
    }
}

/// Runs statements in a cast: what they return as JSON, a fault as `! message`.
pub fn eval(statements: &str) -> String {
    let mut run = Run::new(&format!(
        "local function body() {statements}\nend\nreturn {{ cast = function() return {{ r = {{ body() }} }} end }}"
    ));
    let line = run.cast(&[(0, "{}")]).join("\n");
    match line.strip_prefix("{\"r\":[").and_then(|line| line.strip_suffix("]}")) {
        Some(results) => results.to_owned(),
        None => line,
    }
}
