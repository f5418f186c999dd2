//! The operators: their names, and the tests they compile to.
//!
//! | Operator | Holds when the field |
//! |---|---|
//! | `eq` `ne` | equals the operand, or not; `ne` holds for a missing field, and for another type |
//! | `gt` `ge` `lt` `le` | stands in that order to a number or string; other types never do |
//! | `in` | equals a member of the list |
//! | `exists` | is there (`true`) or is missing or nil (`false`) |
//! | `prefix` `suffix` | is a string that begins or ends so |
//! | `contains` | is a string with that part, or a list with that member |
//! | `all` `any` `none` | satisfies every, at least one, or none of the conditions in the list |

use std::cmp::Ordering;

use memchr::memmem::Finder;

use super::value::{Number, Value};
use super::walk::array_header;
use crate::event::suggest::suggest;

/// An operator by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    In,
    Exists,
    Prefix,
    Suffix,
    Contains,
    All,
    Any,
    None,
}

/// In the order in which messages list them.
const OPERATORS: [(&str, Operator); 14] = [
    ("eq", Operator::Eq),
    ("ne", Operator::Ne),
    ("gt", Operator::Gt),
    ("ge", Operator::Ge),
    ("lt", Operator::Lt),
    ("le", Operator::Le),
    ("in", Operator::In),
    ("exists", Operator::Exists),
    ("prefix", Operator::Prefix),
    ("suffix", Operator::Suffix),
    ("contains", Operator::Contains),
    ("all", Operator::All),
    ("any", Operator::Any),
    ("none", Operator::None),
];

/// What other languages call them.
const ALIASES: [(&str, &str); 30] = [
    ("==", "eq"),
    ("=", "eq"),
    ("equal", "eq"),
    ("equals", "eq"),
    ("is", "eq"),
    ("!=", "ne"),
    ("~=", "ne"),
    ("neq", "ne"),
    (">", "gt"),
    ("above", "gt"),
    ("gte", "ge"),
    (">=", "ge"),
    ("min", "ge"),
    ("<", "lt"),
    ("below", "lt"),
    ("lte", "le"),
    ("<=", "le"),
    ("max", "le"),
    ("oneof", "in"),
    ("exist", "exists"),
    ("startswith", "prefix"),
    ("endswith", "suffix"),
    ("contain", "contains"),
    ("includes", "contains"),
    ("has", "contains"),
    ("and", "all"),
    ("or", "any"),
    ("not", "none"),
    ("nor", "none"),
    ("nin", "none"),
];

impl Operator {
    /// The operator of that name.
    pub fn parse(name: &str) -> Option<Self> {
        OPERATORS.iter().find(|(known, _)| *known == name).map(|&(_, operator)| operator)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        OPERATORS.iter().find(|(_, operator)| *operator == self).map_or("", |&(name, _)| name)
    }

    /// All names, for messages.
    pub fn list() -> String {
        OPERATORS.map(|(name, _)| name).join(", ")
    }

    /// The operator that an unknown name probably means.
    pub fn nearest(name: &str) -> Option<&'static str> {
        let plain = name.trim_start_matches('$').replace(['_', '-'], "").to_ascii_lowercase();
        if let Some(operator) = Self::parse(&plain) {
            return Some(operator.name());
        }
        match ALIASES.iter().find(|(alias, _)| *alias == plain) {
            Some(&(_, name)) => Some(name),
            None => suggest(name, OPERATORS.map(|(known, _)| known)),
        }
    }
}

/// An operand that outlives the filter's source.
#[derive(Clone, Debug)]
pub(super) enum Literal {
    Nil,
    Bool(bool),
    Number(Number),
    Bytes(Box<[u8]>),
    Array(Box<[u8]>),
    Map(Box<[u8]>),
    Ext(i8, Box<[u8]>),
}

impl From<Value<'_>> for Literal {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(value) => Self::Number(value),
            Value::Bytes(value) => Self::Bytes(value.into()),
            Value::Array(raw) => Self::Array(raw.into()),
            Value::Map(raw) => Self::Map(raw.into()),
            Value::Ext(kind, value) => Self::Ext(kind, value.into()),
        }
    }
}

impl Literal {
    #[inline]
    fn value(&self) -> Value<'_> {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(value) => Value::Number(*value),
            Self::Bytes(value) => Value::Bytes(value),
            Self::Array(raw) => Value::Array(raw),
            Self::Map(raw) => Value::Map(raw),
            Self::Ext(kind, value) => Value::Ext(*kind, value),
        }
    }
}

