//! What an energy comes from, and what came of it: the tree of causes.
//!
//! Ancestors are found by `causation`, one by one, by id. Descendants are what names the energy, or a descendant of
//! it, as its cause: they share its `correlation`, and lie after it, so that one scan from its position on finds
//! them. A cause always lies before its effects; a log in which it does not (ids can be chosen) is read as if the
//! link were not there, so that no cycle is ever walked.
//!
//! Limits: at most `events_max` ancestors, the nearest ones, and as many descendants, the first ones; what is left
//! out is said.

use std::io::Write as _;

use rustc_hash::FxHashMap;

use super::pages::Pages;
use super::{Direction, Error, Log, Query};
use crate::event::{EventRef, Events, Uuid, json};

/// The tree around one energy.
#[derive(Debug, Default)]
pub struct Trace {
    /// The ancestors from the first one down, the energy itself, then its descendants, by position.
    pub events: Events,
    /// For each of `events`: the index of its cause. `None` for the first.
    pub causes: Vec<Option<usize>>,
    /// Which of `events` was traced.
    pub traced: usize,
    /// The cause of the first ancestor, where the log does not have it (any more).
    pub lost: Option<Uuid>,
    /// Whether there are more ancestors than the limit allows.
    pub has_more_ancestors: bool,
    /// Whether there are more descendants.
    pub has_more_descendants: bool,
}

impl Trace {
    /// The tree around the energy at a position; `None` where there is none.
    pub fn of<L: Log + ?Sized>(log: &L, position: u64, events_max: usize) -> Result<Option<Self>, Error> {
        let mut trace = Self::default();
        if !read(log, position, &mut trace.events)? {
            return Ok(None);
        }
        trace.ancestors(log, events_max)?;
        trace.descendants(log, events_max)?;
        Ok(Some(trace))
    }

    /// The direct effects of each energy, by index.
    #[must_use]
    pub fn effects(&self) -> Vec<Vec<usize>> {
        let mut effects = vec![Vec::new(); self.causes.len()];
        for (index, cause) in self.causes.iter().enumerate() {
            if let Some(cause) = cause {
                effects[*cause].push(index);
            }
        }
        effects
    }

    /// The tree as one line of JSON. Writing to memory cannot fail.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let list = |range: std::ops::Range<usize>, out: &mut Vec<u8>| {
            for index in range.clone() {
                if index > range.start {
                    out.push(b',');
                }
                json::write_event(self.events.get(index), out);
            }
        };
        out.extend_from_slice(b"{\"ancestors\":[");
        list(0..self.traced, &mut out);
        out.extend_from_slice(b"],\"energy\":");
        json::write_event(self.energy(), &mut out);
        out.extend_from_slice(b",\"descendants\":[");
        list(self.traced + 1..self.events.len(), &mut out);
        out.push(b']');
        if let Some(lost) = self.lost {
            let _ = write!(out, ",\"lost\":\"{lost}\"");
        }
        let _ = writeln!(out, ",\"cut\":{}}}", self.has_more_ancestors || self.has_more_descendants);
        out
    }

    /// The energy that was traced.
    #[must_use]
    pub fn energy(&self) -> EventRef<'_> {
        self.events.get(self.traced)
    }

    fn ancestors<L: Log + ?Sized>(&mut self, log: &L, events_max: usize) -> Result<(), Error> {
        // From the energy up, to be turned round.
        let mut up = std::mem::take(&mut self.events);
        loop {
            let last = *up.get(up.len() - 1).head();
            if last.causation.is_nil() {
                break;
            }
            if up.len() > events_max {
                self.has_more_ancestors = true;
                break;
            }
            let cause = log.position_of(last.causation)?.filter(|cause| *cause < last.position);
            let found = match cause {
                Some(cause) => read(log, cause, &mut up)?,
                None => false,
            };
            if !found {
                self.lost = Some(last.causation);
                break;
            }
        }
        self.traced = up.len() - 1;
        for index in (0..up.len()).rev() {
            self.causes.push(self.events.len().checked_sub(1));
            self.events.push_copy(up.get(index));
        }
        Ok(())
    }

    fn descendants<L: Log + ?Sized>(&mut self, log: &L, events_max: usize) -> Result<(), Error> {
        let traced = *self.energy().head();
        let root = if traced.correlation.is_nil() { traced.id } else { traced.correlation };
        let query = Query { correlation: Some(root), ..Query::default() };
        let mut known = FxHashMap::from_iter([(traced.id, self.traced)]);
        let mut pages = Pages::forward(traced.position.saturating_add(1), log.visible());
        let mut page = Events::default();
        while pages.next(log, &query, &mut page)? {
            for event in page.iter() {
                let Some(&cause) = known.get(&event.head().causation) else { continue };
                if self.events.len() - self.traced > events_max {
                    self.has_more_descendants = true;
                    return Ok(());
                }
                // The first energy of an id is the one that others mean.
                known.entry(event.head().id).or_insert(self.events.len());
                self.causes.push(Some(cause));
                self.events.push_copy(event);
            }
        }
        Ok(())
    }
}

/// Adds the energy at a position to the batch; false where there is none.
fn read<L: Log + ?Sized>(log: &L, position: u64, events: &mut Events) -> Result<bool, Error> {
    let before = events.len();
    log.scan(position, Direction::Forward, &Query::default(), 1, events)?;
    let found = events.len() > before && events.get(before).head().position == position;
    if !found {
        events.truncate(before, events.byte_len());
    }
    Ok(found)
}
