//! What the program tells of itself: on standard error nothing, unless `SANCTUM_LOG` or a log format asks for it; and
//! spans to whom a server sends them.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use super::{console, usage};
use crate::server::telemetry::{self, SpanLayer};

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// What is to be written, once it begins.
pub struct Journal(Option<SpanLayer>);

impl Journal {
    /// What `SANCTUM_LOG` names, or, where only a format is asked for, all from the level info on. The format is `asked`,
    /// else that of `SANCTUM_LOG_FORMAT`, else text.
    pub fn asked(asked: Option<LogFormat>) -> anyhow::Result<Self> {
        let format = match (asked, std::env::var("SANCTUM_LOG_FORMAT").ok().as_deref()) {
            (Some(format), _) => Some(format),
            (None, None | Some("")) => None,
            (None, Some("text")) => Some(LogFormat::Text),
            (None, Some("json")) => Some(LogFormat::Json),
            (None, Some(other)) => {
                return Err(usage(format!("SANCTUM_LOG_FORMAT is `{other}`; it is text or json")));
            }
        };
        let filter = match std::env::var_os("SANCTUM_LOG") {
            Some(_) => EnvFilter::from_env("SANCTUM_LOG"),
            None if format.is_some() => EnvFilter::new("info"),
            None => return Ok(Self(None)),
        };
        let lines = fmt::layer().with_writer(io::stderr);
        let lines: SpanLayer = match format {
            Some(LogFormat::Json) => lines.json().flatten_event(true).boxed(),
            Some(LogFormat::Text) | None => lines.with_ansi(console::colour_of_stderr()).boxed(),
        };
        // Spans are for a collector: here they would stand before every line.
        let is_line = filter_fn(|metadata| metadata.target() != telemetry::TARGET);
        let is_line = is_line.with_max_level_hint(LevelFilter::TRACE);
        Ok(Self(Some(lines.with_filter(filter.and(is_line)).boxed())))
    }

    /// Begins to write, and to give spans to a layer.
    pub fn begin(self, spans: Option<SpanLayer>) {
        let layers: Vec<_> = self.0.into_iter().chain(spans).collect();
        if !layers.is_empty() {
            // A second subscriber in one process is left out: the first one traces.
            let _second = registry().with(layers).try_init();
        }
    }
}
