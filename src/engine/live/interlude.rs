//! Work on the log of a live run, of which the run is to see nothing or all.
//!
//! What spells keep and where they stand is in the memory of a run. Who changes it in the log meanwhile would be
//! overwritten by what the run records next. So that is done between two runs: the one at hand ends at the boundary
//! of a round, with everything recorded, and the next one reads what was changed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

use crate::log::Log;

type Work = dyn FnOnce(&dyn Log) + Send;

/// See the module.
#[derive(Default)]
pub(super) struct Interlude {
    queue: Mutex<Queue>,
    is_wanted: AtomicBool,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<Work>>,
    /// Whether no run follows.
    is_over: bool,
}

impl fmt::Debug for Interlude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interlude").field("is_wanted", &self.is_wanted).finish_non_exhaustive()
    }
}

impl Interlude {
    /// Hands work in; what comes of it is to be received. The work is done at once where no run follows, and never where
    /// the last one ends first: then the sender is gone.
    pub fn hand_in<T: Send + 'static>(
        &self,
        log: &dyn Log,
        work: impl FnOnce(&dyn Log) -> T + Send + 'static,
    ) -> mpsc::Receiver<T> {
        let (sender, done) = mpsc::channel();
        // Who does not wait any more does not want to know.
        let work = move |log: &dyn Log| drop(sender.send(work(log)));
        let mut queue = self.queue();
        if queue.is_over {
            drop(queue);
            work(log);
        } else {
            queue.waiting.push_back(Box::new(work));
            self.is_wanted.store(true, Ordering::Release);
        }
        done
    }

    /// Whether there is work.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// Does all there is, between two runs.
    pub fn work(&self, log: &dyn Log) {
        let waiting = {
            let mut queue = self.queue();
            self.is_wanted.store(false, Ordering::Release);
            std::mem::take(&mut queue.waiting)
        };
        waiting.into_iter().for_each(|work| work(log));
    }

    /// Says that no run follows.
    pub fn end(&self) {
        let mut queue = self.queue();
        queue.is_over = true;
        queue.waiting.clear();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
