//! The spells of a server: an engine for each plane, and a watch over their files.
//!
//! Those that the server is started with run on all planes; others are bound on one, and each start binds them again
//! ([`keeper`]). Each plane has its own state of them.

mod bench;
mod keeper;
mod ward;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::console::{self, Faults};
use super::watch::Watch;
use crate::engine::batch::Request;
use crate::engine::live::Live;
use crate::engine::{Clock, Failure, Options, Sink};
use crate::event::EventRef;
use crate::runeset::{Diagnostic, Runeset};
use crate::server::registry::Registry;
use crate::server::{self, Plane, Resident, stdout};
use bench::Bench;
use keeper::Keeper;

/// How often it is looked whether spells are to be loaded anew, where files cannot be watched.
const LOOK: Duration = Duration::from_millis(200);

/// See the module.
pub struct Spells {
    keeper: Arc<Keeper>,
    threads: Vec<JoinHandle<()>>,
}

impl Spells {
    /// Loads them, or says everything that is wrong. Nothing runs yet.
    pub fn load(request: Request) -> Result<Self, Vec<Diagnostic>> {
        Ok(Self { keeper: Arc::new(Keeper::load(request)?), threads: Vec::new() })
    }

    /// The runeset that the server was started with, or an empty one.
    pub fn runeset(&self) -> Runeset {
        self.keeper.runeset()
    }

    /// Loads them again whenever files change, or that is asked for.
    fn watch(&self, watch: Option<Watch>) -> impl FnOnce() + Send + 'static {
        let keeper = self.keeper.clone();
        move || loop {
            let is_called =
                || keeper.is_over.load(Ordering::Acquire) || keeper.is_stale.load(Ordering::Acquire);
            match &watch {
                Some(watch) => drop(watch.wait(None, is_called)),
                None => {
                    while !is_called() {
                        thread::sleep(LOOK);
                    }
                }
            }
            if keeper.is_over.load(Ordering::Acquire) {
                return;
            }
            keeper.is_stale.store(false, Ordering::Release);
            keeper.load_again();
        }
    }

    fn spawn(&mut self, name: String, body: impl FnOnce() + Send + 'static) -> Result<(), server::Error> {
        let thread = thread::Builder::new().name(name).spawn(body).map_err(server::Error::Thread)?;
        self.threads.push(thread);
        Ok(())
    }

    /// An engine of the plane, that has been told what to run.
    fn live(&self, plane: &Plane, bench: &Bench) -> Result<Live, Failure> {
        let (store, name) = (Some(plane.contents().clone()), plane.name().to_owned());
        let options = Options { store, plane: name, ..self.keeper.options.clone() };
        let mut live = Live::new(plane.log().clone(), options, Clock::System, bench.control.clone())?;
        live.replace(self.keeper.named())?;
        bench.remember(live.bindings());
        for order in self.keeper.orders_of(bench) {
            live.follow_order(order, &mut Output)?;
        }
        Ok(live)
    }
}

impl Resident for Spells {
    fn start(&mut self, planes: &BTreeMap<String, Arc<Plane>>) -> Result<(), server::Error> {
        let watch = Watch::new();
        if let Err(error) = &watch {
            console::error(&format!("changes of spells are not seen, except on SIGHUP: {error:#}"));
        }
        let watch = watch.ok();
        let benches = planes.keys().map(|name| (name.clone(), Arc::new(Bench::default()))).collect();
        self.keeper.start(benches, watch.as_ref().map(|watch| watch.cover().clone()));
        for (name, plane) in planes {
            let Some(bench) = self.keeper.bench(name) else { continue };
            plane.runs(bench.control.clone());
            let live = self.live(plane, bench);
            let mut live = live.map_err(|failure| server::Error::Resident(told(failure)))?;
            let (bench, plane) = (bench.clone(), name.clone());
            self.spawn(format!("spells {name}"), move || {
                if let Err(failure) = live.run(&mut Output) {
                    let why = told(failure);
                    console::error(&format!("spells run no longer on the plane `{plane}`: {why}"));
                    bench.fail(why);
                }
            })?;
        }
        let body = self.watch(watch);
        self.spawn("watch spells".to_owned(), body)
    }

    fn stop(&mut self) {
        self.keeper.stop();
        for thread in self.threads.drain(..) {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }

    fn registry(&self) -> Option<Arc<dyn Registry>> {
        Some(self.keeper.clone())
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
            let _nobody = stdout::write(bytes);
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
