//! Energies with their envelopes into a log, as [`export`](super::export()) wrote them, from this log or another.
//!
//! Order is the order in which they come: position and version are given anew, whatever ids and times say. Ids, times,
//! ancestors, tags and ttls are kept. An energy whose id the log has, with the same content, is known and not stored
//! again, so an import that was cut off, or is repeated, goes on where it stopped. An id with other content ends it.
//!
//! Energies are committed by the thousand; what came before an error is stored. Memory: one commit, one record.

use std::io::{self, BufRead};

use super::export::RecordFormat;
use super::{Commit, Conflict, Error, Log};
use crate::event::Events;
use crate::event::envelope::{RecordError, RecordReader};
use crate::event::json::{JsonError, Parser};
use crate::event::msgpack;

/// Energies of a commit.
const COMMIT_EVENTS: usize = 1_024;
/// Bytes of a commit, the energy that goes beyond included.
const COMMIT_BYTES: usize = 1 << 20;
/// The longest record.
const RECORD_BYTES_MAX: usize = 256 << 20;
/// Bytes that are at hand before a MessagePack map that is cut is tried again.
const CHUNK_BYTES: usize = 64 << 10;

/// Why an import ended early. What came before is stored.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The input could not be read.
    #[error("cannot read the import: {0}")]
    Read(#[from] io::Error),
    /// The log could not take it.
    #[error(transparent)]
    Log(#[from] Error),
    /// A record that is no JSON.
    #[error("line {line}, column {}: {}", error.column, error.message)]
    Json {
        /// The line, from 1.
        line: u64,
        /// What is wrong, and where in the line.
        error: JsonError,
    },
    /// A record that is no MessagePack.
    #[error("record {record}, at byte {offset}: {error}")]
    Msgpack {
        /// Which one, from 1.
        record: u64,
        /// Where it begins.
        offset: u64,
        /// What is wrong, and where in it.
        error: msgpack::Error,
    },
    /// A MessagePack map that the input does not hold whole.
    #[error("the input ends within record {record}, which begins at byte {offset}")]
    Cut {
        /// Which one, from 1.
        record: u64,
        /// Where it begins.
        offset: u64,
    },
    /// A record that is no energy with its envelope.
    #[error("{place}: {error}")]
    Record {
        /// Which one: a line, or a record.
        place: Place,
        /// What is wrong.
        error: RecordError,
    },
    /// An energy that the log refuses.
    #[error("{place}: {conflict}; what came before it is stored")]
    Conflict {
        /// Which one.
        place: Place,
        /// Why.
        conflict: Conflict,
    },
    /// A record that is too long.
    #[error("{place} is longer than {RECORD_BYTES_MAX} bytes")]
    TooLong {
        /// Which one.
        place: Place,
    },
}

/// Where in its input a record is, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of text.
    Line(u64),
    /// A map of a stream.
    Record(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Record(record) => write!(f, "record {record}"),
        }
    }
}

/// What was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Energies that were stored.
    pub stored: u64,
    /// Energies that the log had already.
    pub known: u64,
    /// Energies that no log stores: their ttl is `ephemeral`.
    pub ephemeral: u64,
    /// Bytes of the input that were read.
    pub bytes: u64,
}

/// Reads energies and appends them. `progress` is told after each commit.
///
/// # Errors
/// [`ImportError`]; `progress` was told what is stored.
pub fn import(
    log: &dyn Log,
    input: &mut dyn BufRead,
    progress: &mut dyn FnMut(&Imported),
) -> Result<Imported, ImportError> {
    let format = input.fill_buf()?.first().map_or(RecordFormat::Ndjson, |first| RecordFormat::of(*first));
    let mut records = Records::new(input, format);
    let (mut parser, mut reader) = (Parser::new(), RecordReader::default());
    let mut done = Imported::default();
    loop {
        let (mut events, mut places) = (Events::default(), Vec::new());
        let ended = loop {
            if events.len() >= COMMIT_EVENTS || events.byte_len() >= COMMIT_BYTES {
                break Ok(false);
            }
            match records.next(&mut parser) {
                Ok(Some(record)) => {
                    let place = record.place;
                    if let Err(error) = reader.read(record.map, &mut events) {
                        break Err(ImportError::Record { place, error });
                    }
                    places.push(place);
                }
                Ok(None) => break Ok(true),
                Err(error) => break Err(error),
            }
        };
        done.bytes = records.offset();
        append(log, &events, &places, &mut done)?;
        progress(&done);
        if ended? {
            return Ok(done);
        }
    }
}

