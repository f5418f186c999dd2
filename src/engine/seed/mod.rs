//! Seeds: the energies that start a run, from files, standard input or memory.
//!
//! A [`Source`] is read in order, and as a stream: whatever its size, it takes the memory of one
//! record and one read ([`feed`](self)). What each kind holds:
//!
//! | kind | records |
//! |---|---|
//! | `.ndjson`, `.jsonl`, standard input | an object a line; blank lines are skipped |
//! | `.json` | one object, or an array of objects |
//! | `.msgpack` | maps, one after the other |
//! | `.lua` | what the chunk returns: an energy or a list of them |
//!
//! The `$` keys of a record set its envelope. A record's text may be eight times as long as
//! `limits.event_bytes`, which bounds the data that it becomes.
//!
//! Chunks have a fixed size, even where a slow pipe would allow smaller ones: what a spell sees, and
//! in which order, must not depend on how fast a seed came. Where lines are only to be appended
//! ([`Purpose::Append`]) it is the other way round: what came is handed over at once.

mod admission;
mod document;
mod feed;
mod identity;
mod lines;
mod messages;
mod object;
mod place;
mod script;
mod source;
mod tail;
mod time;

use std::collections::VecDeque;

use super::clock::{self, Clock};
use super::{INTAKE_BYTES, INTAKE_EVENTS};
use crate::event::{Events, topic};
use crate::log::{self, Changes, Log};
use crate::runeset::{Diagnostic, Limits};
use crate::spell::Clocks;
use admission::Admission;
use document::Document;
use feed::Feed;
use lines::Lines;
use messages::Messages;
use object::Object;
use script::Script;
pub use source::{Input, Kind, Source};
use tail::Tail;

/// Where a run's energies come from.
pub trait Intake {
    /// Says how many energies the log holds, all of them settled. Called before each
    /// [`fill`](Intake::fill); what `fill` adds carries it in its heads.
    fn set_settled(&mut self, position: u64);

    /// Adds energies until the batch holds [`INTAKE_EVENTS`] or [`INTAKE_BYTES`] or there are no more;
    /// false when there are none left. On an error the batch keeps what came before it.
    fn fill(&mut self, batch: &mut Events) -> Result<bool, Box<Diagnostic>>;

    /// Adds how far sources were read to the changes that go with the batch filled last.
    fn record(&mut self, changes: &mut Changes) {
        let _forgotten = changes;
    }

    /// Adds to a diagnostic where the energy came from that is at `index` of the batch filled last.
    fn locate(&self, index: usize, diagnostic: Diagnostic) -> Diagnostic {
        let _unknown = index;
        diagnostic
    }

    /// Integers so far that 64 bits do not hold, which became floats.
    fn big_uints(&self) -> u64;

    /// Bytes read and bytes in all, where that is known.
    fn progress(&self) -> Option<(u64, u64)>;
}

/// Energies of a chunk that is appended.
const APPEND_EVENTS: usize = 1_024;
/// Bytes of such a chunk, the energy that goes beyond included.
const APPEND_BYTES: usize = 1 << 20;

/// What seeds are read for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// A run that can be repeated: chunks have a fixed size, and ids follow from what was read.
    #[default]
    Run,
    /// An append that is acknowledged as it goes. Of lines a chunk is what is at hand, at most 1,024
    /// energies or 1 MiB; an id that no record names is nil, for the log to give.
    Append,
}

/// How seeds are read.
#[derive(Clone)]
pub struct SeedOptions {
    /// Topic of seeds that set none.
    pub topic: Option<String>,
    /// Dotted path of the field that holds a seed's time, where `$time` does not say it: milliseconds
    /// since the epoch, or an RFC 3339 text.
    pub time: Option<String>,
    /// Dotted path of the field that a seed's id is taken from, where `$id` does not say it: a UUID as text, or any
    /// other text or an integer, which is hashed to one. `None`: ids are derived from all that was read.
    pub id: Option<String>,
    /// The time of seeds that say none.
    pub clock: Clock,
    /// Bounds of a record (`event_bytes`), and of the VM of a `.lua` seed.
    pub limits: Limits,
    /// Clocks for the VM of a `.lua` seed.
    pub clocks: Clocks,
    /// What they are read for.
    pub purpose: Purpose,
    /// Energies of a chunk of a run, at least 1: [`INTAKE_EVENTS`], unless a test asks for fewer. The log shows it: a
    /// chunk is taken when all before it has settled.
    pub chunk_events: usize,
}

