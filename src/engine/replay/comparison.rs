//! What a replayed spell does, held against what the log has of it.
//!
//! Which energies a spell produced is known by their ids: each follows from the energy that caused it, the spell's name
//! and its index. So nothing is searched for, and the log is read once.
//!
//! Not compared: outputs that name their own `$id` and are not produced any more; those whose ttl may have ended; faults
//! of spells that skip them, which no log has.

use std::collections::{BTreeMap, BTreeSet};

use rmpv::Value;

use super::super::delivery::Kind;
use super::super::difference::{address_text, value_of};
use super::super::quarantine::fault_id;
use super::{Audience, Extent, Failure, Replay, Replayed};
use crate::event::envelope::{output_id, spell_key};
use crate::event::{EventRef, Events, Ttl, Uuid, json};
use crate::log::{Error, Log, Pages, Query, Table, same_content};
use crate::runeset::Fault as FaultPolicy;
use crate::spell::{Fault, Outcome, Spell};
use crate::state::Address;

/// How many are the same, and how many are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The same in both.
    pub same: u64,
    /// In both, and not the same.
    pub changed: u64,
    /// Only recorded.
    pub missing: u64,
    /// Only in the replay.
    pub added: u64,
}

impl Counts {
    /// Whether all are the same.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.changed + self.missing + self.added == 0
    }

    fn count(&mut self, recorded: bool, replayed: bool) {
        match (recorded, replayed) {
            (true, true) => self.changed += 1,
            (true, false) => self.missing += 1,
            (false, _) => self.added += 1,
        }
    }
}

/// Something that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The energy that caused it: position, id, topic. `None` for what is kept at the end.
    pub input: Option<(u64, Uuid, String)>,
    /// What differs.
    pub what: String,
    /// What the log has, as lines of text; empty for nothing.
    pub recorded: String,
    /// What the replay has.
    pub replayed: String,
}

/// See the module.
pub struct Comparison<'l> {
    log: &'l dyn Log,
    key: [u8; 16],
    policy: FaultPolicy,
    extent: Extent,
    /// Recorded tasks whose cast has not come: they wait in a batch, or do not come at all.
    open: BTreeSet<(u64, u32)>,
    /// The tasks of the energy at hand.
    tasks: BTreeSet<(u64, u32)>,
    /// Outputs, by topic.
    pub topics: BTreeMap<String, Counts>,
    /// Faults that are on record, or would be.
    pub faults: Counts,
    /// Entries of the state; `None` where they cannot be compared.
    pub state: Option<Counts>,
    /// Energies that were replayed, and casts.
    pub energies: u64,
    /// Casts, batches and ticks.
    pub casts: u64,
    /// The first differences, by position and then as they were found.
    differences: BTreeMap<(u64, u64), Difference>,
    found: u64,
    limit: usize,
}

impl<'l> Comparison<'l> {
    /// Nothing is compared yet. At most `limit` differences are kept, those that come first.
    #[must_use]
    pub fn new(log: &'l dyn Log, spell: &Spell, extent: Extent, limit: usize) -> Self {
        Self {
            log,
            key: spell_key(&spell.name, extent.epoch),
            policy: spell.fault,
            extent,
            open: BTreeSet::new(),
            tasks: BTreeSet::new(),
            topics: BTreeMap::new(),
            faults: Counts::default(),
            state: None,
            energies: 0,
            casts: 0,
            differences: BTreeMap::new(),
            found: 0,
            limit,
        }
    }

