//! A plane that is served: its log, its content, and the thread that appends.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::Error;
use super::appender::Appender;
use crate::blob::store::ContentStore;
use crate::engine::live::Control;
use crate::log::{FileLog, Log};

/// See the module.
#[derive(Debug)]
pub struct Plane {
    name: String,
    log: Arc<FileLog>,
    contents: Arc<ContentStore>,
    appender: Appender,
    visible: watch::Receiver<u64>,
    /// The run of spells over the log, if there is one.
    run: OnceLock<Arc<Control>>,
}

impl Plane {
    /// Serves a log, opened to write, and the content that its energies refer to. `commits` may wait at a time.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn new(name: &str, log: FileLog, contents: ContentStore, commits: usize) -> Result<Self, Error> {
        let log = Arc::new(log);
        let visible = visible(&log);
        let appender = Appender::start(name, log.clone(), commits)?;
        let (name, contents) = (name.to_owned(), Arc::new(contents));
        Ok(Self { name, log, contents, appender, visible, run: OnceLock::new() })
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

    /// Says that spells run over the log, and how that run is spoken to. The first one counts.
    pub fn runs(&self, control: Arc<Control>) {
        let _other = self.run.set(control);
    }

    /// Does work on the log that a run of spells is to see nothing or all of: between two runs, where there are any.
    /// `None` where the run ended meanwhile, for good.
    pub fn apart<T: Send + 'static>(&self, work: impl FnOnce(&dyn Log) -> T + Send + 'static) -> Option<T> {
        match self.run.get() {
            Some(control) => control.apart(&*self.log, work),
            None => Some(work(&*self.log)),
        }
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
        let Self { name, log, appender, .. } = self;
        drop(appender);
        let closed = Arc::into_inner(log).map_or(Ok(()), FileLog::close);
        closed.map_err(|source| Error::Close { plane: name, source })
    }
}

/// What readers of a log may see, as it grows.
fn visible(log: &FileLog) -> watch::Receiver<u64> {
    let (sender, visible) = watch::channel(log.visible());
    log.observe(move |now| {
        sender.send_if_modified(|seen| {
            let is_more = now > *seen;
            *seen = now.max(*seen);
            is_more
        });
    });
    visible
}
