//! Which energies a reader wants, or a condition speaks of.

use crate::event::{EventRef, Uuid};
use crate::router::pattern::Pattern;

/// What an energy must be; all that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Its topic matches one of these; empty: any topic, or none.
    pub topics: Vec<Pattern>,
    /// It belongs to this stream.
    pub stream: Option<String>,
    /// It has all of these tags.
    pub tags: Vec<(String, String)>,
    /// Its time is this or later, in milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// Its time is before this.
    pub until_ms: Option<i64>,
    /// Its direct cause.
    pub causation: Option<Uuid>,
    /// Its first ancestor.
    pub correlation: Option<Uuid>,
}

impl Query {
    /// Whether it matches every energy.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an energy is wanted.
    #[must_use]
    pub fn matches(&self, event: EventRef<'_>) -> bool {
        let head = event.head();
        // No pattern matches what has no topic, `>` neither.
        let routed = |topic: &str| self.topics.iter().any(|pattern| pattern.matches(topic));
        (self.topics.is_empty() || event.topic().is_some_and(routed))
            && self.stream.as_ref().is_none_or(|stream| event.stream_bytes() == stream.as_bytes())
            && self.since_ms.is_none_or(|since| head.time_ms >= since)
            && self.until_ms.is_none_or(|until| head.time_ms < until)
            && self.causation.is_none_or(|id| head.causation == id)
            && self.correlation.is_none_or(|id| head.correlation == id)
            && (self.tags.is_empty()
                || event.extra().is_some_and(|extra| {
                    self.tags.iter().all(|(tag, value)| extra.tags.get(tag) == Some(value))
                }))
    }
}

/// Which way a log is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From old to new.
    #[default]
    Forward,
    /// From new to old.
    Backward,
}
