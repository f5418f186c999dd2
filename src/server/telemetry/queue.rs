//! Spans on their way to the collector: how many may wait, and what became of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

/// Spans that wait or are under way at most.
pub const WAITING_MAX: usize = 4_096;
/// Spans that are sent at a time at most.
const BATCH_MAX: usize = 512;
/// How long a smaller batch waits for more.
const DELAY: Duration = Duration::from_secs(1);

/// What became of the spans.
#[derive(Debug, Default)]
pub struct Tally {
    waiting: AtomicUsize,
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Tally {
    /// Spans that the collector took.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Spans that found no place, or that the collector did not take.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Takes a place; false where there is none, and the span is lost.
    fn enter(&self) -> bool {
        let has_place = self.waiting.fetch_add(1, Relaxed) < WAITING_MAX;
        if !has_place {
            self.waiting.fetch_sub(1, Relaxed);
            self.dropped.fetch_add(1, Relaxed);
        }
        has_place
    }

    fn leave(&self, count: usize, is_sent: bool) {
        self.waiting.fetch_sub(count, Relaxed);
        let counter = if is_sent { &self.sent } else { &self.dropped };
        counter.fetch_add(count as u64, Relaxed);
    }
}

/// The batches of OpenTelemetry, which it fills on any thread and sends on its own, behind a count of places.
#[derive(Debug)]
pub struct Counted {
    batches: BatchSpanProcessor,
    tally: Arc<Tally>,
}

impl Counted {
    /// Sends by `told`.
    #[must_use]
    pub fn new(told: Told, tally: Arc<Tally>) -> Self {
        // As many places as are given away here: it never drops one that is counted as waiting.
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(DELAY)
            .build();
        let batches = BatchSpanProcessor::builder(told).with_batch_config(config).build();
        Self { batches, tally }
    }
}

impl SpanProcessor for Counted {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.tally.enter() {
            self.batches.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Sends batches, counts them, and tells in the log when that begins to fail and when it works again.
#[derive(Debug)]
pub struct Told {
    otlp: Otlp,
    endpoint: String,
    tally: Arc<Tally>,
    is_failing: AtomicBool,
}

impl Told {
    /// Sends by `otlp`, which sends to `endpoint`.
    #[must_use]
    pub fn new(otlp: Otlp, endpoint: &str, tally: Arc<Tally>) -> Self {
        Self { otlp, endpoint: endpoint.to_owned(), tally, is_failing: AtomicBool::new(false) }
    }
}

impl SpanExporter for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.otlp.export(batch).await;
        self.tally.leave(count, result.is_ok());
        let was_failing = self.is_failing.swap(result.is_err(), Relaxed);
        let collector = &self.endpoint;
        match &result {
            Err(error) if !was_failing => {
                tracing::warn!(%error, collector, "the collector takes no spans: they are dropped until it does");
            }
            Ok(()) if was_failing => tracing::info!(collector, "the collector takes spans again"),
            _ => {}
        }
        result
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.otlp.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_what_finds_none_is_counted() {
        let tally = Tally::default();
        assert!((0..WAITING_MAX).all(|_| tally.enter()));
        assert!(!tally.enter() && !tally.enter());
        tally.leave(10, true);
        tally.leave(5, false);
        assert_eq!((0..20).filter(|_| tally.enter()).count(), 15);
        assert_eq!((tally.sent(), tally.dropped()), (10, 2 + 5 + 5));
    }
}
