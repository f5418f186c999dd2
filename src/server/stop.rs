//! From the first connection to the last: serving until a signal, then the end within a deadline.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connection::Serving;
use super::listener::Listeners;
use super::{Error, Server};

/// Serves until SIGTERM or SIGINT; then nothing more is taken, and requests have `stop_ms` to come to their end. A
/// second signal does not wait for them.
///
/// # Errors
/// [`Error::Signals`].
pub async fn serve(server: &Arc<Server>, listeners: Listeners, stop_ms: u64) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    let places = Arc::new(Semaphore::new(server.limits.connections));
    let accepting = tokio::spawn(listeners.accept(Serving::new(server), places.clone()));
    signals.next().await;
    tracing::info!("stopping");
    server.stopping.send_replace(true);
    // A panic was reported where it happened.
    let _ = accepting.await;
    let all = u32::try_from(server.limits.connections).unwrap_or(u32::MAX);
    tokio::select! {
        ended = timeout(Duration::from_millis(stop_ms), places.acquire_many(all)) => {
            if ended.is_err() {
                tracing::warn!(stop_ms, "requests that did not end in time are ended");
            }
        }
        () = signals.next() => {}
    }
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Would end the process where nobody heard it; tokens are read anew without being asked.
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
        let hangup = signal(SignalKind::hangup()).map_err(Error::Signals)?;
        Ok(Self { terminate, interrupt, hangup })
    }

    /// Completes at the next signal to stop.
    async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => tracing::info!("SIGHUP"),
            }
        }
    }
}
