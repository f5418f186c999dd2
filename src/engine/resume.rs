//! Where spells stand in a durable log, and how a run goes on from there.
//!
//! With each commit of a run goes, for every spell, the position of the next energy it wants, its clock and
//! timer, and the energies that wait in its open batches; and the state that its casts changed. So the
//! log is always at the boundary between two casts, whatever ends the run.

use std::sync::Arc;

use super::delivery::Deliveries;
use super::recall;
use crate::event::Events;
use crate::log::{Changes, Direction, Error, Log, Query, Table};
use crate::runeset::Start;
use crate::spell::{Memory, Spell};
use crate::state::Address;

/// Where a spell stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The next position it wants.
    pub next: u64,
    /// Its clock, if it has one.
    pub now_ms: Option<i64>,
    /// When its next tick is due.
    pub next_tick_ms: Option<i64>,
    /// How often it was rewound.
    pub epoch: u64,
    /// Energies that wait in open batches, in order.
    pub waiting: Vec<u64>,
}

impl Standing {
    /// Its form in the log: numbers of eight bytes, little endian: next, clock, tick (the least number for none),
    /// epoch, then what waits.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let times = [self.now_ms, self.next_tick_ms].map(|time| time.unwrap_or(i64::MIN) as u64);
        let numbers = [self.next].into_iter().chain(times).chain([self.epoch]);
        let numbers = numbers.chain(self.waiting.iter().copied());
        numbers.flat_map(u64::to_le_bytes).collect()
    }

    /// Reads it back; `None` for what is none.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let (next, now_ms, tick_ms) = (numbers.next()?, numbers.next()? as i64, numbers.next()? as i64);
        let epoch = numbers.next()?;
        let time = |ms| Some(ms).filter(|ms| *ms != i64::MIN);
        rest.is_empty().then(|| Self {
            next,
            now_ms: time(now_ms),
            next_tick_ms: time(tick_ms),
            epoch,
            waiting: numbers.collect(),
        })
    }
}

/// Where a spell of that name stands; `None` where it has never run.
pub fn standing_in(log: &dyn Log, name: &str) -> Result<Option<Standing>, Error> {
    Ok(log.value(Table::Spell, name.as_bytes())?.as_deref().and_then(Standing::read))
}

/// The version of what a spell of that name keeps.
pub fn version_in(log: &dyn Log, name: &str) -> Result<u64, Error> {
    let stored = log.value(Table::Version, name.as_bytes())?;
    Ok(stored.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes))
}

/// The spell that one which has never run takes over from: the one that it was, or whose shadow it is.
pub fn forebear_of(log: &dyn Log, spell: &Spell) -> Result<Option<(Standing, Arc<str>)>, Error> {
    for name in [&spell.was, &spell.shadow].into_iter().flatten() {
        if let Some(standing) = standing_in(log, name)? {
            return Ok(Some((standing, name.clone())));
        }
    }
    Ok(None)
}

/// Where a spell begins that has never run: what its `start` says.
pub fn start_of(log: &dyn Log, spell: &Spell) -> Result<Standing, Error> {
    let next = match spell.start {
        None | Some(Start::New) => log.head(),
        Some(Start::Oldest) => 0,
        Some(Start::Position(position)) => position.min(log.head()),
        Some(Start::TimeMs(since)) => first_since(log, since)?,
    };
    Ok(Standing { next, ..Standing::default() })
}

/// The position of the first energy from a time on; the head where there is none.
pub fn first_since(log: &dyn Log, since: i64) -> Result<u64, Error> {
    let query = Query { since_ms: Some(since), ..Query::default() };
    let (mut at, mut found) = (0, Events::default());
    while at < log.visible() {
        at = log.scan(at, Direction::Forward, &query, 1, &mut found)?;
        if let Some(event) = found.iter().next() {
            return Ok(event.head().position);
        }
    }
    Ok(log.head())
}

/// Says in a commit where all spells stand. `next` is the position that each wants next.
pub fn record(
    spells: &[Arc<Spell>],
    deliveries: &Deliveries,
    next: &dyn Fn(usize) -> u64,
    changes: &mut Changes,
) {
    for (index, spell) in spells.iter().enumerate() {
        let standing = deliveries.standing(index, next(index));
        changes.put(Table::Spell, spell.name.as_bytes(), &standing.bytes());
    }
}

/// Says in a commit that open batches were cast at the end of a run, at a position. `before` is where spells stood.
///
/// Nothing in the energies tells where a run ended: a replay would cut batches elsewhere.
pub fn record_flush(spells: &[Arc<Spell>], before: &[Standing], position: u64, changes: &mut Changes) {
    for (spell, _) in spells.iter().zip(before).filter(|(_, standing)| !standing.waiting.is_empty()) {
        changes.put(Table::Flush, &flush_key(&spell.name, position), &[]);
    }
}

/// Takes back what [`record_flush`] said of positions after `from`: a spell that is rewound has its batches anew.
pub fn forget_flushes(log: &dyn Log, spell: &str, from: u64, changes: &mut Changes) -> Result<(), Error> {
    for position in flushes(log, spell)?.into_iter().filter(|position| *position > from) {
        changes.delete(Table::Flush, &flush_key(spell, position));
    }
    Ok(())
}

