//! What a log tells of spells, as rows of JSON: where they stand, what they keep, what they failed on.
//!
//! A key is written as JSON where it is that (`7`, `true`, `["eu",3]`, `"7"`), else as text as it stands.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::recall;
use super::release::{FaultRecord, Verdict, records};
use super::resume::Standing;
use crate::event::json as text;
use crate::log::{self, Log, Table};
use crate::state::Address;
use crate::state::key::{self, KeyError};

/// Why a log does not tell.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    /// It could not be read.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// It has never seen the spell.
    #[error("{}", unknown(.spell, .known))]
    Spell {
        /// The spell.
        spell: String,
        /// Those that it has seen.
        known: Vec<String>,
    },
    /// A key that is none.
    #[error("the key {text}: {source}")]
    Key {
        /// The key as it was written.
        text: String,
        /// What is wrong.
        source: KeyError,
    },
    /// A stored key that cannot be read.
    #[error("a stored key cannot be read: {0}")]
    Stored(KeyError),
}

fn unknown(spell: &str, known: &[String]) -> String {
    match known {
        [] => "no spell has run on this log yet".to_owned(),
        known => format!("no spell `{spell}` has run on this log; there are {}", known.join(", ")),
    }
}

/// An error when the log has never seen the spell.
pub fn known(log: &dyn Log, spell: &str) -> Result<(), InspectionError> {
    if log.value(Table::Spell, spell.as_bytes())?.is_some() {
        return Ok(());
    }
    let spells = log.values(Table::Spell, b"")?;
    let known = spells.iter().map(|(name, _)| format!("`{}`", String::from_utf8_lossy(name))).collect();
    Err(InspectionError::Spell { spell: spell.to_owned(), known })
}

