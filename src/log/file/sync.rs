//! Group commit: appenders that wait for the disk share one sync, without timers.
//!
//! Who finds nobody syncing does it, for all that was written until then; the others wait. While a sync
//! runs the next appends are written, and one of them leads the next sync. A sync that fails is the last:
//! what was written since the last good one may be lost, and the log takes nothing more.
//!
//! Waiting appenders are woken one by one, and most find all they want to know in a word of their own: woken at once
//! by a condition variable, they would queue for its lock.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use crate::disk::File;
use crate::log::Error;

/// How far the log has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Commits.
    pub sequence: u64,
    /// The next position to be given.
    pub position: u64,
}

#[derive(Debug)]
struct State {
    written: Mark,
    durable: Mark,
    file: Arc<dyn File>,
    syncing: bool,
    failed: Option<String>,
    /// Whether readers see what is not durable.
    eager: bool,
    waiting: Vec<Appender>,
}

/// An appender that waits until the commits below `sequence` are durable.
#[derive(Debug)]
struct Appender {
    sequence: u64,
    thread: Thread,
    /// [`WAIT`], [`DURABLE`] or [`LOOK`].
    word: Arc<AtomicU8>,
}

const WAIT: u8 = 0;
/// What it waits for has come.
const DURABLE: u8 = 1;
/// It is to look for itself: to lead the next sync, or for what failed.
const LOOK: u8 = 2;

impl Appender {
    /// Waits for its turn; true when what it waited for is durable.
    fn park(word: &AtomicU8) -> bool {
        loop {
            match word.load(Ordering::Acquire) {
                WAIT => std::thread::park(),
                word => return word == DURABLE,
            }
        }
    }

    fn wake(&self, word: u8) {
        self.word.store(word, Ordering::Release);
        self.thread.unpark();
    }
}

impl State {
    /// How much readers may see.
    fn visible(&self) -> u64 {
        if self.eager { self.written.position } else { self.durable.position }
    }

    /// Those to be woken: whose commits are durable, and one that leads the next sync; all where syncing failed.
    fn turn(&mut self) -> Vec<(Appender, u8)> {
        let (durable, failed) = (self.durable.sequence, self.failed.is_some());
        let mut leads = !failed;
        let (mut woken, mut waiting) = (Vec::new(), Vec::new());
        for appender in self.waiting.drain(..) {
            if appender.sequence <= durable {
                woken.push((appender, DURABLE));
            } else if failed || std::mem::take(&mut leads) {
                woken.push((appender, LOOK));
            } else {
                waiting.push(appender);
            }
        }
        self.waiting = waiting;
        woken
    }
}

/// Is told how much readers may see.
pub type Observer = Box<dyn Fn(u64) + Send + Sync>;

/// See the module.
pub struct Syncer {
    state: Mutex<State>,
    advanced: Condvar,
    observer: OnceLock<Observer>,
}

impl std::fmt::Debug for Syncer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Syncer").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Syncer {
    /// Begins at a durable mark. `eager`: readers see what is written before it is durable.
    #[must_use]
    pub fn new(file: Arc<dyn File>, durable: Mark, eager: bool) -> Self {
        let (syncing, failed, waiting) = (false, None, Vec::new());
        let state = State { written: durable, durable, file, syncing, failed, eager, waiting };
        Self { state: Mutex::new(state), advanced: Condvar::new(), observer: OnceLock::new() }
    }

    /// Has an observer told whenever readers may see more. One at most: false where there is one already.
    pub fn observe(&self, observer: Observer) -> bool {
        self.observer.set(observer).is_ok()
    }

    /// Tells those who wait that readers may see more.
    fn advance(&self, visible: u64) {
        self.advanced.notify_all();
        if let Some(observer) = self.observer.get() {
            observer(visible);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much is written.
    #[must_use]
    pub fn written(&self) -> Mark {
        self.state().written
    }

    /// How much is durable.
    #[must_use]
    pub fn durable(&self) -> Mark {
        self.state().durable
    }

    /// How much readers may see.
    #[must_use]
    pub fn visible(&self) -> u64 {
        self.state().visible()
    }

    /// Whether the log takes more.
    pub fn check(&self) -> Result<(), Error> {
        match &self.state().failed {
            Some(reason) => Err(Error::Poisoned(reason.clone())),
            None => Ok(()),
        }
    }

    /// The log takes nothing more; returns the error.
    pub fn fail(&self, error: Error) -> Error {
        let mut state = self.state();
        if state.failed.is_none() {
            state.failed = Some(error.to_string());
        }
        self.tell(state);
        error
    }

    /// A frame was written.
    pub fn wrote(&self, mark: Mark) {
        let mut state = self.state();
        state.written = mark;
        let eager = state.eager;
        drop(state);
        if eager {
            self.advance(mark.position);
        }
    }

    /// All that was written is durable, and what comes goes to another file.
    pub fn rolled(&self, file: Arc<dyn File>) {
        let mut state = self.state();
        state.durable = state.written;
        state.file = file;
        self.tell(state);
    }

    /// Wakes whom a change concerns.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        let (woken, visible) = (state.turn(), state.visible());
        drop(state);
        for (appender, word) in woken {
            appender.wake(word);
        }
        self.advance(visible);
    }

    /// Makes the commits below `sequence` durable, or waits for whoever does.
    pub fn sync_to(&self, sequence: u64) -> Result<(), Error> {
        let mut state = self.state();
        loop {
            if state.durable.sequence >= sequence {
                return Ok(());
            }
            if let Some(reason) = &state.failed {
                return Err(Error::Poisoned(reason.clone()));
            }
            if state.syncing {
                let word = Arc::new(AtomicU8::new(WAIT));
                let thread = std::thread::current();
                state.waiting.push(Appender { sequence, thread, word: word.clone() });
                drop(state);
                if Appender::park(&word) {
                    return Ok(());
                }
                state = self.state();
                continue;
            }
            state.syncing = true;
            drop(state);
            // Appenders that the last sync has set free write first, and share this one.
            std::thread::yield_now();
            state = self.state();
            let (target, file) = (state.written, state.file.clone());
            drop(state);
            let result = file.sync();
            state = self.state();
            state.syncing = false;
            match result {
                Ok(()) if target.sequence > state.durable.sequence => state.durable = target,
                Ok(()) => {}
                Err(error) => {
                    state.failed.get_or_insert_with(|| format!("a sync failed ({error})"));
                }
            }
            self.tell(state);
            state = self.state();
        }
    }

    /// Has those who wait look whether they have enough.
    pub fn nudge(&self) {
        // Who is about to wait has the lock, and is not to miss it.
        drop(self.state());
        self.advanced.notify_all();
    }

    /// Waits until readers may see `position`; returns what they may see.
    #[must_use]
    pub fn wait(&self, position: u64, timeout: Duration) -> u64 {
        self.wait_unless(position, timeout, &|| false)
    }

    /// As [`wait`](Syncer::wait), at most until `is_enough` holds, of which a [`nudge`](Syncer::nudge) tells.
    #[must_use]
    pub fn wait_unless(&self, position: u64, timeout: Duration, is_enough: &dyn Fn() -> bool) -> u64 {
        let blind = |state: &mut State| state.visible() <= position && state.failed.is_none() && !is_enough();
        match self.advanced.wait_timeout_while(self.state(), timeout, blind) {
            Ok((state, _)) => state.visible(),
            Err(poisoned) => poisoned.into_inner().0.visible(),
        }
    }
}
