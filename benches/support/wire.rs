//! A client that costs little: HTTP/1.1 kept alive, over TCP or a Unix socket, without a thread or a copy too many.

// Each benchmark uses a part of it.
#![allow(dead_code)]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Bytes that are asked of the system at once.
const READ_BYTES: usize = 256 << 10;

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Address {
    /// By TCP.
    Tcp(String),
    /// By a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// A connection.
    pub fn connect(&self) -> io::Result<Wire> {
        let socket: Box<dyn Socket> = match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Self::Unix(path) => Box::new(UnixStream::connect(path)?),
        };
        Ok(Wire { socket, buffer: vec![0; READ_BYTES], from: 0, to: 0 })
    }
}

/// What is read from and written to.
pub trait Socket: Read + Write + Send {}
impl<T: Read + Write + Send> Socket for T {}

/// A connection.
pub struct Wire {
    socket: Box<dyn Socket>,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

/// A request as bytes.
pub fn request(method: &str, path: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn broken(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

impl Wire {
    /// Sends a request and takes its answer, which has a length; gives the status.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.socket.write_all(request)?;
        let head = self.head()?;
        let mut left = head.len;
        while left > 0 {
            let taken = self.some()?.len().min(left);
            self.from += taken;
            left -= taken;
        }
        Ok(head.status)
    }

    /// The body of an answer that has a length.
    pub fn get(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self.socket.write_all(&request("GET", path, "*/*", b""))?;
        let mut left = self.head()?.len;
        let mut body = Vec::new();
        while left > 0 {
            let some = self.some()?;
            let taken = some.len().min(left);
            body.extend_from_slice(&some[..taken]);
            self.from += taken;
            left -= taken;
        }
        Ok(body)
    }

    /// Sends a request whose answer comes in chunks; they are taken by [`Wire::chunk`].
    pub fn begin(&mut self, request: &[u8]) -> io::Result<()> {
        self.socket.write_all(request)?;
        let head = self.head()?;
        if head.status == 200 && head.is_chunked { Ok(()) } else { Err(broken("no answer in chunks")) }
    }

    /// Hands each piece of a chunked body to `take`, until it says no or the body ends.
    pub fn chunks(&mut self, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        loop {
            let line = self.line()?;
            let text = std::str::from_utf8(&line).unwrap_or_default();
            let mut left = usize::from_str_radix(text, 16).map_err(|_| broken("no length of a chunk"))?;
            let is_last = left == 0;
            while left > 0 {
                let piece = self.some()?;
                let taken = piece.len().min(left);
                let goes_on = take(&piece[..taken]);
                self.from += taken;
                left -= taken;
                if !goes_on {
                    return Ok(());
                }
            }
            self.line()?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Bytes that have come: at least one.
    fn some(&mut self) -> io::Result<&[u8]> {
        if self.from == self.to {
            (self.from, self.to) = (0, self.socket.read(&mut self.buffer)?);
            if self.to == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(&self.buffer[self.from..self.to])
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let some = self.some()?;
            let end = some.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(some.len(), |end| end + 1);
            line.extend_from_slice(&some[..taken]);
            self.from += taken;
            if end.is_some() {
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
        }
    }

    fn head(&mut self) -> io::Result<Head> {
        let status = self.line()?;
        let status = status.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let mut head = Head { status: status.ok_or_else(|| broken("no status"))?, len: 0, is_chunked: false };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(head);
            }
            if let Some(len) = line.strip_prefix(b"content-length: ") {
                head.len = std::str::from_utf8(len).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
            }
            head.is_chunked |= line == b"transfer-encoding: chunked";
        }
    }
}

struct Head {
    status: u16,
    len: usize,
    is_chunked: bool,
}