    /// The first differences.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.differences.values()
    }

    /// How many there are in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.found
    }

    /// Takes up what comes at the end: recorded casts that did not come, and the state where the replay has all of it.
    /// Nothing where a fault ended it before.
    pub fn finish(&mut self, replay: &Replay<'_>) -> Result<(), Error> {
        if replay.is_halted() {
            return Ok(());
        }
        for (position, salt) in std::mem::take(&mut self.open) {
            let mut found = Events::default();
            if !Pages::forward(position, position + 1).next(self.log, &Query::default(), &mut found)? {
                continue;
            }
            // What waited in a batch may have been cast later than the replay goes.
            let first = self.log.position_of(self.id(found.get(0), salt, 0))?;
            if first.is_some_and(|first| first < self.extent.until) {
                self.missing(found.get(0), salt, 0)?;
            }
        }
        if self.extent.is_whole {
            self.compare_state(&replay.spell().name, replay.state())?;
        }
        Ok(())
    }

    fn differ(&mut self, cause: Option<EventRef<'_>>, what: String, recorded: String, replayed: String) {
        let topic = |event: EventRef<'_>| event.topic().unwrap_or("-").to_owned();
        let input = cause.map(|event| (event.head().position, event.head().id, topic(event)));
        let place = (input.as_ref().map_or(u64::MAX, |input| input.0), self.found);
        self.found += 1;
        self.differences.insert(place, Difference { input, what, recorded, replayed });
        if self.differences.len() > self.limit {
            self.differences.pop_last();
        }
    }

    fn id(&self, cause: EventRef<'_>, salt: u32, index: u32) -> Uuid {
        output_id(cause.head().id, &self.key, (salt << 24) ^ index)
    }

    fn recorded(&self, id: Uuid, found: &mut Events) -> Result<bool, Error> {
        let Some(position) = self.log.position_of(id)? else { return Ok(false) };
        Pages::forward(position, position + 1).next(self.log, &Query::default(), found)
    }

    fn outputs(&mut self, cast: &Replayed<'_>) -> Result<(), Error> {
        let (cause, salt) = (cast.cause, cast.kind.salt());
        let outputs = cast.outputs();
        let count = outputs.len() as u32;
        let mut found = Events::default();
        for (index, output) in outputs.enumerate() {
            let is_recorded = self.recorded(output.head().id, &mut found)?;
            let recorded = found.iter().next().filter(|_| is_recorded);
            if recorded.is_none() && output.extra().is_some_and(|extra| extra.ttl != Ttl::Forever) {
                continue;
            }
            let counts = self.topics.entry(output.topic().unwrap_or("-").to_owned()).or_default();
            if recorded.is_some_and(|recorded| is_same(recorded, output)) {
                counts.same += 1;
                continue;
            }
            counts.count(is_recorded, true);
            let with_time = recorded.is_some_and(|one| one.head().time_ms != output.head().time_ms);
            let text = recorded.map_or_else(String::new, |recorded| energy_text(recorded, with_time));
            let what = format!("output {} of `{}`", index + 1, cast.hook());
            self.differ(Some(cause), what, text, energy_text(output, with_time));
        }
        self.missing(cause, salt, count)
    }

    /// Counts the recorded outputs of a task from an index on as missing.
    fn missing(&mut self, cause: EventRef<'_>, salt: u32, first: u32) -> Result<(), Error> {
        let mut found = Events::default();
        for index in first.. {
            if !self.recorded(self.id(cause, salt, index), &mut found)? {
                break;
            }
            let output = found.get(0);
            self.topics.entry(output.topic().unwrap_or("-").to_owned()).or_default().count(true, false);
            let hook = if salt < 2 { "cast" } else { "tick" };
            let what = format!("output {} of `{hook}`", index + 1);
            self.differ(Some(cause), what, energy_text(output, false), String::new());
        }
        Ok(())
    }

    /// Compares a fault with the one on record; true when what the cast produced is not to be compared.
    fn fault(&mut self, cast: &Replayed<'_>) -> Result<bool, Error> {
        let (cause, salt) = (cast.cause, cast.kind.salt());
        let fault = match cast.outcome {
            Outcome::Fault(fault) => Some(&**fault),
            Outcome::Done | Outcome::Filtered => None,
        };
        if cast.is_release {
            return Ok(fault.is_some());
        }
        let mut found = Events::default();
        let is_recorded = self.recorded(fault_id(cause.head().id, &self.key, salt), &mut found)?;
        let recorded = found.iter().next().filter(|_| is_recorded).map(recorded_fault).unwrap_or_default();
        let replayed = fault.map(fault_text).unwrap_or_default();
        if is_recorded && recorded == replayed {
            self.faults.same += 1;
        } else if is_recorded || (fault.is_some() && self.policy != FaultPolicy::Skip) {
            self.faults.count(is_recorded, fault.is_some());
            self.differ(Some(cause), format!("fault of `{}`", cast.hook()), recorded, replayed);
        }
        let is_both = is_recorded && fault.is_some();
        // What is recorded of it nevertheless came later, out of quarantine.
        if is_both && self.log.position_of(self.id(cause, salt, 0))?.is_some() {
            self.open.insert((cause.head().position, salt));
        }
        Ok(is_both)
    }

    fn compare_state(&mut self, name: &str, replayed: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), Error> {
        let recorded: BTreeMap<_, _> =
            self.log.values(Table::State, &Address::prefix_of(name))?.into_iter().collect();
        let mut counts = Counts::default();
        let all: BTreeSet<&Vec<u8>> = recorded.keys().chain(replayed.keys()).collect();
        for address in all {
            let (old, new) = (recorded.get(address), replayed.get(address));
            if old == new {
                counts.same += 1;
                continue;
            }
            counts.count(old.is_some(), new.is_some());
            let text = |value: Option<&Vec<u8>>| value.map_or_else(String::new, |value| lines_of(value));
            self.differ(None, address_text(address), text(old), text(new));
        }
        self.state = Some(counts);
        Ok(())
    }
}

