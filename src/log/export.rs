//! A log as a stream of energies: out of one log ([`export`]) and into another
//! ([`import`](super::import())).
//!
//! Every energy is one object with its whole envelope, as a line of JSON or a map of MessagePack, in the order of
//! positions. What is not exported: tables, cursors among them, and contents that energies refer to. JSON has no keys but
//! strings: data with other keys keeps them in MessagePack alone.
//!
//! An export that was cut off goes on: [`end_of`] says how far a file is whole, and which position comes next.

use std::io::{self, BufRead, Write};

use super::{Error, Log, Pages, Query};
use crate::event::envelope::{RecordReader, write_record};
use crate::event::json::{self, Parser};
use crate::event::{EventRef, Events};

/// How energies are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordFormat {
    /// A JSON object a line.
    #[default]
    Ndjson,
    /// MessagePack maps, one after the other.
    Msgpack,
}

impl RecordFormat {
    /// The format of what begins with a byte: a MessagePack map is told from JSON by it.
    #[must_use]
    pub fn of(first: u8) -> Self {
        match first {
            0x80..=0x8f | 0xde | 0xdf => Self::Msgpack,
            _ => Self::Ndjson,
        }
    }
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] Error),
    /// What was read could not be written.
    #[error("cannot write the export: {0}")]
    Write(#[from] io::Error),
}

/// What was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Energies.
    pub energies: u64,
    /// Bytes.
    pub bytes: u64,
    /// Where to go on: everything below it was exported, or did not match.
    pub position: u64,
}

/// Writes the energies from a position on that match, up to what is visible now. `progress` is told after
/// each page.
///
/// # Errors
/// Damage, failed reads and writes. What was written before is whole, but for its last energy.
pub fn export(
    log: &dyn Log,
    from: u64,
    query: &Query,
    format: RecordFormat,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(&Exported),
) -> Result<Exported, ExportError> {
    let mut pages = Pages::forward(from, log.visible());
    let (mut page, mut bytes) = (Events::default(), Vec::new());
    let mut done = Exported { position: from, ..Exported::default() };
    while pages.next(log, query, &mut page)? {
        bytes.clear();
        page.iter().for_each(|event| write(event, format, &mut bytes));
        out.write_all(&bytes)?;
        done.energies += page.len() as u64;
        done.bytes += bytes.len() as u64;
        done.position = pages.position();
        progress(&done);
    }
    out.flush()?;
    done.position = pages.position();
    Ok(done)
}

fn write(event: EventRef<'_>, format: RecordFormat, out: &mut Vec<u8>) {
    match format {
        RecordFormat::Ndjson => {
            json::write_event(event, out);
            out.push(b'\n');
        }
        RecordFormat::Msgpack => write_record(event, out),
    }
}

/// Where an export ends that may have been cut off: how many of its bytes are whole energies, and the position after the
/// last of them; `None` for a position where there is no whole energy. What follows upon those bytes is to be cut off.
///
/// # Errors
/// Failed reads; a file that is no export.
pub fn end_of(input: &mut dyn BufRead) -> io::Result<(u64, Option<u64>)> {
    let format = match input.fill_buf()?.first() {
        None => return Ok((0, None)),
        Some(first) => RecordFormat::of(*first),
    };
    let (mut whole, mut last) = (0, None);
    let mut records = super::import::Records::new(input, format);
    let (mut reader, mut parser, mut events) = (RecordReader::default(), Parser::new(), Events::default());
    while let Ok(Some(record)) = records.next(&mut parser) {
        let is_whole = record.is_ended;
        events.clear();
        let position = reader.read(record.map, &mut events).map_err(io::Error::other)?;
        if is_whole {
            whole = records.offset();
            last = position.map(|position| position + 1);
        }
    }
    if whole == 0 {
        return Err(io::Error::other("it is no export: it does not begin with an energy and its envelope"));
    }
    Ok((whole, last))
}
