//! Table filters: a condition on an energy, evaluated on its bytes.
//!
//! ```lua
//! filter = {
//!   amount = { gt = 50, le = 1000 },          -- every condition of a table must hold
//!   ["user.country"] = { ["in"] = { "DE", "FR" } },
//!   paid = true,                              -- a bare value is eq
//!   ["$topic"] = { prefix = "orders." },      -- a $ path reaches the envelope
//!   any = { { vip = true }, { ["items.1.qty"] = { ge = 10 } } },
//! }
//! ```
//!
//! A key is a dotted path; a part that is a number is a place in a list, from 1, or an integer key
//! (or the same digits as a string key). `all`, `any` and `none` combine sub-filters; below a field they combine
//! conditions on it: `code = { none = { { prefix = "x" }, "y" } }`. A field of the data that is
//! itself named `all`, `any` or `none` is out of reach of a table filter, as one with a dot in its name is.
//!
//! A missing field reads as nil: `ne` holds for it, `exists = false` does, comparisons do not. Values
//! of different types are never equal and in no order; integers and floats are one type and
//! compare exactly. Operators are listed in `operator.rs`.
//!
//! [`Filter::compile`] sorts the paths into a tree, so that evaluation walks the energy's sorted keys
//! once beside it, stops at the first condition that fails, and allocates nothing. Recursion is bounded by the
//! nesting of data ([`DEPTH_MAX`](crate::event::msgpack::DEPTH_MAX)), for sub-filters as for paths.

mod compile;
mod envelope;
mod error;
mod operator;
mod value;
mod walk;

use std::cmp::Ordering;

pub use error::{FilterError, Place, Problem, Step};

use self::envelope::{Field, TEXT_BYTES_MAX};
use self::operator::{Test, all_match};
use self::value::Value;
use self::walk::{array_header, end_of, key_at, map_header, prefix_of};
use crate::event::EventRef;
use crate::event::msgpack::Token;

/// A compiled table filter.
#[derive(Clone, Debug)]
pub struct Filter {
    root: Group,
}

/// What one filter table says: all of it must hold.
#[derive(Clone, Debug, Default)]
struct Group {
    envelope: Vec<(Field, Vec<Test>)>,
    data: Level,
    combined: Vec<Combined>,
}

/// Sub-filters and how they combine.
#[derive(Clone, Debug)]
struct Combined {
    quantifier: Quantifier,
    groups: Vec<Group>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    All,
    Any,
    None,
}

/// What is asked of the members of one collection.
#[derive(Clone, Debug)]
struct Level {
    /// By key, ascending.
    entries: Vec<Entry>,
    /// Whether a key is a number, so that keys are looked up one by one.
    numeric: bool,
    /// Whether all holds when nothing is there.
    absent: bool,
}

impl Default for Level {
    fn default() -> Self {
        Self { entries: Vec::new(), numeric: false, absent: true }
    }
}

/// What is asked of one member.
#[derive(Clone, Debug)]
struct Entry {
    /// The key's beginning, which decides most comparisons.
    prefix: u64,
    key: Box<[u8]>,
    /// The key as a number, if it is one.
    number: Option<i64>,
    tests: Vec<Test>,
    deeper: Level,
    /// Whether all holds when the member is missing.
    absent: bool,
}

impl Filter {
    /// Compiles a filter from the canonical MessagePack of its table.
    /// The first problem is the error.
    pub fn compile(spec: &[u8]) -> Result<Self, FilterError> {
        Self::check(spec).map_err(|mut problems| problems.swap_remove(0))
    }

    /// [`Filter::compile`] that gives all problems, of which there is at least one.
    pub fn check(spec: &[u8]) -> Result<Self, Vec<FilterError>> {
        compile::compile(spec).map(|root| Self { root })
    }

    /// Whether an energy satisfies the filter.
    #[must_use]
    pub fn matches(&self, event: EventRef<'_>) -> bool {
        self.root.matches(event)
    }
}

impl Group {
    fn matches(&self, event: EventRef<'_>) -> bool {
        let envelope_matches = self.envelope.iter().all(|(field, tests)| {
            let mut text = [0; TEXT_BYTES_MAX];
            all_match(tests, &field.value(event, &mut text))
        });
        envelope_matches
            && self.data.matches_map(event.data()).unwrap_or(false)
            && self.combined.iter().all(|combined| combined.matches(event))
    }
}

