//! What the tables of options say, for people and for editors.
//!
//! [`markdown`] is the part of `docunomicon/runesets.md` between [`BEGIN`] and [`END`]; [`schema`] is
//! `docunomicon/runeset.schema.json`. A test holds both files to what is made here.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::choices::{Durability, Fault};
use super::limits::LIMITS;
use super::options::{BATCH, EXEC, FILE, HTTP, Kind, RUNESET, Rune, SPELL, TELEMETRY};
use super::services::Restart;
use super::units::{Measure, Unit};

/// The line before the generated part of the documentation.
pub const BEGIN: &str =
    "<!-- options: begin (made from src/runeset; `SANCTUM_BLESS=1 cargo test --test runeset`) -->";
/// The line after it.
pub const END: &str = "<!-- options: end -->";

/// The tables of all options.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    section(&mut out, "The runeset", RUNESET);
    section(&mut out, "An entry of `spells`", SPELL);
    section(&mut out, "`batch`", BATCH);
    section(&mut out, "`http`", HTTP);
    section(&mut out, "An entry of `exec`", EXEC);
    section(&mut out, "An entry of `file`", FILE);
    section(&mut out, "`telemetry`", TELEMETRY);
    out.push_str("\n### `limits`\n\n| Key | Takes | Default | Meaning |\n|---|---|---|---|\n");
    for limit in LIMITS {
        let (takes, default) = (takes(Kind::Measure(limit.measure)), limit.measure.default_text());
        let _ = writeln!(out, "| `{}` | {takes} | `{default}` | {} |", limit.name, limit.help);
    }
    out.push_str("\n### Words\n\n| Word | Meaning |\n|---|---|\n");
    for (option, words) in
        [("durability", Durability::WORDS), ("fault", Fault::WORDS), ("restart", Restart::WORDS)]
    {
        for (word, help) in words {
            let _ = writeln!(out, "| `{option}: {word}` | {help} |");
        }
    }
    out.push_str("\n### Units\n\n| Amount | Units | A bare number counts |\n|---|---|---|\n");
    for (name, unit, bare) in [
        ("size", Unit::Bytes, "bytes"),
        ("duration", Unit::Milliseconds, "milliseconds"),
        ("number", Unit::Count, "itself"),
    ] {
        let units = unit.names().iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(" ");
        let _ = writeln!(out, "| {name} | {units} | {bare} |");
    }
    out
}

fn section(out: &mut String, title: &str, table: &[Rune]) {
    if !out.is_empty() {
        out.push('\n');
    }
    let _ = write!(out, "### {title}\n\n| Key | Takes | Default | Meaning |\n|---|---|---|---|\n");
    for rune in table {
        let default = match rune.kind {
            _ if !rune.default.is_empty() => rune.default.to_string(),
            Kind::Measure(measure) => format!("`{}`", measure.default_text()),
            _ => "see below".to_string(),
        };
        let _ = writeln!(out, "| `{}` | {} | {default} | {} |", rune.name, takes(rune.kind), rune.help);
    }
}

/// What an option takes, in a cell of a table.
fn takes(kind: Kind) -> String {
    match kind {
        Kind::Text(what) | Kind::Texts(what) | Kind::Map(what) => what.to_string(),
        Kind::Measure(Measure { unit, min, max, .. }) => {
            let name = match unit {
                Unit::Bytes => "size",
                Unit::Milliseconds => "duration",
                Unit::Count => "number",
            };
            format!("{name}, {} to {}", unit.format(min), unit.format(max))
        }
        Kind::Flag => "`true` or `false`".into(),
        Kind::Durability => words(Durability::WORDS),
        Kind::Fault => words(Fault::WORDS),
        Kind::Restart => words(Restart::WORDS),
        Kind::Start => "`new`, `oldest`, a position or an RFC 3339 time".into(),
        Kind::Section(_) | Kind::Limits => "a map, see below".into(),
        Kind::Sections(_) => "a list of maps, see below".into(),
    }
}

fn words(words: &[(&str, &str)]) -> String {
    words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The JSON Schema of a runeset, ending in a newline.
#[must_use]
pub fn schema() -> String {
    let mut root = object(RUNESET);
    let mut schema = Map::new();
    schema.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
    schema.insert("title".into(), "Sanctum runeset".into());
    if let Some(members) = root.as_object_mut() {
        schema.append(members);
    }
    schema.insert("definitions".into(), json!({ "limits": limits() }));
    format!("{:#}\n", Value::Object(schema))
}

fn object(table: &[Rune]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for rune in table {
        let mut property = property(rune.kind);
        if let Some(members) = property.as_object_mut() {
            let default = match rune.kind {
                Kind::Measure(measure) if rune.default.is_empty() => format!("`{}`", measure.default_text()),
                _ => rune.default.to_string(),
            };
            let default = match default.as_str() {
                "" => String::new(),
                "required" => " Required.".into(),
                _ => format!(" Default: {default}."),
            };
            members.insert("description".into(), format!("{}{default}", rune.help).into());
        }
        if rune.default == "required" {
            required.push(rune.name);
        }
        properties.insert(rune.name.into(), property);
    }
    let mut object = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

fn limits() -> Value {
    let mut properties = Map::new();
    for limit in LIMITS {
        let mut property = measure(limit.measure);
        let help = format!("{} Default: `{}`.", limit.help, limit.measure.default_text());
        property["description"] = help.into();
        properties.insert(limit.name.into(), property);
    }
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn property(kind: Kind) -> Value {
    match kind {
        Kind::Text(_) => json!({ "type": "string", "minLength": 1 }),
        Kind::Texts(_) => json!({ "anyOf": [
            { "type": "string", "minLength": 1 },
            { "type": "array", "items": { "type": "string", "minLength": 1 } }
        ] }),
        Kind::Flag => json!({ "anyOf": [{ "type": "boolean" }, pattern("true|false")] }),
        Kind::Measure(amount) => measure(amount),
        Kind::Durability => pattern("commit|os|interval:[0-9]+(ms|s|m|h)?"),
        Kind::Fault => pattern(&one_of(Fault::WORDS)),
        Kind::Restart => pattern(&one_of(Restart::WORDS)),
        Kind::Start => json!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            pattern("new|oldest|[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ].+")
        ] }),
        Kind::Map(_) => json!({ "type": "object" }),
        Kind::Section(table) => object(table),
        Kind::Sections(table) => json!({ "type": "array", "items": object(table) }),
        // An `allOf`, since members beside a `$ref` are not seen in draft 7.
        Kind::Limits => json!({ "allOf": [{ "$ref": "#/definitions/limits" }] }),
    }
}

fn one_of(words: &[(&str, &str)]) -> String {
    words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join("|")
}

fn measure(measure: Measure) -> Value {
    let units = measure.unit.names().iter().map(|(name, _)| *name).collect::<Vec<_>>().join("|");
    json!({ "anyOf": [
        { "type": "integer", "minimum": measure.min, "maximum": measure.max },
        pattern(&format!("[0-9][0-9_]*(\\.[0-9]+)? *({units})?"))
    ] })
}

/// Text of a form, or text with a reference to the environment, whose form only its expansion has.
fn pattern(form: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^({form})$|\\$\\{{") })
}
