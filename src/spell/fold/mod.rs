//! The Lua of a projection: `fold`, and what it is folded over.
//!
//! A [`Fold`] is what loading found; a [`Folder`] is a live VM of it. It runs in the sandbox of spells, under
//! their limits and with their reports: a wrapper in Lua (`within.lua`) gives it a `cast` that folds. The caller
//! keeps the states and hands each one in before it is needed; a state passes as canonical MessagePack.
//!
//! A fold knows its state, the energy and the envelope. `emit`, `state`, buckets, `stats` and `window` are not
//! there, and no `prepare`. What it prints is handed out apart.

mod load;

use std::borrow::Cow;
use std::sync::Arc;

use super::host::{Host, Outcome};
use super::raw::{Task, Vm};
use super::{Clocks, Fault, Modules, OpenError, lane_key};
use crate::event::msgpack::PathPart;
use crate::event::{EventRef, Events};
use crate::log::Query;
use crate::router::pattern::Pattern;
use crate::runeset::Limits;
use crate::state::Store;

/// Energies between two snapshots, unless `snapshot_every` says otherwise.
pub const SNAPSHOT_EVERY: u64 = 1_000;

/// See `within.lua`.
const WITHIN: &str = include_str!("within.lua");
/// Where `within.lua` keeps a key's state: the key `true`.
const KEY: &[u8] = &[0x03];

/// What makes energies belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// Nothing: all are folded into one state.
    One,
    /// Their stream.
    Stream,
    /// A field of their data.
    Path(Vec<PathPart>),
}

/// A projection's module as it was loaded.
#[derive(Clone, Debug)]
pub struct Fold {
    /// Its name: that of its file.
    pub name: Arc<str>,
    /// Its file, as it was given.
    pub path: String,
    /// Its text.
    pub source: Arc<[u8]>,
    /// Topics it folds; empty for every energy, those without topic included.
    pub topics: Vec<Pattern>,
    /// What has a state of its own.
    pub by: By,
    /// Energies between two snapshots.
    pub snapshot_every: u64,
    /// What it may use.
    pub limits: Limits,
    /// Whether a nil in a map reaches it as `null`.
    pub nulls: bool,
    /// Tells its text, and that of the modules which it loads at once, from any other.
    pub digest: [u8; 32],
    modules: Modules,
    takes_envelope: bool,
}

impl Fold {
    /// Loads a projection: runs its chunk in a fresh VM and checks every member.
    pub fn load(
        path: &str,
        source: Vec<u8>,
        modules: Modules,
        clocks: Clocks,
    ) -> Result<Self, Vec<crate::runeset::Diagnostic>> {
        load::load(path, source, modules, clocks)
    }

    /// The energies it folds.
    #[must_use]
    pub fn query(&self) -> Query {
        Query { topics: self.topics.clone(), ..Query::default() }
    }

    /// What the energy is folded by: the stream's bytes, or the MessagePack of the field; empty for none.
    #[must_use]
    pub fn scope<'a>(&self, event: EventRef<'a>) -> Cow<'a, [u8]> {
        match &self.by {
            By::One => Cow::Borrowed(&[]),
            By::Stream => Cow::Borrowed(event.stream_bytes()),
            By::Path(path) => lane_key(event.data(), path),
        }
    }

    /// Makes a VM.
    pub fn open(&self, clocks: Clocks) -> Result<Folder, OpenError> {
        let mut host = Host::new(&self.name, self.limits, vec![0x80], self.modules.clone());
        host.nulls = self.nulls;
        host.is_recorded = true;
        // The states of all keys are the caller's to bound; one of them is bounded by `event_bytes`.
        host.state = Store::new(u64::MAX);
        let mut vm = Vm::new(host, clocks.steady_ms, clocks.exact)?;
        if let Err(fault) = vm.load_within(WITHIN, &self.path, &self.source) {
            return Err(super::failed(&mut vm, fault));
        }
        vm.arm(|job| {
            job.cast_envelope = self.takes_envelope;
            job.by_stream = self.by == By::Stream;
            if let By::Path(path) = &self.by {
                job.lane = Some(path.clone());
            }
        });
        Ok(Folder { vm })
    }
}

/// A live VM of a projection. Stays on its thread.
pub struct Folder {
    vm: Vm,
}

impl Folder {
    /// Hands in the state of a key: before its first energy, since the folder was made or forgot.
    pub fn give(&mut self, scope: &[u8], state: &[u8]) {
        self.vm.host().state.restore(scope, b"", KEY, state);
    }

    /// Folds a batch, and tells the new state after each energy: none where the key was forgotten. A fault ends it,
    /// and leaves the state as it was before that energy, whose index comes with it.
    pub fn fold(
        &mut self,
        events: &Arc<Events>,
        mut tell: impl FnMut(u32, Option<&[u8]>),
    ) -> Result<(), (u32, Box<Fault>)> {
        let tasks = (0..events.len() as u32).map(Task::Cast).collect();
        self.vm.run(events, tasks, 0, false);
        let round = &mut self.vm.host().round;
        let (mut changes, mut taken, mut result) = (round.changes.iter(), 0, Ok(()));
        for (index, cast) in (0..).zip(&mut round.casts) {
            if let Outcome::Fault(fault) = std::mem::replace(&mut cast.outcome, Outcome::Done) {
                result = Err((index, fault));
                break;
            }
            let mut state = None;
            for _ in taken..cast.changes_end {
                state = changes.next().and_then(|change| change.value);
            }
            taken = cast.changes_end;
            tell(index, state);
        }
        drop(changes);
        round.casts.clear();
        round.changes.clear();
        result
    }

    /// What was printed and logged since it was taken last.
    pub fn take_prints(&mut self) -> Vec<u8> {
        let round = &mut self.vm.host().round;
        let mut prints = std::mem::take(&mut round.prints);
        prints.append(&mut round.notes);
        prints
    }

    /// Bytes of the states that it holds.
    pub fn held_bytes(&mut self) -> u64 {
        self.vm.host().state.bytes()
    }

    /// Forgets all states.
    pub fn forget(&mut self) {
        self.vm.host().state = Store::new(u64::MAX);
    }
}
