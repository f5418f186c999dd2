//! Who has a plane open to write: what its lock file says.
//!
//! A server says there since when it serves, and on which socket, so that a command finds it wherever the socket is. A
//! lock file outlives who wrote it: only one that is locked counts.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::disk::RealDisk;
use crate::log::file::holder;

/// The lock file of a plane.
const LOCK: &str = "LOCK";
/// What comes before the socket, which is the rest.
const SOCKET: &str = ", socket ";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// In words: the process, and of a server since when it serves.
    pub who: String,
    /// Where it listens.
    pub socket: PathBuf,
}

/// What a server has the lock file say, after the number of its process. `since`: the time, in words.
#[must_use]
pub fn note(since: &str, socket: &Path) -> String {
    let socket = std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
    format!(", `sanctum serve` since {since}{SOCKET}{}", socket.display())
}

impl Holder {
    /// The server that has a plane open, if one has.
    #[must_use]
    pub fn of(folder: &Path) -> Option<Self> {
        let path = folder.join(LOCK);
        let file = File::open(&path).ok()?;
        let found = Self::parse(&holder(&RealDisk, &path))?;
        // Who locks it in this moment tries again.
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then_some(found)
    }

    fn parse(text: &str) -> Option<Self> {
        let (who, socket) = text.split_once(SOCKET)?;
        Some(Self { who: who.to_owned(), socket: socket.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_by_what_it_says() {
        let text = format!("process 7{}", note("2026-01-31", Path::new("/a, b/c.sock")));
        let found = Holder::parse(&text).unwrap();
        assert_eq!(found.who, "process 7, `sanctum serve` since 2026-01-31");
        assert_eq!(found.socket, Path::new("/a, b/c.sock"));
        assert_eq!(Holder::parse("process 7"), None);
    }

    #[test]
    fn a_lock_file_that_is_left_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK);
        std::fs::write(&path, format!("process 7{}", note("now", Path::new("/s")))).unwrap();
        assert_eq!(Holder::of(folder.path()), None);
        let file = File::open(&path).unwrap();
        file.try_lock().unwrap();
        assert_eq!(Holder::of(folder.path()).unwrap().socket, Path::new("/s"));
    }
}
