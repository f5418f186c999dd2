//! One connection: HTTP/1.1, with bounds on what a head may have and on how long it may take.

use std::sync::Arc;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;

use super::patience::Patient;
use super::{Server, routes};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Who may use the Unix socket: the owner of the data.
    Owner,
    /// Somebody by TCP.
    Network,
}

/// What a connection needs.
#[derive(Clone, Debug)]
pub struct Serving {
    server: Arc<Server>,
    /// The routes as the owner has them, and as the network has them.
    routers: [Router; 2],
}

impl Serving {
    /// Makes the routes.
    #[must_use]
    pub fn new(server: &Arc<Server>) -> Self {
        let routers = [Peer::Owner, Peer::Network].map(|peer| routes::router(server, peer));
        Self { server: server.clone(), routers }
    }

    /// With one router for all.
    #[must_use]
    pub fn over(server: &Arc<Server>, router: Router) -> Self {
        Self { server: server.clone(), routers: [router.clone(), router] }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Serves a connection to its end. When the server is to stop, the request at hand is the last one.
    pub async fn connection<S>(self, stream: S, peer: Peer, place: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { server, routers: [owner, network] } = self;
        let router = if peer == Peer::Owner { owner } else { network };
        let limits = server.limits;
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_headers(limits.headers)
            .max_buf_size(limits.head_bytes.max(8 << 10));
        server.metrics.connection(1);
        let connection = builder
            .serve_connection(TokioIo::new(Patient::new(stream, &server)), TowerToHyperService::new(router));
        tokio::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = server.stopped() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection ended badly");
        }
        server.metrics.connection(-1);
        drop(place);
    }
}
