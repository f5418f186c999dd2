//! Energies of topics, printed on the server's standard output, one as JSON a line.
//!
//! A cursor of the log, `stdout`, keeps how far that came; it moves when lines are written. So a restart leaves out
//! none, and repeats those alone that were written just before a kill, or that nobody took before a stop. It begins at the end of the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Error, Plane, Resident, stdout};
use crate::event::{Events, json};
use crate::log::{self, Follower, Heard, Log, Query, cursor};
use crate::router::Pattern;

/// The name of its cursor.
pub const CURSOR: &str = "stdout";
/// The plane whose energies are printed.
const PLANE: &str = "main";
/// How often the thread looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes of energies that are written at a time.
const PAGE_BYTES: usize = 64 << 10;

/// See the module.
#[derive(Debug)]
pub struct Printer {
    topics: Vec<Pattern>,
    thread: Option<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl Printer {
    /// Prints nothing yet.
    #[must_use]
    pub fn new(topics: Vec<Pattern>) -> Self {
        Self { topics, thread: None, is_over: Arc::default() }
    }
}

impl Resident for Printer {
    fn start(&mut self, planes: &BTreeMap<String, Arc<Plane>>) -> Result<(), Error> {
        let log = super::plane_of(planes, PLANE)?.log().clone();
        let failed = |error: log::Error| Error::Resident(error.to_string());
        let from = match cursor::position(&*log, CURSOR).map_err(failed)? {
            Some(from) => from,
            None => {
                let from = log.visible();
                cursor::advance(&*log, CURSOR, from).map_err(failed)?;
                from
            }
        };
        let query = Query { topics: self.topics.clone(), ..Query::default() };
        let (follower, is_over) = (Follower::new(log.clone(), query, from), self.is_over.clone());
        let print = move || {
            if let Err(error) = print(follower.page_bytes(PAGE_BYTES), &*log, &is_over) {
                tracing::error!(%error, "energies are printed no longer");
            }
        };
        let thread = thread::Builder::new().name("stdout".to_owned()).spawn(print);
        self.thread = Some(thread.map_err(Error::Thread)?);
        Ok(())
    }

    fn stop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

fn print(
    mut follower: Follower<Arc<crate::log::FileLog>>,
    log: &dyn Log,
    is_over: &AtomicBool,
) -> Result<(), log::Error> {
    let (mut page, mut text) = (Events::default(), Vec::new());
    loop {
        // What is there when it is to stop is printed still.
        let is_last = is_over.load(Ordering::Acquire);
        let heard = follower.next(&mut page, if is_last { Duration::ZERO } else { LOOK })?;
        if heard != Heard::Events {
            if is_last && heard == Heard::Nothing {
                return Ok(());
            }
            continue;
        }
        text.clear();
        for event in page.iter() {
            json::write_event(event, &mut text);
            text.push(b'\n');
        }
        if let Err(error) = stdout::write(&text) {
            tracing::warn!(%error, "nobody reads standard output: energies are printed no longer");
            return Ok(());
        }
        cursor::advance(log, CURSOR, follower.position())?;
    }
}
