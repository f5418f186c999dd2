//! What a VM sees of the engine during a cast, and what it hands back.
//!
//! A [`Host`] belongs to one VM. Before each cast it is pointed at the input; natives read it and add
//! to it; after the cast the effects are kept or, on a fault, undone as a whole (prints stay: they
//! are part of the report). Nothing in here touches a clock, a file or another spell.

use std::sync::Arc;

use crate::blob::{Blobs, Put};
use crate::event::envelope::{Fields, output_id, spell_key};
use crate::event::msgpack::{Reader, Token};
use crate::event::{EventRef, Events, Expect, Head, Span, Uuid, topic};
use crate::log::{self, Change, Changes, Table};
use crate::runeset::Limits;
use crate::spell::fault::Fault;
use crate::spell::library::random::Random;
use crate::spell::library::require::Modules;
use crate::spell::raw::{EncodeError, Envelope, Stop, splice};
use crate::state::{Address, Store};

/// What a VM is doing; decides which natives make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The chunk's own statements run.
    Load,
    /// `prepare`
    Prepare,
    /// A filter function: it may look and print, and change nothing.
    Filter,
    /// `cast` or `tick`
    Cast,
    /// `unprepare`
    Unprepare,
}

/// The energies of the running cast.
#[derive(Default)]
pub struct Input {
    /// One energy, or the members of a batch, or the energy whose time made the timer fire.
    pub events: Vec<(Arc<Events>, u32)>,
    /// `time.now()`, and the time of outputs.
    pub time_ms: i64,
    /// Counts casts; tells an envelope of an earlier cast.
    pub sequence: u64,
    /// Distinguishes several casts for one energy (a timer, a batch, the cast itself).
    pub salt: u32,
}

impl Input {
    /// The direct cause: the last energy of the cast.
    #[must_use]
    pub fn cause(&self) -> Option<EventRef<'_>> {
        self.get(self.events.len().checked_sub(1)?)
    }

    /// A member of a batch.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<EventRef<'_>> {
        self.events.get(index).map(|(events, at)| events.get(*at as usize))
    }
}

/// How a cast ended.
#[derive(Debug)]
pub enum Outcome {
    /// Its effects stand.
    Done,
    /// The filter function said no.
    Filtered,
    /// Its effects are undone, its prints kept.
    Fault(Box<Fault>),
}

/// What one cast did; its outputs and prints lie between the previous cast's end and its own.
#[derive(Debug)]
pub struct Cast {
    /// End of its outputs in [`Round::outputs`].
    pub outputs_end: u32,
    /// End of its prints in [`Round::prints`].
    pub prints_end: u32,
    /// End of its log lines in [`Round::notes`].
    pub notes_end: u32,
    /// End of its changes of state in [`Round::changes`].
    pub changes_end: u32,
    /// Work units, exact in exact mode.
    pub instructions: u64,
    /// Wall time, where it was asked for.
    pub nanos: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a VM takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use.
    pub memory_bytes: usize,
    /// The most that ever were.
    pub peak_bytes: usize,
    /// Bytes of the state, as `limits.state_bytes` counts them.
    pub state_bytes: u64,
}

/// What a VM did in one round.
#[derive(Debug, Default)]
pub struct Round {
    /// In the order of the tasks.
    pub casts: Vec<Cast>,
    /// Energies produced.
    pub outputs: Events,
    /// For standard output.
    pub prints: Vec<u8>,
    /// `log.*` lines, for standard error.
    pub notes: Vec<u8>,
    /// Content put by the casts, visible to other spells once committed.
    pub blobs: Vec<Put>,
    /// Changes of state, where they are recorded for the log.
    pub changes: Changes,
    /// Casts that were tried again.
    pub retries: u64,
    /// What the VM takes at the end of the round.
    pub usage: Usage,
    /// Why the state could not be read: nothing of the round is to be kept.
    pub failure: Option<log::Error>,
    /// Whether it ends with a cast that waits to be told whether it stands: see [`Host::decide`].
    pub is_held: bool,
}

/// Ends of the round's buffers when a cast began.
#[derive(Clone, Copy, Default)]
struct Mark {
    outputs: usize,
    arena: usize,
    prints: usize,
    notes: usize,
    blobs: usize,
}

