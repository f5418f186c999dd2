//! `--data DIR` and `--plane NAME`: which log a command means, and opening it.
//!
//! Any number of processes read; one writes. Where that is a server, other commands write through its socket. Else a
//! command that writes waits up to [`LOCK_WAIT_MS`] for the one that does, since most write for a moment only, and then
//! says who it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use super::handle::Handle;
use crate::blob::store::{self, Access, ContentStore};
use crate::disk::RealDisk;
use crate::engine::Clock;
use crate::engine::clock::steady_ms;
use crate::log::file::{Durability, Options, manifest, plane_folder, tables};
use crate::log::{Error, FileLog};
use crate::server::holder::Holder;
use crate::server::remote::RemoteLog;

/// How long a lock is waited for.
const LOCK_WAIT_MS: u64 = 2_000;
/// How often it is tried.
const LOCK_EVERY: Duration = Duration::from_millis(5);
/// Bytes of a file of tables from which on folding them anew takes longer than opening it.
const TABLES_BYTES: u64 = 16 << 20;
/// The longest name of a plane, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Which log.
#[derive(Clone, Debug, clap::Args)]
pub struct Plane {
    /// Folder of the log
    #[arg(long, value_name = "DIR", default_value = "./sanctum-data", help_heading = "Log")]
    data: PathBuf,
    /// Plane: one of several logs in the folder, each with its own positions
    #[arg(long, value_name = "NAME", default_value = "main", value_parser = parse_name, help_heading = "Log")]
    plane: String,
}

pub fn parse_name(text: &str) -> Result<String, String> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > NAME_BYTES_MAX || text.starts_with('.') || !text.bytes().all(valid) {
        return Err(format!(
            "a name is 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 - _ . and does not begin with a dot"
        ));
    }
    Ok(text.to_owned())
}

impl Plane {
    /// A plane of a folder.
    #[must_use]
    pub fn at(data: PathBuf, plane: &str) -> Self {
        Self { data, plane: plane.to_owned() }
    }

