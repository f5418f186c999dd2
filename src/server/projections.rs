//! The projections of a server's planes: each is folded in one place, for all who ask and all who follow.
//!
//! A projection is a file, looked for at each request and loaded again when its text has changed, which ends the
//! answers of those who follow it. What folds is one at a time, on a thread for blocking work; its store is open only
//! meanwhile. Followers are told of changes by a channel that holds `CHANGES` of them: who falls further behind is
//! cut off, and finds the states as they are when it comes back.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;

use super::Plane;
use super::problem::{Code, Problem};
use crate::engine::batch::read_source;
use crate::engine::clock::steady_ms;
use crate::engine::projected::{Moment, absent, key_of};
use crate::log::{FileLog, Log};
use crate::projection::{Error, Freshness, Projection, Row, project, watch_projection};
use crate::runeset::Diagnostic;
use crate::spell::{Clocks, Fold, Modules};

/// Changes that a follower may be behind.
const CHANGES: usize = 64;
/// Measures of time for limits.
const CLOCKS: Clocks = Clocks { steady_ms, timer_ns: None, exact: false };

/// See the module.
#[derive(Debug, Default)]
pub struct Projections {
    places: Vec<PathBuf>,
    folders: Mutex<BTreeMap<(String, PathBuf), Arc<Folding>>>,
}

impl Projections {
    /// Projections are these files, and all that are in these folders.
    #[must_use]
    pub fn new(places: Vec<PathBuf>) -> Self {
        Self { places, folders: Mutex::default() }
    }

    /// Their names and files, by name.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn list(&self) -> io::Result<BTreeMap<String, PathBuf>> {
        let mut all = BTreeMap::new();
        for place in &self.places {
            let paths = match place.is_dir() {
                true => fs::read_dir(place)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?,
                false => vec![place.clone()],
            };
            for path in paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "lua")) {
                if let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) {
                    all.entry(name.to_owned()).or_insert(path);
                }
            }
        }
        Ok(all)
    }

    /// One of them, over a plane.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn of(&self, plane: &str, name: &str) -> Result<Arc<Folding>, Problem> {
        let mut all = self.list().map_err(|error| {
            tracing::error!(%error, "the projections cannot be listed");
            Problem::new(Code::Internal, "the server failed; its log says why")
        })?;
        let Some(path) = all.remove(name) else {
            let names: Vec<_> = all.keys().map(|name| format!("`{name}`")).collect();
            let others = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Problem::new(
                Code::NotFound,
                format!("there is no projection `{name}`; there are {others}"),
            ));
        };
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let folding = folders.entry((plane.to_owned(), path.clone()));
        Ok(folding.or_insert_with(|| Arc::new(Folding { path, held: Mutex::default() })).clone())
    }
}

/// What is asked of a projection.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Of which key; `None`: all.
    pub key: Option<String>,
    /// As it was then.
    pub at: Option<Moment>,
    /// As it is kept.
    pub is_cached: bool,
}

/// A projection of a plane.
#[derive(Debug)]
pub struct Folding {
    path: PathBuf,
    held: Mutex<Option<Held>>,
}

/// What is loaded.
#[derive(Debug)]
struct Held {
    projection: Projection,
    /// Followers have been told what was folded below this position.
    told: u64,
    changes: broadcast::Sender<Arc<Vec<Row>>>,
}

/// Changes from now on, of one key or all.
#[derive(Debug)]
pub struct Changes {
    /// Where they come from.
    pub news: broadcast::Receiver<Arc<Vec<Row>>>,
    key: Option<Vec<u8>>,
}

impl Changes {
    /// Whether a change is of a key that is asked for.
    #[must_use]
    pub fn concern(&self, row: &Row) -> bool {
        self.key.as_ref().is_none_or(|key| *key == row.key)
    }
}

impl Folding {
    /// The states that are asked for. Blocks while it folds.
    ///
    /// # Errors
    /// A projection that cannot be loaded, or fails; a key or a position that there is not.
    pub fn ask(&self, plane: &Plane, asked: &Asked) -> Result<Vec<Row>, Problem> {
        self.work(plane, |held, log| {
            let fold = held.projection.fold().clone();
            let key = asked.key.as_deref().map(|text| key_of(text, &fold.by));
            let rows = match asked.at {
                None if asked.is_cached => {
                    project(log, &mut held.projection, key.as_deref(), Freshness::Cached)?
                }
                None => held.states(log, key.as_deref())?,
                Some(moment) => match moment.position(log, &fold)? {
                    None => Vec::new(),
                    Some(position) => {
                        held.advance(log)?;
                        project(log, &mut held.projection, key.as_deref(), Freshness::At(position))?
                    }
                },
            };
            match &asked.key {
                Some(key) if rows.is_empty() => {
                    Err(Problem::new(Code::NotFound, absent(&fold, key, asked.at)))
                }
                _ => Ok(rows),
            }
        })
    }