impl Combined {
    fn matches(&self, event: EventRef<'_>) -> bool {
        let mut groups = self.groups.iter();
        match self.quantifier {
            Quantifier::All => groups.all(|group| group.matches(event)),
            Quantifier::Any => groups.any(|group| group.matches(event)),
            Quantifier::None => !groups.any(|group| group.matches(event)),
        }
    }
}

/// `None` from the methods below means bytes that are no MessagePack, which data never is.
impl Level {
    fn matches(&self, value: &Value<'_>) -> bool {
        match *value {
            Value::Map(raw) => self.matches_map(raw).unwrap_or(false),
            Value::Array(raw) if self.numeric => self.matches_array(raw).unwrap_or(false),
            _ => self.absent,
        }
    }

    /// Walks the map's keys and the wanted ones side by side, as both are sorted.
    fn matches_map(&self, raw: &[u8]) -> Option<bool> {
        if self.numeric {
            return self.matches_numeric(raw);
        }
        let mut wanted = self.entries.iter();
        let Some(mut entry) = wanted.next() else { return Some(true) };
        let (count, mut at) = map_header(raw)?;
        'members: for _ in 0..count {
            let (key, value_at) = key_at(raw, at)?;
            at = value_at;
            if let Token::Str(key) | Token::Bin(key) = key {
                let prefix = prefix_of(key);
                loop {
                    let order = entry.order(prefix, key);
                    if order == Ordering::Greater {
                        break;
                    }
                    let holds = match order {
                        Ordering::Equal => entry.matches(&Value::read(raw, &mut at)?),
                        _ => entry.absent,
                    };
                    if !holds {
                        return Some(false);
                    }
                    match wanted.next() {
                        Some(next) => entry = next,
                        None => return Some(true),
                    }
                    if order == Ordering::Equal {
                        continue 'members;
                    }
                }
            }
            at = end_of(raw, at)?;
        }
        Some(entry.absent && wanted.all(|entry| entry.absent))
    }

    fn matches_numeric(&self, raw: &[u8]) -> Option<bool> {
        for entry in &self.entries {
            if !entry.matches(&entry.find_in_map(raw)?) {
                return Some(false);
            }
        }
        Some(true)
    }

    fn matches_array(&self, raw: &[u8]) -> Option<bool> {
        for entry in &self.entries {
            if !entry.matches(&entry.find_in_array(raw)?) {
                return Some(false);
            }
        }
        Some(true)
    }
}

impl Entry {
    /// How the wanted key stands to one of the energy; both begin as their prefixes say.
    #[inline]
    fn order(&self, prefix: u64, key: &[u8]) -> Ordering {
        self.prefix.cmp(&prefix).then_with(|| {
            if self.key.len() <= 8 && key.len() <= 8 {
                self.key.len().cmp(&key.len())
            } else {
                (*self.key).cmp(key)
            }
        })
    }

    fn matches(&self, value: &Value<'_>) -> bool {
        all_match(&self.tests, value) && (self.deeper.entries.is_empty() || self.deeper.matches(value))
    }

    /// The value of the integer key, else of the string key.
    fn find_in_map<'a>(&self, raw: &'a [u8]) -> Option<Value<'a>> {
        let (count, mut at) = map_header(raw)?;
        for _ in 0..count {
            let (key, value_at) = key_at(raw, at)?;
            at = value_at;
            let found = match key {
                Token::Int(key) => self.number == Some(key),
                Token::Str(key) | Token::Bin(key) => *self.key == *key,
                _ => false,
            };
            if found {
                return Value::read(raw, &mut at);
            }
            at = end_of(raw, at)?;
        }
        Some(Value::Nil)
    }

    /// Counts from 1.
    fn find_in_array<'a>(&self, raw: &'a [u8]) -> Option<Value<'a>> {
        let (count, mut at) = array_header(raw)?;
        let Some(number) = self.number.filter(|number| (1..=i64::from(count)).contains(number)) else {
            return Some(Value::Nil);
        };
        for _ in 1..number {
            at = end_of(raw, at)?;
        }
        Value::read(raw, &mut at)
    }
}
