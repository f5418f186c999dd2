//! A log that is poked at while it lives: HTTP over a Unix socket and TCP.
//!
//! This is the only home of async code. A request is taken by [`listener`] and [`connection`], led to its place in
//! the one table of routes ([`routes::ROUTES`]), which also makes the OpenAPI document, and answered by a handler that
//! is given a [`Call`](call::Call). What blocks never runs on a thread that serves sockets: appends go to the one
//! thread of a plane ([`appender`]), which makes all that waits durable by one sync, but for small ones that wait for no
//! sync; scans go to threads for blocking
//! work, a page at a time, so that a slow reader holds no thread and no more memory than a page.
//!
//! Invariants. Nothing is acknowledged before it is as durable as configured. A request is refused for its size before
//! memory is taken for it. A refusal is a [`Problem`](problem::Problem) with a stable code.
//!
//! An engine that runs on the planes lives beside the sockets: see [`Resident`].

pub mod access;
pub mod appender;
pub mod body;
pub mod call;
pub mod client;
pub mod compaction;
pub mod connection;
mod entry;
mod error;
pub mod exec;
pub mod holder;
pub mod limits;
pub mod lines;
pub mod listener;
pub mod media;
pub mod metrics;
pub mod openapi;
mod outcome;
mod parts;
mod patience;
pub mod plane;
pub mod printer;
pub mod problem;
pub mod projections;
pub mod reading;
pub mod registry;
pub mod remote;
pub mod routes;
pub mod socket;
pub mod stdout;
mod stop;
mod stream;
pub mod tail;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod web;
pub mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

pub use error::Error;
pub use limits::Limits;
pub use plane::Plane;

use self::connection::Serving;
use self::exec::Commands;
use self::metrics::Metrics;
use self::projections::Projections;
use self::registry::Registry;
use self::telemetry::queue::Tally;
use self::tls::Tls;
use self::token::Keyring;
use self::web::Web;
use self::web::waiting::{Dispatcher, Waiting};

/// Threads for blocking work.
const BLOCKING_THREADS: usize = 64;

/// Threads that serve sockets: half of the processors. Of two that wait for the same few requests one wakes the other for
/// nothing; and the rest has appends, reads and spells to work on.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

/// How a server is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its Unix socket.
    pub socket: PathBuf,
    /// Its TCP address, if any.
    pub listen: Option<SocketAddr>,
    /// What its TCP connections are encrypted with.
    pub tls: Option<Tls>,
    /// Its public face, if any.
    pub web: Option<web::Options>,
    /// Programs that requests may start and stop.
    pub commands: Commands,
    /// What requests may take.
    pub limits: Limits,
    /// Projections: files, and folders of them.
    pub projections: Vec<PathBuf>,
    /// What became of the spans that a collector is sent, if there is one.
    pub spans: Option<Arc<Tally>>,
    /// How long requests may go on once it is to stop, in milliseconds.
    pub stop_ms: u64,
}

/// Something that lives while the server serves, such as an engine that runs spells on the planes' logs.
///
/// It is started when the sockets are open, and told to stop once no request is served any more: what was acknowledged
/// may still be worked on. It has threads of its own.
pub trait Resident: Send {
    /// Starts it.
    fn start(&mut self, planes: &BTreeMap<String, Arc<Plane>>) -> Result<(), Error>;

    /// Stops it: returns when it lets go of the planes.
    fn stop(&mut self);

    /// Where requests reach it, if it runs spells.
    fn registry(&self) -> Option<Arc<dyn Registry>> {
        None
    }
}

/// What requests share.
#[derive(Debug)]
pub struct Server {
    /// The planes, by name.
    pub planes: BTreeMap<String, Arc<Plane>>,
    /// What requests may take.
    pub limits: Limits,
    /// Who may do what by TCP; without it whoever reaches an address of this machine.
    pub keyring: Option<Keyring>,
    /// What the planes are folded into.
    pub projections: Projections,
    /// Whether the network may do nothing without a token, even while there are none.
    pub needs_tokens: bool,
    /// Who runs the spells.
    pub registry: Option<Arc<dyn Registry>>,
    /// Programs that requests may start and stop.
    pub commands: Commands,
    /// What was counted.
    pub metrics: Metrics,
    /// What became of the spans that a collector is sent, if there is one.
    pub spans: Option<Arc<Tally>>,
    /// Bytes of bodies that may still be taken into memory.
    room: Arc<Semaphore>,
    /// Transfers of large content that may still begin.
    transfers: Arc<Semaphore>,
    /// True once the server is to stop.
    stopping: watch::Sender<bool>,
}

