//! The graph of topics and spells, as Mermaid and as Graphviz's DOT.
//!
//! What a spell draws on is known. What it produces is not declared: it is found in the text, wherever
//! `$topic` is set to a literal, `["$topic"] = "alerts.high"`. A literal that ends in a dot and is continued,
//! `["$topic"] = "alerts." .. level`, stands for `alerts.>`. A window's topic, `window.tumbling{ topic = "sums" }`,
//! is taken in the same way. A topic that is computed otherwise is not shown.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::router::pattern::Pattern;
use crate::spell::Spell;

/// What stands for energies without topic, and for all of them.
const EVERY: &str = "every energy";

/// Topics, spells, and what leads from one to the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Graph {
    spells: Vec<String>,
    topics: Vec<String>,
    /// A topic's index, the spell's that draws on it.
    drawn: BTreeSet<(usize, usize)>,
    /// A spell's index, the topic's that it produces.
    produced: BTreeSet<(usize, usize)>,
    /// A topic's index, that of a pattern which matches it.
    matched: BTreeSet<(usize, usize)>,
}

impl Graph {
    /// The graph of some spells.
    pub fn new<'a>(spells: impl Iterator<Item = &'a Spell>) -> Self {
        let mut graph = Self::default();
        for spell in spells {
            let patterns: Vec<&str> = spell.topics.iter().map(|pattern| pattern.as_str()).collect();
            graph.add(&spell.name, &patterns, &String::from_utf8_lossy(&spell.source));
        }
        graph.connect();
        graph
    }

    fn add(&mut self, name: &str, patterns: &[&str], source: &str) {
        let spell = self.spells.len();
        self.spells.push(name.to_owned());
        let every = [EVERY];
        for pattern in if patterns.is_empty() { &every } else { patterns } {
            let topic = self.topic(pattern);
            self.drawn.insert((topic, spell));
        }
        for topic in topics_in(source) {
            let topic = self.topic(&topic);
            self.produced.insert((spell, topic));
        }
    }

    fn topic(&mut self, text: &str) -> usize {
        self.topics.iter().position(|topic| topic == text).unwrap_or_else(|| {
            self.topics.push(text.to_owned());
            self.topics.len() - 1
        })
    }

    /// Leads each topic to the patterns that match it.
    fn connect(&mut self) {
        for (at, text) in self.topics.iter().enumerate() {
            let Ok(pattern) = Pattern::parse(text) else { continue };
            if pattern.is_literal() {
                continue;
            }
            for (topic, text) in self.topics.iter().enumerate() {
                if topic != at && text != EVERY && pattern.matches(text) {
                    self.matched.insert((topic, at));
                }
            }
        }
    }

    /// For Markdown.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        // Writing to a string cannot fail.
        for (at, topic) in self.topics.iter().enumerate() {
            let _ = writeln!(text, "  t{at}([\"{}\"])", mermaid_text(topic));
        }
        for (at, spell) in self.spells.iter().enumerate() {
            let _ = writeln!(text, "  s{at}[\"{}\"]", mermaid_text(spell));
        }
        for (topic, spell) in &self.drawn {
            let _ = writeln!(text, "  t{topic} --> s{spell}");
        }
        for (spell, topic) in &self.produced {
            let _ = writeln!(text, "  s{spell} --> t{topic}");
        }
        for (topic, pattern) in &self.matched {
            let _ = writeln!(text, "  t{topic} -.-> t{pattern}");
        }
        text
    }

    /// For Graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut text = String::from("digraph sanctum {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n");
        for (at, topic) in self.topics.iter().enumerate() {
            let _ = writeln!(text, "  t{at} [label=\"{}\", shape=ellipse];", dot_text(topic));
        }
        for (at, spell) in self.spells.iter().enumerate() {
            let _ = writeln!(text, "  s{at} [label=\"{}\", shape=box, style=bold];", dot_text(spell));
        }
        for (topic, spell) in &self.drawn {
            let _ = writeln!(text, "  t{topic} -> s{spell};");
        }
        for (spell, topic) in &self.produced {
            let _ = writeln!(text, "  s{spell} -> t{topic};");
        }
        for (topic, pattern) in &self.matched {
            let _ = writeln!(text, "  t{topic} -> t{pattern} [style=dashed];");
        }
        text.push_str("}\n");
        text
    }
}

fn mermaid_text(text: &str) -> String {
    text.replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;").replace(['\n', '\r'], " ")
}

pub(super) fn dot_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ")
}

