//! Spells that run on a log while others append to it, and that come and go meanwhile.
//!
//! A live run is a series of runs, each over the log as the one before left it: whenever spells change, or one faults,
//! the engine ends at the boundary of a round, with everything recorded, and another begins. So what goes for a run
//! that is ended and begun again goes here: state that is in the log stays, what a VM keeps beside it does not.
//!
//! History says what ran when: spells that come, go, fail to load or fault are energies ([`notice`]). A spell that
//! faults, where its policy is to stop, stops alone: its standing stays, and it goes on there when it is bound again.

mod control;
pub mod notice;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Clock, Engine, Failure, Options, Sink, Unopened, resume};
use crate::event::{Events, json};
use crate::log::{self, Commit, Direction, Log, Query, Table};
use crate::router::pattern::Pattern;
use crate::runeset::{Diagnostic, Style, diagnostic};
use crate::spell::Spell;
pub use control::{Control, Order};
use notice::{BOUND_TOPIC, Notice, REFUSED_TOPIC, STOPPED_TOPIC, UNBOUND_TOPIC};

/// See the module.
pub struct Live {
    log: Arc<dyn Log>,
    options: Options,
    clock: Clock,
    control: Arc<Control>,
    /// Those that run, in spell order.
    spells: Vec<Arc<Spell>>,
    /// The hash of the source of each spell that is bound, as the log says.
    bound: BTreeMap<String, String>,
}

impl Live {
    /// A live run over a log, still without spells. `options` say how each run is made; they always resume.
    ///
    /// # Errors
    /// A log that cannot be read.
    pub fn new(
        log: Arc<dyn Log>,
        options: Options,
        clock: Clock,
        control: Arc<Control>,
    ) -> Result<Self, log::Error> {
        let bound = bound_in(&*log)?;
        let options = Options { resume: true, ..options };
        Ok(Self { log, options, clock, control, spells: Vec::new(), bound })
    }

