//! Where a run's effects go, in the order of the log.

use std::io;

use crate::event::EventRef;
use crate::runeset::Diagnostic;

/// Receives what a run does. Calls come in commit order, the same for any number of workers.
pub trait Sink {
    /// What spells printed.
    fn print(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// What spells logged: whole lines.
    fn note(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// An energy that the run produced, after its casts; `consumed` when a spell took it.
    fn output(&mut self, event: EventRef<'_>, consumed: bool) -> io::Result<()>;

    /// An energy that passes through a spell, before its casts.
    fn dump(&mut self, event: EventRef<'_>) -> io::Result<()>;

    /// A fault that does not end the run.
    fn warn(&mut self, diagnostic: &Diagnostic) -> io::Result<()>;

    /// How far the run is.
    fn progress(&mut self, events: u64, casts: u64);
}