impl Default for SeedOptions {
    fn default() -> Self {
        let clocks = Clocks { steady_ms: clock::steady_ms, timer_ns: None, exact: false };
        Self {
            topic: None,
            time: None,
            id: None,
            clock: Clock::System,
            limits: Limits::default(),
            clocks,
            purpose: Purpose::Run,
            chunk_events: INTAKE_EVENTS,
        }
    }
}

/// All seeds of a run, one source after the other.
pub struct Seeds {
    sources: VecDeque<Source>,
    /// Shown names of the sources that were opened, each as often as it was.
    opened: Vec<String>,
    current: Option<(Source, Reader)>,
    /// The sources of the last batch: the index of the first energy of each, its shown name and kind.
    batch_sources: Vec<(usize, String, Kind)>,
    feed: Feed,
    admission: Admission,
    /// Where reading goes on, in a log that remembers it.
    tail: Option<Tail>,
    options: SeedOptions,
    /// Bytes of the sources that are done.
    done: u64,
    total: Option<u64>,
}

/// What reads the source at hand.
enum Reader {
    Lines(Lines),
    Document(Document),
    Messages(Messages),
    Object(Object),
    Script(Script),
}

impl Seeds {
    /// Seeds of several sources, in order. Nothing is opened yet.
    #[must_use]
    pub fn new(sources: Vec<Source>, options: SeedOptions) -> Self {
        Self {
            total: sources.iter().map(Source::size).sum(),
            sources: sources.into(),
            opened: Vec::new(),
            current: None,
            batch_sources: Vec::new(),
            feed: Feed::new(record_bytes_max(&options.limits)),
            admission: Admission::new(&options),
            tail: None,
            options,
            done: 0,
        }
    }

    /// Reads files like tails: what a log remembers to have been read is passed over, and how far reading has
    /// come goes into it. `again`: all of it is read anew. Standard input is always new.
    pub fn follow(&mut self, log: &dyn Log, again: bool) -> Result<(), log::Error> {
        self.tail = Some(Tail::new(log, again)?);
        Ok(())
    }

    /// Everything that can be found wrong without reading: files that cannot be opened, a topic that is
    /// none.
    #[must_use]
    pub fn problems(&self) -> Vec<Diagnostic> {
        let refusal = self.options.topic.as_deref().and_then(|text| match topic::validate(text) {
            Err(error) => Some(error.to_string()),
            Ok(()) if topic::is_reserved(text) => Some(format!(
                "`{text}` cannot be the topic of seeds; topics that begin with `sanctum.` or `$` belong to the engine"
            )),
            Ok(()) => None,
        });
        refusal
            .map(Diagnostic::error)
            .into_iter()
            .chain(self.sources.iter().filter_map(Source::problem))
            .collect()
    }

    /// Opens the next source; false when there is none.
    fn advance(&mut self) -> Result<bool, Box<Diagnostic>> {
        let Some(source) = self.sources.pop_front() else { return Ok(false) };
        let before = self.opened.iter().filter(|shown| **shown == source.shown).count();
        self.opened.push(source.shown.clone());
        // No path has a NUL.
        let name = if before == 0 { source.shown.clone() } else { format!("{}\0{before}", source.shown) };
        match &mut self.tail {
            None => self.admission.begin(&name),
            Some(tail) => {
                let (chain_name, passed) = tail.begin(&name, matches!(source.input, Input::Stdin));
                self.admission.begin(&chain_name);
                self.admission.pass_over(passed);
            }
        }
        let reader = match source.kind {
            Kind::Lua => Reader::Script(Script::run(&source, &self.options)?),
            kind => {
                self.feed.open(source.open()?, source.bytes_in_memory());
                match kind {
                    Kind::Json => Reader::Document(Document::default()),
                    Kind::Msgpack => Reader::Messages(Messages::default()),
                    Kind::Object => Reader::Object(Object),
                    Kind::Lua | Kind::Ndjson => Reader::Lines(Lines::default()),
                }
            }
        };
        self.current = Some((source, reader));
        Ok(true)
    }

