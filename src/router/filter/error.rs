//! What is wrong with a filter, and where in it.

use std::fmt;

use super::operator::Operator;

/// A step into the table that a spell gave as its filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key, such as `user.country` or `gt`.
    Key(String),
    /// A member of a list, from 1.
    Index(usize),
}

/// The way from the filter's table to the spot; a loader can follow it through the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(pub Vec<Step>);

/// A filter that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct FilterError {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Problem,
}

impl FilterError {
    /// The keys and list members that lead to the spot, outermost first.
    #[must_use]
    pub fn path(&self) -> &[Step] {
        &self.place.0
    }
}

/// What can be wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Bytes that are not one MessagePack value.
    #[error("the filter is not readable: {0}")]
    Unreadable(String),
    /// A filter or sub-filter that is something else than a table of fields.
    #[error("a filter is a table of fields and conditions, not {found}{}", hint_list(found))]
    NotATable {
        /// What it is.
        found: &'static str,
    },
    /// A key that is a number or a boolean.
    #[error("a filter's keys are names of fields, not numbers or booleans")]
    KeyNotText,
    /// An operator that does not exist.
    #[error(
        "unknown operator `{name}`{}; operators are {}{}",
        did_you_mean(*nearest),
        Operator::list(),
        hint_nested(nested.as_deref())
    )]
    UnknownOperator {
        /// As written.
        name: String,
        /// The operator that was probably meant.
        nearest: Option<&'static str>,
        /// The dotted path, if a nested field may have been meant.
        nested: Option<String>,
    },
    /// A table of operators that has none.
    #[error("a condition needs an operator or a value; operators are {}", Operator::list())]
    NoOperator,
    /// A bare list as a condition.
    #[error(
        "a list alone is no condition: write [\"in\"] = {{…}} for one of these, or eq = {{…}} for the list itself"
    )]
    BareList,
    /// An operand of the wrong type.
    #[error("`{operator}` takes {expected}, not {found}")]
    Operand {
        /// The operator.
        operator: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it got.
        found: &'static str,
    },
    /// NaN, which equals nothing and is in no order.
    #[error("`{operator}` compares with NaN, which nothing equals")]
    Nan {
        /// The operator.
        operator: &'static str,
    },
    /// `all`, `any` or `none` without sub-filters.
    #[error("`{operator}` needs at least one sub-filter")]
    NoSubFilter {
        /// The operator.
        operator: &'static str,
    },
    /// `any` or `none` with several conditions in one table.
    #[error(
        "`{operator}` has several conditions in one table, which must all hold together; \
         write a list with a table for each: {operator} = {{ {{…}}, {{…}} }}"
    )]
    AmbiguousSubFilter {
        /// The operator.
        operator: &'static str,
    },
    /// A sub-filter without conditions.
    #[error("a sub-filter without conditions")]
    EmptySubFilter,
    /// Two dots in a row, or a dot at either end.
    #[error("the path `{path}` has an empty part")]
    EmptyPart {
        /// The whole path.
        path: String,
    },
    /// More parts than data can nest.
    #[error("a path of {parts} parts is too deep, data nests {max} deep at most")]
    PathTooDeep {
        /// How many it has.
        parts: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A `$` path that is no envelope field.
    #[error("no envelope field `{name}`{}; there are {known}", did_you_mean(*nearest))]
    UnknownEnvelope {
        /// As written.
        name: String,
        /// The field that was probably meant.
        nearest: Option<&'static str>,
        /// All fields.
        known: &'static str,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

fn hint_nested(path: Option<&str>) -> String {
    path.map(|path| format!(" (for a nested field write [\"{path}\"])")).unwrap_or_default()
}

fn hint_list(found: &str) -> &'static str {
    if found == "a list" { "; for alternatives write any = { {…}, {…} }" } else { "" }
}

impl fmt::Display for Place {
    /// As Lua would reach it: `filter.any[2]["user.country"].eq`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("filter")?;
        for step in &self.0 {
            match step {
                Step::Index(index) => write!(formatter, "[{index}]")?,
                Step::Key(key) if is_name(key) => write!(formatter, ".{key}")?,
                Step::Key(key) => write!(formatter, "[\"{}\"]", key.escape_debug())?,
            }
        }
        Ok(())
    }
}

fn is_name(key: &str) -> bool {
    key != "in"
        && key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