impl Audience for Comparison<'_> {
    fn cast(&mut self, cast: &Replayed<'_>) -> Result<(), Failure> {
        let task = (cast.cause.head().position, cast.kind.salt());
        self.open.remove(&task);
        self.tasks.insert(task);
        self.casts += u64::from(!matches!(cast.outcome, Outcome::Filtered));
        if !self.fault(cast)? {
            self.outputs(cast)?;
        }
        Ok(())
    }

    fn passed(&mut self, event: EventRef<'_>) -> Result<(), Failure> {
        self.energies += 1;
        let position = event.head().position;
        for salt in 0.. {
            let is_recorded = self.log.position_of(self.id(event, salt, 0))?.is_some();
            if is_recorded && !self.tasks.contains(&(position, salt)) {
                self.open.insert((position, salt));
            }
            if !is_recorded && salt >= Kind::Tick(0).salt() {
                break;
            }
        }
        self.tasks.clear();
        Ok(())
    }
}

fn is_same(recorded: EventRef<'_>, replayed: EventRef<'_>) -> bool {
    let (one, other) = (recorded.head(), replayed.head());
    one.causation == other.causation && one.time_ms == other.time_ms && same_content(recorded, replayed)
}

/// An energy as lines of JSON.
fn energy_text(event: EventRef<'_>, with_time: bool) -> String {
    let mut text = Vec::new();
    json::write_output(event, &mut text);
    let mut value: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    if with_time {
        value["$time"] = event.head().time_ms.into();
    }
    pretty(&value)
}

/// MessagePack as lines of JSON.
fn lines_of(data: &[u8]) -> String {
    pretty(&value_of(data))
}

fn pretty(value: &serde_json::Value) -> String {
    // What was read as JSON can be written.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn fault_text(fault: &Fault) -> String {
    format!("{}: {}\n", fault.kind.name(), fault.message)
}

fn recorded_fault(record: EventRef<'_>) -> String {
    let data = rmpv::decode::read_value(&mut record.data()).unwrap_or(Value::Nil);
    let member = |name: &str| {
        let mut members = data.as_map().into_iter().flatten();
        members.find(|(key, _)| key.as_str() == Some(name)).and_then(|(_, value)| value.as_str())
    };
    format!("{}: {}\n", member("kind").unwrap_or_default(), member("error").unwrap_or_default())
}
