//! How a query is written in words, on a command line or in a URL.

use crate::event::Uuid;
use crate::router::pattern::Pattern;
use crate::runeset::units::Unit;

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
pub fn parse_time(text: &str, now_ms: i64) -> Result<i64, String> {
    if let Some(time) = absolute(text) {
        return Ok(time);
    }
    let back = Unit::Milliseconds.parse(text).ok().and_then(|ms| i64::try_from(ms).ok());
    back.map(|back| now_ms.saturating_sub(back)).ok_or_else(|| {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn times_are_read() {
        let parse = |text| parse_time(text, 10_000_000);
        assert_eq!(parse("1500"), Ok(1_500));
        assert_eq!(parse("-5"), Ok(-5));
        assert_eq!(parse("1970-01-01T00:00:01+00:00"), Ok(1_000));
        assert_eq!(parse("1970-01-02"), Ok(86_400_000));
        assert_eq!(parse("2h"), Ok(2_800_000));
        for text in ["", "now", "1970-01-02T10:00:00", "5 parsecs", "-2h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
