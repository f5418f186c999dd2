//! Standard output: what spells print, and energies that are printed.
//!
//! Who prints waits for who reads; that is the pace of a spell. But a server that stops does not wait for ever: what nobody
//! has taken two seconds after it began to stop is given up. Written is in pieces that a pipe takes whole as soon as it
//! takes any, so that nobody is stuck in the midst of one.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::engine::clock::steady_ms;

/// Bytes that a pipe takes at once where it takes any: `PIPE_BUF`.
const PIECE_BYTES: usize = 4 << 10;
/// How long is waited for who reads once the server stops, in milliseconds.
const PATIENCE_MS: u64 = 2_000;
/// How often is looked whether it stops.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// When what nobody takes is given up, on the steady clock. A process has one standard output.
static DEADLINE_MS: AtomicU64 = AtomicU64::new(u64::MAX);

/// Says that the server stops.
pub fn stop() {
    DEADLINE_MS.store(steady_ms() + PATIENCE_MS, Ordering::Release);
}

/// Writes all of it, with nobody's else in between.
///
/// # Errors
/// Nobody reads any more, or, where the server stops, in time.
pub fn write(mut bytes: &[u8]) -> io::Result<()> {
    let stdout = io::stdout().lock();
    while !bytes.is_empty() {
        let mut room = [PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::OUT)];
        let written = match poll(&mut room, Some(&LOOK)) {
            Ok(0) if steady_ms() >= DEADLINE_MS.load(Ordering::Acquire) => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Ok(0) => Ok(0),
            Ok(_) => rustix::io::write(&stdout, &bytes[..bytes.len().min(PIECE_BYTES)]),
            Err(error) => Err(error),
        };
        match written {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
