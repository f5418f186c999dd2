//! A spell: a Lua module with hooks, bound to a subscription. The only home of Lua.
//!
//! A [`Spell`] is what loading found: checked, compiled once, shared by the workers. A [`Lane`] is a
//! live VM of it, on the thread that made it. No Lua type leaves this module: energies go in as
//! bytes, effects come out as [`Round`]s.

pub mod fault;
mod fold;
pub mod host;
mod lane;
pub mod library;
mod load;
mod prompt;
mod raw;
pub mod report;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use fault::{Fault, FaultKind};
pub use fold::{By, Fold, Folder, SNAPSHOT_EVERY};
pub use host::{Cast, Outcome, Round, Usage};
pub use lane::lane_key;
pub use library::require::Modules;
pub use load::{Origin, load};
pub use prompt::{Answer, Prompt};
pub use raw::{Stacks, Stop, Task, VmError};

use crate::blob::{Blobs, Contents};
use crate::event::Events;
use crate::event::envelope::spell_key;
use crate::event::msgpack::PathPart;
use crate::log::Pair;
use crate::router::filter::Filter;
use crate::router::pattern::Pattern;
use crate::runeset::{Batch, Fault as FaultPolicy, Limits, Start};
use crate::state::{Address, Base};
use host::{Host, Phase};
use raw::Vm;

/// How often a fault of policy `retry` or `quarantine` is tried again.
const RETRIES: u32 = 3;

/// The clocks that a VM may see, handed down so that time has one home (`engine/clock.rs`).
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// A steady clock in milliseconds: the backstop on wall time.
    pub steady_ms: fn() -> u64,
    /// A steady clock in nanoseconds, where cast times are asked for.
    pub timer_ns: Option<fn() -> u64>,
    /// Whether every instruction is counted, not every 512th.
    pub exact: bool,
}

/// A spell as it was loaded.
#[derive(Debug)]
pub struct Spell {
    /// Its name, unique in a run.
    pub name: Arc<str>,
    /// What it was called before.
    pub was: Option<Arc<str>>,
    /// Its file, as it was given.
    pub path: String,
    /// Its text.
    pub source: Arc<[u8]>,
    /// Topics it draws on; empty for every energy, those without topic included.
    pub topics: Vec<Pattern>,
    /// The table filter.
    pub filter: Option<Filter>,
    /// Whether `filter` is a function.
    pub filter_function: bool,
    /// Path of the partition key.
    pub lane: Option<Vec<PathPart>>,
    /// How many VMs share the keys.
    pub lanes: usize,
    /// Energies at once.
    pub batch: Option<Batch>,
    /// Milliseconds between two ticks.
    pub every_ms: Option<u64>,
    /// Top-level fields that are decoded; `None` for all.
    pub reads: Option<Vec<Box<[u8]>>>,
    /// Where in an existing log it begins.
    pub start: Option<Start>,
    /// What a fault does.
    pub fault: FaultPolicy,
    /// Whether its golden cases are to pass before a server runs it.
    pub ward: bool,
    /// The spell that it is compared with: what it produces is dropped.
    pub shadow: Option<Arc<str>>,
    /// The version of what it keeps: where the log has another one, its `migrate` is called.
    pub version: u64,
    /// What it may use.
    pub limits: Limits,
    /// Whether a nil in a map reaches it as `null`.
    pub nulls: bool,
    /// Options handed to `prepare`: one canonical map.
    pub runes: Vec<u8>,
    /// Where `require` looks.
    pub modules: Modules,
    cast_envelope: bool,
    filter_envelope: bool,
}

/// Why a lane could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No room for a VM.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// The spell's own code failed. What it printed before is in the round.
    #[error("the spell faulted: {}", .0.message)]
    Fault(Box<Fault>, Box<Round>),
    /// As that, in `migrate`.
    #[error("the spell faulted in `migrate`: {}", .0.message)]
    Migrate(Box<Fault>, Box<Round>),
}

