//! From a value to a setting: what a spell's table and a runeset's entry for it both say.
//!
//! [`SpellOptions::apply`] reads the options for both, so a value that is good in one place is good in the
//! other, and refused with the same words. A [`Problem`] says where in the map of options it is; whoever has
//! the text makes a diagnostic of it.

use rmpv::Value;

use super::choices::{Batch, Fault, OptionError, Start, flag, path, text, texts};
use super::limits::{LIMITS, StatedLimits};
use super::options::{BATCH, BATCH_SIZE, Kind, Rune, SPELL, help};
use super::units::Measure;
use crate::event::msgpack;
use crate::event::suggest::suggest;

/// Something wrong with an option, and where in the map of options it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The keys that lead to it; items of lists count from 0.
    pub path: Vec<String>,
    /// Whether the key is wrong, not its value.
    pub on_key: bool,
    /// What is wrong, in one line.
    pub message: String,
    /// What was probably meant.
    pub nearest: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// A problem with a value.
    #[must_use]
    pub fn value(path: &[&str], error: &OptionError, help: Option<String>) -> Self {
        let shown =
            path.iter().rfind(|step| step.parse::<usize>().is_err()).copied().unwrap_or("the runeset");
        Self {
            path: path.iter().map(ToString::to_string).collect(),
            on_key: false,
            message: format!("`{shown}`: {error}").replace("`the runeset`", "a runeset"),
            nearest: error.nearest().map(String::from),
            help,
        }
    }

    /// A problem with a text, or with one of a list of them.
    #[must_use]
    pub fn item(key: &str, index: Option<usize>, error: &OptionError, help: String) -> Self {
        let mut problem = Self::value(&[key], error, Some(help));
        problem.path.extend(index.map(|index| index.to_string()));
        problem
    }

    /// A key that no table has.
    #[must_use]
    pub fn unknown_key(path: &[&str], known: &[&'static str]) -> Self {
        let name = path.last().copied().unwrap_or_default();
        Self {
            path: path.iter().map(ToString::to_string).collect(),
            on_key: true,
            message: format!("unknown key `{name}`"),
            nearest: suggest(name, known.iter().copied()).map(String::from),
            help: Some(format!("known keys: {}", known.join(", "))),
        }
    }
}

/// The options that a spell's table and a runeset's entry for it both have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpellOptions {
    /// What the spell is called.
    pub name: Option<String>,
    /// Patterns of topics, as text; empty ones are such as were refused.
    pub topic: Option<Vec<String>>,
    /// A table filter, as canonical MessagePack.
    pub filter: Option<Vec<u8>>,
    /// Dotted path of the partition key.
    pub lane: Option<String>,
    /// Lanes side by side.
    pub lanes: Option<u64>,
    /// Energies at once.
    pub batch: Option<Batch>,
    /// Milliseconds between two ticks.
    pub every_ms: Option<u64>,
    /// What the spell was called before: it goes on where that one stood.
    pub was: Option<String>,
    /// Where in the log to begin.
    pub start: Option<Start>,
    /// What happens when a cast fails.
    pub fault: Option<Fault>,
    /// Whether golden cases are to pass before a server runs it.
    pub ward: Option<bool>,
    /// The spell that it is compared with.
    pub shadow: Option<String>,
    /// What it may use.
    pub limits: StatedLimits,
}

impl SpellOptions {
    /// The keys that [`SpellOptions::apply`] takes.
    pub const KEYS: [&'static str; 13] = [
        "name", "was", "topic", "filter", "lane", "lanes", "batch", "every", "start", "fault", "ward",
        "shadow", "limits",
    ];