impl Server {
    /// Serves planes. Nothing happens yet.
    #[must_use]
    pub fn new(planes: Vec<Plane>, keyring: Option<Keyring>, limits: Limits) -> Self {
        let planes = planes.into_iter().map(|plane| (plane.name().to_owned(), Arc::new(plane))).collect();
        Self {
            planes,
            keyring,
            projections: Projections::default(),
            needs_tokens: false,
            registry: None,
            commands: Commands::default(),
            metrics: Metrics::default(),
            spans: None,
            room: Arc::new(Semaphore::new(limits.bodies_bytes)),
            transfers: Arc::new(Semaphore::new(limits.transfers)),
            stopping: watch::Sender::new(false),
            limits,
        }
    }

    /// A plane that is served.
    ///
    /// # Errors
    /// [`Error::NoPlane`].
    pub fn plane(&self, name: &str) -> Result<&Arc<Plane>, Error> {
        plane_of(&self.planes, name)
    }

    /// Whether it is to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Completes once it is to stop.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives as long as `self`.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

/// A plane that is served.
fn plane_of<'a>(planes: &'a BTreeMap<String, Arc<Plane>>, name: &str) -> Result<&'a Arc<Plane>, Error> {
    planes.get(name).ok_or_else(|| Error::NoPlane {
        plane: name.to_owned(),
        known: planes.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    })
}

/// Serves planes until a signal to stop (SIGTERM, SIGINT); then finishes the requests at hand and closes the logs.
///
/// `ready` is called with what it listens on, once it does.
///
/// # Errors
/// Sockets that cannot be opened, and logs that cannot be closed.
pub fn run(
    planes: Vec<Plane>,
    keyring: Option<Keyring>,
    options: &Options,
    mut residents: Vec<Box<dyn Resident>>,
    ready: impl FnOnce(&[String]),
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let mut server = Server::new(planes, keyring, options.limits);
    server.registry = residents.iter().find_map(|resident| resident.registry());
    server.projections = Projections::new(options.projections.clone());
    server.needs_tokens = options.listen.is_some_and(|address| !address.ip().is_loopback());
    server.commands = options.commands.clone();
    server.spans = options.spans.clone();
    let server = Arc::new(server);
    let waiting = Arc::new(Waiting::new(options.limits.answers));
    let mut dispatcher = None;
    let served = runtime.block_on(async {
        // Who has read that it listens may end it.
        let signals = stop::Signals::new()?;
        let listeners = listener::open(options)?;
        let mut face = None;
        if let Some(web) = &options.web {
            dispatcher = Some(Dispatcher::start(&waiting, server.plane(&web.plane)?.log())?);
            face = Some(Serving::over(&server, Web::new(&server, &waiting, web)?.router()));
        }
        for resident in &mut residents {
            resident.start(&server.planes)?;
        }
        ready(&listeners.names());
        stop::serve(&server, listeners, face, signals, options.stop_ms).await;
        Ok(())
    });
    drop(dispatcher);
    stdout::stop();
    residents.iter_mut().rev().for_each(|resident| resident.stop());
    drop(residents);
    // Tasks that did not come to their end within the deadline are ended now.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let closed = close(server);
    served.and(closed)
}

/// Closes the logs of a server that serves no more.
fn close(server: Arc<Server>) -> Result<(), Error> {
    let Some(server) = Arc::into_inner(server) else { return Ok(()) };
    let mut result = Ok(());
    for (_, plane) in server.planes {
        // What still holds a plane lets go of it with the process; dropping a log closes it too.
        if let Some(plane) = Arc::into_inner(plane) {
            result = result.and(plane.close());
        }
    }
    result
}