/// A live VM of a spell. Stays on its thread.
pub struct Lane {
    vm: Vm,
    keep_going: bool,
    retries: u32,
    /// Tasks that wait behind a cast that is held, and the energies of the round.
    rest: (Arc<Events>, Vec<Task>),
}

/// What a lane is opened with: what it remembers of earlier runs, and the content it shares with other lanes.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// How often the spell was rewound: what it produces again has ids of its own.
    pub epoch: u64,
    /// Whether changes of state are recorded, for the log.
    pub is_recorded: bool,
    /// The version of the state, where there may be any.
    pub version: Option<u64>,
    /// The state, where all of it is to be in memory: [`Address`] and value.
    pub entries: Vec<Pair>,
    /// Where the state is, for a spell that need not have all of it in memory.
    pub base: Option<Base>,
    /// Bytes of the state, where it is not in `entries`.
    pub bytes: Option<u64>,
    /// The run's content.
    pub contents: Contents,
}

impl Memory {
    /// The lane keys that have a state; first the empty one, for what belongs to none.
    fn scopes(&self) -> BTreeSet<&[u8]> {
        let scopes = self.entries.iter().filter_map(|(address, _)| Address::read(address));
        scopes.map(|address| address.scope).chain([&[][..]]).collect()
    }
}

impl Spell {
    /// Makes a VM, loads the spell into it and calls `prepare`. What `prepare` printed is in the round.
    pub fn open(&self, clocks: Clocks) -> Result<Lane, OpenError> {
        self.open_with(clocks, &Memory::default())
    }

    /// As [`open`](Spell::open), with the state of earlier runs and with content.
    pub fn open_with(&self, clocks: Clocks, memory: &Memory) -> Result<Lane, OpenError> {
        let mut host = Host::new(&self.name, self.limits, self.runes.clone(), self.modules.clone());
        host.nulls = self.nulls;
        host.is_recorded = memory.is_recorded;
        host.key = spell_key(&self.name, memory.epoch);
        host.blobs = Blobs::new(memory.contents.clone());
        for (address, value) in &memory.entries {
            if let Some(at) = Address::read(address) {
                host.state.restore(at.scope, at.bucket, at.key, value);
            }
        }
        host.state.set_scope(&[]);
        if let Some(base) = memory.base.clone() {
            host.state.rest_on(base, memory.bytes, self.limits.state_cache_bytes);
        }
        let mut vm = Vm::new(host, clocks.steady_ms, clocks.exact)?;
        if let Err(fault) = vm.load(&self.path, &self.source) {
            return Err(failed(&mut vm, fault));
        }
        vm.arm(|job| {
            job.has_filter = self.filter_function;
            job.cast_envelope = self.cast_envelope;
            job.filter_envelope = self.filter_envelope;
            job.timer = clocks.timer_ns;
            job.lane.clone_from(&self.lane);
            job.reads.clone_from(&self.reads);
        });
        if let Some(old) = memory.version.filter(|old| *old != self.version) {
            for scope in memory.scopes() {
                if let Err(fault) = vm.migrate(old, scope) {
                    let round = std::mem::take(&mut vm.host().round);
                    return Err(OpenError::Migrate(Box::new(fault), Box::new(round)));
                }
            }
        }
        if let Err(fault) = vm.hook("prepare", Phase::Prepare, true) {
            return Err(failed(&mut vm, fault));
        }
        let (keep_going, retries) = match self.fault {
            FaultPolicy::Stop => (false, 0),
            FaultPolicy::Skip => (true, 0),
            FaultPolicy::Retry => (false, RETRIES),
            FaultPolicy::Quarantine => (true, RETRIES),
        };
        Ok(Lane { vm, keep_going, retries, rest: Default::default() })
    }
}

