//! A log that a command has opened: the files, or the server that has them.

use std::ops::Deref;

use crate::log::{Error, FileLog, Log};
use crate::server::remote::RemoteLog;

/// See the module. It is used as a log, whichever it is.
pub enum Handle {
    /// The files, open in this process.
    Own(Box<FileLog>),
    /// A server has them open.
    Served(Box<RemoteLog>),
}

impl Deref for Handle {
    type Target = dyn Log;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Own(log) => &**log,
            Self::Served(log) => &**log,
        }
    }
}

impl Handle {
    /// Makes everything durable that this process wrote, and lets go.
    pub fn close(self) -> Result<(), Error> {
        match self {
            Self::Own(log) => log.close(),
            // The server did, before it acknowledged.
            Self::Served(_) => Ok(()),
        }
    }
}
