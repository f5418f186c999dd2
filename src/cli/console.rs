//! Standard output and standard error of a run.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use serde_json::Value;

use super::export::Export;
use super::progress::Progress;
use crate::engine::Sink;
use crate::event::{EventRef, json};
use crate::runeset::{Diagnostic, Style};

/// Bytes of standard output that wait to be written.
const BUFFER_BYTES: usize = 64 << 10;

/// How faults are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Faults {
    /// With the source around them.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether standard error takes colours.
#[must_use]
pub fn colour_of_stderr() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether standard output takes colours.
#[must_use]
pub fn colour_of_stdout() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Says what went wrong, where there is no more to say than a line.
pub fn error(message: &str) {
    let (start, end) = if colour_of_stderr() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    // When standard error is gone too there is nobody to tell.
    let _nobody = writeln!(io::stderr(), "{start}error{end}: {message}");
}

/// Writes a text to standard error.
pub fn tell(text: &str) {
    let _nobody = io::stderr().write_all(text.as_bytes());
}

/// Writes diagnostics to standard error, a blank line between them.
pub fn report(diagnostics: &[Diagnostic], faults: Faults) {
    let _nobody = io::stderr().write_all(render(diagnostics, faults).as_bytes());
}

fn render(diagnostics: &[Diagnostic], faults: Faults) -> String {
    let style = if colour_of_stderr() { Style::Colour } else { Style::Plain };
    match faults {
        Faults::Text => crate::runeset::diagnostic::render_all(diagnostics, style),
        Faults::Json => diagnostics.iter().map(|diagnostic| format!("{}\n", diagnostic.to_json())).collect(),
    }
}

/// Writes a whole text to standard output.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// The sink of `cast`.
pub struct Console {
    stdout: BufWriter<StdoutLock<'static>>,
    export: Option<Export>,
    faults: Faults,
    dump: bool,
    line: Vec<u8>,
    progress: Progress,
    /// Whether the last thing on standard error was a fault.
    after_fault: bool,
}

impl Console {
    /// What a run writes to; `dump` shows every energy that passes through a spell.
    #[must_use]
    pub fn new(export: Option<Export>, faults: Faults, dump: bool, progress: Progress) -> Self {
        let stdout = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        Self { stdout, export, faults, dump, line: Vec::new(), progress, after_fault: false }
    }

    /// Writes what waits, the end of the export included.
    pub fn finish(&mut self) -> io::Result<()> {
        self.progress.end();
        if let Some(export) = &mut self.export {
            export.finish(&mut self.stdout)?;
        }
        self.stdout.flush()
    }

    /// Reports faults, after what was printed before; a blank line keeps them apart.
    pub fn report(&mut self, diagnostics: &[Diagnostic]) -> io::Result<()> {
        for diagnostic in diagnostics {
            let text = render(std::slice::from_ref(diagnostic), self.faults);
            let apart = if self.after_fault && self.faults == Faults::Text { "\n" } else { "" };
            self.tell(format!("{apart}{text}").as_bytes())?;
            self.after_fault = true;
        }
        Ok(())
    }

    /// Writes to standard error, after what was printed before.
    fn tell(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.after_fault = false;
        self.progress.hide();
        self.stdout.flush()?;
        // Without a standard error the run goes on.
        let _nobody = io::stderr().write_all(bytes);
        Ok(())
    }
}

impl Sink for Console {
    fn print(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.progress.printed();
        self.stdout.write_all(bytes)
    }

    fn note(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self.faults {
            Faults::Text => self.tell(bytes),
            Faults::Json => {
                let lines: String = String::from_utf8_lossy(bytes)
                    .lines()
                    .map(|line| {
                        let (level, message) = line.split_once(' ').unwrap_or(("info", line));
                        let object: Value = serde_json::json!({ "severity": level, "message": message });
                        format!("{object}\n")
                    })
                    .collect();
                self.tell(lines.as_bytes())
            }
        }
    }

    fn output(&mut self, event: EventRef<'_>, consumed: bool) -> io::Result<()> {
        match &mut self.export {
            Some(export) => export.take(event, consumed, &mut self.stdout),
            None => Ok(()),
        }
    }

    fn dump(&mut self, event: EventRef<'_>) -> io::Result<()> {
        if !self.dump {
            return Ok(());
        }
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        write!(line, "{} {} ", event.head().position, event.topic().unwrap_or("-"))?;
        const HEX: &[u8; 16] = b"0123456789abcdef";
        for byte in event.data() {
            line.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        line.push(b' ');
        json::write_value(event.data(), &mut line);
        line.push(b'\n');
        let told = self.tell(&line);
        self.line = line;
        told
    }

    fn warn(&mut self, diagnostic: &Diagnostic) -> io::Result<()> {
        self.report(std::slice::from_ref(diagnostic))
    }

    fn progress(&mut self, events: u64, casts: u64) {
        self.progress.update(events, casts);
    }
}
