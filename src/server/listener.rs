//! Where connections come from: the Unix socket, which the folder's owner alone may use, and TCP.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as Probe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

use super::connection::{Peer, Serving};
use super::socket::SocketPath;
use super::tls::Tls;
use super::{Error, Options};

/// How long accepting rests after an error, such as too many open files.
const REST: Duration = Duration::from_millis(100);

/// What is listened on.
#[derive(Debug)]
pub struct Listeners {
    unix: UnixListener,
    path: PathBuf,
    tcp: Option<(TcpListener, SocketAddr)>,
    tls: Option<Tls>,
    web: Option<(TcpListener, SocketAddr)>,
}

/// Opens the sockets.
///
/// # Errors
/// A socket that somebody else listens on, a file that is no socket, an address that cannot be had or that others
/// reach.
pub fn open(options: &Options) -> Result<Listeners, Error> {
    let tcp = options.listen.map(listen).transpose()?;
    let web = options.web.as_ref().map(|web| web.check().and_then(|()| listen(web.listen))).transpose()?;
    let path = options.socket.clone();
    Ok(Listeners { unix: bind(&path)?, path, tcp, tls: options.tls.clone(), web })
}

/// Refuses an address that other machines reach, unless what keeps it safe is there.
///
/// # Errors
/// [`Error::Exposed`].
pub fn check(address: SocketAddr, has_tokens: bool, has_tls: bool) -> Result<(), Error> {
    let missing = match (has_tokens, has_tls) {
        _ if address.ip().is_loopback() => return Ok(()),
        (true, true) => return Ok(()),
        (false, true) => "a token (`sanctum token add`)",
        (true, false) => "TLS (`--tls-cert` and `--tls-key`)",
        (false, false) => "a token (`sanctum token add`) and TLS (`--tls-cert` and `--tls-key`)",
    };
    Err(Error::Exposed { address, missing })
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { address: address.to_string(), source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = TcpListener::from_std(listener).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Binds the socket; one that nobody listens on any more is replaced.
fn bind(path: &Path) -> Result<UnixListener, Error> {
    let failed = |source| Error::Socket { path: path.to_owned(), source };
    let address = SocketPath::of(path);
    match fs::symlink_metadata(path) {
        Ok(about) if !about.file_type().is_socket() => return Err(Error::NoSocket(path.to_owned())),
        Ok(_) if Probe::connect(&address).is_ok() => return Err(Error::InUse(path.to_owned())),
        Ok(_) => fs::remove_file(path).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    // From its first moment on nobody else may use it.
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(&address);
    umask(before);
    let listener = bound.map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

impl Listeners {
    /// What is listened on, as a client writes it.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let unix = self.path.display().to_string();
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let tcp = self.tcp.as_ref().map(|(_, address)| format!("{scheme}://{address}"));
        let web = self.web.as_ref().map(|(_, address)| format!("http://{address}"));
        [unix].into_iter().chain(tcp).chain(web).collect()
    }

    /// Takes connections until the server is to stop; `web` is what answers those of the public face. `places` are how
    /// many there may be.
    pub async fn accept(self, serving: Serving, web: Option<Serving>, places: Arc<Semaphore>) {
        let server = serving.server().clone();
        let unix = accept_unix(&self.unix, &serving, &places);
        let tcp = async {
            match &self.tcp {
                Some((listener, _)) => accept_tcp(listener, self.tls.as_ref(), &serving, &places).await,
                None => std::future::pending().await,
            }
        };
        let face = async {
            match (&self.web, &web) {
                (Some((listener, _)), Some(web)) => accept_web(listener, web, &places).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = unix => {}
            () = tcp => {}
            () = face => {}
            () = server.stopped() => {}
        }
        // Who comes from now on is to find nobody, rather than wait.
        let _gone_already = fs::remove_file(&self.path);
    }
}

async fn accept_unix(listener: &UnixListener, serving: &Serving, places: &Arc<Semaphore>) {
    loop {
        // The semaphore is never closed.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serving.clone().connection(stream, Peer::Owner, place))),
            Err(error) => rest(&error).await,
        }
    }
}

async fn accept_tcp(listener: &TcpListener, tls: Option<&Tls>, serving: &Serving, places: &Arc<Semaphore>) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and waited for.
                let _ = stream.set_nodelay(true);
                let serving = serving.clone();
                drop(match tls.cloned() {
                    None => tokio::spawn(serving.connection(stream, Peer::Network, place)),
                    Some(tls) => tokio::spawn(async move {
                        let patience = serving.server().limits.head;
                        if let Some(stream) = tls.accept(stream, patience).await {
                            serving.connection(stream, Peer::Network, place).await;
                        }
                    }),
                });
            }
            Err(error) => rest(&error).await,
        }
    }
}

/// As [`accept_tcp`], for the public face, which has a share of the places alone.
async fn accept_web(listener: &TcpListener, serving: &Serving, places: &Arc<Semaphore>) {
    let share = Arc::new(Semaphore::new(serving.server().limits.web_connections));
    loop {
        let Ok(own) = share.clone().acquire_owned().await else { return };
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                let connection = serving.clone().connection(stream, Peer::Network, place);
                drop(tokio::spawn(async move {
                    connection.await;
                    drop(own);
                }));
            }
            Err(error) => rest(&error).await,
        }
    }
}

async fn rest(error: &io::Error) {
    tracing::warn!(%error, "a connection was not accepted");
    tokio::time::sleep(REST).await;
}
