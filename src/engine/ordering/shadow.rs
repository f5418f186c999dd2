//! Shadows: spells that get the energies of another one, and are compared with it.
//!
//! A shadow is cast as any spell, has a state of its own, which begins as a copy of the other's, and a place of its own
//! in the log. What it produces is dropped once it was compared. Compared is, for each energy that both were given in
//! one round, all that its casts did: what they produced, but for the ids; what they changed in the state; whether they
//! faulted. So nothing is compared while one of the two lags behind, such as one that was stopped; once it has caught up,
//! it is again.
//!
//! What was found goes into the log with each commit, and begins anew when one of the two changes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::difference::{address_text, output_text, short, state_text};
use super::settlement::LaneResult;
use crate::event::EventRef;
use crate::log::{Changes, Error, Log, Table, same_content};
use crate::runeset::Diagnostic;
use crate::spell::Spell;
use crate::state::Address;

/// What one cast did: what of its lane's round.
pub(super) struct Did {
    pub lane: u32,
    pub outputs: Range<usize>,
    pub changes: Range<usize>,
    pub fault: Option<String>,
}

/// What a comparison has found.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Report {
    /// The other spell.
    of: String,
    /// Hashes of both sources.
    sources: [String; 2],
    /// Energies that were compared.
    compared: u64,
    /// Those at which they differ.
    different: u64,
    /// The first of these, and the last: `position` and `what`.
    first: Option<Value>,
    last: Option<Value>,
}

struct Pair {
    name: Arc<str>,
    /// The shadow and the other one, by index.
    sides: [usize; 2],
    /// What both did for the energy at hand.
    did: [Vec<Did>; 2],
    report: Report,
    is_changed: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Shadows(Vec<Pair>);

impl Shadows {
    /// The shadows among spells, and what was found before.
    pub fn of(log: &dyn Log, spells: &[Arc<Spell>]) -> Result<Self, Error> {
        let mut pairs = Vec::new();
        for (index, spell) in spells.iter().enumerate() {
            let Some(of) = &spell.shadow else { continue };
            let Some(other) = spells.iter().position(|other| other.name == *of) else { continue };
            let sources = [index, other].map(|side| blake3::hash(&spells[side].source).to_string());
            let stored = log.value(Table::Shadow, spell.name.as_bytes())?;
            let stored = stored.and_then(|text| serde_json::from_slice::<Report>(&text).ok());
            let fresh = Report { of: of.to_string(), sources, ..Report::default() };
            let report = stored.filter(|stored| (&stored.of, &stored.sources) == (&fresh.of, &fresh.sources));
            pairs.push(Pair {
                name: spell.name.clone(),
                sides: [index, other],
                did: [Vec::new(), Vec::new()],
                is_changed: report.is_none(),
                report: report.unwrap_or(fresh),
            });
        }
        Ok(Self(pairs))
    }

    /// Forgets what was done for the energy before.
    pub fn begin(&mut self) {
        for pair in &mut self.0 {
            pair.did.iter_mut().for_each(Vec::clear);
        }
    }

    /// Whether what a spell does is compared.
    pub fn includes(&self, spell: usize) -> bool {
        self.0.iter().any(|pair| pair.sides.contains(&spell))
    }

    /// Takes what a cast did.
    pub fn take(&mut self, spell: usize, did: &Did) {
        for pair in &mut self.0 {
            for side in 0..2 {
                if pair.sides[side] == spell {
                    let Did { lane, outputs, changes, fault } = did;
                    let (outputs, changes, fault) = (outputs.clone(), changes.clone(), fault.clone());
                    pair.did[side].push(Did { lane: *lane, outputs, changes, fault });
                }
            }
        }
    }

    /// The log refused what the last cast of a spell produced: it did nothing but fault. Of a shadow nothing is refused.
    pub fn refuse(&mut self, spell: usize, why: &str) {
        for pair in &mut self.0 {
            for side in (0..2).filter(|side| pair.sides[*side] == spell) {
                if let Some(did) = pair.did[side].last_mut() {
                    *did = Did { lane: did.lane, outputs: 0..0, changes: 0..0, fault: Some(why.to_owned()) };
                }
            }
        }
    }

