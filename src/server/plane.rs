//! A plane that is served: its log, its content, the thread that appends and the one that watches the log grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;

use super::Error;
use super::appender::Appender;
use crate::blob::store::ContentStore;
use crate::engine::clock::steady_ms;
use crate::log::{FileLog, Log};

/// How often the watcher looks whether it is to stop.
const WATCH: Duration = Duration::from_millis(250);
/// How long it rests where the log, which has failed, does not make it wait.
const REST: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug)]
pub struct Plane {
    name: String,
    log: Arc<FileLog>,
    contents: Arc<ContentStore>,
    appender: Appender,
    visible: watch::Receiver<u64>,
    watcher: Watcher,
}

impl Plane {
    /// Serves a log, opened to write, and the content that its energies refer to. `commits` may wait at a time.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn new(name: &str, log: FileLog, contents: ContentStore, commits: usize) -> Result<Self, Error> {
        let log = Arc::new(log);
        let (watcher, visible) = Watcher::start(name, &log)?;
        let appender = Appender::start(name, log.clone(), commits)?;
        let (name, contents) = (name.to_owned(), Arc::new(contents));
        Ok(Self { name, log, contents, appender, visible, watcher })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Arc<FileLog> {
        &self.log
    }

    /// Its content.
    #[must_use]
    pub fn contents(&self) -> &Arc<ContentStore> {
        &self.contents
    }

    /// Where commits are handed in.
    #[must_use]
    pub fn appender(&self) -> &Appender {
        &self.appender
    }

    /// Changes whenever more of the log is to be seen.
    #[must_use]
    pub fn visible(&self) -> watch::Receiver<u64> {
        self.visible.clone()
    }

    /// Ends its threads, and closes the log.
    ///
    /// # Errors
    /// [`Error::Close`].
    pub fn close(self) -> Result<(), Error> {
        let Self { name, log, appender, watcher, .. } = self;
        drop((appender, watcher));
        let closed = Arc::into_inner(log).map_or(Ok(()), FileLog::close);
        closed.map_err(|source| Error::Close { plane: name, source })
    }
}

/// The thread that watches the log; dropping it ends it.
#[derive(Debug)]
struct Watcher {
    thread: Option<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl Watcher {
    fn start(name: &str, log: &Arc<FileLog>) -> Result<(Self, watch::Receiver<u64>), Error> {
        let (sender, visible) = watch::channel(log.visible());
        let (log, is_over) = (log.clone(), Arc::new(AtomicBool::new(false)));
        let over = is_over.clone();
        let thread = thread::Builder::new()
            .name(format!("watch {name}"))
            .spawn(move || watch(&log, &sender, &over))
            .map_err(Error::Thread)?;
        Ok((Self { thread: Some(thread), is_over }, visible))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

fn watch(log: &FileLog, visible: &watch::Sender<u64>, is_over: &AtomicBool) {
    let mut seen = *visible.borrow();
    while !is_over.load(Ordering::Acquire) {
        let asked = steady_ms();
        let now = log.wait(seen, WATCH);
        if now > seen {
            seen = now;
            visible.send_replace(now);
        } else if steady_ms().saturating_sub(asked) < 10 {
            thread::sleep(REST);
        }
    }
}
