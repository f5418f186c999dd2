//! Which energies a command means: filters, and places in the log.

use super::plane::now_ms;
use crate::event::Uuid;
use crate::log::{Query, words};
use crate::router::pattern::Pattern;

pub use crate::log::place::{Place, within};
pub use crate::log::words::{absolute, parse_id, parse_pattern, parse_tag};

/// What an energy must be; all that is said must hold.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Which energies")]
pub struct Filters {
    /// Topic, or pattern: `*` is one token, `>` the rest; given several times, one of them
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    topic: Vec<Pattern>,
    /// Stream: all energies of one entity
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// Tag and its value; given several times, all of them
    #[arg(long, value_name = "TAG=VALUE", value_parser = parse_tag)]
    tag: Vec<(String, String)>,
    /// From this time on: RFC 3339, a date, milliseconds since 1970, or back from now such as 10m, 2h, 7d
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    since: Option<i64>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    until: Option<i64>,
    /// Direct effects of the energy with this id
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    causation: Option<Uuid>,
    /// All that came of the first ancestor with this id
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    correlation: Option<Uuid>,
}

impl Filters {
    /// As the log takes it.
    #[must_use]
    pub fn query(&self) -> Query {
        Query {
            topics: self.topic.clone(),
            stream: self.stream.clone(),
            tags: self.tag.clone(),
            since_ms: self.since,
            until_ms: self.until,
            causation: self.causation,
            correlation: self.correlation,
        }
    }
}

/// A time: RFC 3339, a date in UTC, milliseconds since the epoch, or a duration back from now.
pub fn parse_time(text: &str) -> Result<i64, String> {
    words::parse_time(text, now_ms())
}
