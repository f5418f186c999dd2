//! `--output`: what a run produced, as NDJSON, JSON or MessagePack.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::format::{Format, Formatter};
use crate::event::EventRef;
use crate::router::pattern::Pattern;

/// Writes the energies that are wanted.
pub struct Export {
    /// `None` for standard output, where the lines stand among those that spells print.
    file: Option<BufWriter<File>>,
    formatter: Formatter,
    /// Without a pattern: what no spell consumed.
    topic: Option<Pattern>,
    buffer: Vec<u8>,
}

impl Export {
    /// An export to a file, which is made or emptied, or to `-`.
    pub fn create(path: &Path, format: Format, envelope: bool, topic: Option<Pattern>) -> io::Result<Self> {
        let stdout = path == Path::new("-");
        let file = if stdout { None } else { Some(BufWriter::new(File::create(path)?)) };
        Ok(Self { file, formatter: Formatter::new(format, envelope), topic, buffer: Vec::new() })
    }

    /// Writes an energy that the run produced, if it is wanted.
    pub fn take(&mut self, event: EventRef<'_>, consumed: bool, stdout: &mut dyn Write) -> io::Result<()> {
        let wanted = match &self.topic {
            Some(pattern) => event.topic().is_some_and(|topic| pattern.matches(topic)),
            None => !consumed,
        };
        if !wanted || event.head().hops == 0 {
            return Ok(());
        }
        self.buffer.clear();
        self.formatter.energy(event, &mut self.buffer)?;
        self.flush_buffer(stdout)
    }

    /// Writes what ends the file.
    pub fn finish(&mut self, stdout: &mut dyn Write) -> io::Result<()> {
        self.buffer.clear();
        self.formatter.end(&mut self.buffer);
        self.flush_buffer(stdout)?;
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }

    fn flush_buffer(&mut self, stdout: &mut dyn Write) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(&self.buffer),
            None => stdout.write_all(&self.buffer),
        }
    }
}
