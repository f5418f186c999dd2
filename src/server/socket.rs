//! The path of a Unix socket, of which the system takes 107 bytes at most.
//!
//! A longer one is named by its folder, which is held open: `/proc/self/fd/7/sanctum.sock`. So a server is found wherever
//! its folder is, also from another folder than the one that it was started in.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Bytes that the system takes, without the NUL at their end.
const BYTES_MAX: usize = 107;

/// See the module. To be kept until the socket is bound or connected.
#[derive(Debug)]
pub struct SocketPath {
    path: PathBuf,
    _folder: Option<File>,
}

impl SocketPath {
    /// A path that the system takes, where there is one.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let is_long = path.as_os_str().as_bytes().len() > BYTES_MAX;
        let found = if is_long { Self::by_folder(path) } else { None };
        // What is wrong with it the system says.
        found.unwrap_or_else(|| Self { path: path.to_owned(), _folder: None })
    }

    fn by_folder(path: &Path) -> Option<Self> {
        let (folder, name) = (path.parent()?, path.file_name()?);
        let folder = File::open(folder).ok()?;
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Some(Self { path, _folder: Some(folder) })
    }
}

impl AsRef<Path> for SocketPath {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}
