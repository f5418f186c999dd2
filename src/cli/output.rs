//! Energies on standard output.

use std::io::{self, StdoutLock, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use super::format::{Format, Formatter};
use crate::event::{EventRef, Events, json};

/// Bytes after which what was written is handed over.
const FULL_BYTES: usize = 64 << 10;

/// Writes energies with their envelopes.
pub struct Output {
    stdout: StdoutLock<'static>,
    formatter: Formatter,
    buffer: Vec<u8>,
}

impl Output {
    /// To standard output.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { stdout: io::stdout().lock(), formatter: Formatter::new(format, true), buffer: Vec::new() }
    }

    /// Writes a page of energies.
    pub fn page(&mut self, events: &Events) -> io::Result<()> {
        events.iter().try_for_each(|event| self.energy(event))
    }

    /// Writes an energy.
    pub fn energy(&mut self, event: EventRef<'_>) -> io::Result<()> {
        self.formatter.energy(event, &mut self.buffer)?;
        if self.buffer.len() >= FULL_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes a mark between energies.
    pub fn mark(&mut self, name: &str, number: i64) -> io::Result<()> {
        self.formatter.mark(name, number, &mut self.buffer)
    }

    /// Hands over what was written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stdout.write_all(&self.buffer)?;
        self.buffer.clear();
        self.stdout.flush()
    }

    /// Ends the output.
    pub fn finish(mut self) -> io::Result<()> {
        self.formatter.end(&mut self.buffer);
        self.flush()
    }
}

/// Whether nobody reads standard output any more. Writing would tell too, but there may be nothing to write for hours.
#[must_use]
pub fn is_abandoned() -> bool {
    let stdout = io::stdout();
    let mut descriptors = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut descriptors, Some(&now))
        .is_ok_and(|_| descriptors[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL))
}

/// Prints one energy; as JSON it is an object, not a list of one.
pub fn print_energy(event: EventRef<'_>, format: Format) -> io::Result<()> {
    let format = if format == Format::Json { Format::Ndjson } else { format };
    let mut output = Output::new(format);
    output.energy(event)?;
    output.finish()
}

/// Prints objects that are not energies.
pub fn print_rows(rows: impl IntoIterator<Item = Value>, format: Format) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut parser = json::Parser::new();
    for (index, row) in rows.into_iter().enumerate() {
        let text = row.to_string();
        match format {
            Format::Ndjson => bytes.extend_from_slice(format!("{text}\n").as_bytes()),
            Format::Json => {
                bytes.extend_from_slice(if index == 0 { b"[\n" } else { b",\n" });
                bytes.extend_from_slice(text.as_bytes());
            }
            Format::Msgpack => {
                parser.to_msgpack(text.as_bytes(), &mut bytes).map_err(io::Error::other)?;
            }
        }
    }
    if format == Format::Json {
        bytes.extend_from_slice(if bytes.is_empty() { b"[]\n" } else { b"\n]\n" });
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(&bytes)?;
    stdout.flush()
}
