//! The other end of the Unix socket: a client for commands, which are not async.
//!
//! A [`Client`] holds one connection and a runtime of its own on the calling thread; requests follow one another on
//! it. Bodies stream in both directions: neither is ever whole in memory. A connection that the server has closed
//! meanwhile is opened anew before a request, never after one: whether a request is repeated is up to the caller.

use std::io::{self, Cursor, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use super::socket::SocketPath;

/// What the server is called where a name is needed.
const NAME: &str = "sanctum";
/// A piece of a body that is sent.
const PIECE_BYTES: usize = 64 << 10;
/// The longest answer that is taken into memory at once, such as a problem or a receipt.
const TEXT_BYTES_MAX: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens: there is no socket, or the server that made it is gone.
    #[error("no server listens on `{}`: {source}", path.display())]
    NoServer {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gives no sockets or timers.
    #[error("cannot speak to a server: {0}")]
    Runtime(io::Error),
    /// It broke off.
    #[error("the server did not answer: {0}")]
    Broken(#[from] hyper::Error),
    /// A request that cannot be written, such as a path with a space in it.
    #[error("cannot ask that of a server: {0}")]
    Request(#[from] hyper::http::Error),
    /// An answer that could not be read to its end.
    #[error("the answer of the server broke off: {0}")]
    Answer(io::Error),
}

/// See the module.
pub struct Client {
    runtime: Arc<Runtime>,
    path: PathBuf,
    connection: Connection,
}

/// One connection.
struct Connection {
    sender: SendRequest<Upload>,
    /// The same socket, to see whether the server has closed it.
    probe: OwnedFd,
}

impl Connection {
    /// Whether it is of no use any more. What can be read where nothing was asked is its end.
    fn is_closed(&self) -> bool {
        let mut files = [PollFd::new(&self.probe, PollFlags::IN)];
        self.sender.is_closed() || poll(&mut files, Some(&Timespec::default())) != Ok(0)
    }
}

impl Client {
    /// Connects to the server that listens on a socket.
    ///
    /// # Errors
    /// [`ClientError::NoServer`], [`ClientError::Runtime`].
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(ClientError::Runtime)?;
        let connection = runtime.block_on(open(path))?;
        Ok(Self { runtime: Arc::new(runtime), path: path.to_owned(), connection })
    }

    /// Asks, and waits for the head of the answer. The body of the answer before is no longer to be read then.
    ///
    /// # Errors
    /// [`ClientError`], of which only [`ClientError::NoServer`] says that the server has not seen the request.
    pub fn request(
        &mut self,
        method: Method,
        path_and_query: &str,
        headers: &HeaderMap,
        body: Upload,
    ) -> Result<Response, ClientError> {
        let mut request = Request::builder().method(method).uri(path_and_query).body(body)?;
        request.headers_mut().extend(headers.clone());
        request.headers_mut().insert(HOST, HeaderValue::from_static(NAME));
        let answer = self.runtime.clone().block_on(async {
            if self.connection.is_closed() || self.connection.sender.ready().await.is_err() {
                self.connection = open(&self.path).await?;
                self.connection.sender.ready().await?;
            }
            Ok::<_, ClientError>(self.connection.sender.send_request(request).await?)
        })?;
        let (head, incoming) = answer.into_parts();
        let body = Download { runtime: self.runtime.clone(), incoming, piece: Bytes::new() };
        Ok(Response { status: head.status, headers: head.headers, body })
    }
}

/// Opens a connection, which the runtime drives whenever it waits for something.
async fn open(path: &Path) -> Result<Connection, ClientError> {
    let missing = |source| ClientError::NoServer { path: path.to_owned(), source };
    let address = SocketPath::of(path);
    let stream = UnixStream::connect(&address).await.map_err(missing)?;
    let probe = stream.as_fd().try_clone_to_owned().map_err(ClientError::Runtime)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    drop(tokio::spawn(connection));
    Ok(Connection { sender, probe })
}

/// What a request carries.
pub struct Upload {
    source: Box<dyn Read + Send>,
    left: Option<u64>,
}

impl Upload {
    /// Nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::bytes(Vec::new())
    }

    /// These bytes.
    #[must_use]
    pub fn bytes(bytes: Vec<u8>) -> Self {
        let left = Some(bytes.len() as u64);
        Self { source: Box::new(Cursor::new(bytes)), left }
    }

    /// All that a reader gives, piece by piece. While it waits nothing else is done.
    #[must_use]
    pub fn reader(source: impl Read + Send + 'static) -> Self {
        Self { source: Box::new(source), left: None }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        let mut piece = Vec::new();
        let read = self.source.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece);
        Poll::Ready(match read {
            Err(error) => Some(Err(error)),
            Ok(0) => None,
            Ok(count) => {
                self.left = self.left.map(|left| left.saturating_sub(count as u64));
                Some(Ok(Frame::data(piece.into())))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// An answer, whose body is still to be read.
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Download,
}

impl Response {
    /// The whole body as text, of at most 64 MiB.
    ///
    /// # Errors
    /// [`ClientError::Answer`].
    pub fn text(self) -> Result<String, ClientError> {
        let mut text = String::new();
        self.body.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text).map_err(ClientError::Answer)?;
        if text.len() as u64 > TEXT_BYTES_MAX {
            return Err(ClientError::Answer(io::Error::other("it is longer than 64 MiB")));
        }
        Ok(text)
    }

    /// The whole body as JSON; null where it is none.
    ///
    /// # Errors
    /// [`ClientError::Answer`].
    pub fn json(self) -> Result<Value, ClientError> {
        Ok(serde_json::from_str(&self.text()?).unwrap_or_default())
    }
}

/// The body of an answer, as it comes.
pub struct Download {
    runtime: Arc<Runtime>,
    incoming: Incoming,
    piece: Bytes,
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.runtime.block_on(self.incoming.frame()) {
                None => return Ok(0),
                Some(Err(error)) => return Err(io::Error::other(error)),
                Some(Ok(frame)) => self.piece = frame.into_data().unwrap_or_default(),
            }
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}
