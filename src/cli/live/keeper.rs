//! Which spells run where: those that the server was started with, and those that were bound since.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value, json};

use super::bench::Bench;
use super::ward;
use crate::cli::watch::Cover;
use crate::engine::Options;
use crate::engine::batch::{self, Batch, Item, Request};
use crate::engine::live::{Binding, Candidate, Order, Refusal, Reply};
use crate::runeset::{Diagnostic, Fault, Runeset, SpellOptions, Style, diagnostic};
use crate::server::registry::{Refused, Registry, Wish};
use crate::spell::Spell;

/// See the module.
#[derive(Debug)]
pub struct Keeper {
    /// What the server was started with.
    request: Request,
    /// How the engines run.
    pub options: Options,
    /// What was loaded of it last. Held while anything is loaded or bound: one thing at a time.
    named: Mutex<Named>,
    benches: OnceLock<BTreeMap<String, Arc<Bench>>>,
    cover: OnceLock<Cover>,
    /// Whether the server stops.
    pub is_over: AtomicBool,
    /// Whether everything is to be loaded again.
    pub is_stale: AtomicBool,
}

#[derive(Debug)]
struct Named {
    spells: Vec<Arc<Spell>>,
    runeset: Runeset,
}

impl Keeper {
    /// Loads what the server is started with, or says everything that is wrong.
    pub fn load(request: Request) -> Result<Self, Vec<Diagnostic>> {
        let batch = load(&request)?;
        let objections: Vec<_> = batch.spells.iter().flat_map(|spell| ward::objections(spell)).collect();
        if !objections.is_empty() {
            return Err(objections);
        }
        Ok(Self {
            options: batch.options(),
            named: Mutex::new(Named { spells: batch.spells, runeset: batch.runeset }),
            request,
            benches: OnceLock::new(),
            cover: OnceLock::new(),
            is_over: AtomicBool::default(),
            is_stale: AtomicBool::default(),
        })
    }

    /// Tells it the planes, and where files are watched.
    pub fn start(&self, benches: BTreeMap<String, Arc<Bench>>, cover: Option<Cover>) {
        // It is started once.
        let _first = self.benches.set(benches);
        if let Some(cover) = cover {
            cover.add(&self.request);
            let _first = self.cover.set(cover);
        }
    }

    /// Ends all engines.
    pub fn stop(&self) {
        self.is_over.store(true, Ordering::Release);
        self.benches().for_each(|bench| bench.control.stop());
    }

    fn benches(&self) -> impl Iterator<Item = &Arc<Bench>> {
        self.benches.get().into_iter().flat_map(BTreeMap::values)
    }

    /// A plane's engine.
    pub fn bench(&self, plane: &str) -> Option<&Arc<Bench>> {
        self.benches.get()?.get(plane)
    }

    fn hold(&self) -> MutexGuard<'_, Named> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The spells that the server was started with.
    pub fn named(&self) -> Vec<Arc<Spell>> {
        self.hold().spells.clone()
    }

    /// The runeset that the server was started with, or an empty one.
    pub fn runeset(&self) -> Runeset {
        self.hold().runeset.clone()
    }

    /// What an engine is told of the spells that were bound on its plane.
    pub fn orders_of(&self, bench: &Bench) -> Vec<Order> {
        self.bind_again(bench, &self.hold())
    }

    /// Loads everything again.
    pub fn load_again(&self) {
        self.cover(&self.request);
        let mut named = self.hold();
        match load(&self.request) {
            Ok(batch) => {
                let candidates: Vec<Candidate> = batch.spells.iter().cloned().map(warded).collect();
                *named = Named { spells: batch.spells, runeset: batch.runeset };
                self.benches().for_each(|bench| bench.control.give(Order::Replace(candidates.clone())));
            }
            Err(problems) => {
                let refusal = Refusal { spell: None, problems };
                self.benches().for_each(|bench| bench.control.give(Order::Refuse(refusal.clone())));
            }
        }
        for bench in self.benches() {
            // The server is started with them now.
            bench.bound().retain(|name, _| !named.has(name));
            self.bind_again(bench, &named).into_iter().for_each(|order| bench.control.give(order));
        }
    }

