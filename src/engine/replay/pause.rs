//! What runs did beside casting the next energy: where they ended, and what they let out of quarantine.

use std::collections::VecDeque;

use super::Extent;
use crate::engine::quarantine::fault_id;
use crate::engine::release::{FaultRecord, Verdict, records};
use crate::engine::resume::flushes;
use crate::event::Uuid;
use crate::event::envelope::{output_id, spell_key};
use crate::log::{Error, Log, Table};
use crate::spell::Spell;

/// Something that comes before the energy at a position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    /// The position.
    pub at: u64,
    /// What it is.
    pub what: What,
}

/// What a run did.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// It cast the batches that were open, for it ended.
    Flush,
    /// It cast the energy at that position again.
    Release(u64),
}

/// All of them, in order.
pub(super) fn all(log: &dyn Log, spell: &Spell, extent: Extent) -> Result<VecDeque<Pause>, Error> {
    let flushes = flushes(log, &spell.name)?.into_iter();
    let mut pauses: Vec<Pause> = flushes.map(|at| Pause { at, what: What::Flush }).collect();
    // Most logs have no record of a fault that anything was decided about: then none is looked for.
    if !log.values(Table::Fault, &[])?.is_empty() {
        for record in records(log)? {
            if record.spell() == &*spell.name && record.verdict == Some(Verdict::Released) {
                pauses.extend(release(log, spell, extent, &record)?);
            }
        }
    }
    pauses.retain(|pause| pause.at > extent.from && pause.at <= extent.until);
    // A run begins with what is released, and ends with what waits.
    pauses.sort_by_key(|pause| pause.at);
    Ok(pauses.into())
}

/// When an energy was released is seen from what came of it: outputs, or another record. Where nothing did, it comes at
/// the end.
fn release(
    log: &dyn Log,
    spell: &Spell,
    extent: Extent,
    record: &FaultRecord,
) -> Result<Option<Pause>, Error> {
    let Some(position) = record.member("position").as_u64() else { return Ok(None) };
    let Some(id) = record.member("id").as_str().and_then(|id| Uuid::try_parse(id).ok()) else {
        return Ok(None);
    };
    let key = spell_key(&spell.name, extent.epoch);
    let at = match log.position_of(output_id(id, &key, 0))? {
        Some(at) => Some(at),
        None => log.position_of(fault_id(id, record.id.as_bytes(), 0))?,
    };
    Ok(Some(Pause { at: at.unwrap_or(extent.until), what: What::Release(position) }))
}
