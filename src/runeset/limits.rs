//! The bounds on a spell: what a cast, a VM and a spell's state may use.
//!
//! [`LIMITS`] is the one table of them: name, unit, default, bounds and help. The parser of runesets, that of a
//! spell's `limits` table, the documentation and the JSON Schema all read it.
//!
//! Who has the last word, see [`Limits::resolve`]: a spell may choose its own limits, but not above one
//! that the runeset states for all; what the runeset states for that very spell holds in any case.

use rmpv::Value;
use thiserror::Error;

use super::units::{Measure, Unit, UnitError};
use crate::event::suggest::suggest;

/// The limits that hold for one spell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lua memory of each VM.
    pub memory_bytes: u64,
    /// VM instructions of one cast; native functions charge the same budget.
    pub instructions: u64,
    /// Wall time of one cast, the backstop behind `instructions`.
    pub time_ms: u64,
    /// Energies that one cast may produce.
    pub outputs: u64,
    /// Encoded size of one energy's data.
    pub event_bytes: u64,
    /// Casts between an energy and its seed.
    pub hops: u64,
    /// What one cast may print.
    pub print_bytes: u64,
    /// The spell's state: all keys and values, in all buckets.
    pub state_bytes: u64,
    /// Memory for the state of each lane, where a log holds the rest.
    pub state_cache_bytes: u64,
    /// Energies that may wait for one lane.
    pub queue: u64,
}

/// One row of [`LIMITS`].
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The key in a runeset and in a spell's `limits`.
    pub name: &'static str,
    /// Unit, default and bounds.
    pub measure: Measure,
    /// One sentence for the documentation.
    pub help: &'static str,
    slot: fn(&mut Limits) -> &mut u64,
}

/// How many limits there are.
pub const COUNT: usize = 10;

const fn measure(unit: Unit, default: u64, min: u64, max: u64) -> Measure {
    Measure { unit, default, min, max }
}

/// Every limit, in the order of the documentation.
pub const LIMITS: [Limit; COUNT] = [
    Limit {
        name: "memory",
        measure: measure(Unit::Bytes, 32 << 20, 256 << 10, 16 << 30),
        help: "Lua memory of each of the spell's VMs.",
        slot: |limits| &mut limits.memory_bytes,
    },
    Limit {
        name: "instructions",
        measure: measure(Unit::Count, 10_000_000, 1_000, 1_000_000_000_000),
        help: "VM instructions of one cast; library functions charge the same budget for the work they do.",
        slot: |limits| &mut limits.instructions,
    },
    Limit {
        name: "time",
        measure: measure(Unit::Milliseconds, 5_000, 1, 86_400_000),
        help: "Wall time of one cast: the backstop behind `instructions`.",
        slot: |limits| &mut limits.time_ms,
    },
    Limit {
        name: "outputs",
        measure: measure(Unit::Count, 1_000, 0, 1_000_000),
        help: "Energies that one cast may produce.",
        slot: |limits| &mut limits.outputs,
    },
    Limit {
        name: "event_bytes",
        measure: measure(Unit::Bytes, 1 << 20, 64, 256 << 20),
        help: "Encoded size of the data of one energy.",
        slot: |limits| &mut limits.event_bytes,
    },
    Limit {
        name: "hops",
        measure: measure(Unit::Count, 10_000, 1, u32::MAX as u64),
        help: "Casts between an energy and its seed: ends loops that never settle.",
        slot: |limits| &mut limits.hops,
    },
    Limit {
        name: "print_bytes",
        measure: measure(Unit::Bytes, 1 << 20, 0, 256 << 20),
        help: "What one cast may print.",
        slot: |limits| &mut limits.print_bytes,
    },
    Limit {
        name: "state_bytes",
        measure: measure(Unit::Bytes, 1 << 30, 0, 1 << 50),
        help: "The spell's state: keys and values of all its buckets and lanes.",
        slot: |limits| &mut limits.state_bytes,
    },
    Limit {
        name: "state_cache_bytes",
        measure: measure(Unit::Bytes, 64 << 20, 0, 1 << 40),
        help: "Memory for the state of each lane in a run with `--data`, about: what is beyond it is read from the log's tables.",
        slot: |limits| &mut limits.state_cache_bytes,
    },
    Limit {
        name: "queue",
        measure: measure(Unit::Count, 16_384, 1, 1 << 30),
        help: "Energies that may wait for one lane before the log is read no further.",
        slot: |limits| &mut limits.queue,
    },
];

/// Why a limit was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LimitError {
    /// No such limit.
    #[error("unknown limit `{name}`")]
    Unknown {
        /// The name as written.
        name: String,
        /// The nearest known one.
        nearest: Option<&'static str>,
    },
    /// Not an amount of the limit's unit, or out of its bounds.
    #[error("limit `{name}`: {source}")]
    Value {
        /// The limit.
        name: &'static str,
        /// What is wrong with the value.
        source: UnitError,
    },
    /// `limits` itself is not a map with names as keys.
    #[error("`limits` must be a map of names to amounts, got {found}")]
    NotAMap {
        /// What was given.
        found: &'static str,
    },
}

impl LimitError {
    /// All names, for the help line of a message.
    #[must_use]
    pub fn known() -> String {
        LIMITS.map(|limit| limit.name).join(", ")
    }
}

impl Default for Limits {
    fn default() -> Self {
        StatedLimits::default().over(Limits {
            memory_bytes: LIMITS[0].measure.default,
            instructions: LIMITS[1].measure.default,
            time_ms: LIMITS[2].measure.default,
            outputs: LIMITS[3].measure.default,
            event_bytes: LIMITS[4].measure.default,
            hops: LIMITS[5].measure.default,
            print_bytes: LIMITS[6].measure.default,
            state_bytes: LIMITS[7].measure.default,
            state_cache_bytes: LIMITS[8].measure.default,
            queue: LIMITS[9].measure.default,
        })
    }
}