/// One condition on one value.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Eq(Literal),
    Ne(Literal),
    Gt(Literal),
    Ge(Literal),
    Lt(Literal),
    Le(Literal),
    In(Members),
    Exists(bool),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Part),
    /// Each member is a conjunction.
    All(Vec<Vec<Test>>),
    Any(Vec<Vec<Test>>),
    None(Vec<Vec<Test>>),
}

impl Test {
    /// Whether the condition holds. A missing field is [`Value::Nil`].
    pub fn matches(&self, value: &Value<'_>) -> bool {
        let order = |literal: &Literal| value.order(&literal.value());
        match self {
            Self::Eq(literal) => value.equals(&literal.value()),
            Self::Ne(literal) => !value.equals(&literal.value()),
            Self::Gt(literal) => order(literal) == Some(Ordering::Greater),
            Self::Ge(literal) => order(literal).is_some_and(Ordering::is_ge),
            Self::Lt(literal) => order(literal) == Some(Ordering::Less),
            Self::Le(literal) => order(literal).is_some_and(Ordering::is_le),
            Self::In(members) => members.contains(value),
            Self::Exists(wanted) => *wanted != matches!(value, Value::Nil),
            Self::Prefix(part) => matches!(value, Value::Bytes(bytes) if bytes.starts_with(part)),
            Self::Suffix(part) => matches!(value, Value::Bytes(bytes) if bytes.ends_with(part)),
            Self::Contains(part) => part.is_in(value),
            Self::All(lists) => lists.iter().all(|tests| all_match(tests, value)),
            Self::Any(lists) => lists.iter().any(|tests| all_match(tests, value)),
            Self::None(lists) => !lists.iter().any(|tests| all_match(tests, value)),
        }
    }
}

/// Whether every condition holds.
pub(super) fn all_match(tests: &[Test], value: &Value<'_>) -> bool {
    tests.iter().all(|test| test.matches(value))
}

/// The list of `in`, sorted by type, so that a long one costs a binary search.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    ints: Vec<i64>,
    floats: Vec<f64>,
    strings: Vec<Box<[u8]>>,
    others: Vec<Literal>,
}

impl Members {
    /// NaN must not be among them.
    pub fn new(literals: impl IntoIterator<Item = Literal>) -> Self {
        let mut members = Self::default();
        for literal in literals {
            match literal {
                Literal::Number(Number::Int(value)) => members.ints.push(value),
                Literal::Number(Number::Float(value)) => members.floats.push(value),
                Literal::Bytes(value) => members.strings.push(value),
                other => members.others.push(other),
            }
        }
        members.ints.sort_unstable();
        members.floats.sort_unstable_by(f64::total_cmp);
        members.strings.sort_unstable();
        members
    }

    fn contains(&self, value: &Value<'_>) -> bool {
        match *value {
            Value::Number(Number::Int(value)) => self.ints.binary_search(&value).is_ok(),
            Value::Number(Number::Float(value)) => {
                self.floats.binary_search_by(|member| member.total_cmp(&value)).is_ok()
            }
            Value::Bytes(value) => self.strings.binary_search_by(|member| (**member).cmp(value)).is_ok(),
            other => self.others.iter().any(|member| member.value().equals(&other)),
        }
    }
}

/// The operand of `contains`. The search for a string is linear, whatever the strings.
#[derive(Clone, Debug)]
pub(super) struct Part {
    literal: Literal,
    finder: Option<Box<Finder<'static>>>,
}

impl Part {
    pub fn new(literal: Literal) -> Self {
        let finder = match &literal {
            Literal::Bytes(bytes) => Some(Box::new(Finder::new(bytes).into_owned())),
            _ => None,
        };
        Self { literal, finder }
    }

    fn is_in(&self, value: &Value<'_>) -> bool {
        match *value {
            Value::Bytes(bytes) => self.finder.as_ref().is_some_and(|finder| finder.find(bytes).is_some()),
            Value::Array(raw) => self.is_member(raw).unwrap_or(false),
            _ => false,
        }
    }

    fn is_member(&self, raw: &[u8]) -> Option<bool> {
        let (count, mut at) = array_header(raw)?;
        for _ in 0..count {
            if Value::read(raw, &mut at)?.equals(&self.literal.value()) {
                return Some(true);
            }
        }
        Some(false)
    }
}
