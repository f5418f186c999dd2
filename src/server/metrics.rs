//! What is counted, and Prometheus' text of it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::Server;
use super::routes::ROUTES;
use crate::log::Log;

/// Status classes, from 1xx to 5xx.
const CLASSES: usize = 5;

/// See the module.
#[derive(Debug)]
pub struct Metrics {
    /// Requests, by route and class of status.
    requests: Vec<[AtomicU64; CLASSES]>,
    connections: AtomicI64,
    readers: AtomicI64,
    appended: AtomicU64,
    conflicts: AtomicU64,
    /// Requests of the public face, by class of status.
    web: [AtomicU64; CLASSES],
    stalled: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: ROUTES.iter().map(|_| std::array::from_fn(|_| AtomicU64::new(0))).collect(),
            connections: AtomicI64::new(0),
            readers: AtomicI64::new(0),
            appended: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            web: std::array::from_fn(|_| AtomicU64::new(0)),
            stalled: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// A request of the route at that index was answered.
    pub fn request(&self, route: usize, status: u16) {
        if let Some(row) = self.requests.get(route) {
            row[class_of(status)].fetch_add(1, Relaxed);
        }
    }

    /// A request of the public face was answered.
    pub fn web(&self, status: u16) {
        self.web[class_of(status)].fetch_add(1, Relaxed);
    }

    /// So many connections more.
    pub fn connection(&self, more: i64) {
        self.connections.fetch_add(more, Relaxed);
    }

    /// So many readers more.
    pub fn reader(&self, more: i64) {
        self.readers.fetch_add(more, Relaxed);
    }

    /// So many energies were stored.
    pub fn appended(&self, events: usize) {
        self.appended.fetch_add(events as u64, Relaxed);
    }

    /// An append was refused by a condition.
    pub fn conflict(&self) {
        self.conflicts.fetch_add(1, Relaxed);
    }

    /// A connection was ended, for its client took nothing of an answer.
    pub fn stalled(&self) {
        self.stalled.fetch_add(1, Relaxed);
    }
}

/// Everything as Prometheus' text. Writing to memory cannot fail.
#[must_use]
pub fn text(server: &Server) -> String {
    let metrics = &server.metrics;
    let mut out = String::new();
    let head = |out: &mut String, name: &str, kind: &str, help: &str| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    };
    head(&mut out, "sanctum_http_requests_total", "counter", "Requests answered.");
    for (route, row) in ROUTES.iter().zip(&metrics.requests) {
        for (class, count) in row.iter().enumerate() {
            let count = count.load(Relaxed);
            if count > 0 {
                let (method, path, class) = (route.method, route.path, class + 1);
                let _ = writeln!(
                    out,
                    "sanctum_http_requests_total{{method=\"{method}\",route=\"{path}\",status=\"{class}xx\"}} {count}"
                );
            }
        }
    }
    head(&mut out, "sanctum_web_requests_total", "counter", "Requests of the public face answered.");
    for (class, count) in
        metrics.web.iter().enumerate().map(|(class, count)| (class + 1, count.load(Relaxed)))
    {
        if count > 0 {
            let _ = writeln!(out, "sanctum_web_requests_total{{status=\"{class}xx\"}} {count}");
        }
    }
    for (name, kind, help, value) in [
        ("sanctum_http_connections", "gauge", "Connections.", metrics.connections.load(Relaxed)),
        (
            "sanctum_readers",
            "gauge",
            "Answers of energies under way, followers among them.",
            metrics.readers.load(Relaxed),
        ),
        ("sanctum_appended_total", "counter", "Energies stored by requests.", count(&metrics.appended)),
        (
            "sanctum_append_conflicts_total",
            "counter",
            "Appends that a condition refused.",
            count(&metrics.conflicts),
        ),
        (
            "sanctum_stalled_connections_total",
            "counter",
            "Connections ended because their client took nothing of an answer.",
            count(&metrics.stalled),
        ),
    ] {
        head(&mut out, name, kind, help);
        let _ = writeln!(out, "{name} {value}");
    }
    if let Some(spans) = &server.spans {
        for (name, help, value) in [
            ("sanctum_spans_sent_total", "Spans that the collector took.", spans.sent()),
            ("sanctum_spans_dropped_total", "Spans that found no place, or were not taken.", spans.dropped()),
        ] {
            head(&mut out, name, "counter", help);
            let _ = writeln!(out, "{name} {value}");
        }
    }
    head(&mut out, "sanctum_log_head", "gauge", "The next position to be given.");
    for (name, plane) in &server.planes {
        let _ = writeln!(out, "sanctum_log_head{{plane=\"{name}\"}} {}", plane.log().head());
    }
    let name = "sanctum_ephemeral_dropped_total";
    head(&mut out, name, "counter", "Energies that are never stored which followers and spells missed.");
    for (plane_name, plane) in &server.planes {
        let _ = writeln!(out, "{name}{{plane=\"{plane_name}\"}} {}", plane.log().bus().dropped());
    }
    head(&mut out, "sanctum_append_queue", "gauge", "Commits that wait for the log.");
    for (name, plane) in &server.planes {
        let _ = writeln!(out, "sanctum_append_queue{{plane=\"{name}\"}} {}", plane.appender().waiting());
    }
    out
}

fn class_of(status: u16) -> usize {
    usize::from(status / 100).clamp(1, CLASSES) - 1
}

fn count(counter: &AtomicU64) -> i64 {
    i64::try_from(counter.load(Relaxed)).unwrap_or(i64::MAX)
}
