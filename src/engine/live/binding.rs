//! What the log says is bound.

use std::collections::BTreeMap;

use serde_json::Value;

use super::notice::{BOUND_TOPIC, UNBOUND_TOPIC};
use crate::event::{Events, json};
use crate::log::{self, Direction, Log, Query};
use crate::router::pattern::Pattern;

/// How a spell that was bound while a server ran is found again by the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The spell's name.
    pub spell: String,
    /// Its file, from the root.
    pub path: String,
    /// The spell whose shadow it was said to be.
    pub shadow: Option<String>,
}

/// A spell that is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// The hash of its source.
    pub hash: String,
    /// How it is found again; `None` where whoever starts the server names it.
    pub binding: Option<Binding>,
}

/// The code that a spell had from a position on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// The first position that it was given.
    pub from: u64,
    /// Its file.
    pub path: String,
    /// The digest of its source, which is content of the log's.
    pub hash: String,
}

/// The spells that a log says are bound, by name.
pub(super) fn bound_in(log: &dyn Log) -> Result<BTreeMap<String, Bound>, log::Error> {
    let mut bound = BTreeMap::new();
    each_notice(log, &mut |is_bound, _, data| {
        let field = |name: &str| data[name].as_str().map(str::to_owned);
        let spell = field("spell").unwrap_or_default();
        if !is_bound {
            bound.remove(&spell);
            return;
        }
        let (path, shadow) = (field("path").unwrap_or_default(), field("shadow"));
        let binding = Binding { spell: spell.clone(), path, shadow };
        let binding = (data["by"] == "bind").then_some(binding);
        bound.insert(spell, Bound { hash: field("hash").unwrap_or_default(), binding });
    })?;
    Ok(bound)
}

/// The code that a spell had, in order; nothing where no server ran it.
///
/// # Errors
/// A log that cannot be read.
pub fn editions(log: &dyn Log, spell: &str) -> Result<Vec<Edition>, log::Error> {
    let mut editions = Vec::new();
    each_notice(log, &mut |is_bound, position, data| {
        if is_bound && data["spell"] == spell {
            let field = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
            let from = data["from"].as_u64().unwrap_or(position);
            editions.push(Edition { from, path: field("path"), hash: field("hash") });
        }
    })?;
    Ok(editions)
}

/// Goes through the notices of spells that come, which are true, and go: position and data.
fn each_notice(log: &dyn Log, each: &mut dyn FnMut(bool, u64, &Value)) -> Result<(), log::Error> {
    let topics = [BOUND_TOPIC, UNBOUND_TOPIC].iter().filter_map(|topic| Pattern::parse(topic).ok());
    let query = Query { topics: topics.collect(), ..Query::default() };
    let (mut at, mut found) = (0, Events::default());
    while at < log.visible() {
        found.clear();
        at = log.scan(at, Direction::Forward, &query, 1_024, &mut found)?;
        for event in found.iter() {
            let mut text = Vec::new();
            json::write_value(event.data(), &mut text);
            let data = serde_json::from_slice(&text).unwrap_or_default();
            each(event.topic() == Some(BOUND_TOPIC), event.head().position, &data);
        }
    }
    Ok(())
}
