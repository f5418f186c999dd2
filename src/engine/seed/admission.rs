//! What every record passes, whatever kind its source is: its `$` keys, its size, its time, its id. Then
//! it is an energy of the batch.

use super::identity::{self, id_of};
use super::time::{self, time_of};
use super::{APPEND_BYTES, APPEND_EVENTS, INTAKE_BYTES, Purpose, SeedOptions};
use crate::engine::clock::Clock;
use crate::event::envelope::{FieldError, SeedChain, split};
use crate::event::json::{JsonError, Parser};
use crate::event::msgpack::{Notes, PathPart, parse_path, path};
use crate::event::{Events, Expect, Fields, Head, Span, Uuid};

/// Why a record is no energy.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Not the JSON that it should be.
    #[error("{}", .0.message)]
    Json(JsonError),
    /// A bad `$` key.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The field that says the time does not.
    #[error("`{path}`, which says a seed's time, is {found}; it must be {}", time::WANTED)]
    Time {
        /// The field.
        path: String,
        /// What it is.
        found: String,
    },
    /// The field that the id is taken from does not say it.
    #[error("`{path}`, which a seed's id is taken from, is {found}; it must be {}", identity::WANTED)]
    Id {
        /// The field.
        path: String,
        /// What it is.
        found: String,
    },
    /// What was read before is not there any more.
    #[error("the first {records} records are not what was read before")]
    Changed {
        /// How many were read.
        records: u64,
    },
    /// Over `limits.event_bytes`.
    #[error("the energy takes {len} bytes as MessagePack, more than `limits.event_bytes` ({max})")]
    TooLarge {
        /// Its size.
        len: usize,
        /// The limit.
        max: usize,
        /// What the energy was read for.
        purpose: Purpose,
    },
}

/// Which record of its source an energy is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Record {
    /// Line of a text, map of a stream, element of a list, each from 1; 0 for what is alone.
    pub number: usize,
    /// Column of a text, from 1; 0 where there is none.
    pub column: usize,
}

pub(super) struct Admission {
    topic: String,
    time: Option<(String, Vec<PathPart>)>,
    id: Option<(String, Vec<PathPart>)>,
    clock: Clock,
    purpose: Purpose,
    chunk_events: usize,
    event_bytes_max: usize,
    /// Every position below it is settled.
    pub settled: u64,
    pub big_uints: u64,
    /// The record that is read now; whoever reads sets it.
    pub at: Record,
    /// The records of the batch.
    records: Vec<Record>,
    chain: SeedChain,
    /// What was read before.
    passed: Option<SeedChain>,
    parser: Parser,
    fields: Fields,
    /// The clock's time at a certain read: asking per record would cost more than it tells.
    now: Option<(u64, i64)>,
}

impl Admission {
    pub fn new(options: &SeedOptions) -> Self {
        Self {
            topic: options.topic.clone().unwrap_or_default(),
            time: options.time.as_ref().map(|text| (text.clone(), parse_path(text))),
            id: options.id.as_ref().map(|text| (text.clone(), parse_path(text))),
            clock: options.clock,
            purpose: options.purpose,
            chunk_events: options.chunk_events.max(1),
            event_bytes_max: usize::try_from(options.limits.event_bytes).unwrap_or(usize::MAX),
            settled: 0,
            big_uints: 0,
            at: Record::default(),
            records: Vec::new(),
            chain: SeedChain::new(""),
            passed: None,
            parser: Parser::new(),
            fields: Fields::default(),
            now: None,
        }
    }

    /// Begins a source; its name is what the ids of its energies begin with.
    pub fn begin(&mut self, name: &str) {
        self.chain = SeedChain::new(name);
        self.passed = None;
        self.now = None;
    }

    /// Passes over the records that were read before; they must be the same.
    pub fn pass_over(&mut self, passed: Option<SeedChain>) {
        self.passed = passed.filter(|passed| passed.ordinal > 0);
    }

    /// Whether records are still passed over.
    pub fn is_passing(&self) -> bool {
        self.passed.is_some()
    }

    /// How far the source was read.
    pub fn chain(&self) -> &SeedChain {
        &self.chain
    }

    /// Passes over a record, if it is one of those.
    #[inline]
    fn passes(&mut self, raw: &[u8]) -> Result<bool, Refusal> {
        let Some(passed) = &self.passed else { return Ok(false) };
        self.chain.next(raw);
        if self.chain.ordinal == passed.ordinal {
            if self.chain != *passed {
                return Err(Refusal::Changed { records: passed.ordinal });
            }
            self.passed = None;
        }
        Ok(true)
    }

    /// Begins a batch.
    pub fn begin_batch(&mut self) {
        self.now = None;
        self.records.clear();
    }

    /// Whether a chunk is complete.
    #[inline]
    pub fn is_full(&self, batch: &Events) -> bool {
        let (events, bytes) = match self.purpose {
            Purpose::Run => (self.chunk_events, INTAKE_BYTES),
            Purpose::Append => (APPEND_EVENTS, APPEND_BYTES),
        };
        batch.len() >= events || batch.byte_len() >= bytes
    }

    /// What energies are read for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Whether to wait for more would only delay a chunk.
    pub fn is_enough(&self, batch: &Events) -> bool {
        self.purpose == Purpose::Append && !batch.is_empty()
    }

