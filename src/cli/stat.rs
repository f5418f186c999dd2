//! `sanctum stat`: a log in numbers.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::plane::Plane;
use super::{DONE, console};
use crate::log::file::{Moment, Stat};

/// Print the log in numbers, as one JSON object
///
/// Energies, bytes on disk, segments, the next position (head), the oldest and the newest energy, energies by topic.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sanctum stat\n  sanctum stat --human")]
pub struct Args {
    /// For people
    #[arg(long)]
    human: bool,
    #[command(flatten)]
    plane: Plane,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let log = args.plane.read()?;
    let (stat, topics) = (log.stat()?, log.topics()?);
    let topics: Map<String, Value> = topics.into_iter().map(|row| (row.topic, row.events.into())).collect();
    let text = if args.human {
        human(args.plane.name(), &stat, &topics)
    } else {
        let end = |end: Option<Moment>| {
            end.map_or(Value::Null, |end| json!({ "position": end.position, "time": end.time_ms }))
        };
        let mut object = json!({
            "plane": args.plane.name(), "events": stat.events, "bytes": stat.bytes, "segments": stat.segments,
            "head": stat.head, "oldest": end(stat.oldest), "newest": end(stat.newest),
        });
        object["topics"] = topics.into();
        format!("{object}\n")
    };
    console::print(&text)?;
    Ok(DONE)
}

fn human(plane: &str, stat: &Stat, topics: &Map<String, Value>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<9} {value}");
    };
    let end = |end: Option<Moment>| match end {
        Some(end) => format!("position {}, {}", end.position, rfc_3339(end.time_ms)),
        None => "none".to_owned(),
    };
    line("plane", plane.to_owned());
    line("energies", stat.events.to_string());
    line(
        "bytes",
        format!(
            "{} in {} {}",
            stat.bytes,
            stat.segments,
            if stat.segments == 1 { "segment" } else { "segments" }
        ),
    );
    line("head", stat.head.to_string());
    line("oldest", end(stat.oldest));
    line("newest", end(stat.newest));
    line("topics", topics.len().to_string());
    let width = topics.values().map(|count| count.to_string().len()).max().unwrap_or(0);
    for (topic, count) in topics {
        let _ = writeln!(text, "  {:>width$}  {topic}", count.to_string());
    }
    text
}

/// Milliseconds since the epoch as people read them.
pub fn rfc_3339(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms)
        .map_or_else(|_| time_ms.to_string(), |time| format!("{time:.3}"))
}
