//! A sink that keeps nothing, and may have enough at some time.

use std::io;

use sanctum::engine::Sink;
use sanctum::event::EventRef;
use sanctum::runeset::Diagnostic;

/// Takes so many calls, and fails then.
pub struct Silence(pub u64);

impl Silence {
    fn take(&mut self) -> io::Result<()> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| io::Error::other("nobody listens"))?;
        Ok(())
    }
}

impl Sink for Silence {
    fn print(&mut self, _: &[u8]) -> io::Result<()> {
        self.take()
    }
    fn note(&mut self, _: &[u8]) -> io::Result<()> {
        self.take()
    }
    fn output(&mut self, _: EventRef<'_>, _: bool) -> io::Result<()> {
        self.take()
    }
    fn dump(&mut self, _: EventRef<'_>) -> io::Result<()> {
        self.take()
    }
    fn warn(&mut self, _: &Diagnostic) -> io::Result<()> {
        self.take()
    }
    fn progress(&mut self, _: u64, _: u64) {}
}
