//! What became of quarantined energies: discarded, or released to be cast once more.
//!
//! A quarantined energy is recorded on `sanctum.fault`. The log's table of faults says, by
//! the record's id, what was decided. A run casts what is released before anything else, in the order of the records,
//! so that it comes after all that its lane has done and before all that follows; that it did is in the same commit
//! as what came of it. What fails again is recorded again.

use std::sync::Arc;

use super::quarantine::FAULT_TOPIC;
use crate::event::{EventRef, Events, Uuid};
use crate::log::{Changes, Direction, Error, Log, Query, Table};
use crate::router::Pattern;
use crate::spell::Spell;

/// What was decided about a quarantined energy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is let go.
    Discarded = 0,
    /// It is to be cast once more.
    Wanted = 1,
    /// It was.
    Released = 2,
}

impl Verdict {
    fn of(value: &[u8]) -> Option<Self> {
        [Self::Discarded, Self::Wanted, Self::Released].into_iter().find(|verdict| [*verdict as u8] == value)
    }

    /// Records it.
    pub fn record(self, id: Uuid, changes: &mut Changes) {
        changes.put(Table::Fault, id.as_bytes(), &[self as u8]);
    }
}

/// A record of a quarantined energy.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRecord {
    /// Its own id.
    pub id: Uuid,
    /// Its own position.
    pub position: u64,
    /// The time of the energy.
    pub time_ms: i64,
    /// What it says: error, event, id, kind, line, position, spell, topic.
    pub data: rmpv::Value,
    /// What was decided, if anything.
    pub verdict: Option<Verdict>,
}

impl FaultRecord {
    fn read(log: &dyn Log, event: EventRef<'_>) -> Result<Self, Error> {
        let id = event.head().id;
        let verdict = log.value(Table::Fault, id.as_bytes())?.and_then(|value| Verdict::of(&value));
        let data = rmpv::decode::read_value(&mut event.data()).unwrap_or(rmpv::Value::Nil);
        Ok(Self { id, position: event.head().position, time_ms: event.head().time_ms, data, verdict })
    }

    /// A member of what it says.
    #[must_use]
    pub fn member(&self, name: &str) -> &rmpv::Value {
        let mut members = self.data.as_map().into_iter().flatten();
        members.find(|(key, _)| key.as_str() == Some(name)).map_or(&rmpv::Value::Nil, |(_, value)| value)
    }

    /// The spell that failed.
    #[must_use]
    pub fn spell(&self) -> &str {
        self.member("spell").as_str().unwrap_or_default()
    }
}

/// All records of quarantined energies, oldest first.
pub fn records(log: &dyn Log) -> Result<Vec<FaultRecord>, Error> {
    let topics = Pattern::parse(FAULT_TOPIC).into_iter().collect();
    let query = Query { topics, ..Query::default() };
    let (mut at, mut records, mut page) = (0, Vec::new(), Events::default());
    while at < log.visible() {
        page.clear();
        at = log.scan(at, Direction::Forward, &query, usize::MAX, &mut page)?;
        for event in page.iter() {
            records.push(FaultRecord::read(log, event)?);
        }
    }
    Ok(records)
}

/// An energy that is to be cast once more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Release {
    /// Its record.
    id: Uuid,
    /// The spell, by index.
    pub spell: usize,
    /// Its position.
    pub position: u64,
}

impl Release {
    /// Stands for the attempt in the id of another record.
    pub fn key(&self) -> [u8; 16] {
        *self.id.as_bytes()
    }

    /// Records that it was cast.
    pub fn record(&self, changes: &mut Changes) {
        Verdict::Released.record(self.id, changes);
    }
}

/// What is released for these spells.
pub(super) fn wanted(log: &dyn Log, spells: &[Arc<Spell>]) -> Result<Vec<Release>, Error> {
    // Most logs have none: then nothing is looked for.
    let verdicts = log.values(Table::Fault, &[])?;
    if !verdicts.iter().any(|(_, value)| Verdict::of(value) == Some(Verdict::Wanted)) {
        return Ok(Vec::new());
    }
    let mut wanted = Vec::new();
    for record in records(log)?.iter().filter(|record| record.verdict == Some(Verdict::Wanted)) {
        let Some(position) = record.member("position").as_u64() else { continue };
        if let Some(spell) = heir(log, spells, record.spell())? {
            wanted.push(Release { id: record.id, spell, position });
        }
    }
    Ok(wanted)
}

/// The spell of this name; or that was renamed from it, unless the log has one that bears the name again.
fn heir(log: &dyn Log, spells: &[Arc<Spell>], name: &str) -> Result<Option<usize>, Error> {
    if let Some(index) = spells.iter().position(|spell| *spell.name == *name) {
        return Ok(Some(index));
    }
    let renamed = spells.iter().position(|spell| spell.was.as_deref() == Some(name));
    Ok(if renamed.is_some() && log.value(Table::Spell, name.as_bytes())?.is_none() { renamed } else { None })
}
