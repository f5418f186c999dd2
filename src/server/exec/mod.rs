//! Programs that the server keeps running: generators, sinks, and what is both.
//!
//! Each program has a thread that starts it, waits for its end and starts it again (`process`). Lines of its standard
//! output become energies (`output`); energies of its topics are written to its standard input (`input`). What
//! runs, and whether, can be asked and changed by requests ([`Commands`]); which programs there are, the runeset alone
//! says.
//!
//! A program is the head of a process group of its own. When it ends, and when the server stops, what is left of the
//! group is killed: nothing of it survives the server, unless it has left the group, or the server itself is killed.

mod input;
mod output;
mod process;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Error, Plane, Resident};
use crate::router::Pattern;
use crate::runeset::Exec;

/// A program as the runeset has it.
#[derive(Clone, Debug)]
pub struct Command {
    /// What the runeset says.
    pub exec: Exec,
    /// What it draws on.
    pub input: Vec<Pattern>,
    /// The folder that it runs in.
    pub folder: PathBuf,
}

/// What is to become of a program, and what it does. Shared by threads.
#[derive(Debug)]
struct Control {
    command: Command,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Whether it is to run.
    is_wanted: bool,
    /// Whether the server stops.
    is_over: bool,
    /// The process, while it runs.
    pid: Option<i32>,
    /// Whether that has ended.
    has_ended: bool,
    /// How often it was started.
    starts: u64,
}

impl Control {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until something holds, at most `timeout`; returns whether it does.
    fn wait(&self, timeout: Option<Duration>, is_there: impl Fn(&State) -> bool) -> bool {
        let state = self.state();
        match timeout {
            None => {
                let waited = self.changed.wait_while(state, |state| !is_there(state));
                is_there(&waited.unwrap_or_else(PoisonError::into_inner))
            }
            Some(timeout) => {
                let waited = self.changed.wait_timeout_while(state, timeout, |state| !is_there(state));
                is_there(&waited.unwrap_or_else(PoisonError::into_inner).0)
            }
        }
    }

    fn row(&self) -> Value {
        let (exec, state) = (&self.command.exec, *self.state());
        json!({
            "name": exec.name,
            "command": exec.command,
            "wanted": state.is_wanted,
            "pid": state.pid,
            "restarts": state.starts.saturating_sub(1),
        })
    }
}

/// The programs that there are, for requests.
#[derive(Clone, Debug, Default)]
pub struct Commands {
    controls: BTreeMap<String, Arc<Control>>,
}

impl Commands {
    /// None of them runs yet.
    #[must_use]
    pub fn new(commands: Vec<Command>) -> Self {
        let control = |command: Command| {
            let state = State { is_wanted: command.exec.auto, ..State::default() };
            let name = command.exec.name.clone();
            (name, Arc::new(Control { command, state: Mutex::new(state), changed: Condvar::new() }))
        };
        Self { controls: commands.into_iter().map(control).collect() }
    }

    fn of<'a>(&'a self, plane: &'a str) -> impl Iterator<Item = &'a Arc<Control>> {
        self.controls.values().filter(move |control| control.command.exec.plane == plane)
    }

    /// What each program of a plane does.
    #[must_use]
    pub fn rows(&self, plane: &str) -> Vec<Value> {
        self.of(plane).map(|control| control.row()).collect()
    }

    /// Says that a program of a plane is to run, or to run no longer; `None` where there is none of that name.
    #[must_use]
    pub fn want(&self, plane: &str, name: &str, is_wanted: bool) -> Option<Value> {
        let control = self.of(plane).find(|control| control.command.exec.name == name)?;
        control.change(|state| state.is_wanted = is_wanted);
        Some(control.row())
    }
}

/// The threads of the programs.
#[derive(Debug)]
pub struct Programs {
    commands: Commands,
    threads: Vec<JoinHandle<()>>,
}

impl Programs {
    /// Nothing runs yet.
    #[must_use]
    pub fn new(commands: &Commands) -> Self {
        Self { commands: commands.clone(), threads: Vec::new() }
    }
}

impl Resident for Programs {
    fn start(&mut self, planes: &BTreeMap<String, Arc<Plane>>) -> Result<(), Error> {
        for (name, control) in &self.commands.controls {
            let plane = super::plane_of(planes, &control.command.exec.plane)?.clone();
            if !control.command.input.is_empty() {
                // What comes from now on it draws on, however late it runs.
                input::begin(&plane, name).map_err(|error| Error::Resident(error.to_string()))?;
            }
            let control = control.clone();
            let thread = thread::Builder::new().name(format!("exec {name}"));
            let thread = thread.spawn(move || process::keep(&control, &plane)).map_err(Error::Thread)?;
            self.threads.push(thread);
        }
        Ok(())
    }

    fn stop(&mut self) {
        for control in self.commands.controls.values() {
            control.change(|state| state.is_over = true);
        }
        for thread in self.threads.drain(..) {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}