    fn read(&mut self, batch: &mut Events) -> Result<bool, Box<Diagnostic>> {
        loop {
            let Some((source, reader)) = &mut self.current else {
                if self.advance()? {
                    continue;
                }
                return Ok(false);
            };
            self.batch_sources.push((batch.len(), source.shown.clone(), source.kind));
            let (shown, feed, admission) = (source.shown.as_str(), &mut self.feed, &mut self.admission);
            let more = match reader {
                Reader::Lines(lines) => lines.read(shown, feed, admission, batch),
                Reader::Document(document) => document.read(shown, feed, admission, batch),
                Reader::Messages(messages) => messages.read(shown, feed, admission, batch),
                Reader::Object(object) => object.read(shown, feed, admission, batch),
                Reader::Script(script) => script.read(shown, admission, batch),
            }?;
            if let Some(tail) = &mut self.tail {
                tail.come_to(admission.chain());
            }
            if more {
                return Ok(true);
            }
            if admission.is_passing() {
                return Err(Box::new(tail::shorter(shown)));
            }
            self.done += match reader {
                Reader::Script(script) => script.bytes(),
                _ => self.feed.offset(),
            };
            self.feed.close();
            self.current = None;
        }
    }
}

impl Intake for Seeds {
    fn set_settled(&mut self, position: u64) {
        self.admission.settled = position;
    }

    fn fill(&mut self, batch: &mut Events) -> Result<bool, Box<Diagnostic>> {
        self.admission.begin_batch();
        self.batch_sources.clear();
        let result = self.read(batch);
        if result.is_err() {
            if let Some(tail) = &mut self.tail {
                tail.come_to(self.admission.chain());
            }
            self.current = None;
            self.sources.clear();
            self.feed.close();
        }
        result
    }

    fn record(&mut self, changes: &mut Changes) {
        if let Some(tail) = &mut self.tail {
            if self.current.is_some() {
                tail.come_to(self.admission.chain());
            }
            tail.record(changes);
        }
    }

    fn locate(&self, index: usize, diagnostic: Diagnostic) -> Diagnostic {
        let source = self.batch_sources.partition_point(|(first, ..)| *first <= index);
        let source = source.checked_sub(1).and_then(|at| self.batch_sources.get(at));
        let (Some((_, shown, kind)), Some(record)) = (source, self.admission.record(index)) else {
            return diagnostic;
        };
        match kind {
            // The text of the line is not at hand any more.
            Kind::Ndjson | Kind::Json | Kind::Object => {
                diagnostic.at(shown, "", record.number, record.column, 0)
            }
            Kind::Msgpack => {
                diagnostic.in_file(shown).note(format!("it is map {} of the file", record.number))
            }
            Kind::Lua if record.number == 0 => diagnostic.in_file(shown),
            Kind::Lua => {
                diagnostic.in_file(shown).note(format!("it is element {} of the list", record.number))
            }
        }
    }

    fn big_uints(&self) -> u64 {
        self.admission.big_uints
    }

    fn progress(&self) -> Option<(u64, u64)> {
        let total = self.total?;
        Some(((self.done + self.feed.offset()).min(total), total))
    }
}

/// The longest text of one record.
fn record_bytes_max(limits: &Limits) -> usize {
    // `\u0041` is six bytes for one; the rest is for blanks.
    usize::try_from(limits.event_bytes).unwrap_or(usize::MAX).saturating_mul(8).saturating_add(64 << 10)
}
