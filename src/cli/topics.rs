//! `sanctum topics` and `sanctum streams`: what the log holds, by name.

use super::DONE;
use super::format::Format;
use super::output::print_rows;
use super::plane::Plane;
use super::selection::parse_pattern;
use crate::router::pattern::Pattern;

/// List topics, with the number of their energies
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sanctum topics\n  sanctum topics --topic 'orders.>'")]
pub struct TopicsArgs {
    /// Topics that match: `*` is one token, `>` the rest; given several times, one of them
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    topic: Vec<Pattern>,
    /// How they are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    plane: Plane,
}

/// List streams, with their versions and the number of their energies
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sanctum streams --prefix user-")]
pub struct StreamsArgs {
    /// Streams whose names begin so
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,
    /// How they are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    plane: Plane,
}

/// Runs `topics`.
pub fn run_topics(args: &TopicsArgs) -> anyhow::Result<u8> {
    let topics = args.plane.read()?.topics()?;
    let wanted =
        |topic: &str| args.topic.is_empty() || args.topic.iter().any(|pattern| pattern.matches(topic));
    let rows = topics.into_iter().filter(|row| wanted(&row.topic));
    print_rows(rows.map(|row| serde_json::json!({ "topic": row.topic, "events": row.events })), args.format)?;
    Ok(DONE)
}

/// Runs `streams`.
pub fn run_streams(args: &StreamsArgs) -> anyhow::Result<u8> {
    let streams = args.plane.read()?.streams()?;
    let rows = streams
        .into_iter()
        .filter(|row| row.stream.starts_with(&args.prefix))
        .map(|row| serde_json::json!({ "stream": row.stream, "version": row.version, "events": row.events }));
    print_rows(rows, args.format)?;
    Ok(DONE)
}