/// See the module.
pub struct Host {
    /// The spell's name.
    pub name: Arc<str>,
    /// What distinguishes this spell's outputs from another's for the same input.
    pub key: [u8; 16],
    /// The spell's limits.
    pub limits: Limits,
    /// Whether a nil in a map reaches the spell as `null`.
    pub nulls: bool,
    /// What is running.
    pub phase: Phase,
    /// What the cast is about.
    pub input: Input,
    /// What it does.
    pub round: Round,
    /// What the spell remembers.
    pub state: Store,
    /// Content by digest.
    pub blobs: Blobs,
    /// Options handed to `prepare`: one canonical map.
    pub runes: Vec<u8>,
    /// Random numbers of this cast, once asked for.
    pub random: Option<Random>,
    /// `uuid()` calls of this cast.
    pub uuids: u32,
    /// Where `require` looks.
    pub modules: Modules,
    /// Whether changes of state are recorded.
    pub is_recorded: bool,
    /// Whether a cast is held that produced energies with an id or a condition of their own, until it is known
    /// whether the log takes them.
    pub holds: bool,
    /// Whether the running cast produced such.
    is_checked: bool,
    address: Vec<u8>,
    draft: Draft,
    mark: Mark,
}

/// The envelope of an energy being encoded.
#[derive(Default)]
struct Draft {
    topic: Vec<u8>,
    has_topic: bool,
    fields: Fields,
    has_fields: bool,
}

impl Envelope for Draft {
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        if key == b"$topic"
            && let Ok(Token::Str(text)) = Reader::new(value).token()
        {
            // Most outputs repeat the topic of the one before, which was checked then.
            if text.is_empty() || text != self.topic {
                let text = std::str::from_utf8(text).map_err(|_| "`$topic` is not UTF-8".to_owned())?;
                topic::validate(text).map_err(|error| format!("`$topic`: {error}"))?;
                if topic::is_reserved(text) {
                    return Err(format!("`$topic`: `{text}` is reserved for the engine"));
                }
                self.topic.clear();
                self.topic.extend_from_slice(text.as_bytes());
            }
            self.has_topic = true;
            return Ok(());
        }
        self.has_fields = true;
        let key = String::from_utf8_lossy(key);
        self.fields.set(&key, value).map_err(|error| error.to_string())
    }
}

impl Host {
    /// A host for the spell `name`.
    #[must_use]
    pub fn new(name: &str, limits: Limits, runes: Vec<u8>, modules: Modules) -> Self {
        Self {
            name: name.into(),
            key: spell_key(name, 0),
            state: Store::new(limits.state_bytes),
            limits,
            nulls: false,
            phase: Phase::Load,
            input: Input::default(),
            round: Round::default(),
            blobs: Blobs::default(),
            runes,
            random: None,
            uuids: 0,
            modules,
            is_recorded: false,
            holds: false,
            is_checked: false,
            address: Vec::new(),
            draft: Draft::default(),
            mark: Mark::default(),
        }
    }

    /// Begins a cast: marks what is to be undone on a fault.
    pub fn begin(&mut self) {
        self.input.sequence += 1;
        self.begin_again();
    }

    /// Begins once more with the same input: envelopes stay valid.
    pub fn begin_again(&mut self) {
        self.random = None;
        self.uuids = 0;
        self.is_checked = false;
        self.mark = Mark {
            outputs: self.round.outputs.len(),
            arena: self.round.outputs.byte_len(),
            prints: self.round.prints.len(),
            notes: self.round.notes.len(),
            blobs: self.round.blobs.len(),
        };
        self.state.begin();
    }

    /// Ends a cast whose effects stand, or never were.
    pub fn finish(&mut self, outcome: Outcome, instructions: u64, nanos: u64) {
        if matches!(outcome, Outcome::Fault(_)) {
            self.undo();
        } else {
            self.record_state();
            self.round.is_held = self.holds && self.is_checked;
            if !self.round.is_held {
                self.keep();
            }
        }
        self.round.casts.push(Cast {
            outputs_end: self.round.outputs.len() as u32,
            prints_end: self.round.prints.len() as u32,
            notes_end: self.round.notes.len() as u32,
            changes_end: self.round.changes.len() as u32,
            instructions,
            nanos,
            outcome,
        });
    }

    /// Decides whether the last cast stands, where it is held. Where it does not, its changes of state are undone; its
    /// outputs are for the engine to leave out.
    pub fn decide(&mut self, stands: bool) {
        if !std::mem::take(&mut self.round.is_held) {
            return;
        }
        if stands {
            return self.keep();
        }
        self.state.rollback();
        self.blobs.rollback();
        if let Some((last, before)) = self.round.casts.split_last_mut() {
            last.changes_end = before.last().map_or(0, |cast| cast.changes_end);
            self.round.changes.truncate(last.changes_end as usize);
        }
    }

    fn keep(&mut self) {
        self.state.commit();
        self.blobs.commit();
    }

    /// Keeps what was written to the state, and records it for the log.
    pub fn commit_state(&mut self) {
        self.record_state();
        self.state.commit();
    }

