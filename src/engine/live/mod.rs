//! Spells that run on a log while others append to it, and that come and go meanwhile.
//!
//! A live run is a series of runs, each over the log as the one before left it: whenever spells change, or one faults,
//! the engine ends at the boundary of a round, with everything recorded, and another begins. So what goes for a run
//! that is ended and begun again goes here: state that is in the log stays, what a VM keeps beside it does not.
//!
//! History says what ran when: spells that come, go, fail to load or fault are energies ([`notice`]). A spell that
//! faults, where its policy is to stop, stops alone: its standing stays, and it goes on there when it is bound again.

mod binding;
mod control;
mod interlude;
pub mod notice;
mod order;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::batch::shadow_problem;
use super::{Clock, Engine, Failure, Options, Sink, Unopened, resume};
use crate::log::{self, Commit, Log, Table};
use crate::runeset::{Diagnostic, Style, diagnostic};
use crate::spell::Spell;
pub use binding::{Binding, Edition, editions};
use binding::{Bound, bound_in};
pub use control::Control;
use notice::{BOUND_TOPIC, Notice, REFUSED_TOPIC, STOPPED_TOPIC, UNBOUND_TOPIC};
pub use order::{Answer, Candidate, Order, Refusal, Reply};

/// How long a run without spells waits at a time.
const WAIT: Duration = Duration::from_secs(10);

/// See the module.
pub struct Live {
    log: Arc<dyn Log>,
    options: Options,
    clock: Clock,
    control: Arc<Control>,
    /// Those that run, in spell order.
    spells: Vec<Arc<Spell>>,
    /// Those that are bound, as the log says.
    bound: BTreeMap<String, Bound>,
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

