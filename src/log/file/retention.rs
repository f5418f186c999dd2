//! Which energies are still there: a ttl counts at once, compaction frees the room later.

use super::index::Key;
use super::plane::Plane;
use crate::event::{EventRef, Ttl};
use crate::log::Error;

impl Plane {
    /// Whether an energy is still kept: `time:MS` from its time on, `last:N` until its topic has N newer ones.
    pub fn is_live(&self, event: EventRef<'_>) -> Result<bool, Error> {
        let Some(extra) = event.extra() else { return Ok(true) };
        match extra.ttl {
            Ttl::Forever => Ok(true),
            Ttl::Ephemeral => Ok(false),
            Ttl::TimeMs(ms) => {
                let ms = i64::try_from(ms).unwrap_or(i64::MAX);
                Ok((self.options.now_ms)() < event.head().time_ms.saturating_add(ms))
            }
            Ttl::Last(count) => self.has_fewer_newer(event, count),
        }
    }

    /// Whether fewer than `count` energies of the same topic come after an energy.
    fn has_fewer_newer(&self, event: EventRef<'_>, count: u64) -> Result<bool, Error> {
        let (topic, after) = (Key::Topic(event.topic_bytes()), event.head().position + 1);
        if event.topic_bytes().is_empty() {
            return Ok(true);
        }
        // From the end: what is old is often far behind.
        let (mut newer, mut below) = (0, u64::MAX);
        while below > after {
            let part = self.view().part_at(below - 1);
            newer += u64::from(self.with_index(&part, |index| index.count_in(&topic, after..below))?);
            if newer >= count {
                return Ok(false);
            }
            below = part.header.first;
        }
        Ok(true)
    }
}