    fn bind_again(&self, bench: &Bench, named: &Named) -> Vec<Order> {
        let bindings: Vec<Binding> = bench.bound().values().cloned().collect();
        let order = |binding: Binding| match self.candidate(&binding, Some(&binding.spell), named) {
            Ok(candidate) => Order::Bind(candidate, Some(binding), Reply::default()),
            Err(problems) => Order::Refuse(Refusal { spell: Some(binding.spell), problems }),
        };
        let mut orders: Vec<Order> = bindings.into_iter().map(order).collect();
        // After those that they are compared with.
        orders.sort_by_key(
            |order| matches!(order, Order::Bind(candidate, ..) if candidate.spell.shadow.is_some()),
        );
        orders
    }

    fn cover(&self, request: &Request) {
        self.cover.get().into_iter().for_each(|cover| cover.add(request));
    }

    /// Loads a spell that is or was bound.
    fn candidate(
        &self,
        binding: &Binding,
        name: Option<&str>,
        named: &Named,
    ) -> Result<Candidate, Vec<Diagnostic>> {
        let item = Item::new("", &binding.path);
        // Before it is read, so that no change is missed.
        self.cover(&Request { spells: vec![item.clone()], ..Request::default() });
        let shadow = binding.shadow.clone();
        let options = SpellOptions { name: name.map(str::to_owned), shadow, ..SpellOptions::default() };
        let fault = self.request.fault.unwrap_or(Fault::Quarantine);
        let spell = batch::load_spell(&item, &named.runeset, options, fault)?;
        Ok(warded(spell))
    }
}

impl Named {
    fn has(&self, name: &str) -> bool {
        self.spells.iter().any(|spell| *spell.name == *name)
    }
}

impl Registry for Keeper {
    fn bind(&self, plane: &str, wish: &Wish) -> Result<Value, Refused> {
        let Some(bench) = self.bench(plane) else { return Err(starting()) };
        let named = self.hold();
        if !Path::new(&wish.path).is_absolute() {
            let problem = Diagnostic::error(format!("`{}` is no path from the root", wish.path));
            return Err(refused(&[
                problem.help("the server does not know the folder that it is relative to")
            ]));
        }
        let Wish { path, name, shadow } = wish.clone();
        if name.iter().chain(&shadow).any(String::is_empty) {
            return Err(refused(&[Diagnostic::error("the name of a spell is empty")]));
        }
        let mut binding = Binding { spell: String::new(), path, shadow };
        let candidate = match self.candidate(&binding, name.as_deref(), &named) {
            Ok(candidate) => candidate,
            Err(problems) => {
                let text = refused(&problems);
                bench.control.give(Order::Refuse(Refusal { spell: name, problems }));
                return Err(text);
            }
        };
        let spell = candidate.spell.name.to_string();
        if named.has(&spell) {
            return Err(Refused::Named(spell));
        }
        binding.spell.clone_from(&spell);
        let shadow = candidate.spell.shadow.clone();
        let answer = bench.ask(|reply| Order::Bind(candidate, Some(binding.clone()), reply))?;
        if let Err(refusal) = answer {
            return Err(refused(&refusal.problems));
        }
        let mut row = json!({ "spell": spell, "path": binding.path });
        if let Some(of) = shadow {
            row["shadow"] = of.as_ref().into();
        }
        bench.bound().insert(spell, binding);
        Ok(row)
    }

    fn unbind(&self, plane: &str, spell: &str) -> Result<(), Refused> {
        let Some(bench) = self.bench(plane) else { return Err(starting()) };
        let named = self.hold();
        if named.has(spell) {
            return Err(Refused::Named(spell.to_owned()));
        }
        match bench.ask(|reply| Order::Unbind(spell.to_owned(), reply))? {
            Ok(true) => {
                bench.bound().remove(spell);
                Ok(())
            }
            Ok(false) => Err(Refused::Unknown(spell.to_owned())),
            Err(refusal) => Err(refused(&refusal.problems)),
        }
    }

    fn reload(&self) {
        self.is_stale.store(true, Ordering::Release);
    }

    fn failure(&self, plane: &str) -> Option<String> {
        self.bench(plane)?.failure()
    }
}

/// A spell, with what its golden cases have against it where they are to pass.
fn warded(spell: Arc<Spell>) -> Candidate {
    Candidate { objections: ward::objections(&spell), spell }
}

fn load(request: &Request) -> Result<Batch, Vec<Diagnostic>> {
    batch::load(request, &|name| std::env::var(name).ok())
}

fn refused(problems: &[Diagnostic]) -> Refused {
    Refused::Spell(diagnostic::render_all(problems, Style::Plain))
}

fn starting() -> Refused {
    Refused::Unavailable("the server starts".to_owned())
}