    /// Has it run these spells, and no others but those that were bound while a server ran: [`Live::bindings`]. Where
    /// new ones begin is in the log when this returns: what is appended from then on they draw on, however late they run.
    ///
    /// # Errors
    /// A log or a store that fails.
    pub fn replace(&mut self, spells: Vec<Arc<Spell>>) -> Result<(), Failure> {
        let is_named = |name: &str| spells.iter().any(|spell| *spell.name == *name);
        let gone = self.bound.iter().filter(|(name, bound)| bound.binding.is_none() && !is_named(name));
        for name in gone.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.unbind(&name)?;
        }
        for spell in &spells {
            self.bind(spell, None)?;
        }
        // Those that were bound come after those that were named.
        let bound = self.spells.drain(..).filter(|spell| {
            let bound = self.bound.get(&*spell.name);
            bound.is_some_and(|bound| bound.binding.is_some())
        });
        self.spells = spells.into_iter().chain(bound.collect::<Vec<_>>()).collect();
        Ok(())
    }

    /// What was bound while a server ran, and is to be bound by each that follows: the log remembers it.
    #[must_use]
    pub fn bindings(&self) -> Vec<Binding> {
        self.bound.values().filter_map(|bound| bound.binding.clone()).collect()
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
            self.control.interlude.work(&*self.log);
            if self.control.is_stopping() {
                return Ok(());
            }
            if self.spells.is_empty() {
                self.control.wait(WAIT);
                continue;
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

    /// Does what it is told. What is said of it is in the log when this returns.
    ///
    /// # Errors
    /// A log or a store that fails.
    pub fn follow_order(&mut self, order: Order, sink: &mut dyn Sink) -> Result<(), Failure> {
        match order {
            Order::Replace(candidates) => self.replace_tried(candidates, sink)?,
            Order::Bind(candidate, binding, reply) => {
                let answer = match self.try_out(&candidate, &self.spells) {
                    Ok(()) => Ok(self.add(candidate.spell, binding)?),
                    Err(refusal) => Err(self.refuse(refusal, sink)?),
                };
                reply.send(answer);
            }
            Order::Unbind(name, reply) => {
                self.spells.retain(|spell| *spell.name != *name);
                let is_bound = self.bound.contains_key(&name);
                self.unbind(&name)?;
                reply.send(Ok(is_bound));
            }
            Order::Refuse(refusal) => drop(self.refuse(refusal, sink)?),
        }
        Ok(())
    }

    /// Each spell by itself: where one is refused the one of its name goes on, if there is any.
    fn replace_tried(&mut self, candidates: Vec<Candidate>, sink: &mut dyn Sink) -> Result<(), Failure> {
        let all: Vec<_> = candidates.iter().map(|candidate| candidate.spell.clone()).collect();
        let mut spells = Vec::new();
        for candidate in candidates {
            match self.try_out(&candidate, &all) {
                Ok(()) => spells.push(candidate.spell),
                Err(refusal) => {
                    self.refuse(refusal, sink)?;
                    let old = self.spells.iter().find(|old| old.name == candidate.spell.name);
                    spells.extend(old.cloned());
                }
            }
        }
        self.replace(spells)
    }

    /// Whether a spell could run beside others: its VM is made and its hooks before the first cast are called, which changes nothing.
    fn try_out(&self, candidate: &Candidate, others: &[Arc<Spell>]) -> Result<(), Refusal> {
        let refusal = |problems| Refusal { spell: Some(candidate.spell.name.to_string()), problems };
        if !candidate.objections.is_empty() {
            return Err(refusal(candidate.objections.clone()));
        }
        if let Some(problem) = shadow_problem(&candidate.spell, others) {
            return Err(refusal(vec![problem]));
        }
        let options = Options { workers: 1, ..self.options.clone() };
        let tried = Engine::over(self.log.clone(), vec![candidate.spell.clone()], options);
        tried.map(drop).map_err(|unopened| refusal(unopened.problems))
    }

    /// True, for a spell runs that did not, or another one.
    fn add(&mut self, spell: Arc<Spell>, binding: Option<Binding>) -> Result<bool, Failure> {
        self.bind(&spell, binding)?;
        match self.spells.iter_mut().find(|bound| bound.name == spell.name) {
            Some(bound) => *bound = spell,
            None => self.spells.push(spell),
        }
        Ok(true)
    }

    fn refuse(&self, refusal: Refusal, sink: &mut dyn Sink) -> Result<Refusal, Failure> {
        for problem in &refusal.problems {
            sink.warn(problem)?;
        }
        let report = diagnostic::render_all(&refusal.problems, Style::Plain);
        let notice = Notice::new(REFUSED_TOPIC).with("report", &report);
        let notice = refusal.spell.iter().fold(notice, |notice, spell| notice.with("spell", spell));
        self.tell(notice)?;
        Ok(refusal)
    }

    /// Says that a spell runs, unless the log says so already; and where it begins.
    fn bind(&mut self, spell: &Spell, binding: Option<Binding>) -> Result<(), Failure> {
        let store = self.options.store.as_ref();
        let kept = store.map(|store| store.put(&spell.source)).transpose()?.map(|hash| hash.to_string());
        let hash = kept.clone().unwrap_or_else(|| blake3::hash(&spell.source).to_string());
        let bound = Bound { hash, binding };
        let mut commit = Commit::default();
        let known = resume::standing_in(&*self.log, &spell.name)?;
        let forebear = resume::forebear_of(&*self.log, spell)?.map(|(standing, _)| standing);
        let standing = match known.or(forebear) {
            Some(standing) => standing,
            None => {
                let begin = resume::start_of(&*self.log, spell)?;
                commit.changes.put(Table::Spell, spell.name.as_bytes(), &begin.bytes());
                commit.changes.put(Table::Version, spell.name.as_bytes(), &spell.version.to_le_bytes());
                begin
            }
        };
        if self.bound.get(&*spell.name) != Some(&bound) {
            let notice = Notice::new(BOUND_TOPIC)
                .with("spell", &spell.name)
                .number("from", i64::try_from(standing.next).unwrap_or(i64::MAX));
            let mut notice = notice.with("hash", &bound.hash);
            notice = match &bound.binding {
                Some(binding) => {
                    let notice = notice.with("path", &binding.path).with("by", "bind");
                    binding.shadow.iter().fold(notice, |notice, of| notice.with("shadow", of))
                }
                None => notice.with("path", &spell.path),
            };
            commit.events = kept.into_iter().fold(notice, Notice::content).into_events(self.clock.now_ms());
        }
        if !commit.events.is_empty() || !commit.changes.is_empty() {
            self.log.append(commit)?;
        }
        self.bound.insert(spell.name.to_string(), bound);
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

impl Drop for Live {
    fn drop(&mut self) {
        self.control.interlude.end();
    }
}