    /// The folder of all planes.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The plane's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.plane
    }

    /// The plane's folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        plane_folder(&self.data, &self.plane)
    }

    /// The plane's folder, where there is a log.
    pub fn existing_folder(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder();
        if folder.is_dir() { Ok(folder) } else { Err(self.explain(Error::Missing(folder))) }
    }

    /// Whether the plane has content.
    #[must_use]
    pub fn has_contents(&self) -> bool {
        self.folder().join("blobs").is_dir()
    }

    /// Opens the log to read, also while another process writes.
    pub fn read(&self) -> anyhow::Result<FileLog> {
        FileLog::open_to_read(&self.folder(), options(Durability::Commit))
            .map_err(|error| self.explain(error))
    }

    /// Opens the log to read what it keeps beside energies, too: where a server has it, the server is asked for that.
    pub fn consult(&self) -> anyhow::Result<Handle> {
        match self.remote(Durability::Commit)? {
            Some(remote) => Ok(Handle::Served(Box::new(remote))),
            None => Ok(Handle::Own(Box::new(self.look()?))),
        }
    }

    /// Opens the log to read, and what it keeps beside energies. Small tables are folded from the log anew; large ones are in a
    /// file that is only for who may write, for a moment, where nobody else does.
    fn look(&self) -> anyhow::Result<FileLog> {
        let bytes = fs::metadata(self.folder().join(tables::NAME)).map_or(0, |file| file.len());
        let opened =
            (bytes >= TABLES_BYTES).then(|| FileLog::open(&self.folder(), options(Durability::Commit)));
        match opened {
            Some(Ok(log)) => Ok(log),
            _ => self.read(),
        }
    }

    /// Opens the log to read and write, through the server that has it where there is one; makes it where there is none.
    pub fn write(&self, durability: Durability) -> anyhow::Result<Handle> {
        let remote = |_: &Holder| Ok(self.remote(durability)?.map(|remote| Handle::Served(Box::new(remote))));
        self.open(options(durability), |log| Handle::Own(Box::new(log)), remote)
    }

    /// Opens the log to read and write, where there is one; `why` a reader needs that.
    pub fn write_existing(&self, durability: Durability, why: &'static str) -> anyhow::Result<Handle> {
        if !self.folder().join(manifest::NAME).exists() {
            return Err(self.explain(Error::Missing(self.folder())));
        }
        self.write(durability).context(why)
    }

    /// Opens the log in this process, to read and write; makes it where there is none. Where a server has it: `advice`.
    pub fn own(&self, durability: Durability, note: String, advice: &str) -> anyhow::Result<FileLog> {
        let refuse = |holder: &Holder| {
            // One that does not answer is about to end.
            let is_there = self.remote(durability)?.is_some();
            if is_there { Err(self.served(holder, advice)) } else { Ok(None) }
        };
        self.open(Options { note, ..options(durability) }, |log| log, refuse)
    }

    /// What a command says that a server keeps from its work.
    pub fn served(&self, holder: &Holder, advice: &str) -> anyhow::Error {
        let (folder, Holder { who, socket }) = (self.folder(), holder);
        anyhow!("`{}` is served: {who}, on the socket `{}`; {advice}", folder.display(), socket.display())
    }

    /// Tries until the lock is free, or who has it is what is wanted.
    fn open<T>(
        &self,
        options: Options,
        own: impl FnOnce(FileLog) -> T,
        mut beside: impl FnMut(&Holder) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let deadline = steady_ms() + LOCK_WAIT_MS;
        loop {
            let locked = match FileLog::open(&self.folder(), options.clone()) {
                Ok(log) => return Ok(own(log)),
                Err(error @ Error::Locked { .. }) => error,
                Err(error) => return Err(self.explain(error)),
            };
            if let Some(holder) = Holder::of(&self.folder())
                && let Some(opened) = beside(&holder)?
            {
                return Ok(opened);
            }
            if steady_ms() >= deadline {
                return Err(self.explain(locked));
            }
            thread::sleep(LOCK_EVERY);
        }
    }

    /// Keeps off other readers with cursors, for as long as what is returned is there: a server has the lock of the log.
    pub fn alone(&self) -> anyhow::Result<fs::File> {
        let path = self.folder();
        let folder =
            fs::File::open(&path).with_context(|| format!("cannot open the folder `{}`", path.display()))?;
        let deadline = steady_ms() + LOCK_WAIT_MS;
        while let Err(error) = folder.try_lock() {
            match error {
                fs::TryLockError::WouldBlock if steady_ms() < deadline => thread::sleep(LOCK_EVERY),
                fs::TryLockError::WouldBlock => bail!(
                    "another process reads with a cursor in `{}`, for more than {} s",
                    path.display(),
                    LOCK_WAIT_MS / 1_000
                ),
                fs::TryLockError::Error(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot lock the folder `{}`", path.display()));
                }
            }
        }
        Ok(folder)
    }

    /// The server that has the plane open, if there is one and it answers.
    pub fn remote(&self, durability: Durability) -> anyhow::Result<Option<RemoteLog>> {
        let folder = self.folder();
        let Some(holder) = Holder::of(&folder) else { return Ok(None) };
        let is_synced = durability == Durability::Commit;
        let remote = RemoteLog::connect(&holder, &self.plane, &folder, options(durability), is_synced);
        remote.map_err(|error| self.explain(error))
    }

    /// Opens the content that energies of the plane refer to. To read it need not be there.
    pub fn contents(&self, access: Access) -> anyhow::Result<ContentStore> {
        let folder = self.folder().join("blobs");
        let deadline = steady_ms() + LOCK_WAIT_MS;
        loop {
            match ContentStore::open(Arc::new(RealDisk), &folder, access) {
                Err(store::Error::Locked { .. }) if steady_ms() < deadline => thread::sleep(LOCK_EVERY),
                Err(store::Error::Locked { .. }) => {
                    return Err(anyhow!(
                        "another process stores content in `{}`, for more than {} s: a run with `--data`, or \
                         `blob put`; reading is possible meanwhile, storing is not",
                        folder.display(),
                        LOCK_WAIT_MS / 1_000
                    ));
                }
                Err(store::Error::Io { .. }) if self.data.is_file() => return Err(self.is_a_file()),
                opened => return Ok(opened?),
            }
        }
    }

    fn is_a_file(&self) -> anyhow::Error {
        anyhow!("`{}` is a file; `--data` takes a folder", self.data.display())
    }

    /// An error of opening, with what to do about it.
    pub fn explain(&self, error: Error) -> anyhow::Error {
        let (data, name) = (self.data.display(), &self.plane);
        match error {
            Error::Io { .. } if self.data.is_file() => self.is_a_file(),
            Error::Missing(path) if self.stranger().is_some() => Error::Foreign {
                path,
                reason: format!("it has `{}` and no MANIFEST", self.stranger().unwrap_or_default()),
            }
            .into(),
            Error::Missing(_) if !self.data.exists() => anyhow!(
                "there is no log: the folder `{data}` does not exist; `sanctum append` makes one, `--data DIR` \
                 names another"
            ),
            Error::Missing(_) => match self.others() {
                planes if planes.is_empty() => anyhow!(
                    "there is no log in the folder `{data}`; `sanctum append` makes one, `--data DIR` names another"
                ),
                planes => anyhow!(
                    "there is no plane `{name}` in `{data}`, which has {}; `sanctum append --plane {name}` makes it",
                    planes.join(", ")
                ),
            },
            Error::Locked { path, holder } => anyhow!(
                "`{}` is open in another process ({}), for more than {} s; reading is possible meanwhile, \
                 writing is not",
                path.display(),
                holder.trim_end(),
                LOCK_WAIT_MS / 1_000
            ),
            error => error.into(),
        }
    }

    /// Something in the plane's folder that a log would not be beside, were it one.
    fn stranger(&self) -> Option<String> {
        let names =
            fs::read_dir(self.folder()).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let own = |name: &std::ffi::OsString| ["LOCK", "blobs", "projections"].iter().any(|own| name == own);
        names.filter(|name| !own(name)).map(|name| name.to_string_lossy().into_owned()).min()
    }

    /// The planes that there are, by name.
    fn others(&self) -> Vec<String> {
        let entries = fs::read_dir(self.data.join("planes")).into_iter().flatten().flatten();
        let planes = entries.filter(|entry| entry.path().join(manifest::NAME).is_file());
        let mut names: Vec<String> =
            planes.map(|entry| format!("`{}`", entry.file_name().to_string_lossy())).collect();
        names.sort();
        names
    }
}

fn options(durability: Durability) -> Options {
    Options { durability, ..Options::new(now_ms) }
}

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    Clock::System.now_ms()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        assert!(parse_name("main").is_ok() && parse_name("eu-1.shop_2").is_ok());
        for name in ["", ".", "..", "a/b", "a b", "ä", &"a".repeat(65)] {
            assert!(parse_name(name).is_err(), "{name}");
        }
    }
}