/// Each spell that has run on the log, and where it stands.
pub fn spells(log: &dyn Log) -> Result<Vec<Value>, log::Error> {
    let mut faults: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for record in records(log)? {
        let (all, open) = faults.entry(record.spell().to_owned()).or_default();
        *all += 1;
        *open += u64::from(record.verdict.is_none());
    }
    let mut rows = Vec::new();
    for (name, value) in log.values(Table::Spell, b"")? {
        let Some(standing) = Standing::read(&value) else { continue };
        let name = String::from_utf8_lossy(&name).into_owned();
        let (all, open) = faults.get(&name).copied().unwrap_or_default();
        let mut row = json!({
            "spell": name, "position": standing.next, "lag": log.visible().saturating_sub(standing.next),
            "waiting": standing.waiting.len(), "faults": all, "quarantine": open,
        });
        if let Some(found) = log.value(Table::Shadow, name.as_bytes())?
            && let Ok(Value::Object(mut found)) = serde_json::from_slice(&found)
        {
            found.retain(|key, value| key != "sources" && !value.is_null());
            row["shadow"] = found.into();
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The records of quarantined energies, of one spell if it is named; with `all` those too that were decided about.
pub fn faults(log: &dyn Log, spell: Option<&str>, all: bool) -> Result<Vec<Value>, log::Error> {
    let records = records(log)?;
    let wanted = |record: &&FaultRecord| {
        (all || record.verdict.is_none()) && spell.is_none_or(|spell| spell == record.spell())
    };
    Ok(records.iter().filter(wanted).map(|record| fault(record, false)).collect())
}

/// A record; `whole`: with the energy that failed.
#[must_use]
pub fn fault(record: &FaultRecord, whole: bool) -> Value {
    let member = |name: &str| json_of(record.member(name));
    let verdict = match record.verdict {
        None => "open",
        Some(Verdict::Discarded) => "discarded",
        Some(Verdict::Wanted) => "to be released",
        Some(Verdict::Released) => "released",
    };
    let mut row = json!({
        "position": record.position, "id": record.id.to_string(), "spell": record.spell(), "status": verdict,
        "kind": member("kind"), "error": member("error"), "line": member("line"),
        "energy": { "position": member("position"), "id": member("id"), "topic": member("topic") },
    });
    if whole {
        row["energy"]["time"] = record.time_ms.into();
        row["energy"]["data"] = member("event");
    }
    row
}

/// A value as JSON, as energies are printed.
fn json_of(value: &rmpv::Value) -> Value {
    let mut bytes = Vec::new();
    match rmpv::encode::write_value(&mut bytes, value) {
        Ok(()) => shown(&bytes),
        Err(_) => Value::Null,
    }
}

/// Which entries of a bucket, in the order of their keys.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// The bucket; empty for `state`.
    pub bucket: String,
    /// Only of this lane's key.
    pub lane: Option<String>,
    /// From this key on.
    pub from: Option<String>,
    /// Before this key.
    pub to: Option<String>,
    /// Keys that begin so.
    pub prefix: Option<String>,
    /// The last key first.
    pub reverse: bool,
    /// At most so many.
    pub limit: usize,
}

impl Range {
    /// The entries of a spell.
    pub fn rows(&self, log: &dyn Log, spell: &str) -> Result<Vec<Value>, InspectionError> {
        known(log, spell)?;
        let lane = self.lane.as_deref().map(argument);
        let bound = |text: &Option<String>| text.as_deref().map(bound_of).transpose();
        let (from, to, prefix) = (bound(&self.from)?, bound(&self.to)?, bound(&self.prefix)?);
        // Lanes lie one after the other; keys are what is asked for.
        let mut rows = BTreeMap::new();
        recall::each_entry(log, spell, &mut |(address, value)| {
            let Some(at) = Address::read(&address) else { return };
            let wanted = at.bucket == self.bucket.as_bytes()
                && lane.as_deref().is_none_or(|lane| lane == at.scope)
                && from.as_deref().is_none_or(|from| at.key >= from)
                && to.as_deref().is_none_or(|to| at.key < to)
                && prefix.as_deref().is_none_or(|prefix| at.key.starts_with(prefix));
            if wanted {
                rows.insert((at.key.to_owned(), at.scope.to_owned()), value);
            }
            if rows.len() > self.limit {
                drop(if self.reverse { rows.pop_first() } else { rows.pop_last() });
            }
        })?;
        let bucket = self.bucket.as_bytes();
        let row = |((key, scope), value): (&(Vec<u8>, Vec<u8>), &Vec<u8>)| {
            entry(&Address { spell: spell.as_bytes(), scope, bucket, key }, value, false)
        };
        let rows = rows.iter().map(row);
        if self.reverse { rows.rev().collect() } else { rows.collect() }
    }
}

/// An entry as an object; with its bucket where that is not known from the question.
pub fn entry(at: &Address<'_>, value: &[u8], with_bucket: bool) -> Result<Value, InspectionError> {
    let mut object = json!({});
    if with_bucket && !at.bucket.is_empty() {
        object["bucket"] = String::from_utf8_lossy(at.bucket).into();
    }
    if !at.scope.is_empty() {
        object["lane"] = shown(at.scope);
    }
    let mut key = Vec::new();
    key::decode(at.key, &mut key).map_err(InspectionError::Stored)?;
    object["key"] = shown(&key);
    object["value"] = shown(value);
    Ok(object)
}

/// MessagePack as JSON.
#[must_use]
pub fn shown(data: &[u8]) -> Value {
    let mut bytes = Vec::new();
    text::write_value(data, &mut bytes);
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

/// The MessagePack of an argument: JSON, or text as it stands.
#[must_use]
pub fn argument(written: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if text::Parser::new().to_msgpack(written.as_bytes(), &mut out).is_err() {
        out.clear();
        crate::event::msgpack::write_bytes(&mut out, written.as_bytes());
    }
    out
}

/// A key, as state has it.
pub fn key_of(text: &str) -> Result<Vec<u8>, InspectionError> {
    let mut key = Vec::new();
    let encoded = key::encode(&argument(text), &mut key).map(drop);
    encoded.map_err(|source| InspectionError::Key { text: text.to_owned(), source })?;
    Ok(key)
}

/// A key as a bound of a range: a part of one, too.
fn bound_of(text: &str) -> Result<Vec<u8>, InspectionError> {
    let mut key = Vec::new();
    let encoded = key::encode_bound(&argument(text), &mut key).map(drop);
    encoded.map_err(|source| InspectionError::Key { text: text.to_owned(), source })?;
    Ok(key)
}

/// A lane's key, as addresses have it.
#[must_use]
pub fn lane_of(text: Option<&str>) -> Vec<u8> {
    text.map(argument).unwrap_or_default()
}