impl Lane {
    /// Runs tasks over the energies of a round. Where a fault does not end the run, it stops after a cast that is held,
    /// with [`Round::is_held`]: one whose outputs the log may refuse. See [`go_on`](Lane::go_on).
    pub fn run(&mut self, events: &Arc<Events>, tasks: Vec<Task>) {
        let host = self.vm.host();
        host.holds = self.keep_going;
        // Earlier rounds are in the log, this one is not.
        if host.round.changes.is_empty() {
            host.state.relieve();
        }
        let rest = self.vm.run(events, tasks, self.retries, self.keep_going);
        self.rest = (events.clone(), rest);
    }

    /// Goes on after a cast that was held, with what the round did so far: it stands, or its changes of state are undone.
    pub fn go_on(&mut self, round: Round, stands: bool) {
        let host = self.vm.host();
        host.round = round;
        host.decide(stands);
        let (events, tasks) = std::mem::take(&mut self.rest);
        let rest = self.vm.run(&events, tasks, self.retries, self.keep_going);
        self.rest = (events, rest);
    }

    /// Adds tasks to those that wait behind a cast that is held; false where none is.
    pub fn wait(&mut self, tasks: impl Iterator<Item = Task>) -> bool {
        let is_held = self.vm.host().round.is_held;
        if is_held {
            self.rest.1.extend(tasks);
        }
        is_held
    }

    /// Whether a fault ended the round: nothing more of it is to be run.
    #[must_use]
    pub fn has_stopped(&mut self) -> bool {
        let last = self.vm.host().round.casts.last();
        !self.keep_going && last.is_some_and(|cast| matches!(cast.outcome, host::Outcome::Fault(_)))
    }

    /// Takes what was done since the last call.
    pub fn take_round(&mut self) -> Round {
        let (memory_bytes, peak_bytes) = self.vm.memory_bytes();
        let host = self.vm.host();
        host.round.failure = host.state.take_failure();
        host.round.usage = Usage { memory_bytes, peak_bytes, state_bytes: host.state.bytes() };
        std::mem::take(&mut host.round)
    }

    /// Gives back the memory of a round that was committed.
    pub fn recycle(&mut self, mut round: Round) {
        let current = &mut self.vm.host().round;
        if current.casts.is_empty() && current.prints.is_empty() && current.notes.is_empty() {
            round.clear();
            *current = round;
        }
    }

    /// VM bytes in use, and the most that were.
    #[must_use]
    pub fn memory_bytes(&self) -> (usize, usize) {
        self.vm.memory_bytes()
    }

    /// Counts instructions by stack from now on, by a sample every so many of them.
    pub fn profile(&mut self, every: u16) {
        self.vm.profile(every);
    }

    /// What was counted since.
    pub fn take_stacks(&mut self) -> Stacks {
        self.vm.take_stacks()
    }

    /// Has the spell stand before a task, to be asked; `None` when its energy cannot be read. It casts no more then.
    pub fn stand(&mut self, events: &Arc<Events>, task: Task) -> Option<Prompt<'_>> {
        self.vm.stand(events, task).then(|| Prompt::new(&mut self.vm))
    }

    /// Calls `unprepare`.
    pub fn close(&mut self) -> Result<(), Fault> {
        self.vm.hook("unprepare", Phase::Unprepare, false)
    }
}

/// Runs a `.lua` seed file in a VM of its own and returns what it returns, as canonical MessagePack.
pub fn evaluate_seed(
    path: &str,
    source: &[u8],
    modules: Modules,
    limits: &Limits,
    clocks: Clocks,
    bytes_max: usize,
) -> Result<Vec<u8>, OpenError> {
    let host = Host::new(path, *limits, vec![0x80], modules);
    let mut vm = Vm::new(host, clocks.steady_ms, clocks.exact)?;
    vm.evaluate_data(path, source, bytes_max).map_err(|fault| failed(&mut vm, fault))
}

fn failed(vm: &mut Vm, fault: Fault) -> OpenError {
    let host = vm.host();
    host.round.failure = host.state.take_failure();
    OpenError::Fault(Box::new(fault), Box::new(std::mem::take(&mut host.round)))
}
