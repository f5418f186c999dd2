//! What those who run a server as a service want: to be told that it is ready, and to ask whether it is.

use std::env;
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::server::socket::SocketPath;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells the service manager that started this process, if one did, that it is ready (`sd_notify`).
pub fn tell_ready() {
    let Ok(name) = env::var("NOTIFY_SOCKET") else { return };
    if let Err(error) = notify(&name) {
        tracing::warn!(%error, name, "the service manager was not told");
    }
}

fn notify(name: &str) -> io::Result<()> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(drop)
}

/// An error unless a server listens on the socket and takes appends.
pub fn check(socket: &Path) -> anyhow::Result<()> {
    let mut answer = String::new();
    let address = SocketPath::of(socket);
    let asked = UnixStream::connect(&address).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        stream.take(64 << 10).read_to_string(&mut answer)
    });
    asked.with_context(|| format!("no server answers on the socket `{}`", socket.display()))?;
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    let body = answer.split_once("\r\n\r\n").map_or(answer.as_str(), |(_, body)| body);
    bail!("the server is not ready: {}", body.trim())
}
