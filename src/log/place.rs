//! One energy of a log, named by its position or its id.

use std::str::FromStr;

use super::words::parse_id;
use super::{Error, Log, Pages, Query};
use crate::event::{Events, Uuid};

/// Why no energy is at a place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The log could not be read, or no energy has the id.
    #[error(transparent)]
    Log(#[from] Error),
    /// A position that was never given.
    #[error("position {position} is beyond the end of the log, {}", ended(*.last))]
    Beyond {
        /// The position.
        position: u64,
        /// That of the last energy.
        last: Option<u64>,
    },
    /// An energy that is gone.
    #[error("the energy at position {0} is no longer kept: its ttl is over")]
    Ended(u64),
}

fn ended(last: Option<u64>) -> String {
    last.map_or_else(|| "which is empty".to_owned(), |last| format!("whose last energy is at {last}"))
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
    pub fn position<L: Log + ?Sized>(self, log: &L) -> Result<u64, PlaceError> {
        match self {
            Self::Id(id) => Ok(log.position_of(id)?.ok_or(Error::UnknownId(id))?),
            Self::Position(position) => within(log, position),
        }
    }

    /// Reads the energy into the batch, which is empty before.
    pub fn read<L: Log + ?Sized>(self, log: &L, batch: &mut Events) -> Result<u64, PlaceError> {
        let position = self.position(log)?;
        let mut page = Pages::forward(position, position.saturating_add(1));
        if !page.next(log, &Query::default(), batch)? {
            return Err(PlaceError::Ended(position));
        }
        Ok(position)
    }
}

/// A position that the log has given; an error for one beyond its end.
pub fn within<L: Log + ?Sized>(log: &L, position: u64) -> Result<u64, PlaceError> {
    match log.visible().checked_sub(1) {
        Some(last) if position <= last => Ok(position),
        last => Err(PlaceError::Beyond { position, last }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_positions_or_ids() {
        assert_eq!("7".parse(), Ok(Place::Position(7)));
        assert!(matches!("01890a5d-ac96-774b-bcce-b302099a8057".parse(), Ok(Place::Id(_))));
        for text in ["", "-1", "x", "99999999999999999999", "00000000-0000-0000-0000-000000000000"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
