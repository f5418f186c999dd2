//! Files whose lines become energies, through rotation and restarts.
//!
//! Lines and how far they were read are one commit of the log: after whatever end, reading goes on at the next line. A
//! file is known again by the hash of its beginning and by its inode, so that one that was renamed meanwhile is read to its
//! end before the one that took its name. A file that was cut is read from its start.
//!
//! A line counts once it has its end; the last one of a file that was rotated counts without.

mod place;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::place::Place;
use super::lines::{self, Splitter};
use super::{Error, Plane, Resident};
use crate::engine::Clock;
use crate::event::Events;
use crate::log::{self, Commit, Log};
use crate::runeset::Tailed;

/// Bytes that are read at a time; the lines in them are one commit.
const READ_BYTES: usize = 256 << 10;
/// How often a file is looked at that had nothing new.
const LOOK: Duration = Duration::from_millis(200);

/// Whether the threads are to stop, and who waits meanwhile.
#[derive(Debug, Default)]
struct Over {
    is_over: Mutex<bool>,
    changed: Condvar,
}

impl Over {
    /// Waits for a while; true once it is over.
    fn wait(&self, timeout: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(is_over, timeout, |is_over| !*is_over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// See the module: a thread for each file.
#[derive(Debug)]
pub struct Tails {
    /// What the runeset says, and the path itself.
    files: Vec<(Tailed, PathBuf)>,
    over: Arc<Over>,
    threads: Vec<JoinHandle<()>>,
}

impl Tails {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(files: Vec<(Tailed, PathBuf)>) -> Self {
        Self { files, over: Arc::default(), threads: Vec::new() }
    }
}

impl Resident for Tails {
    fn start(&mut self, planes: &BTreeMap<String, Arc<Plane>>) -> Result<(), Error> {
        for (tailed, path) in &self.files {
            let plane = super::plane_of(planes, &tailed.plane)?.clone();
            let (tailed, path, over) = (tailed.clone(), path.clone(), self.over.clone());
            let thread = thread::Builder::new().name("tail".to_owned()).spawn(move || {
                let name = tailed.path.clone();
                if let Err(error) = (Tail { plane, tailed, path, over }).run() {
                    tracing::error!(%error, file = name, "a file is tailed no longer");
                }
            });
            self.threads.push(thread.map_err(Error::Thread)?);
        }
        Ok(())
    }

    fn stop(&mut self) {
        *self.over.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

struct Tail {
    plane: Arc<Plane>,
    tailed: Tailed,
    path: PathBuf,
    over: Arc<Over>,
}

/// A file that is being read.
struct Reading {
    file: File,
    /// The beginning of the line that is read next; ahead of it is what has no end yet.
    offset: u64,
    splitter: Splitter,
    /// What the log remembers of it.
    place: Option<Place>,
}

impl Reading {
    fn of(file: File, place: Option<Place>) -> Self {
        let offset = place.map_or(0, |place| place.offset);
        Self { file, offset, splitter: Splitter::default(), place }
    }

    /// Whether it was cut: it has less than was read, or begins otherwise than it did.
    fn is_cut(&self) -> bool {
        let Ok(about) = self.file.metadata() else { return true };
        let is_it = |place: Place| place.is_in(&self.file, true).is_some();
        about.len() < self.ahead() || !self.place.is_none_or(is_it)
    }

    /// Where reading goes on.
    fn ahead(&self) -> u64 {
        self.offset + self.splitter.pending()
    }
}

impl Tail {
    fn run(&self) -> Result<(), log::Error> {
        let place = Place::load(&**self.plane.log(), &self.tailed.path)?;
        let mut reading = place.as_ref().and_then(|place| Some(Reading::of(self.find(place)?, Some(*place))));
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let Some(at_hand) = &mut reading else {
                reading = File::open(&self.path).ok().filter(is_file).map(|file| Reading::of(file, None));
                if reading.is_none() && self.over.wait(LOOK) {
                    return Ok(());
                }
                continue;
            };
            if at_hand.is_cut() {
                self.end(at_hand, 0)?;
                reading = None;
                continue;
            }
            // Looked at before the last read: what was written to the old file until then is not missed.
            let is_left = self.is_left(at_hand);
            if self.read(at_hand, &mut buffer)? {
                if self.over.wait(Duration::ZERO) {
                    return Ok(());
                }
            } else if is_left {
                self.end(at_hand, at_hand.ahead())?;
                reading = None;
            } else if self.over.wait(LOOK) {
                return Ok(());
            }
        }
    }

    /// The file that was read last: under its name, or under the one that it was renamed to.
    fn find(&self, place: &Place) -> Option<File> {
        let here = File::open(&self.path).ok().filter(is_file);
        if let Some(file) = here.as_ref().and_then(|file| place.is_in(file, true)) {
            return Some(file);
        }
        let (folder, name) = (self.path.parent()?, self.path.file_name()?.to_str()?);
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        for entry in fs::read_dir(folder).ok()?.flatten() {
            let is_sibling = entry.file_name().to_str().is_some_and(|other| other.starts_with(name));
            // What is no file, such as a pipe, would make who opens it wait.
            if is_sibling && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                let file = File::open(entry.path()).ok();
                if let Some(file) = file.and_then(|file| place.is_in(&file, true)) {
                    return Some(file);
                }
            }
        }
        // It may have been copied to another disk, with the log.
        here.and_then(|file| place.is_in(&file, false))
    }

    /// Whether the file at hand is not, or not any more, the one under its name.
    fn is_left(&self, reading: &Reading) -> bool {
        let Ok(at_hand) = reading.file.metadata() else { return true };
        // Where nothing has taken its place yet, it may still be written to.
        fs::metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) != (at_hand.dev(), at_hand.ino()))
    }

    /// Appends the next lines; false where there is nothing new.
    fn read(&self, reading: &mut Reading, buffer: &mut [u8]) -> Result<bool, log::Error> {
        let ahead = reading.ahead();
        let count = reading.file.seek(SeekFrom::Start(ahead)).and_then(|_| reading.file.read(buffer));
        let Ok(count @ 1..) = count else { return Ok(false) };
        let (mut events, now_ms) = (Events::default(), Clock::System.now_ms());
        let topic = &self.tailed.topic;
        reading.splitter.take(&buffer[..count], |line, is_cut| {
            lines::add(&mut events, topic, line, is_cut, now_ms);
        });
        reading.offset = ahead + count as u64 - reading.splitter.pending();
        self.append(reading, events)?;
        Ok(true)
    }

    /// Appends the last line of a file that nobody writes to any more, or that was cut: then reading goes on at its start.
    fn end(&self, reading: &mut Reading, offset: u64) -> Result<(), log::Error> {
        let (mut events, now_ms) = (Events::default(), Clock::System.now_ms());
        reading.offset = offset;
        reading.splitter.end(|line, is_cut| {
            lines::add(&mut events, &self.tailed.topic, line, is_cut, now_ms);
        });
        self.append(reading, events)
    }

    /// Appends energies, and how far reading has come.
    fn append(&self, reading: &mut Reading, events: Events) -> Result<(), log::Error> {
        if events.is_empty() {
            return Ok(());
        }
        let mut commit = Commit::of(events);
        // A file that was cut meanwhile has no such place: what comes now is read from its start.
        let place = Place::of(&reading.file, reading.offset);
        reading.place = place;
        place.iter().for_each(|place| place.store(&self.tailed.path, &mut commit.changes));
        let appended = self.plane.log().append(commit)?;
        for (_, conflict) in &appended.conflicts {
            tracing::warn!(%conflict, file = self.tailed.path, "a line was refused");
        }
        if let Some(place) = place.filter(|_| !appended.conflicts.is_empty()) {
            // Where all were refused, so was this.
            let mut commit = Commit::default();
            place.store(&self.tailed.path, &mut commit.changes);
            self.plane.log().append(commit)?;
        }
        Ok(())
    }
}

fn is_file(file: &File) -> bool {
    file.metadata().is_ok_and(|about| about.is_file())
}