    /// Which record the energy at `index` of the batch was.
    pub fn record(&self, index: usize) -> Option<Record> {
        self.records.get(index).copied()
    }

    /// A record of JSON. `reads` is how often its source was read.
    #[inline]
    pub fn json(&mut self, text: &[u8], reads: u64, batch: &mut Events) -> Result<(), Refusal> {
        if self.passes(text)? {
            return Ok(());
        }
        let start = batch.byte_len();
        let notes = self.parser.to_event(text, batch.arena(), &mut self.fields).map_err(Refusal::Json)?;
        self.push(text, notes, start, reads, batch)
    }

    /// A record that is canonical already; `raw` is what its id is derived from.
    pub fn data(
        &mut self,
        data: &[u8],
        notes: Notes,
        raw: &[u8],
        reads: u64,
        batch: &mut Events,
    ) -> Result<(), Refusal> {
        if self.passes(raw)? {
            return Ok(());
        }
        let start = batch.byte_len();
        split(data, batch.arena(), &mut self.fields)?;
        self.push(raw, notes, start, reads, batch)
    }

    /// Adds the energy whose data begins at `start` of the arena.
    #[inline]
    fn push(
        &mut self,
        raw: &[u8],
        notes: Notes,
        start: usize,
        reads: u64,
        batch: &mut Events,
    ) -> Result<(), Refusal> {
        let end = batch.byte_len();
        let said = if end - start > self.event_bytes_max {
            Err(Refusal::TooLarge { len: end - start, max: self.event_bytes_max, purpose: self.purpose })
        } else {
            let data = &batch.arena()[start..];
            self.id(data).and_then(|id| Ok((id, self.time(data, reads)?)))
        };
        let (id, time) = match said {
            Ok(said) => said,
            Err(refusal) => {
                batch.arena().truncate(start);
                return Err(refusal);
            }
        };
        self.big_uints += u64::from(notes.big_uints);
        let derived = match self.purpose {
            Purpose::Run => self.chain.next(raw),
            Purpose::Append => Uuid::nil(),
        };
        let fields = &self.fields;
        let mut head = Head::seed(id.unwrap_or(derived), time);
        head.settled = self.settled;
        head.data = Span::new(start, end);
        head.topic = batch.store_topic(fields.topic.as_deref().unwrap_or(&self.topic).as_bytes());
        head.stream = match &fields.stream {
            None => head.topic,
            Some(stream) => batch.store(stream.as_bytes()),
        };
        if id.is_some() || fields.expect != Expect::Any {
            batch.require_check();
        }
        batch.push(head, fields.extra());
        self.records.push(self.at);
        Ok(())
    }

    /// What `$id` says, else the field that the options name; `None` where it is to be derived.
    #[inline]
    fn id(&self, data: &[u8]) -> Result<Option<Uuid>, Refusal> {
        match &self.id {
            Some((text, parts)) if self.fields.id.is_none() => {
                let id =
                    id_of(path(data, parts)).map_err(|found| Refusal::Id { path: text.clone(), found })?;
                Ok(Some(id))
            }
            _ => Ok(self.fields.id),
        }
    }

    /// What `$time` says, else the field that the options name, else the clock.
    #[inline]
    fn time(&mut self, data: &[u8], reads: u64) -> Result<i64, Refusal> {
        if let Some(time) = self.fields.time_ms {
            return Ok(time);
        }
        if let Some((text, parts)) = &self.time
            && let Some(value) = path(data, parts)
        {
            let time = time_of(value).map_err(|found| Refusal::Time { path: text.clone(), found })?;
            if let Some(time) = time {
                return Ok(time);
            }
        }
        match self.now {
            Some((at, now)) if at == reads => Ok(now),
            _ => {
                let now = self.clock.now_ms();
                self.now = Some((reads, now));
                Ok(now)
            }
        }
    }
}

impl Refusal {
    /// Whether what it says is missing is the rest of the record.
    pub fn is_cut(&self) -> bool {
        matches!(self, Refusal::Json(error) if error.message.starts_with("EOF"))
    }

    /// Where in the record's text it is, and how many bytes it marks.
    pub fn span(&self, text: &[u8]) -> (usize, usize) {
        let at = match self {
            // What is missing is missing at the end.
            Refusal::Json(_) if self.is_cut() => text.len(),
            Refusal::Json(error) => offset_of(text, error.line, error.column),
            Refusal::Time { path, .. } | Refusal::Id { path, .. } => {
                let last = path.rsplit('.').find(|part| part.parse::<u32>().is_err()).unwrap_or(path);
                memchr::memmem::find(text, format!("\"{last}\"").as_bytes()).unwrap_or(0)
            }
            Refusal::Field(_) | Refusal::TooLarge { .. } | Refusal::Changed { .. } => 0,
        };
        let rest = &text[at.min(text.len())..];
        let string = rest.strip_prefix(b"\"").and_then(|inner| memchr::memchr(b'"', inner));
        // A string is marked whole where it is short, as keys are.
        (at, string.filter(|len| *len < 64).map_or(1, |len| len + 2))
    }
}

/// The byte at a line and column, both from 1.
fn offset_of(text: &[u8], line: usize, column: usize) -> usize {
    let start = match line {
        0 | 1 => 0,
        line => memchr::memchr_iter(b'\n', text).nth(line - 2).map_or(text.len(), |at| at + 1),
    };
    (start + column.saturating_sub(1)).min(text.len())
}