    /// Compares what was done for an energy. `begun` tells whether a spell was given it in this round.
    pub fn compare(
        &mut self,
        event: EventRef<'_>,
        results: &[Option<LaneResult>],
        begun: impl Fn(usize) -> bool,
    ) {
        for pair in &mut self.0 {
            let is_cast = pair.did.iter().any(|did| !did.is_empty());
            if !is_cast || !pair.sides.iter().all(|side| begun(*side)) {
                continue;
            }
            pair.report.compared += 1;
            pair.is_changed = true;
            let [shadow, other] = pair.did.each_ref().map(|did| Side::of(did, results));
            if let Some(what) = other.differs(&shadow) {
                let found = json!({ "position": event.head().position, "what": what });
                pair.report.different += 1;
                pair.report.first.get_or_insert_with(|| found.clone());
                pair.report.last = Some(found);
            }
        }
    }

    /// What differs, for the end of a run.
    pub fn warnings(&self) -> impl Iterator<Item = Diagnostic> {
        self.0.iter().filter(|pair| pair.report.different > 0).map(|pair| {
            let Report { of, compared, different, first, .. } = &pair.report;
            let name = &pair.name;
            let text = format!("shadow `{name}` differs from `{of}` at {different} of {compared} energies");
            let first = first.clone().unwrap_or_default();
            let what = first["what"].as_str().unwrap_or_default();
            Diagnostic::warning(text)
                .note(format!("the first is that at position {}: {what}", first["position"]))
        })
    }

    /// Adds to a commit what was found.
    pub fn record(&mut self, changes: &mut Changes) {
        for pair in self.0.iter_mut().filter(|pair| pair.is_changed) {
            // Text and numbers: nothing that JSON cannot say.
            let text = serde_json::to_vec(&pair.report).unwrap_or_default();
            changes.put(Table::Shadow, pair.name.as_bytes(), &text);
            pair.is_changed = false;
        }
    }
}

/// All that one spell did for an energy.
struct Side<'a> {
    outputs: Vec<EventRef<'a>>,
    /// By address, without the spell; the last change of a key counts.
    state: BTreeMap<Vec<u8>, Option<&'a [u8]>>,
    faults: Vec<&'a str>,
}

impl<'a> Side<'a> {
    fn of(did: &'a [Did], results: &'a [Option<LaneResult>]) -> Self {
        let mut side = Self { outputs: Vec::new(), state: BTreeMap::new(), faults: Vec::new() };
        for did in did {
            side.faults.extend(did.fault.as_deref());
            let Some(LaneResult { round, .. }) = &results[did.lane as usize] else { continue };
            side.outputs.extend(did.outputs.clone().map(|at| round.outputs.get(at)));
            for change in round.changes.iter().take(did.changes.end).skip(did.changes.start) {
                let Some(address) = Address::read(change.key) else { continue };
                let mut key = Vec::new();
                Address { spell: &[], ..address }.write(&mut key);
                side.state.insert(key, change.value);
            }
        }
        side
    }

    /// The first thing that the shadow does otherwise, in words.
    fn differs(&self, shadow: &Side<'_>) -> Option<String> {
        if self.faults != shadow.faults {
            let text = |faults: &[&str]| match faults.first() {
                Some(fault) => short(fault),
                None => "no fault".to_owned(),
            };
            return Some(format!("fault: {}; the shadow: {}", text(&self.faults), text(&shadow.faults)));
        }
        for index in 0..self.outputs.len().max(shadow.outputs.len()) {
            let (one, other) = (self.outputs.get(index), shadow.outputs.get(index));
            let is_same = |one: EventRef<'_>, other: EventRef<'_>| {
                one.head().time_ms == other.head().time_ms && same_content(one, other)
            };
            if !one.zip(other).is_some_and(|(one, other)| is_same(*one, *other)) {
                let text = |output: Option<&EventRef<'_>>| {
                    output.map_or_else(|| "nothing".to_owned(), |output| output_text(*output))
                };
                let number = index + 1;
                return Some(format!("output {number}: {}; the shadow: {}", text(one), text(other)));
            }
        }
        let keys = self.state.keys().chain(shadow.state.keys());
        let key = keys.filter(|key| self.state.get(*key) != shadow.state.get(*key)).min()?;
        let text = |side: &Side<'_>| match side.state.get(key) {
            Some(value) => state_text(*value),
            None => "not changed".to_owned(),
        };
        Some(format!("{}: {}; the shadow: {}", address_text(key), text(self), text(shadow)))
    }
}
