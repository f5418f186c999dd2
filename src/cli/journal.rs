//! What the program tells of itself on standard error: nothing, unless `SANCTUM_LOG` or a log format asks for it.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use super::{console, usage};

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Begins to trace what `SANCTUM_LOG` names, or, where only a format is asked for, all from the level info on. The format
/// is `asked`, else that of `SANCTUM_LOG_FORMAT`, else text.
pub fn begin(asked: Option<LogFormat>) -> anyhow::Result<()> {
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
        None => return Ok(()),
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A second subscriber in one process is left out: the first one traces.
    let _second = match format {
        Some(LogFormat::Json) => subscriber.json().flatten_event(true).finish().try_init(),
        Some(LogFormat::Text) | None => subscriber.with_ansi(console::colour_of_stderr()).finish().try_init(),
    };
    Ok(())
}