    /// Sets one option from a value; gives every problem with it. The paths of the problems begin with
    /// the key. A key that is none of [`SpellOptions::KEYS`] is a problem too.
    pub fn apply(&mut self, key: &str, value: &Value) -> Vec<Problem> {
        let Some(rune) = SPELL.iter().find(|rune| rune.name == key && Self::KEYS.contains(&key)) else {
            return vec![Problem::unknown_key(&[key], &Self::KEYS)];
        };
        let result = match (key, rune.kind) {
            ("name", Kind::Text(what)) => text(value, what).map(|name| self.name = Some(name)),
            ("was", Kind::Text(what)) => text(value, what).map(|was| self.was = Some(was)),
            ("topic", Kind::Texts(what)) => {
                let (topic, errors) = texts(value, what);
                self.topic = Some(topic);
                let problem = |(index, error)| Problem::item(key, index, &error, help(rune));
                return errors.into_iter().map(problem).collect();
            }
            ("filter", Kind::Map(what)) => map(value, what).map(|filter| self.filter = Some(filter)),
            ("lane", Kind::Text(what)) => path(value, what).map(|lane| self.lane = Some(lane)),
            ("lanes", Kind::Measure(measure)) => amount(measure, value).map(|lanes| self.lanes = Some(lanes)),
            ("every", Kind::Measure(measure)) => {
                amount(measure, value).map(|every| self.every_ms = Some(every))
            }
            ("start", _) => Start::read(value).map(|start| self.start = Some(start)),
            ("fault", _) => Fault::read(value).map(|fault| self.fault = Some(fault)),
            ("ward", _) => flag(value).map(|ward| self.ward = Some(ward)),
            ("shadow", Kind::Text(what)) => text(value, what).map(|of| self.shadow = Some(of)),
            ("batch", _) => return self.apply_batch(value),
            _ => return apply_limits(&mut self.limits, value),
        };
        result.err().map(|error| Problem::value(&[key], &error, Some(help(rune)))).into_iter().collect()
    }

    /// [`SpellOptions::apply`] for a value in MessagePack, as a spell's table gives it.
    pub fn apply_msgpack(&mut self, key: &str, mut value: &[u8]) -> Vec<Problem> {
        self.apply(key, &rmpv::decode::read_value(&mut value).unwrap_or(Value::Nil))
    }

    /// These options, and `base` where nothing is said. Limits are not merged: see
    /// [`super::limits::Limits::resolve`].
    #[must_use]
    pub fn over(self, base: SpellOptions) -> SpellOptions {
        SpellOptions {
            name: self.name.or(base.name),
            was: self.was.or(base.was),
            topic: self.topic.or(base.topic),
            filter: self.filter.or(base.filter),
            lane: self.lane.or(base.lane),
            lanes: self.lanes.or(base.lanes),
            batch: self.batch.or(base.batch),
            every_ms: self.every_ms.or(base.every_ms),
            start: self.start.or(base.start),
            fault: self.fault.or(base.fault),
            ward: self.ward.or(base.ward),
            shadow: self.shadow.or(base.shadow),
            limits: self.limits,
        }
    }

    fn apply_batch(&mut self, value: &Value) -> Vec<Problem> {
        let Some(entries) = entries(value) else {
            return vec![Problem::value(
                &["batch"],
                &OptionError::wrong_type("a map", value),
                Some("known keys: size, within".into()),
            )];
        };
        let mut batch = Batch { size: BATCH_SIZE, within_ms: None };
        let mut problems = Vec::new();
        for (key, value) in entries {
            let rune = BATCH.iter().find(|rune| rune.name == key);
            let Some((rune, Kind::Measure(measure))) = rune.map(|rune| (rune, rune.kind)) else {
                problems.push(Problem::unknown_key(
                    &["batch", &key],
                    &BATCH.iter().map(|rune| rune.name).collect::<Vec<_>>(),
                ));
                continue;
            };
            match amount(measure, value) {
                Ok(size) if rune.name == "size" => batch.size = size,
                Ok(within) => batch.within_ms = Some(within),
                Err(error) => problems.push(Problem::value(&["batch", &key], &error, Some(help(rune)))),
            }
        }
        self.batch = Some(batch);
        problems
    }
}

/// Sets limits from a map; gives every problem. The paths begin with `limits`.
pub fn apply_limits(limits: &mut StatedLimits, value: &Value) -> Vec<Problem> {
    let Some(entries) = entries(value) else {
        return vec![Problem::value(
            &["limits"],
            &OptionError::wrong_type("a map", value),
            Some(limit_names()),
        )];
    };
    let mut problems = Vec::new();
    for (key, value) in entries {
        let Some(limit) = LIMITS.iter().find(|limit| limit.name == key) else {
            problems.push(Problem::unknown_key(&["limits", &key], &LIMITS.map(|limit| limit.name)));
            continue;
        };
        if let Err(error) = limit.measure.read(value) {
            let rune =
                Rune { name: limit.name, kind: Kind::Measure(limit.measure), default: "", help: limit.help };
            problems.push(Problem::value(&["limits", &key], &error.into(), Some(help(&rune))));
        } else {
            let _ = limits.apply(limit.name, value);
        }
    }
    problems
}

