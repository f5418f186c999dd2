//! Runs a spell's source over energies given as JSON and tells what it did.

use std::sync::Arc;

use sanctum::event::json::{Parser, write_output};
use sanctum::event::{Events, Extra, Fields, Head, Span, Uuid};
use sanctum::runeset::{Fault as FaultPolicy, StatedLimits};
use sanctum::spell::{Clocks, Lane, Modules, Origin, Outcome, Round, Spell, Task, load};

pub const CLOCKS: Clocks = Clocks { steady_ms: || 0, timer_ns: None, exact: true };

/// What a run did.
#[derive(Debug, Default)]
pub struct Run {
    pub prints: String,
    pub notes: String,
    pub outputs: Vec<String>,
    /// `None` for a cast that went well.
    pub faults: Vec<Option<String>>,
    pub instructions: Vec<u64>,
    pub blobs: Vec<(blake3::Hash, Arc<[u8]>, u64)>,
}

pub fn spell(source: &str, modules: Modules) -> Spell {
    let origin = Origin {
        path: "spell.lua".into(),
        source: source.as_bytes().to_vec(),
        modules,
        entry: None,
        limits: StatedLimits::default(),
        fault: FaultPolicy::Skip,
    };
    match load(origin, CLOCKS) {
        Ok(spell) => spell,
        Err(problems) => {
            let texts: Vec<_> = problems.iter().map(|problem| problem.render(Default::default())).collect();
            panic!("{}", texts.join("\n"))
        }
    }
}

/// Why a spell does not load.
pub fn refusal(source: &str, modules: Modules) -> String {
    let origin = Origin {
        path: "spell.lua".into(),
        source: source.as_bytes().to_vec(),
        modules,
        entry: None,
        limits: StatedLimits::default(),
        fault: FaultPolicy::Skip,
    };
    match load(origin, CLOCKS) {
        Ok(_) => panic!("the spell loads"),
        Err(problems) => problems.iter().map(|problem| problem.render(Default::default())).collect(),
    }
}

/// Energies as the log would have them: ids by place, time 1_000 × position + 650.
pub fn events(texts: &[&str]) -> Arc<Events> {
    let mut events = Events::default();
    let (mut parser, mut fields) = (Parser::new(), Fields::default());
    for (at, text) in texts.iter().enumerate() {
        let start = events.byte_len();
        parser.to_event(text.as_bytes(), events.arena(), &mut fields).unwrap();
        let id = fields.id.unwrap_or_else(|| Uuid::from_u64_pair(0x10, at as u64 + 1));
        let mut head = Head::seed(id, fields.time_ms.unwrap_or(at as i64 * 1000 + 650));
        head.position = at as u64;
        head.data = Span::new(start, events.byte_len());
        head.topic = events.store(fields.topic.as_deref().unwrap_or_default().as_bytes());
        head.stream = fields.stream.as_deref().map_or(head.topic, |stream| events.store(stream.as_bytes()));
        let extra: Option<Extra> = fields.extra();
        events.push(head, extra);
    }
    Arc::new(events)
}

pub fn open(spell: &Spell) -> Lane {
    spell.open(CLOCKS).unwrap()
}

pub fn run_lane(lane: &mut Lane, events: &Arc<Events>) -> Run {
    lane.run(events, (0..events.len() as u32).map(Task::Cast).collect());
    take(lane)
}

pub fn take(lane: &mut Lane) -> Run {
    let round: Round = lane.take_round();
    let mut run = Run {
        prints: String::from_utf8(round.prints.clone()).unwrap(),
        notes: String::from_utf8(round.notes.clone()).unwrap(),
        blobs: round.blobs.clone(),
        ..Run::default()
    };
    for event in round.outputs.iter() {
        let mut line = Vec::new();
        write_output(event, &mut line);
        run.outputs.push(String::from_utf8(line).unwrap());
    }
    for cast in &round.casts {
        run.instructions.push(cast.instructions);
        run.faults.push(match &cast.outcome {
            Outcome::Fault(fault) => Some(fault.message.clone()),
            _ => None,
        });
    }
    run
}

pub fn run(source: &str, energies: &[&str]) -> Run {
    run_lane(&mut open(&spell(source, Modules::default())), &events(energies))
}

/// Prints of a cast body over one energy, `e` with envelope `env`; a fault is a panic.
pub fn prints(body: &str) -> String {
    let run = cast(body);
    assert_eq!(run.faults, [None], "{}", run.prints);
    run.prints
}

/// The fault of a cast body.
pub fn fault(body: &str) -> String {
    let run = cast(body);
    run.faults[0].clone().unwrap_or_else(|| panic!("no fault; printed {}", run.prints))
}

pub fn cast(body: &str) -> Run {
    run(
        &format!("return {{ cast = function(e, env) {body}\nend }}"),
        &[r#"{"n":1,"$topic":"orders.eu","$tags":{"a":"x","b":"y"},"$time":1517400599650}"#],
    )
}
