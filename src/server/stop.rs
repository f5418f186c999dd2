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
pub async fn serve(
    server: &Arc<Server>,
    listeners: Listeners,
    web: Option<Serving>,
    mut signals: Signals,
    stop_ms: u64,
) {
    let places = Arc::new(Semaphore::new(server.limits.connections));
    let accepting = tokio::spawn(listeners.accept(Serving::new(server), web, places.clone()));
    signals.next(server).await;
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
        () = signals.next(server) => {}
    }
}

/// The signals that are heard, from the moment at which this is made.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Has spells loaded anew; tokens are read anew without being asked.
    hangup: Signal,
}

impl Signals {
    /// Hears them from now on.
    ///
    /// # Errors
    /// [`Error::Signals`].
    pub fn new() -> Result<Self, Error> {
        let terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
        let hangup = signal(SignalKind::hangup()).map_err(Error::Signals)?;
        Ok(Self { terminate, interrupt, hangup })
    }

    /// Completes at the next signal to stop.
    async fn next(&mut self, server: &Server) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    tracing::info!("reloading");
                    server.registry.iter().for_each(|registry| registry.reload());
                }
            }
        }
    }
}