    /// The states now, and their changes from then on. Blocks while it folds.
    ///
    /// # Errors
    /// As [`Folding::ask`], but a key without a state may get one.
    pub fn follow(&self, plane: &Plane, key: Option<&str>) -> Result<(Vec<Row>, Changes), Problem> {
        self.work(plane, |held, log| {
            let key = key.map(|text| key_of(text, &held.projection.fold().by));
            let rows = held.states(log, key.as_deref())?;
            Ok((rows, Changes { news: held.changes.subscribe(), key }))
        })
    }

    /// Folds what is new, and tells followers.
    ///
    /// # Errors
    /// As [`Folding::ask`].
    pub fn advance(&self, plane: &Plane) -> Result<(), Problem> {
        self.work(plane, |held, log| Ok(held.advance(log)?))
    }

    fn work<T>(
        &self,
        plane: &Plane,
        work: impl FnOnce(&mut Held, &FileLog) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.load(&mut held, plane.log())?;
        let done = work(held, plane.log());
        held.projection.release();
        let prints = held.projection.take_prints();
        if !prints.is_empty() {
            tracing::info!(projection = %held.projection.fold().name, "{}", String::from_utf8_lossy(&prints).trim_end());
        }
        done
    }

    /// What the file says now.
    fn load<'a>(
        &self,
        held: &'a mut MutexGuard<'_, Option<Held>>,
        log: &FileLog,
    ) -> Result<&'a mut Held, Problem> {
        let path = self.path.display().to_string();
        let source = read_source(&self.path).map_err(|error| {
            tracing::error!(%error, path, "a projection cannot be read");
            Problem::new(Code::Internal, "the server failed; its log says why")
        })?;
        let is_same = |held: &Held| *held.projection.fold().source == *source;
        match held.take().filter(is_same) {
            Some(same) => Ok(held.insert(same)),
            None => {
                let folder = self.path.parent().unwrap_or(Path::new(""));
                let fold = Fold::load(&path, source, Modules::folder(folder), CLOCKS).map_err(refused)?;
                let projection = Projection::new(fold, log.folder(), CLOCKS);
                let changes = broadcast::Sender::new(CHANGES);
                Ok(held.insert(Held { projection, told: log.visible(), changes }))
            }
        }
    }
}

impl Held {
    fn advance(&mut self, log: &FileLog) -> Result<(), Error> {
        let mut watch = watch_projection(log, &mut self.projection, None, self.told);
        let rows = watch.next(Duration::ZERO)?;
        self.told = watch.position();
        if !rows.is_empty() {
            // There may be no followers.
            let _told = self.changes.send(Arc::new(rows));
        }
        Ok(())
    }

    /// The states of all that is in the log, of which followers have been told as well.
    fn states(&mut self, log: &FileLog, key: Option<&[u8]>) -> Result<Vec<Row>, Error> {
        self.advance(log)?;
        watch_projection(log, &mut self.projection, key, self.told).states()
    }
}

fn refused(problems: Vec<Diagnostic>) -> Problem {
    problems.into_iter().next().map_or_else(
        || Problem::new(Code::Internal, "the server failed; its log says why"),
        |problem| failed(&problem),
    )
}

fn failed(report: &Diagnostic) -> Problem {
    let problem = Problem::new(Code::ProjectionFailed, report.message.clone());
    match &report.place {
        Some(place) => problem.with("line", place.line).with("column", place.column),
        None => problem,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Log(error) => error.into(),
            Error::Fault(report) => failed(&report),
            Error::NothingCached(name) => Self::new(
                Code::NotFound,
                format!(
                    "nothing is kept of the projection `{name}` yet; without `freshness=cached` it is made"
                ),
            ),
            Error::Busy { .. } => {
                Self::new(Code::Busy, "another process is at work on the projection: come back in a moment")
            }
            Error::Open(_) | Error::Store { .. } => {
                tracing::error!(%error, "a projection failed");
                Self::new(Code::Internal, "the server failed; its log says why")
            }
        }
    }
}
