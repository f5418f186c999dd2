//! A log that a server has open: commands write to it through the server's socket, as if they had opened it.
//!
//! Energies are read from the files, beside the server; what is appended, and entries of tables, which a reader beside
//! would have to fold from the whole log, go over the socket. What was appended is seen by what is read after it. A commit
//! is as durable as the server makes it, or synced, where that is asked for.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hyper::{HeaderMap, Method};
use serde_json::Value;

use super::client::{Client, ClientError, Response, Upload};
use super::holder::Holder;
use super::outcome::{read_appended, read_pairs, read_value};
use super::wire::{Ask, Compacting};
use crate::event::{EventRef, Events, Uuid};
use crate::log::file::Options;
use crate::log::file::manifest::Manifest;
use crate::log::{Appended, Bounds, Commit, Conflict, Direction, Error, FileLog, Log, Pair, Query, Table};

/// See the module.
pub struct RemoteLog {
    client: Mutex<Client>,
    /// The plane's name, as the server has it.
    plane: String,
    id: Uuid,
    folder: PathBuf,
    options: Options,
    /// Whether commits are synced before they are acknowledged, whatever the server does by itself.
    is_synced: bool,
    /// Opened when energies are read.
    files: OnceLock<FileLog>,
    /// Whether the server may have written more than the files were read up to.
    is_behind: AtomicBool,
}

impl RemoteLog {
    /// Connects to the server that has a plane open; `None` where it does not answer, or has another one there.
    ///
    /// # Errors
    /// A plane that cannot be read; a server of another version.
    pub fn connect(
        holder: &Holder,
        plane: &str,
        folder: &Path,
        options: Options,
        is_synced: bool,
    ) -> Result<Option<Self>, Error> {
        let Some((manifest, _)) = Manifest::load(&*options.disk, folder)? else { return Ok(None) };
        let Ok(client) = Client::connect(&holder.socket) else { return Ok(None) };
        Ok(Some(Self {
            client: Mutex::new(client),
            plane: plane.to_owned(),
            id: manifest.plane,
            folder: folder.to_owned(),
            options,
            is_synced,
            files: OnceLock::new(),
            is_behind: AtomicBool::new(false),
        }))
    }

    /// Stores content, and returns its digest as the server writes it.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub fn put_content(&self, source: impl Read + Send + 'static) -> Result<String, Error> {
        self.ask(&Ask::Hello)?;
        let path = format!("/v1/{}/blobs", self.plane);
        let bytes = self.request(&path, Upload::reader(source))?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        answer["digest"].as_str().map(str::to_owned).ok_or_else(unexpected)
    }

    /// Compacts the log and its content; returns what was done, as an object.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub fn compact(&self, what: Compacting) -> Result<Value, Error> {
        serde_json::from_slice(&self.ask(&Ask::Compact(what))?).map_err(|_| unexpected())
    }

    /// Has a spell go on from another place.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub fn rewind(&self, spell: &str, to: &str, fresh: bool) -> Result<(), Error> {
        let (spell, to) = (spell.to_owned(), to.to_owned());
        self.ask(&Ask::Rewind { spell, to, fresh }).map(drop)
    }

    fn commit(&self, mut commit: Commit, cause: Option<Uuid>) -> Result<Appended, Error> {
        for head in commit.events.heads_mut().iter_mut().filter(|head| head.id.is_nil()) {
            head.id = Uuid::now_v7();
        }
        let ask = Ask::Commit { commit, cause, is_synced: self.is_synced };
        let answer = self.ask(&ask);
        self.is_behind.store(true, Ordering::Release);
        let Ask::Commit { commit, .. } = ask else { return Err(unexpected()) };
        read_appended(&answer?, commit.events).ok_or_else(unexpected)
    }

    fn ask(&self, ask: &Ask) -> Result<Vec<u8>, Error> {
        self.request(&format!("/local/{}", self.plane), Upload::bytes(ask.bytes(self.id)))
    }

    fn request(&self, path: &str, body: Upload) -> Result<Vec<u8>, Error> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = client.request(Method::POST, path, &HeaderMap::new(), body).map_err(lost)?;
        let is_done = answer.status.is_success();
        let bytes = whole(answer)?;
        if is_done {
            return Ok(bytes);
        }
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        Err(problem["detail"].as_str().map_or_else(unexpected, |detail| Error::Server(detail.to_owned())))
    }

    /// The files, read up to what was appended.
    fn files(&self) -> Result<&FileLog, Error> {
        let files = match self.files.get() {
            Some(files) => files,
            None => {
                let opened = FileLog::open_to_read(&self.folder, self.options.clone())?;
                self.files.get_or_init(|| opened)
            }
        };
        if self.is_behind.swap(false, Ordering::AcqRel) {
            files.refresh()?;
        }
        Ok(files)
    }
}

