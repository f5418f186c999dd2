//! From a filter's table to its tree of tests.

use super::envelope::{self, Field};
use super::error::{FilterError, Place, Problem, Step};
use super::operator::{Literal, Members, Operator, Part, Test, all_match};
use super::value::Value;
use super::walk::{array_header, key_at, map_header, prefix_of};
use super::{Combined, Entry, Group, Level, Quantifier};
use crate::event::msgpack::{DEPTH_MAX, Reader, Token};

/// Compiles the canonical MessagePack of a filter's table. What is wrong with it, at least one thing where there
/// is no result, comes in the order of its keys.
pub(super) fn compile(spec: &[u8]) -> Result<Group, Vec<FilterError>> {
    let mut compiler = Compiler { place: Vec::new(), problems: Vec::new() };
    let mut reader = Reader::new(spec);
    let group = match reader.skip() {
        Ok(()) => compiler.group(Value::of(spec).unwrap_or(Value::Nil), false),
        Err(error) => Err(compiler.error(Problem::Unreadable(error.to_string()))),
    };
    match group {
        Ok(group) if compiler.problems.is_empty() => Ok(group),
        Ok(_) => Err(compiler.problems),
        Err(error) => {
            compiler.problems.push(error);
            Err(compiler.problems)
        }
    }
}

struct Compiler {
    /// Where the table is being read.
    place: Vec<Step>,
    /// What was wrong in members that were passed over.
    problems: Vec<FilterError>,
}

impl Compiler {
    fn error(&self, problem: Problem) -> FilterError {
        FilterError { place: Place(self.place.clone()), problem }
    }

    /// Reads one member of a table or list. `None` for one with a problem, which is kept: the others are
    /// read all the same.
    fn within<T>(&mut self, step: Step, work: impl FnOnce(&mut Self) -> Result<T, FilterError>) -> Option<T> {
        self.place.push(step);
        let done = work(self).map_err(|error| self.problems.push(error)).ok();
        self.place.pop();
        done
    }

    /// One filter table.
    fn group(&mut self, table: Value<'_>, is_sub: bool) -> Result<Group, FilterError> {
        let members = match table {
            Value::Map(raw) => self.map_members(raw)?,
            Value::Array(raw) if self.array_members(raw)?.is_empty() => Vec::new(),
            other => return Err(self.error(Problem::NotATable { found: other.type_name() })),
        };
        if is_sub && members.is_empty() {
            return Err(self.error(Problem::EmptySubFilter));
        }
        let mut group = Group::default();
        for (key, value) in members {
            self.within(Step::Key(key.to_owned()), |compiler| compiler.member(&mut group, key, value));
        }
        group.data.finish();
        Ok(group)
    }

    fn member(&mut self, group: &mut Group, key: &str, value: Value<'_>) -> Result<(), FilterError> {
        let quantifier = match key {
            "all" => Quantifier::All,
            "any" => Quantifier::Any,
            "none" => Quantifier::None,
            _ if key.starts_with('$') => {
                let Some(field) = Field::parse(key) else {
                    return Err(self.error(Problem::UnknownEnvelope {
                        name: key.to_owned(),
                        nearest: Field::nearest(key),
                        known: envelope::KNOWN,
                    }));
                };
                let tests = self.conditions(key, value)?;
                group.envelope.push((field, tests));
                return Ok(());
            }
            _ => {
                let parts = self.path(key)?;
                let tests = self.conditions(key, value)?;
                group.data.add(&parts, tests);
                return Ok(());
            }
        };
        let groups = self.subs(key, value, quantifier, |compiler, sub| compiler.group(sub, true))?;
        group.combined.push(Combined { quantifier, groups });
        Ok(())
    }