/// Topics that a spell's text gives to energies, in the order of the text.
fn topics_in(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, name) in source.match_indices("$topic") {
        let rest = source[at + name.len()..].strip_prefix(['"', '\'']).map(str::trim_start);
        if let Some(rest) = rest.and_then(|rest| rest.strip_prefix(']')).filter(|_| is_code(source, at)) {
            found.extend(literal(rest).map(|topic| (at, topic)));
        }
    }
    for (at, name) in source.match_indices("window.") {
        let before = source[..at].chars().next_back();
        if before.is_none_or(|char| !is_name(char) && char != '.') && is_code(source, at) {
            let call = source[at + name.len()..].trim_start_matches(is_name);
            found.extend(window_topic(call).map(|topic| (at, topic)));
        }
    }
    found.sort();
    let mut topics = Vec::new();
    for (_, topic) in found {
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    topics
}

/// Whether no comment begins before `at` in its line.
fn is_code(source: &str, at: usize) -> bool {
    let line = source[..at].rfind('\n').map_or(0, |end| end + 1);
    !source[line..at].contains("--")
}

fn is_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

/// The member `topic` of the table that a call is given, `{ size = "1h", topic = "sums" }`.
fn window_topic(call: &str) -> Option<String> {
    let call = call.trim_start();
    let mut rest = call.strip_prefix('(').unwrap_or(call).trim_start();
    if !rest.starts_with('{') {
        return None;
    }
    let mut depth = 0;
    // Whether a member can begin here.
    let mut begins = false;
    while let Some(char) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("--") {
            let end = if comment.starts_with("[[") { "]]" } else { "\n" };
            rest = comment.split_once(end)?.1;
            continue;
        }
        if let Some(value) = rest.strip_prefix("topic").filter(|_| begins && depth == 1)
            && !value.starts_with(is_name)
        {
            return literal(value);
        }
        rest = &rest[char.len_utf8()..];
        match char {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            '"' | '\'' => rest = after_quote(rest, char)?,
            _ => {}
        }
        if depth == 0 {
            return None;
        }
        begins = matches!(char, '{' | ',' | ';') || begins && char.is_whitespace();
    }
    None
}

/// What follows a text in quotes.
fn after_quote(text: &str, quote: char) -> Option<&str> {
    let mut is_escaped = false;
    let end = text.find(|char| {
        let ends = char == quote && !is_escaped;
        is_escaped = char == '\\' && !is_escaped;
        ends
    })?;
    Some(&text[end + 1..])
}

/// The topic in ` = "topic"`.
fn literal(rest: &str) -> Option<String> {
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|char| matches!(char, '"' | '\''))?;
    let (text, after) = rest[1..].split_once(quote)?;
    let topic = match text.strip_suffix('.') {
        Some(start) if after.trim_start().starts_with("..") => format!("{start}.>"),
        _ if after.trim_start().starts_with("..") => return None,
        _ => text.to_owned(),
    };
    Pattern::parse(&topic).is_ok().then_some(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found() {
        let source = "return { [\"$topic\"] = \"a.b\", x = 1 } -- [\"$topic\"] = \"no\"\n\
                      event['$topic']='c' e[\"$topic\"] = \"d.\" .. kind\n\
                      if event[\"$topic\"] == \"e\" then event[\"$topic\"] = \"f\" .. x end";
        assert_eq!(topics_in(source), ["a.b", "c", "d.>"]);
    }

    #[test]
    fn windows_produce() {
        let source = "local w = window.tumbling{\n  size = \"1h\", -- topic = \"no\"\n  initial = { topic = \"no\" },\n  \
                      fold = function(a) local topic = \"no\" return a end,\n  topic = \"sums\",\n}\n\
                      -- window.session{ topic = \"no\" }\n\
                      local v = window.session({ key = 'it\\'s }', topic = 'visits.' .. site }) x.window.y{ topic = \"no\" }\n\
                      local u = window.hopping{ size = 1 } local t = { topic = \"no\" }\n\
                      return { topic = \"no\", cast = function() return { [\"$topic\"] = \"last\" } end }";
        assert_eq!(topics_in(source), ["sums", "visits.>", "last"]);
        assert_eq!(topics_in("window.tumbling{ topic = \"open"), [""; 0]);
    }

    #[test]
    fn patterns_connect_spells() {
        let mut graph = Graph::default();
        graph.add("one", &["in"], "return {[\"$topic\"] = \"out.a\"}");
        graph.add("two", &["out.>"], "");
        graph.add("all", &[], "");
        graph.connect();
        assert_eq!(
            graph.mermaid(),
            "flowchart LR\n  t0([\"in\"])\n  t1([\"out.a\"])\n  t2([\"out.#gt;\"])\n  t3([\"every energy\"])\n  \
             s0[\"one\"]\n  s1[\"two\"]\n  s2[\"all\"]\n  t0 --> s0\n  t2 --> s1\n  t3 --> s2\n  s0 --> t1\n  \
             t1 -.-> t2\n"
        );
        assert!(graph.dot().contains("t1 -> t2 [style=dashed];"));
    }
}