/// The body of an answer, whatever its size: the server's tables are no larger than it can hold.
fn whole(mut answer: Response) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = answer.body.read_to_end(&mut bytes);
    read.map_err(|error| lost(ClientError::Answer(error)))?;
    Ok(bytes)
}

fn lost(error: ClientError) -> Error {
    Error::Server(match error {
        ClientError::NoServer { path, source } => format!(
            "the server that had the log open listens on `{}` no longer: {source}; what was acknowledged is stored",
            path.display()
        ),
        ClientError::Broken(source) => {
            format!("the server that has the log open broke off: {source}; {UNKNOWN}")
        }
        ClientError::Answer(source) => {
            format!("the server that has the log open broke off: {source}; {UNKNOWN}")
        }
        error => error.to_string(),
    })
}

/// What is known of a request whose answer was lost.
const UNKNOWN: &str = "what was acknowledged is stored, of what was asked last that is not known";

fn unexpected() -> Error {
    Error::Server(
        "the server that has the log open gave an answer that is none: is it of this version?".to_owned(),
    )
}

impl Log for RemoteLog {
    fn append(&self, commit: Commit) -> Result<Appended, Error> {
        self.commit(commit, None)
    }

    fn append_reaction(&self, cause: Uuid, commit: Commit) -> Result<Appended, Error> {
        self.commit(commit, Some(cause))
    }

    fn check(&self, events: &mut dyn Iterator<Item = EventRef<'_>>) -> Result<Option<Conflict>, Error> {
        self.files()?.check(events)
    }

    fn head(&self) -> u64 {
        // What cannot be read now is told by the next read.
        self.files().map_or(0, Log::head)
    }

    fn visible(&self) -> u64 {
        self.files().map_or(0, Log::visible)
    }

    fn read(&self, position: u64) -> Result<Option<(Arc<Events>, usize)>, Error> {
        self.files()?.read(position)
    }

    fn scan(
        &self,
        from: u64,
        direction: Direction,
        query: &Query,
        limit: usize,
        events: &mut Events,
    ) -> Result<u64, Error> {
        self.files()?.scan(from, direction, query, limit, events)
    }

    fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error> {
        self.files()?.position_of(id)
    }

    fn version_of(&self, stream: &str) -> Result<Option<u64>, Error> {
        self.files()?.version_of(stream)
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let answer = self.ask(&Ask::Value(table, key.to_owned()))?;
        // It may speak of energies that were appended meanwhile.
        self.is_behind.store(true, Ordering::Release);
        read_value(&answer).ok_or_else(unexpected)
    }

    fn range(
        &self,
        table: Table,
        (from, to): Bounds<'_>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, Error> {
        let (from, to) = (from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec));
        let answer = self.ask(&Ask::Range { table, from, to, direction, limit: limit as u64 })?;
        self.is_behind.store(true, Ordering::Release);
        read_pairs(&answer).ok_or_else(unexpected)
    }

    fn values(&self, table: Table, prefix: &[u8]) -> Result<Vec<Pair>, Error> {
        let answer = self.ask(&Ask::Values(table, prefix.to_owned()))?;
        self.is_behind.store(true, Ordering::Release);
        read_pairs(&answer).ok_or_else(unexpected)
    }

    fn wait(&self, position: u64, timeout: Duration) -> u64 {
        self.files().map_or(0, |files| files.wait(position, timeout))
    }

    fn release(&self, _position: u64) {}
}