    fn record_state(&mut self) {
        if self.is_recorded {
            let (spell, scope) = (self.name.as_bytes(), self.state.scope());
            for (bucket, key, value) in self.state.written() {
                self.address.clear();
                Address { spell, scope, bucket, key }.write(&mut self.address);
                self.round.changes.push(Change { table: Table::State, key: &self.address, value });
            }
        }
    }

    /// Takes back outputs, state and content of the running cast.
    fn undo(&mut self) {
        self.round.outputs.truncate(self.mark.outputs, self.mark.arena);
        self.round.blobs.truncate(self.mark.blobs);
        self.state.rollback();
        self.blobs.rollback();
    }

    /// Takes back everything of the running cast, prints included: it is tried again.
    pub fn retry(&mut self) {
        self.undo();
        self.round.retries += 1;
        self.round.prints.truncate(self.mark.prints);
        self.round.notes.truncate(self.mark.notes);
    }

    /// Energies that the running cast has produced.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.round.outputs.len() - self.mark.outputs
    }

    /// Adds to standard output; fails past `limits.print_bytes`.
    pub fn print(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let used = self.round.prints.len() - self.mark.prints + bytes.len();
        if used as u64 > self.limits.print_bytes {
            return Err(Stop::Prints);
        }
        self.round.prints.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds a `log.*` line; fails past `limits.print_bytes`.
    pub fn note(&mut self, level: &str, message: &[u8]) -> Result<(), Stop> {
        let used = self.round.notes.len() - self.mark.notes + message.len();
        if used as u64 > self.limits.print_bytes {
            return Err(Stop::Prints);
        }
        let notes = &mut self.round.notes;
        notes.extend_from_slice(level.as_bytes());
        notes.extend_from_slice(b" ");
        notes.extend_from_slice(self.name.as_bytes());
        notes.extend_from_slice(b": ");
        notes.extend_from_slice(message);
        notes.push(b'\n');
        Ok(())
    }

    /// The parts that encoding an output needs: where its data goes, and who takes its `$` keys.
    pub fn draft(&mut self) -> (&mut Vec<u8>, &mut impl Envelope) {
        self.draft.has_topic = false;
        if self.draft.has_fields {
            self.draft.fields.clear();
            self.draft.has_fields = false;
        }
        (self.round.outputs.arena(), &mut self.draft)
    }

    /// Writes the energy of the cast, with what the cast changed of its declared fields, as an output's data.
    pub fn splice(
        &mut self,
        changed: &[u8],
        reads: &[Box<[u8]>],
        scratch: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let original = self.input.cause().map_or(&[0x80][..], EventRef::data);
        let arena = self.round.outputs.arena();
        let start = arena.len();
        splice(original, changed, reads, self.nulls, scratch, arena)
            .map_err(|error| EncodeError::Field(error.to_string()))?;
        let bytes_max = self.limits.event_bytes as usize;
        if arena.len() - start > bytes_max { Err(EncodeError::TooLarge(bytes_max)) } else { Ok(()) }
    }

    /// Completes the output whose data starts at `start` in the arena.
    pub fn complete(&mut self, start: usize) -> Result<(), Stop> {
        let index = self.outputs();
        if index as u64 >= self.limits.outputs || self.round.outputs.is_full() {
            return Err(Stop::Outputs);
        }
        let outputs = &mut self.round.outputs;
        let data = Span::new(start, outputs.byte_len());
        let (draft, fields) = (&self.draft, &self.draft.fields);
        let mut head = Head::seed(Uuid::nil(), fields.time_ms.unwrap_or(self.input.time_ms));
        if let Some(cause) = self.input.cause() {
            let cause = cause.head();
            head.id = output_id(cause.id, &self.key, (self.input.salt << 24) ^ index as u32);
            head.causation = cause.id;
            head.correlation = if cause.correlation.is_nil() { cause.id } else { cause.correlation };
            head.hops = cause.hops + 1;
            head.settled = cause.position + 1;
        }
        head.data = data;
        if draft.has_topic {
            head.topic = outputs.store_topic(&draft.topic);
        }
        head.stream = match &fields.stream {
            Some(stream) if draft.has_fields => outputs.store(stream.as_bytes()),
            _ => head.topic,
        };
        let mut extra = None;
        if draft.has_fields {
            head.id = fields.id.unwrap_or(head.id);
            extra = fields.extra();
            if fields.id.is_some() || fields.expect != Expect::Any {
                outputs.require_check();
                self.is_checked = true;
            }
        }
        outputs.push(head, extra);
        Ok(())
    }
}

impl Round {
    /// Empties the round, keeps the memory.
    pub fn clear(&mut self) {
        self.casts.clear();
        self.outputs.clear();
        self.prints.clear();
        self.changes.clear();
        self.notes.clear();
        self.blobs.clear();
        self.retries = 0;
        self.is_held = false;
    }
}
