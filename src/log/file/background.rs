//! What need not be done at once: indexes of segments that were sealed, checkpoints of tables, syncs at intervals.
//!
//! One thread per plane that is open to write, or none: then this is done where it falls, which simulations need.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::plane::Plane;
use super::segment::Segment;

/// What the thread is asked to do.
#[derive(Debug)]
enum Job {
    Seal(Arc<Segment>),
    /// The tables are to be written.
    Checkpoint,
    /// Something was written that waits for the interval to be over.
    Written,
    /// Much was written: it is synced, so that little is left when the segment is sealed.
    Sync,
    Stop,
}

/// How a plane speaks to its thread.
#[derive(Debug)]
pub struct Jobs {
    sender: Sender<Job>,
    /// A `Written` is on its way.
    dirty: Arc<AtomicBool>,
}

/// The thread.
#[derive(Debug)]
pub struct Background {
    thread: JoinHandle<()>,
}

impl Background {
    /// Starts the thread of a plane. Without one, the work is done where it falls.
    #[must_use]
    pub fn start(plane: &Arc<Plane>, interval: Option<Duration>) -> Option<Self> {
        let (sender, inbox) = crossbeam_channel::unbounded();
        let dirty = Arc::new(AtomicBool::new(false));
        let own = (plane.clone(), dirty.clone());
        let thread = std::thread::Builder::new()
            .name("sanctum-log".into())
            .spawn(move || work(&own.0, &inbox, &own.1, interval))
            .ok()?;
        plane.jobs.set(Jobs { sender, dirty }).ok()?;
        Some(Self { thread })
    }

    /// Has the thread finish what it has, and end.
    pub fn stop(self, plane: &Plane) {
        if let Some(jobs) = plane.jobs.get() {
            let _ended = jobs.sender.send(Job::Stop);
            let _reported = self.thread.join();
        }
    }
}

impl Plane {
    /// A segment was sealed: its index is to be written.
    pub fn sealed(&self, segment: Arc<Segment>) {
        match self.jobs.get() {
            Some(jobs) => drop(jobs.sender.send(Job::Seal(segment))),
            None => {
                self.seal_or_warn(&segment);
                self.checkpoint_sealed();
            }
        }
    }

    /// Has the tables written, some time; false when there is nobody to do it.
    pub fn ask_checkpoint(&self) -> bool {
        let Some(jobs) = self.jobs.get() else { return false };
        if self.tables.ask() {
            drop(jobs.sender.send(Job::Checkpoint));
        }
        true
    }

    /// Something was written that is to be durable at some time.
    pub fn written(&self) {
        if let Some(jobs) = self.jobs.get()
            && !jobs.dirty.swap(true, Ordering::AcqRel)
        {
            drop(jobs.sender.send(Job::Written));
        }
    }

    /// Much was written since this was said last.
    pub fn written_much(&self) {
        if let Some(jobs) = self.jobs.get() {
            drop(jobs.sender.send(Job::Sync));
        }
    }

    fn seal_or_warn(&self, segment: &Arc<Segment>) {
        if let Err(error) = self.seal(segment) {
            tracing::warn!(%error, "an index was not written: it is made when it is wanted");
        }
    }
}

fn work(plane: &Plane, inbox: &Receiver<Job>, dirty: &AtomicBool, interval: Option<Duration>) {
    let mut waiting = false;
    loop {
        let job = match interval.filter(|_| waiting) {
            Some(interval) => inbox.recv_timeout(interval),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match job {
            Ok(Job::Seal(segment)) => {
                plane.seal_or_warn(&segment);
                plane.checkpoint_sealed();
            }
            Ok(Job::Checkpoint) => plane.checkpoint_or_warn(),
            Ok(Job::Written) => waiting = true,
            Ok(Job::Sync) => {
                let _poisons = plane.syncer.sync_to(plane.syncer.written().sequence);
            }
            Err(RecvTimeoutError::Timeout) => {
                waiting = false;
                dirty.store(false, Ordering::Release);
                // A failure is told to the next append.
                let _poisons = plane.syncer.sync_to(plane.syncer.written().sequence);
            }
            Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