    /// Sub-filters or conditions under `all`, `any`, `none`: a list of them, or a single table.
    fn subs<T>(
        &mut self,
        name: &str,
        value: Value<'_>,
        quantifier: Quantifier,
        mut one: impl FnMut(&mut Self, Value<'_>) -> Result<T, FilterError>,
    ) -> Result<Vec<T>, FilterError> {
        let operator = Operator::parse(name).map_or("all", Operator::name);
        match value {
            Value::Array(raw) => {
                let members = self.array_members(raw)?;
                if members.is_empty() {
                    return Err(self.error(Problem::NoSubFilter { operator }));
                }
                let mut done = Vec::with_capacity(members.len());
                for (index, member) in members.into_iter().enumerate() {
                    done.extend(self.within(Step::Index(index + 1), |compiler| one(compiler, member)));
                }
                Ok(done)
            }
            Value::Map(raw) => match self.map_members(raw)?.len() {
                0 => Err(self.error(Problem::NoSubFilter { operator })),
                1 => Ok(vec![one(self, value)?]),
                _ if quantifier == Quantifier::All => Ok(vec![one(self, value)?]),
                _ => Err(self.error(Problem::AmbiguousSubFilter { operator })),
            },
            other => Err(self.error(Problem::Operand {
                operator,
                expected: "a list of tables",
                found: other.type_name(),
            })),
        }
    }

    /// What is asked of one field: a table of operators, or a bare value.
    fn conditions(&mut self, path: &str, value: Value<'_>) -> Result<Vec<Test>, FilterError> {
        let raw = match value {
            Value::Map(raw) => raw,
            Value::Array(_) => return Err(self.error(Problem::BareList)),
            bare => return Ok(vec![Test::Eq(self.literal(Operator::Eq, bare)?)]),
        };
        let members = self.map_members(raw)?;
        if members.is_empty() {
            return Err(self.error(Problem::NoOperator));
        }
        let mut tests = Vec::with_capacity(members.len());
        for (name, operand) in members {
            tests.extend(
                self.within(Step::Key(name.to_owned()), |compiler| compiler.test(path, name, operand)),
            );
        }
        Ok(tests)
    }

    fn test(&mut self, path: &str, name: &str, operand: Value<'_>) -> Result<Test, FilterError> {
        let Some(operator) = Operator::parse(name) else {
            let nearest = Operator::nearest(name);
            let is_nested = nearest.is_none() && !path.starts_with('$') && !name.is_empty();
            let nested = is_nested.then(|| format!("{path}.{name}"));
            return Err(self.error(Problem::UnknownOperator { name: name.to_owned(), nearest, nested }));
        };
        Ok(match operator {
            Operator::Eq => Test::Eq(self.literal(operator, operand)?),
            Operator::Ne => Test::Ne(self.literal(operator, operand)?),
            Operator::Gt => Test::Gt(self.ordered(operator, operand)?),
            Operator::Ge => Test::Ge(self.ordered(operator, operand)?),
            Operator::Lt => Test::Lt(self.ordered(operator, operand)?),
            Operator::Le => Test::Le(self.ordered(operator, operand)?),
            Operator::In => Test::In(self.members(operand)?),
            Operator::Exists => match operand {
                Value::Bool(wanted) => Test::Exists(wanted),
                other => return Err(self.operand(operator, "true or false", other)),
            },
            Operator::Prefix => Test::Prefix(self.text(operator, operand)?),
            Operator::Suffix => Test::Suffix(self.text(operator, operand)?),
            Operator::Contains => Test::Contains(Part::new(self.literal(operator, operand)?)),
            Operator::All => Test::All(self.sub_conditions(path, name, operand, Quantifier::All)?),
            Operator::Any => Test::Any(self.sub_conditions(path, name, operand, Quantifier::Any)?),
            Operator::None => Test::None(self.sub_conditions(path, name, operand, Quantifier::None)?),
        })
    }

    fn sub_conditions(
        &mut self,
        path: &str,
        name: &str,
        operand: Value<'_>,
        quantifier: Quantifier,
    ) -> Result<Vec<Vec<Test>>, FilterError> {
        self.subs(name, operand, quantifier, |compiler, sub| compiler.conditions(path, sub))
    }

    fn literal(&self, operator: Operator, value: Value<'_>) -> Result<Literal, FilterError> {
        match value {
            Value::Number(number) if number.is_nan() => {
                Err(self.error(Problem::Nan { operator: operator.name() }))
            }
            value => Ok(value.into()),
        }
    }

    fn ordered(&self, operator: Operator, value: Value<'_>) -> Result<Literal, FilterError> {
        match value {
            Value::Number(_) | Value::Bytes(_) => self.literal(operator, value),
            other => Err(self.operand(operator, "a number or a string", other)),
        }
    }

    fn text(&self, operator: Operator, value: Value<'_>) -> Result<Box<[u8]>, FilterError> {
        match value {
            Value::Bytes(bytes) => Ok(bytes.into()),
            other => Err(self.operand(operator, "a string", other)),
        }
    }

    fn members(&mut self, value: Value<'_>) -> Result<Members, FilterError> {
        let members = match value {
            Value::Array(raw) => self.array_members(raw)?,
            // In Lua an empty list is an empty table; nothing is in it.
            Value::Map(raw) if self.map_members(raw)?.is_empty() => Vec::new(),
            other => return Err(self.operand(Operator::In, "a list", other)),
        };
        let mut literals = Vec::with_capacity(members.len());
        for (index, member) in members.into_iter().enumerate() {
            literals.extend(
                self.within(Step::Index(index + 1), |compiler| compiler.literal(Operator::In, member)),
            );
        }
        Ok(Members::new(literals))
    }

    fn operand(&self, operator: Operator, expected: &'static str, found: Value<'_>) -> FilterError {
        self.error(Problem::Operand { operator: operator.name(), expected, found: found.type_name() })
    }

    fn path<'a>(&self, path: &'a str) -> Result<Vec<&'a str>, FilterError> {
        let parts: Vec<_> = path.split('.').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(self.error(Problem::EmptyPart { path: path.to_owned() }));
        }
        if parts.len() > DEPTH_MAX {
            return Err(self.error(Problem::PathTooDeep { parts: parts.len(), max: DEPTH_MAX }));
        }
        Ok(parts)
    }

    fn map_members<'a>(&self, raw: &'a [u8]) -> Result<Vec<(&'a str, Value<'a>)>, FilterError> {
        let (count, mut at) = map_header(raw).ok_or_else(|| self.unreadable())?;
        let mut members = Vec::new();
        for _ in 0..count {
            let (key, value_at) = key_at(raw, at).ok_or_else(|| self.unreadable())?;
            let key = match key {
                Token::Str(key) => str::from_utf8(key).ok(),
                _ => None,
            };
            let key = key.ok_or_else(|| self.error(Problem::KeyNotText))?;
            at = value_at;
            let value = Value::read(raw, &mut at).ok_or_else(|| self.unreadable())?;
            members.push((key, value));
        }
        Ok(members)
    }

    fn array_members<'a>(&self, raw: &'a [u8]) -> Result<Vec<Value<'a>>, FilterError> {
        let (count, mut at) = array_header(raw).ok_or_else(|| self.unreadable())?;
        let mut members = Vec::new();
        for _ in 0..count {
            members.push(Value::read(raw, &mut at).ok_or_else(|| self.unreadable())?);
        }
        Ok(members)
    }

    fn unreadable(&self) -> FilterError {
        self.error(Problem::Unreadable("a value ends early".to_owned()))
    }
}

impl Level {
    fn add(&mut self, parts: &[&str], tests: Vec<Test>) {
        let [first, deeper @ ..] = parts else { return };
        let key = first.as_bytes();
        let index = match self.entries.binary_search_by(|entry| (*entry.key).cmp(key)) {
            Ok(index) => index,
            Err(index) => {
                let number = first.parse().ok().filter(|number: &i64| number.to_string() == **first);
                let entry = Entry {
                    prefix: prefix_of(key),
                    key: key.into(),
                    number,
                    tests: Vec::new(),
                    deeper: Self::default(),
                    absent: true,
                };
                self.entries.insert(index, entry);
                index
            }
        };
        let entry = &mut self.entries[index];
        if deeper.is_empty() {
            entry.tests.extend(tests);
        } else {
            entry.deeper.add(deeper, tests);
        }
    }

    /// Works out what holds when nothing is there.
    fn finish(&mut self) {
        for entry in &mut self.entries {
            entry.deeper.finish();
            entry.absent = all_match(&entry.tests, &Value::Nil) && entry.deeper.absent;
        }
        self.numeric = self.entries.iter().any(|entry| entry.number.is_some());
        self.absent = self.entries.iter().all(|entry| entry.absent);
    }
}
