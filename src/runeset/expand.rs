//! `${NAME}` and `${NAME:-default}` in the values of a runeset.
//!
//! A name is set when the environment has it, even empty; the default of `:-` also stands in for an
//! empty one, as in a shell. `$${` is a literal `${`. Keys are not expanded, and what was put in is
//! not expanded again. An option reads the result as it reads any text; below `runes` and `filter`,
//! where types are the writer's, a plain value becomes what YAML would make of it (`50` an integer, `true` a
//! boolean) and a quoted one stays a string.

use rmpv::Value;
use thiserror::Error;

use super::yaml::{Node, NodeKind, Source, key_text};

/// Where names are looked up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a reference could not be expanded.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ExpandError {
    /// No such variable, and no default.
    #[error("the environment has no `{0}`")]
    Missing(String),
    /// No closing brace.
    #[error("`${{` without `}}`")]
    Open,
    /// Not a name.
    #[error("`{0}` is not the name of an environment variable")]
    BadName(String),
}

/// The text with every reference replaced.
pub fn expand(text: &str, environment: Environment<'_>) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.find('}').ok_or(ExpandError::Open)?;
        let (name, default) = match inner[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inner[..end], None),
        };
        let first = name.chars().next();
        if !first.is_some_and(|char| char.is_ascii_alphabetic() || char == '_')
            || !name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
        {
            return Err(ExpandError::BadName(name.into()));
        }
        match (environment(name), default) {
            (Some(value), None) => out.push_str(&value),
            (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
            (_, Some(default)) => out.push_str(default),
            (None, None) => return Err(ExpandError::Missing(name.into())),
        }
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Expands every value of a source's tree; gives what could not be, with the path to it.
pub fn expand_tree(source: &mut Source, environment: Environment<'_>) -> Vec<(Vec<String>, ExpandError)> {
    let mut root = source.root.clone();
    let mut walk = Walk { source, environment, path: Vec::new(), errors: Vec::new() };
    walk.node(&mut root, false);
    let errors = walk.errors;
    source.root = root;
    errors
}

struct Walk<'a> {
    source: &'a Source,
    environment: Environment<'a>,
    path: Vec<String>,
    errors: Vec<(Vec<String>, ExpandError)>,
}

impl Walk<'_> {
    /// `free` says that no option decides the types here.
    fn node(&mut self, node: &mut Node, free: bool) {
        if let Some(text) = node.text().filter(|text| text.contains("${")) {
            match expand(text, self.environment) {
                Ok(text) if free && !self.source.is_quoted(node) => {
                    node.kind = NodeKind::Scalar(plain(&text))
                }
                Ok(text) => node.kind = NodeKind::Scalar(Value::from(text)),
                Err(error) => self.errors.push((self.path.clone(), error)),
            }
            return;
        }
        match &mut node.kind {
            NodeKind::Scalar(_) => {}
            NodeKind::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push(index.to_string());
                    self.node(item, free);
                    self.path.pop();
                }
            }
            NodeKind::Map(entries) => {
                for (key, value) in entries {
                    self.path.push(key_text(key));
                    let option = self.path.len() == 3 && self.path[0] == "spells";
                    let free = free || (option && ["runes", "filter"].contains(&self.path[2].as_str()));
                    self.node(value, free);
                    self.path.pop();
                }
            }
        }
    }
}

/// What YAML makes of a plain scalar.
fn plain(text: &str) -> Value {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let number = digits.starts_with(|char: char| char.is_ascii_digit())
        && !(digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0."));
    match text {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        "null" | "~" => Value::Nil,
        _ if number => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(integer), _) => Value::from(integer),
            (_, Ok(float)) if float.is_finite() => Value::F64(float),
            _ => Value::from(text),
        },
        _ => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "A" => Some("1".into()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${A}".into()),
            _ => None,
        }
    }

    #[test]
    fn references_are_replaced() {
        for (text, expected) in [
            ("x${A}y${A}", "x1y1"),
            ("${B:-two}", "two"),
            ("${B:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("${NESTED}", "${A}"),
            ("$${A} $A $", "${A} $A $"),
            ("ü${A}ü", "ü1ü"),
        ] {
            assert_eq!(expand(text, &environment).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(expand("${B}", &environment), Err(ExpandError::Missing("B".into())));
        assert_eq!(expand("${A", &environment), Err(ExpandError::Open));
        assert_eq!(expand("${1}", &environment), Err(ExpandError::BadName("1".into())));
        assert_eq!(expand("${}", &environment), Err(ExpandError::BadName(String::new())));
    }

    #[test]
    fn plain_values_get_their_type() {
        for (text, expected) in [
            ("50", Value::from(50)),
            ("-7", Value::from(-7)),
            ("0.5", Value::F64(0.5)),
            ("1e3", Value::F64(1000.0)),
            ("007", Value::from("007")),
            ("1.2.3", Value::from("1.2.3")),
            ("true", Value::Boolean(true)),
            ("", Value::from("")),
            ("inf", Value::from("inf")),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }
}
