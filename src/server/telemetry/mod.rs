//! Spans of what the server does, sent to a collector: OTLP over HTTP, as JSON.
//!
//! Code that is worth a span opens one of `tracing` on the target [`TARGET`]; without a collector nobody listens there,
//! and it costs next to nothing. OpenTelemetry's own crates make them traces; ours is what bounds them ([`queue`]) and
//! what they are sent with ([`collector`]), on a thread of their own.
//!
//! Invariants. A collector that is away, slow or unkind holds up nobody and takes no more memory than
//! [`queue::WAITING_MAX`] spans: what finds no place is dropped, and counted. It is told in the log once until it works
//! again. Spans name routes, paths, planes and numbers; no query, no header, no energy.

pub mod collector;
pub mod queue;
pub mod span;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Layer, Registry};

use super::Error;
use collector::Collector;
use queue::{Counted, Tally, Told};

pub use crate::engine::summary::SPANS as TARGET;

/// How long the end of a server waits for the last spans to be taken.
const STOP: Duration = Duration::from_secs(2);

/// What hears of spans, for a subscriber.
pub type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// See the module. Dropped, it sends what it has, for two seconds at most.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
    tally: Arc<Tally>,
}

impl Telemetry {
    /// Starts to send spans to `endpoint`, such as `http://127.0.0.1:4318`, as those of the service `name`. Nobody needs to
    /// listen there yet.
    ///
    /// # Errors
    /// [`Error::Telemetry`]: variables of the environment that OpenTelemetry reads and does not take.
    pub fn start(endpoint: &str, name: &str) -> Result<Self, Error> {
        let tally = Arc::new(Tally::default());
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector)
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .with_timeout(collector::PATIENCE)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|error| Error::Telemetry(error.to_string()))?;
        let told = Told::new(exporter, endpoint, tally.clone());
        let provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name(name.to_owned()).build())
            .with_span_processor(Counted::new(told, tally.clone()))
            .build();
        Ok(Self { provider, tally })
    }

    /// What takes the spans of a subscriber, and nothing else of what it hears.
    #[must_use]
    pub fn layer(&self) -> SpanLayer {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("sanctum"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
            .boxed()
    }

    /// What became of the spans so far.
    #[must_use]
    pub fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // What the collector does not take now is lost, as it was told.
        let _ = self.provider.shutdown_with_timeout(STOP);
    }
}
