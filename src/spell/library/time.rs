//! `time.now`, `time.format`, `time.parse`, `time.floor`: moments as milliseconds since 1970, UTC.
//!
//! There is no clock: `now` is the time of the energy being cast (the due time in `tick`), and 0 where there is
//! none. There is no time zone database either: a text with an offset is converted, one without is UTC.
//!
//! - `time.now()`
//! - `time.format([ms [, format]])`: RFC 3339 with milliseconds, or by a format of `strftime`, where
//!   `%f` and `%3f` are fractions of a second
//! - `time.parse(text [, format])`: milliseconds, or nil and what is wrong
//! - `time.floor(ms, size)`: the start of the window of that size, `"1h"` or milliseconds, that `ms` is in

use jiff::Timestamp;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;

use crate::runeset::units::Unit;
use crate::spell::host::Phase;
use crate::spell::raw::{Entry, Frame, Kind, Raise};

/// The table `time`.
pub(crate) static FUNCTIONS: &[Entry] =
    &[("now", now), ("format", format), ("parse", parse), ("floor", floor)];

/// Formats and texts are not longer than this.
const TEXT_BYTES_MAX: usize = 1024;
/// What a format is called that gives the default.
const RFC3339: &str = "rfc3339";

/// The time of the running cast.
pub(super) fn now_ms(frame: &mut Frame<'_>) -> i64 {
    let host = frame.host();
    if matches!(host.phase, Phase::Cast | Phase::Filter) { host.input.time_ms } else { 0 }
}

/// `time.now()`
fn now(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let now = now_ms(frame);
    frame.push_int(now);
    Ok(1)
}

/// The format at an index; `None` for the default.
fn format_argument<'l>(frame: &mut Frame<'l>, index: usize) -> Result<Option<&'l str>, Raise> {
    if frame.is_absent(index) {
        return Ok(None);
    }
    let text = frame.text(index)?;
    if text.len() > TEXT_BYTES_MAX {
        return Err(Raise::argument(index, format!("a format of at most {TEXT_BYTES_MAX} bytes expected")));
    }
    frame.charge(16 + text.len() as u64 * 4)?;
    Ok((text != RFC3339).then_some(text))
}

/// `time.format([ms [, format]])`
fn format(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let ms = match frame.opt_int(1)? {
        Some(ms) => ms,
        None => now_ms(frame),
    };
    let format = format_argument(frame, 2)?;
    frame.charge(16)?;
    let moment = Timestamp::from_millisecond(ms)
        .map_err(|_| Raise::argument(1, "a time between the years -9999 and 9999 expected"))?;
    let text = match format {
        None => format!("{moment:.3}"),
        Some(format) => strtime::format(format, &moment.to_zoned(TimeZone::UTC))
            .map_err(|error| Raise::argument(2, error.to_string()))?,
    };
    frame.push_str(&text)?;
    Ok(1)
}

/// `time.parse(text [, format])`
fn parse(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let text = frame.bytes(1)?;
    let format = format_argument(frame, 2)?;
    frame.charge(32)?;
    match read(text, format) {
        Ok(ms) => {
            frame.push_int(ms);
            Ok(1)
        }
        Err(message) => {
            frame.push_nil();
            frame.push_str(&message)?;
            Ok(2)
        }
    }
}

fn read(text: &[u8], format: Option<&str>) -> Result<i64, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("longer than {TEXT_BYTES_MAX} bytes"));
    }
    let text = std::str::from_utf8(text).map_err(|_| "not valid UTF-8".to_owned())?;
    let moment = match format {
        None => match text.parse::<Timestamp>() {
            Ok(moment) => moment,
            Err(error) => without_offset(text).ok_or_else(|| error.to_string())?,
        },
        Some(format) => moment(&strtime::parse(format, text).map_err(|error| error.to_string())?)?,
    };
    i64::try_from(moment.as_nanosecond().div_euclid(1_000_000)).map_err(|error| error.to_string())
}

/// A date, or a date and a time of day, taken as UTC. A text that names a time zone is not for us.
fn without_offset(text: &str) -> Option<Timestamp> {
    if text.contains('[') {
        return None;
    }
    jiff::tz::Offset::UTC.to_timestamp(text.parse::<jiff::civil::DateTime>().ok()?).ok()
}

/// The moment that was parsed; without an offset it is UTC, without a time of day it is midnight.
fn moment(parsed: &BrokenDownTime) -> Result<Timestamp, String> {
    if let Ok(moment) = parsed.to_timestamp() {
        return Ok(moment);
    }
    let civil = match (parsed.to_datetime(), parsed.hour()) {
        (Ok(civil), _) => civil,
        (Err(_), None) => parsed.to_date().map_err(|error| error.to_string())?.at(0, 0, 0, 0),
        (Err(error), Some(_)) => return Err(error.to_string()),
    };
    let offset = parsed.offset().unwrap_or(jiff::tz::Offset::UTC);
    offset.to_timestamp(civil).map_err(|error| error.to_string())
}

/// `time.floor(ms, size)`
fn floor(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let ms = frame.int(1)?;
    let size = match frame.kind(2) {
        Kind::String => Unit::Milliseconds
            .parse(frame.text(2)?)
            .map_err(|error| Raise::argument(2, error.to_string()))
            .map(|size| i64::try_from(size).unwrap_or(i64::MAX))?,
        _ => frame.int(2)?,
    };
    if size <= 0 {
        return Err(Raise::argument(2, "a duration above zero expected"));
    }
    frame.charge(4)?;
    frame.push_int(ms.checked_sub(ms.rem_euclid(size)).unwrap_or(i64::MIN));
    Ok(1)
}