/// The positions at which open batches of a spell were cast at the end of a run, ascending.
pub fn flushes(log: &dyn Log, spell: &str) -> Result<Vec<u64>, Error> {
    let prefix = flush_prefix(spell);
    let keys = log.values(Table::Flush, &prefix)?.into_iter();
    let position = |key: Vec<u8>| key.get(prefix.len()..)?.try_into().ok().map(u64::from_be_bytes);
    Ok(keys.filter_map(|(key, _)| position(key)).collect())
}

fn flush_key(spell: &str, position: u64) -> Vec<u8> {
    [&flush_prefix(spell)[..], &position.to_be_bytes()].concat()
}

fn flush_prefix(spell: &str) -> Vec<u8> {
    [spell.as_bytes(), b"\0"].concat()
}

/// What a log remembers of earlier runs.
#[derive(Default)]
pub(super) struct Restored {
    /// By lane.
    pub memories: std::vec::IntoIter<Memory>,
    /// The first position that any spell wants.
    pub cursor: u64,
    /// How often each spell was rewound.
    pub epochs: Vec<u64>,
    /// Spells that are new to a log that has energies.
    pub late: Vec<usize>,
    /// What is to be said in the log before anything else: where new spells begin, what was renamed.
    pub changes: Changes,
}

impl Restored {
    /// Reads it, and has `deliveries` go on from there.
    pub fn read(
        log: &Arc<dyn Log>,
        spells: &[Arc<Spell>],
        deliveries: &mut Deliveries,
    ) -> Result<Self, Error> {
        let mut restored = Self { cursor: log.head(), ..Self::default() };
        let mut memories = Vec::new();
        for (index, spell) in spells.iter().enumerate() {
            let standing = restored.standing(&**log, index, spell)?;
            deliveries.resume(index, &standing, &**log)?;
            restored.cursor = restored.cursor.min(standing.next);
            restored.epochs.push(standing.epoch);
            let lane_of = |key: &[u8]| deliveries.lane_of(index, key);
            let version = restored.version(&**log, spell)?;
            let is_migrated = version.is_some_and(|version| version != spell.version);
            let first = memories.len();
            let own = recall::memories_of(log, spell, &lane_of, standing.epoch, is_migrated)?;
            memories.extend(own);
            memories[first..].iter_mut().for_each(|memory| memory.version = version);
        }
        restored.memories = memories.into_iter();
        Ok(restored)
    }

    /// Where a spell goes on. One that is new takes over from the one that it was, or begins.
    fn standing(&mut self, log: &dyn Log, index: usize, spell: &Spell) -> Result<Standing, Error> {
        if let Some(standing) = standing_in(log, &spell.name)? {
            return Ok(standing);
        }
        let standing = match forebear_of(log, spell)? {
            Some((standing, name)) if spell.was.as_ref() == Some(&name) => {
                self.rename(log, spell)?;
                standing
            }
            Some((standing, name)) => {
                self.copy(log, spell, &name)?;
                Standing { epoch: 0, ..standing }
            }
            None => {
                let standing = start_of(log, spell)?;
                if spell.start.is_none() && standing.next > 0 {
                    self.late.push(index);
                }
                standing
            }
        };
        self.changes.put(Table::Spell, spell.name.as_bytes(), &standing.bytes());
        Ok(standing)
    }

    /// The version of what a spell keeps, where it may keep anything; from now on it is the spell's.
    fn version(&mut self, log: &dyn Log, spell: &Spell) -> Result<Option<u64>, Error> {
        let known = match standing_in(log, &spell.name)? {
            Some(_) => Some(version_in(log, &spell.name)?),
            None => forebear_of(log, spell)?.map(|(_, name)| version_in(log, &name)).transpose()?,
        };
        if version_in(log, &spell.name)? != spell.version {
            self.changes.put(Table::Version, spell.name.as_bytes(), &spell.version.to_le_bytes());
        }
        Ok(known)
    }

    /// Has a shadow keep what the other spell does.
    fn copy(&mut self, log: &dyn Log, spell: &Spell, of: &str) -> Result<(), Error> {
        for (address, value) in log.values(Table::State, &Address::prefix_of(of))? {
            if let Some(at) = Address::read(&address) {
                let mut copied = Vec::new();
                Address { spell: spell.name.as_bytes(), ..at }.write(&mut copied);
                self.changes.put(Table::State, &copied, &value);
            }
        }
        Ok(())
    }

    /// Moves what a spell kept under its former name.
    fn rename(&mut self, log: &dyn Log, spell: &Spell) -> Result<(), Error> {
        let Some(was) = spell.was.as_deref() else { return Ok(()) };
        self.changes.delete(Table::Spell, was.as_bytes());
        recall::forget_sizes(was, &mut self.changes);
        self.changes.delete(Table::Version, was.as_bytes());
        for position in flushes(log, was)? {
            self.changes.delete(Table::Flush, &flush_key(was, position));
            self.changes.put(Table::Flush, &flush_key(&spell.name, position), &[]);
        }
        for (address, value) in log.values(Table::State, &Address::prefix_of(was))? {
            self.changes.delete(Table::State, &address);
            if let Some(at) = Address::read(&address) {
                let mut renamed = Vec::new();
                Address { spell: spell.name.as_bytes(), ..at }.write(&mut renamed);
                self.changes.put(Table::State, &renamed, &value);
            }
        }
        Ok(())
    }
}