fn limit_names() -> String {
    format!("known keys: {}", LIMITS.map(|limit| limit.name).join(", "))
}

/// Reads an amount.
pub fn amount(measure: Measure, value: &Value) -> Result<u64, OptionError> {
    Ok(measure.read(value)?)
}

/// Reads a map of any data as canonical MessagePack.
pub fn map(value: &Value, expected: &'static str) -> Result<Vec<u8>, OptionError> {
    if entries(value).is_none() {
        return Err(OptionError::wrong_type(expected, value));
    }
    let value = if matches!(value, Value::Array(_)) { &Value::Map(Vec::new()) } else { value };
    let bad = |error: String| OptionError::BadData(error);
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).map_err(|error| bad(error.to_string()))?;
    let mut canonical = Vec::with_capacity(bytes.len());
    let notes = msgpack::canonicalize(&bytes, &mut canonical).map_err(|error| bad(error.to_string()))?;
    if notes.big_uints > 0 {
        return Err(bad(format!("an integer above {} would lose digits; write it as a string", i64::MAX)));
    }
    Ok(canonical)
}

/// The entries of a map with their keys as text; an empty Lua table is an empty map.
pub(super) fn entries(value: &Value) -> Option<Vec<(String, &Value)>> {
    match value {
        Value::Map(entries) => {
            let name = |key: &Value| key.as_str().map_or_else(|| key.to_string(), str::to_string);
            Some(entries.iter().map(|(key, value)| (name(key), value)).collect())
        }
        Value::Array(items) if items.is_empty() => Some(Vec::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spell_table_is_read_by_the_same_rules() {
        let mut options = SpellOptions::default();
        assert_eq!(options.apply_msgpack("topic", b"\x92\xa3a.*\xa3b.>"), []);
        assert_eq!(options.apply_msgpack("every", b"\xa3500"), []);
        assert_eq!(options.apply_msgpack("batch", b"\x81\xa4size\x0a"), []);
        assert_eq!(options.apply_msgpack("limits", b"\x81\xa7outputs\xcb\x40\x14\0\0\0\0\0\0"), []);
        assert_eq!(options.apply_msgpack("filter", b"\x90"), []);
        assert_eq!(options.topic, Some(vec!["a.*".to_string(), "b.>".to_string()]));
        assert_eq!((options.every_ms, options.limits.get("outputs")), (Some(500), Some(5)));
        assert_eq!(options.batch, Some(Batch { size: 10, within_ms: None }));
        assert_eq!(options.filter.as_deref(), Some(&b"\x80"[..]));

        let problems = options.apply_msgpack("limits", b"\x82\xa6memroy\x05\xa4hops\xc3");
        let paths: Vec<String> = problems.iter().map(|problem| problem.path.join(".")).collect();
        assert_eq!(paths, ["limits.memroy", "limits.hops"]);
        assert_eq!(problems[1].message, "`hops`: expected a whole number, got a boolean");
        assert_eq!(options.apply_msgpack("topik", b"\xc0")[0].nearest.as_deref(), Some("topic"));
        assert_eq!(
            options.apply_msgpack("lane", b"\xc1")[0].message,
            "`lane`: expected the path of a field, got nothing"
        );
    }

    #[test]
    fn what_an_entry_says_replaces_what_the_spell_says() {
        let mut spell = SpellOptions::default();
        let mut entry = SpellOptions::default();
        assert_eq!(spell.apply("lanes", &Value::from(4)), []);
        assert_eq!(spell.apply("fault", &Value::from("skip")), []);
        assert_eq!(entry.apply("fault", &Value::from("stop")), []);
        let both = entry.over(spell);
        assert_eq!((both.lanes, both.fault), (Some(4), Some(Fault::Stop)));
    }
}
