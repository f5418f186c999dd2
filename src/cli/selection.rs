//! Which energies a command means: filters, and places in the log.

use std::str::FromStr;

use anyhow::bail;

use super::plane::now_ms;
use crate::event::{Events, Uuid};
use crate::log::{Error, Log, Pages, Query};
use crate::router::pattern::Pattern;
use crate::runeset::units::Unit;

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

/// A topic pattern.
pub fn parse_pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|error| error.to_string())
}

/// `TAG=VALUE`.
pub fn parse_tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((tag, value)) if !tag.is_empty() => Ok((tag.to_owned(), value.to_owned())),
        _ => Err("a tag is written TAG=VALUE".to_owned()),
    }
}

/// An id.
pub fn parse_id(text: &str) -> Result<Uuid, String> {
    let id = Uuid::try_parse(text).ok().filter(|id| !id.is_nil());
    id.ok_or_else(|| "an id is a UUID, not the nil one".to_owned())
}

/// A time: RFC 3339, a date in UTC, milliseconds since the epoch, or a duration back from now.
pub fn parse_time(text: &str) -> Result<i64, String> {
    if let Some(time) = absolute(text) {
        return Ok(time);
    }
    let back = Unit::Milliseconds.parse(text).ok().and_then(|ms| i64::try_from(ms).ok());
    back.map(|back| now_ms().saturating_sub(back)).ok_or_else(|| {
        "a time is RFC 3339 such as 2026-01-31T12:00:00Z, a date such as 2026-01-31, milliseconds since 1970, or a \
         duration back from now such as 10m, 2h or 7d"
            .to_owned()
    })
}

/// A time that does not depend on now.
pub fn absolute(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse() {
        return Some(ms);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_millisecond());
    }
    // What has a time of day needs an offset: without one, which moment is meant cannot be known.
    let date = text.parse::<jiff::civil::Date>().ok().filter(|_| !text.contains([':', 'T', 't', ' ']))?;
    date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp().as_millisecond())
}

/// One energy of a log, named by its position or its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By position.
    Position(u64),
    /// By id.
    Id(Uuid),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 20 {
            let too_large = |_| format!("{text} is larger than any position");
            return text.parse().map(Self::Position).map_err(too_large);
        }
        parse_id(text).map(Self::Id).map_err(|_| "it is neither a position nor an id (a UUID)".to_owned())
    }
}

impl Place {
    /// The position. One that was never given is an error, as is an id that no energy has.
    pub fn position<L: Log + ?Sized>(self, log: &L) -> anyhow::Result<u64> {
        match self {
            Self::Id(id) => Ok(log.position_of(id)?.ok_or(Error::UnknownId(id))?),
            Self::Position(position) => within(log, position),
        }
    }

    /// Reads the energy into the batch, which is empty before.
    pub fn read<L: Log + ?Sized>(self, log: &L, batch: &mut Events) -> anyhow::Result<u64> {
        let position = self.position(log)?;
        let mut page = Pages::forward(position, position.saturating_add(1));
        if !page.next(log, &Query::default(), batch)? {
            bail!("the energy at position {position} is no longer kept: its ttl is over");
        }
        Ok(position)
    }
}

/// A position that the log has given; an error for one beyond its end.
pub fn within<L: Log + ?Sized>(log: &L, position: u64) -> anyhow::Result<u64> {
    match log.visible().checked_sub(1) {
        Some(last) if position <= last => Ok(position),
        Some(last) => {
            bail!("position {position} is beyond the end of the log, whose last energy is at {last}")
        }
        None => bail!("position {position} is beyond the end of the log, which is empty"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(parse_time("1500"), Ok(1_500));
        assert_eq!(parse_time("-5"), Ok(-5));
        assert_eq!(parse_time("1970-01-01T00:00:01+00:00"), Ok(1_000));
        assert_eq!(parse_time("1970-01-02"), Ok(86_400_000));
        let now = now_ms();
        let back = parse_time("2h").unwrap();
        assert!((now - 7_200_000..=now_ms() - 7_200_000).contains(&back));
        for text in ["", "now", "1970-01-02T10:00:00", "5 parsecs", "-2h"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_are_positions_or_ids() {
        assert_eq!("7".parse(), Ok(Place::Position(7)));
        assert!(matches!("01890a5d-ac96-774b-bcce-b302099a8057".parse(), Ok(Place::Id(_))));
        for text in ["", "-1", "x", "99999999999999999999", "00000000-0000-0000-0000-000000000000"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