impl Limits {
    /// Sets one limit from a MessagePack value, as a spell's `limits` table or a runeset gives it.
    pub fn apply(&mut self, name: &str, value: &[u8]) -> Result<(), LimitError> {
        let mut stated = StatedLimits::default();
        stated.apply(name, &decode(value))?;
        *self = stated.over(*self);
        Ok(())
    }

    /// The limits of one spell: the defaults, then what the runeset states for all, then the spell's own, which
    /// may go above a default but only below what the runeset states, then the runeset's for this spell.
    #[must_use]
    pub fn resolve(runeset: &StatedLimits, spell: &StatedLimits, entry: &StatedLimits) -> Limits {
        let mut own = *spell;
        for (own, ceiling) in own.values.iter_mut().zip(runeset.values) {
            if let (Some(value), Some(ceiling)) = (own.as_mut(), ceiling) {
                *value = (*value).min(ceiling);
            }
        }
        entry.over(own.over(runeset.over(Limits::default())))
    }

    /// Name and value of every limit, the value in the unit people read.
    pub fn texts(mut self) -> impl Iterator<Item = (&'static str, String)> {
        LIMITS.into_iter().map(move |limit| (limit.name, limit.measure.unit.format(*(limit.slot)(&mut self))))
    }
}

/// Limits that somebody set, each or none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatedLimits {
    values: [Option<u64>; COUNT],
}

impl StatedLimits {
    /// Sets one limit.
    pub fn apply(&mut self, name: &str, value: &Value) -> Result<(), LimitError> {
        let Some(index) = LIMITS.iter().position(|limit| limit.name == name) else {
            let nearest = suggest(name, LIMITS.map(|limit| limit.name));
            return Err(LimitError::Unknown { name: name.into(), nearest });
        };
        let limit = &LIMITS[index];
        let amount =
            limit.measure.read(value).map_err(|source| LimitError::Value { name: limit.name, source })?;
        self.values[index] = Some(amount);
        Ok(())
    }

    /// Sets limits from a MessagePack map, a spell's `limits` table; gives every problem, not only the first.
    pub fn apply_table(&mut self, table: &[u8]) -> Result<(), Vec<LimitError>> {
        let value = decode(table);
        let entries = match &value {
            Value::Map(entries) => entries,
            Value::Array(items) if items.is_empty() => return Ok(()),
            other => return Err(vec![LimitError::NotAMap { found: super::units::kind_of(other) }]),
        };
        let mut errors = Vec::new();
        for (key, value) in entries {
            let name = key.as_str().map_or_else(|| key.to_string(), str::to_string);
            errors.extend(self.apply(&name, value).err());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// What was set for `name`, if anything.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        LIMITS.iter().position(|limit| limit.name == name).and_then(|index| self.values[index])
    }

    /// `limits` with what is stated here in place of it.
    #[must_use]
    pub fn over(&self, mut limits: Limits) -> Limits {
        for (limit, value) in LIMITS.iter().zip(self.values) {
            if let Some(value) = value {
                *(limit.slot)(&mut limits) = value;
            }
        }
        limits
    }
}

/// The value that MessagePack bytes stand for; nil for bytes that are none.
fn decode(mut bytes: &[u8]) -> Value {
    rmpv::decode::read_value(&mut bytes).unwrap_or(Value::Nil)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fills_every_field() {
        let mut limits = Limits::default();
        for limit in LIMITS {
            assert_eq!(*(limit.slot)(&mut limits), limit.measure.default, "{}", limit.name);
            assert!(limit.measure.check(limit.measure.default).is_ok(), "{}", limit.name);
            *(limit.slot)(&mut limits) = 0;
        }
        assert!(limits.texts().all(|(_, text)| text.starts_with('0')));
    }

    #[test]
    fn amounts_come_as_numbers_or_text() {
        let mut limits = Limits::default();
        limits.apply("memory", b"\xa464MiB").unwrap_err();
        limits.apply("memory", b"\xa564MiB").unwrap();
        limits.apply("outputs", b"\x05").unwrap();
        assert_eq!((limits.memory_bytes, limits.outputs), (64 << 20, 5));
        let error = limits.apply("memroy", b"\x05").unwrap_err();
        assert_eq!(error, LimitError::Unknown { name: "memroy".into(), nearest: Some("memory") });
        let error = limits.apply("hops", b"\x00").unwrap_err();
        assert_eq!(error.to_string(), "limit `hops`: 0 is out of range: 1 to 4294967295");
    }

    #[test]
    fn the_runeset_has_the_last_word() {
        let stated = |name: &str, value: u64| {
            let mut stated = StatedLimits::default();
            stated.apply(name, &Value::from(value)).unwrap();
            stated
        };
        let none = StatedLimits::default();
        let resolve = |a: &StatedLimits, b: &StatedLimits, c: &StatedLimits| Limits::resolve(a, b, c).hops;
        assert_eq!(resolve(&none, &none, &none), 10_000);
        assert_eq!(resolve(&none, &stated("hops", 50_000), &none), 50_000);
        assert_eq!(resolve(&stated("hops", 20_000), &stated("hops", 50_000), &none), 20_000);
        assert_eq!(resolve(&stated("hops", 20_000), &stated("hops", 5), &none), 5);
        assert_eq!(resolve(&stated("hops", 20_000), &stated("hops", 5), &stated("hops", 70_000)), 70_000);
    }
}
