//! The spells of a server: an engine for each plane, and a watch over their files.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::console::{self, Faults};
use super::watch::Watch;
use crate::engine::batch::{self, Batch, Request};
use crate::engine::live::{Control, Live, Order};
use crate::engine::{Clock, Failure, Options, Sink};
use crate::event::EventRef;
use crate::runeset::Diagnostic;
use crate::server::{self, Plane, Resident};
use crate::spell::Spell;

/// See the module. All planes have the same spells, each its own state of them.
pub struct Spells {
    request: Request,
    options: Options,
    spells: Vec<Arc<Spell>>,
    controls: Vec<Arc<Control>>,
    threads: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl Spells {
    /// Loads them, or says everything that is wrong. Nothing runs yet.
    pub fn load(request: Request) -> Result<Self, Vec<Diagnostic>> {
        let batch = load(&request)?;
        let options = batch.options();
        Ok(Self {
            request,
            options,
            spells: batch.spells,
            controls: Vec::new(),
            threads: Vec::new(),
            is_over: Arc::default(),
        })
    }

    /// Watches the files, and has the planes run what they become.
    fn watch(&self) -> anyhow::Result<impl FnOnce() + Send + 'static> {
        let mut watch = Watch::new()?;
        watch.cover(&self.request);
        let (request, controls, is_over) =
            (self.request.clone(), self.controls.clone(), self.is_over.clone());
        Ok(move || {
            while watch.wait(None, || is_over.load(Ordering::Acquire)).is_some() {
                watch.cover(&request);
                let loaded = load(&request);
                for control in &controls {
                    control.give(match &loaded {
                        Ok(batch) => Order::Replace(batch.spells.clone()),
                        Err(problems) => Order::Refuse(problems.clone()),
                    });
                }
            }
        })
    }

    fn spawn(&mut self, name: String, body: impl FnOnce() + Send + 'static) -> Result<(), server::Error> {
        let thread = thread::Builder::new().name(name).spawn(body).map_err(server::Error::Thread)?;
        self.threads.push(thread);
        Ok(())
    }
}

fn load(request: &Request) -> Result<Batch, Vec<Diagnostic>> {
    batch::load(request, &|name| std::env::var(name).ok())
}

impl Resident for Spells {
    fn start(&mut self, planes: &BTreeMap<String, Arc<Plane>>) -> Result<(), server::Error> {
        for (name, plane) in planes {
            let control = Arc::new(Control::default());
            self.controls.push(control.clone());
            let options = Options { store: Some(plane.contents().clone()), ..self.options.clone() };
            let resident = |failure: Failure| server::Error::Resident(told(failure));
            let live = Live::new(plane.log().clone(), options, Clock::System, control);
            let mut live = live.map_err(|error| resident(error.into()))?;
            live.replace(self.spells.clone()).map_err(resident)?;
            let plane = name.clone();
            self.spawn(format!("spells {name}"), move || {
                if let Err(failure) = live.run(&mut Output) {
                    console::error(&format!(
                        "spells run no longer on the plane `{plane}`: {}",
                        told(failure)
                    ));
                }
            })?;
        }
        match self.watch() {
            Ok(watch) => self.spawn("watch spells".to_owned(), watch),
            Err(error) => {
                console::error(&format!("changes of spells are not seen: {error:#}"));
                Ok(())
            }
        }
    }

    fn stop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        self.controls.iter().for_each(|control| control.stop());
        for thread in self.threads.drain(..) {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

fn told(failure: Failure) -> String {
    match failure {
        Failure::Diagnostic(diagnostic) => diagnostic.message,
        Failure::Sink(error) => error.to_string(),
        Failure::Log(error) => error.to_string(),
        Failure::Content(error) => error.to_string(),
        Failure::Outrun => super::cast::OUTRUN.to_owned(),
    }
}

/// What spells print goes to standard output, the rest to standard error. A server goes on without either.
struct Output;

impl Sink for Output {
    fn print(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !bytes.is_empty() {
            let mut stdout = io::stdout().lock();
            let _nobody = stdout.write_all(bytes).and_then(|()| stdout.flush());
        }
        Ok(())
    }

    fn note(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !bytes.is_empty() {
            let _nobody = io::stderr().write_all(bytes);
        }
        Ok(())
    }

    fn output(&mut self, _event: EventRef<'_>, _consumed: bool) -> io::Result<()> {
        Ok(())
    }

    fn dump(&mut self, _event: EventRef<'_>) -> io::Result<()> {
        Ok(())
    }

    fn warn(&mut self, diagnostic: &Diagnostic) -> io::Result<()> {
        console::report(std::slice::from_ref(diagnostic), Faults::Text);
        Ok(())
    }

    fn progress(&mut self, _events: u64, _casts: u64) {}
}
