//! Projections as people ask for them: keys and moments in words, states as rows of JSON.

use serde_json::{Value, json};

use super::inspection::{argument, shown};
use crate::event::{Events, msgpack};
use crate::log::place::{PlaceError, within};
use crate::log::words::parse_time;
use crate::log::{Log, Pages, Query};
use crate::projection::Row;
use crate::spell::{By, Fold};

/// When a state is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Once the energy at this position was folded.
    Position(u64),
    /// Once all were folded that come before the first one that is later, in milliseconds since the epoch.
    TimeMs(i64),
}

impl Moment {
    /// A position, or a time; one that is back from now is so from `now_ms`.
    ///
    /// # Errors
    /// What it has to be.
    pub fn parse(text: &str, now_ms: i64) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let too_large = |_| format!("{text} is larger than any position");
            return text.parse().map(Self::Position).map_err(too_large);
        }
        parse_time(text, now_ms).map(Self::TimeMs).map_err(|_| {
            "it is a position, or a time: RFC 3339 such as 2026-01-31T12:00:00Z, a date such as 2026-01-31, or a \
             duration back from now such as 10m, 2h or 7d"
                .to_owned()
        })
    }

    /// The position of the last energy that was folded then; `None` where there was none yet.
    ///
    /// # Errors
    /// A position that the log has not given; a log that cannot be read.
    pub fn position(self, log: &dyn Log, fold: &Fold) -> Result<Option<u64>, PlaceError> {
        let time_ms = match self {
            Self::Position(position) => return within(log, position).map(Some),
            Self::TimeMs(time_ms) => time_ms,
        };
        let query = Query { since_ms: Some(time_ms.saturating_add(1)), ..fold.query() };
        let mut later = Events::default();
        let found = Pages::forward(0, log.visible()).limit(1).next(log, &query, &mut later)?;
        let end = if found { later.get(0).head().position } else { log.visible() };
        Ok(end.checked_sub(1))
    }
}

/// A key as it is written, as MessagePack: JSON, or else text as it stands; of a projection by stream it is the stream.
#[must_use]
pub fn key_of(text: &str, by: &By) -> Vec<u8> {
    match by {
        By::Stream => {
            let mut key = Vec::new();
            msgpack::write_str(&mut key, text);
            key
        }
        By::One | By::Path(_) => argument(text),
    }
}

/// A key with its state.
#[must_use]
pub fn object(row: &Row) -> Value {
    json!({ "key": shown(&row.key), "position": row.position, "state": shown(&row.state) })
}

/// That a key has no state.
#[must_use]
pub fn absent(fold: &Fold, key: &str, at: Option<Moment>) -> String {
    let when = if at.is_some() { " at that time" } else { "" };
    format!("the projection `{}` has no state under the key {key}{when}", fold.name)
}