/// Commits energies, up to the first that is refused.
fn append(log: &dyn Log, events: &Events, places: &[Place], done: &mut Imported) -> Result<(), ImportError> {
    let mut count = events.len();
    let mut refused = None;
    while count > 0 {
        let mut batch = Events::with_capacity(count, events.byte_len());
        events.iter().take(count).for_each(|event| batch.push_copy(event));
        batch.require_check();
        let appended = log.append(Commit::of(batch).atomic())?;
        if let Some((index, conflict)) = appended.conflicts.into_iter().next() {
            count = index;
            refused = Some(ImportError::Conflict { place: places[index], conflict });
            continue;
        }
        done.stored += appended.batch.len() as u64;
        done.known += appended.known.len() as u64;
        done.ephemeral += appended.ephemeral.len() as u64;
        break;
    }
    refused.map_or(Ok(()), Err)
}

/// Splits an input into records.
pub(super) struct Records<'a> {
    input: &'a mut dyn BufRead,
    format: RecordFormat,
    /// What was read and is not done.
    buffer: Vec<u8>,
    /// How much of the buffer is done.
    at: usize,
    offset: u64,
    number: u64,
    map: Vec<u8>,
}

/// A record.
pub(super) struct Record<'r> {
    /// Which one it is.
    pub place: Place,
    /// The canonical map.
    pub map: &'r [u8],
    /// Whether nothing of it can be missing: a line has its end.
    pub is_ended: bool,
}

impl<'a> Records<'a> {
    /// The records of an input.
    pub fn new(input: &'a mut dyn BufRead, format: RecordFormat) -> Self {
        Self { input, format, buffer: Vec::new(), at: 0, offset: 0, number: 0, map: Vec::new() }
    }

    /// Bytes up to the end of the last record.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record; `None` at the end.
    pub fn next(&mut self, parser: &mut Parser) -> Result<Option<Record<'_>>, ImportError> {
        self.map.clear();
        match self.format {
            RecordFormat::Ndjson => self.line(parser),
            RecordFormat::Msgpack => self.message(),
        }
    }

    fn line(&mut self, parser: &mut Parser) -> Result<Option<Record<'_>>, ImportError> {
        loop {
            self.buffer.clear();
            let mut limited = io::Read::take(&mut *self.input, RECORD_BYTES_MAX as u64 + 1);
            let len = limited.read_until(b'\n', &mut self.buffer)?;
            if len == 0 {
                return Ok(None);
            }
            self.number += 1;
            let place = Place::Line(self.number);
            if len > RECORD_BYTES_MAX {
                return Err(ImportError::TooLong { place });
            }
            let mark = if self.number == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            let is_ended = self.buffer.ends_with(b"\n");
            let blank = self.buffer[mark..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if mark + blank < len {
                let line = self.number;
                let text = self.buffer[mark..].trim_ascii_end();
                parser.to_msgpack(text, &mut self.map).map_err(|error| ImportError::Json { line, error })?;
                self.offset += len as u64;
                return Ok(Some(Record { place, map: &self.map, is_ended }));
            }
            self.offset += len as u64;
        }
    }

    fn message(&mut self) -> Result<Option<Record<'_>>, ImportError> {
        let mut wanted = 1;
        self.number += 1;
        loop {
            let is_end = !self.fill(wanted)?;
            let rest = &self.buffer[self.at..];
            if rest.is_empty() {
                return Ok(None);
            }
            match msgpack::canonicalize_prefix(rest, &mut self.map) {
                Ok((len, _)) => {
                    self.at += len;
                    self.offset += len as u64;
                    return Ok(Some(Record {
                        place: Place::Record(self.number),
                        map: &self.map,
                        is_ended: true,
                    }));
                }
                Err(msgpack::Error::Truncated { .. } | msgpack::Error::Length { .. }) => {
                    if is_end {
                        return Err(ImportError::Cut { record: self.number, offset: self.offset });
                    }
                    if rest.len() > RECORD_BYTES_MAX {
                        return Err(ImportError::TooLong { place: Place::Record(self.number) });
                    }
                    // Doubling keeps the work linear.
                    wanted = rest.len() * 2;
                    self.map.clear();
                }
                Err(error) => {
                    return Err(ImportError::Msgpack { record: self.number, offset: self.offset, error });
                }
            }
        }
    }

    /// Has at least so many bytes at hand; false at the end of the input.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        if self.at >= CHUNK_BYTES {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        while self.buffer.len() - self.at < wanted {
            let chunk = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            let len = chunk.len();
            if len == 0 {
                return Ok(false);
            }
            self.buffer.extend_from_slice(chunk);
            self.input.consume(len);
        }
        Ok(true)
    }
}
