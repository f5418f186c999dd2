//! What batches of spans are sent with: a connection each, and bounds on time and on the answer.

use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

/// How long a batch may take, from the connection to the end of the answer.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Where a URL names no port.
const PORT: u16 = 80;

/// See the module.
#[derive(Debug)]
pub struct Collector;

#[async_trait]
impl HttpClient for Collector {
    /// Blocks: whoever sends spans has a thread for that.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            match tokio::time::timeout(PATIENCE, send(request)).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {} seconds", PATIENCE.as_secs()).into()),
            }
        });
        // A look-up of a name that still goes on is not waited for.
        runtime.shutdown_background();
        result
    }
}

async fn send(mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let uri = request.uri().clone();
    let authority = uri.authority().ok_or("the address has no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(PORT))).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    drop(tokio::spawn(connection));
    request.headers_mut().insert(HOST, HeaderValue::from_str(authority.as_str())?);
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = path.into();
    let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}