    /// Has it run these spells and no others. Where new ones begin is in the log when this returns: what is appended
    /// from then on they draw on, however late they run.
    ///
    /// # Errors
    /// A log or a store that fails.
    pub fn replace(&mut self, spells: Vec<Arc<Spell>>) -> Result<(), Failure> {
        let names: Vec<String> = self.bound.keys().cloned().collect();
        for name in names.iter().filter(|name| spells.iter().all(|spell| *spell.name != ***name)) {
            self.unbind(name)?;
        }
        for spell in &spells {
            self.bind(spell)?;
        }
        self.spells = spells;
        Ok(())
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// What ends it: a log or a store that fails. Faults of spells do not.
    pub fn run(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        loop {
            for order in self.control.take() {
                self.follow_order(order, sink)?;
            }
            if self.control.is_stopping() {
                return Ok(());
            }
            match Engine::over(self.log.clone(), self.spells.clone(), self.options.clone()) {
                Ok(engine) => self.run_once(engine, sink)?,
                Err(unopened) => self.leave_out(unopened, sink)?,
            }
        }
    }

    /// Runs until there are orders or a spell is stopped.
    fn run_once(&mut self, mut engine: Engine, sink: &mut dyn Sink) -> Result<(), Failure> {
        let result = engine.follow(&self.control, self.clock, sink);
        engine.trace();
        let Err(Failure::Diagnostic(diagnostic)) = result else {
            // Whoever came in between may be read now.
            return if matches!(result, Err(Failure::Outrun)) { Ok(()) } else { result };
        };
        match engine.at_hand() {
            Some(index) => {
                drop(engine);
                self.stop_spell(index, &diagnostic, sink)
            }
            None => Err(Failure::Diagnostic(diagnostic)),
        }
    }

    /// Goes on without spells whose `prepare` failed.
    fn leave_out(&mut self, unopened: Unopened, sink: &mut dyn Sink) -> Result<(), Failure> {
        unopened.tell(sink)?;
        if unopened.spells.is_empty() {
            let problem = unopened.problems.into_iter().next();
            return Err(problem.unwrap_or_else(|| Diagnostic::error("no engine can be made")).into());
        }
        for (index, problem) in unopened.spells.iter().zip(&unopened.problems).rev() {
            self.stop_spell(*index, problem, sink)?;
        }
        Ok(())
    }

    fn stop_spell(
        &mut self,
        index: usize,
        diagnostic: &Diagnostic,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        let spell = self.spells.remove(index);
        sink.warn(diagnostic)?;
        let report = diagnostic.render(Style::Plain);
        self.tell(Notice::new(STOPPED_TOPIC).with("spell", &spell.name).with("report", &report))
    }

    fn follow_order(&mut self, order: Order, sink: &mut dyn Sink) -> Result<(), Failure> {
        match order {
            Order::Replace(spells) => self.replace(spells)?,
            Order::Bind(spell) => {
                self.bind(&spell)?;
                match self.spells.iter_mut().find(|bound| bound.name == spell.name) {
                    Some(bound) => *bound = spell,
                    None => self.spells.push(spell),
                }
            }
            Order::Unbind(name) => {
                self.spells.retain(|spell| *spell.name != *name);
                self.unbind(&name)?;
            }
            Order::Refuse(problems) => {
                for problem in &problems {
                    sink.warn(problem)?;
                }
                let report = diagnostic::render_all(&problems, Style::Plain);
                self.tell(Notice::new(REFUSED_TOPIC).with("report", &report))?;
            }
        }
        Ok(())
    }

    /// Says that a spell runs, unless the log says so already; and where it begins.
    fn bind(&mut self, spell: &Spell) -> Result<(), Failure> {
        let store = self.options.store.as_ref();
        let kept = store.map(|store| store.put(&spell.source)).transpose()?.map(|hash| hash.to_string());
        let hash = kept.clone().unwrap_or_else(|| blake3::hash(&spell.source).to_string());
        let mut commit = Commit::default();
        if self.bound.get(&*spell.name) != Some(&hash) {
            let notice = Notice::new(BOUND_TOPIC).with("spell", &spell.name).with("path", &spell.path);
            let notice = kept.into_iter().fold(notice.with("hash", &hash), Notice::content);
            commit.events = notice.into_events(self.clock.now_ms());
        }
        let names = [Some(&*spell.name), spell.was.as_deref()];
        let mut standings = Vec::new();
        for name in names.into_iter().flatten() {
            standings.extend(resume::standing_in(&*self.log, name)?);
        }
        if standings.is_empty() {
            let begin = resume::start_of(&*self.log, spell)?;
            commit.changes.put(Table::Spell, spell.name.as_bytes(), &begin.bytes());
        }
        if !commit.events.is_empty() || !commit.changes.is_empty() {
            self.log.append(commit)?;
        }
        self.bound.insert(spell.name.to_string(), hash);
        Ok(())
    }

    fn unbind(&mut self, name: &str) -> Result<(), Failure> {
        match self.bound.remove(name) {
            Some(_) => self.tell(Notice::new(UNBOUND_TOPIC).with("spell", name)),
            None => Ok(()),
        }
    }

    fn tell(&self, notice: Notice) -> Result<(), Failure> {
        self.log.append(Commit::of(notice.into_events(self.clock.now_ms())))?;
        Ok(())
    }
}

/// The spells that a log says are bound, with the hashes of their sources.
fn bound_in(log: &dyn Log) -> Result<BTreeMap<String, String>, log::Error> {
    let topics = [BOUND_TOPIC, UNBOUND_TOPIC].iter().filter_map(|topic| Pattern::parse(topic).ok());
    let query = Query { topics: topics.collect(), ..Query::default() };
    let (mut bound, mut at, mut found) = (BTreeMap::new(), 0, Events::default());
    while at < log.visible() {
        found.clear();
        at = log.scan(at, Direction::Forward, &query, 1_024, &mut found)?;
        for event in found.iter() {
            let mut text = Vec::new();
            json::write_value(event.data(), &mut text);
            let data: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
            let field = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
            match event.topic() {
                Some(BOUND_TOPIC) => drop(bound.insert(field("spell"), field("hash"))),
                _ => drop(bound.remove(&field("spell"))),
            }
        }
    }
    Ok(bound)
}
