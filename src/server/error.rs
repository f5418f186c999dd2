//! Why a server does not serve.

use std::io;
use std::path::PathBuf;

use crate::log;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system gives no threads or timers.
    #[error("cannot start the threads of the server: {0}")]
    Runtime(io::Error),
    /// A socket.
    #[error("cannot listen on the socket `{}`: {source}", path.display())]
    Socket {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A socket that somebody listens on.
    #[error("another process listens on the socket `{}`: stop it, or name another one by `--socket`", .0.display())]
    InUse(PathBuf),
    /// Something else is where the socket should be.
    #[error("`{}` is no socket: name another file by `--socket`", .0.display())]
    NoSocket(PathBuf),
    /// An address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// An address that others reach.
    #[error(
        "{address} is reached from other machines: that needs {missing}; without them `--listen` takes an address of \
         this machine alone, such as 127.0.0.1:{}", address.port()
    )]
    Exposed {
        /// The address.
        address: std::net::SocketAddr,
        /// What is not configured.
        missing: &'static str,
    },
    /// An address of the public face that others reach, and that was not said to be public.
    #[error(
        "{address} is reached from other machines, and `--http` asks nobody for a token: say `--http-public` if that \
         is meant, or take an address of this machine, such as 127.0.0.1:{}", address.port()
    )]
    ExposedWeb {
        /// The address.
        address: std::net::SocketAddr,
    },
    /// A plane that is not served.
    #[error("the plane `{plane}` is not served; served are {known}")]
    NoPlane {
        /// Its name.
        plane: String,
        /// Those that are.
        known: String,
    },
    /// A folder of files.
    #[error("cannot serve files of `{}`: {source}", path.display())]
    Files {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate or a key.
    #[error("cannot use `{}` for TLS: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Tokens that cannot be read.
    #[error(transparent)]
    Token(#[from] super::token::TokenError),
    /// Signals cannot be heard.
    #[error("cannot hear signals: {0}")]
    Signals(io::Error),
    /// A log that could not be closed.
    #[error("the log of plane `{plane}` was not closed well: {source}")]
    Close {
        /// The plane.
        plane: String,
        /// Why.
        source: log::Error,
    },
    /// Spans cannot be sent.
    #[error("cannot send spans to a collector: {0}; look at the variables `OTEL_…` of the environment")]
    Telemetry(String),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// An engine, or something else that lives beside the sockets, did not start.
    #[error("{0}")]
    Resident(String),
}
