//! YAML as a tree whose every node can be found again in the text.
//!
//! `serde_yaml` tells where something is only in errors. So the tree numbers its nodes in the order of
//! reading, and [`Source::locate`] reads the text again with a visitor that fails at the wanted number: the error
//! carries the exact mark. That costs one more parse per problem shown, and nothing when there is none.
//!
//! Limits: a text of [`BYTES_MAX`] bytes, nesting of 128, aliases as `serde_yaml` bounds them. Tags
//! (`!name`) and integers over 64 bits are errors.

use std::cell::Cell;
use std::fmt;

use rmpv::Value;
use serde::de::{self, DeserializeSeed, Deserializer as _, EnumAccess, MapAccess, SeqAccess, Visitor};

use super::diagnostic::Diagnostic;

/// Longer texts are refused.
pub const BYTES_MAX: usize = 4 << 20;

/// One node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Number in the order of reading.
    pub id: u32,
    /// What it holds.
    pub kind: NodeKind,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// A boolean, number, string or nothing.
    Scalar(Value),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the text, duplicates included.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The text of a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar(Value::String(text)) => text.as_str(),
            _ => None,
        }
    }

    /// The entry of a map (key and value) or the item of a list (twice itself) that `step` names.
    #[must_use]
    pub fn step(&self, step: &str) -> Option<(&Node, &Node)> {
        match &self.kind {
            NodeKind::Scalar(_) => None,
            NodeKind::List(items) => items.get(step.parse::<usize>().ok()?).map(|item| (item, item)),
            NodeKind::Map(entries) => {
                entries.iter().find(|(key, _)| key_text(key) == step).map(|(key, value)| (key, value))
            }
        }
    }

    /// The highest number in the tree below it, its own where there is none.
    #[must_use]
    pub fn last_id(&self) -> u32 {
        match &self.kind {
            NodeKind::Scalar(_) => self.id,
            NodeKind::List(items) => items.last().map_or(self.id, Node::last_id),
            NodeKind::Map(entries) => entries.last().map_or(self.id, |(_, value)| value.last_id()),
        }
    }

    /// The tree without numbers.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.kind {
            NodeKind::Scalar(value) => value.clone(),
            NodeKind::List(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            NodeKind::Map(entries) => {
                Value::Map(entries.iter().map(|(key, value)| (key.to_value(), value.to_value())).collect())
            }
        }
    }
}

/// A key as a step of a path: a string as it is, a number or boolean as it is written.
#[must_use]
pub fn key_text(key: &Node) -> String {
    match &key.kind {
        NodeKind::Scalar(Value::String(text)) => text.as_str().unwrap_or_default().to_string(),
        NodeKind::Scalar(value) => value.to_string(),
        _ => String::new(),
    }
}

/// A YAML text, its tree, and the name it goes by in messages.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file as the user named it.
    pub file: String,
    /// What is in it.
    pub text: String,
    /// The tree.
    pub root: Node,
}

impl Source {
    /// Reads one YAML document.
    pub fn parse(file: &str, text: String) -> Result<Self, Box<Diagnostic>> {
        if text.len() > BYTES_MAX {
            let message = format!("the file has {} bytes, more than {BYTES_MAX}", text.len());
            return Err(Box::new(Diagnostic::error(message).in_file(file)));
        }
        match read(&text, None) {
            Ok(root) => Ok(Self { file: file.into(), text, root }),
            Err(error) => Err(Box::new(refusal(file, &text, &error))),
        }
    }

    /// Line, column and length of a node, counted from 1 in characters.
    #[must_use]
    pub fn locate(&self, node: &Node) -> (usize, usize, usize) {
        let location = read(&self.text, Some(node.id)).err().and_then(|error| error.location());
        let Some(location) = location else { return (1, 1, 1) };
        let (line, column) = (location.line(), location.column());
        (line, column, self.length(line, column, node))
    }

    /// Whether a scalar stands in quotes, or in a block, and so is a string whatever it looks like.
    #[must_use]
    pub fn is_quoted(&self, node: &Node) -> bool {
        let (line, column, _) = self.locate(node);
        self.rest(line, column).starts_with(['"', '\'', '|', '>'])
    }

    /// `diagnostic`, pointing at a node.
    #[must_use]
    pub fn point(&self, diagnostic: Diagnostic, node: &Node) -> Diagnostic {
        let (line, column, length) = self.locate(node);
        diagnostic.at(&self.file, &self.text, line, column, length)
    }

    /// The node that a path leads to, or the deepest on the way there that exists. `key` asks for the
    /// last step's key instead of its value.
    #[must_use]
    pub fn find(&self, path: &[impl AsRef<str>], key: bool) -> &Node {
        let mut node = &self.root;
        for (index, step) in path.iter().enumerate() {
            let Some((name, value)) = node.step(step.as_ref()) else { break };
            node = if key && index + 1 == path.len() { name } else { value };
        }
        node
    }

    fn rest(&self, line: usize, column: usize) -> &str {
        let line = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let start = line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(start, _)| start);
        &line[start..]
    }

    /// How many characters of its first line a node takes.
    fn length(&self, line: usize, column: usize, node: &Node) -> usize {
        let rest = self.rest(line, column);
        let uncommented = rest.split(" #").next().unwrap_or_default().trim_end();
        let whole = uncommented.chars().count().max(1);
        if let Some(quote) = rest.chars().next().filter(|first| matches!(first, '"' | '\'')) {
            let closing = rest
                .char_indices()
                .skip(1)
                .find(|(at, char)| *char == quote && !(quote == '"' && rest[..*at].ends_with('\\')));
            return closing.map_or(whole, |(at, _)| rest[..=at].chars().count());
        }
        match (&node.kind, node.text()) {
            (_, Some(text)) if rest.starts_with(text) && !text.is_empty() => text.chars().count(),
            (NodeKind::Scalar(_), _) if !rest.starts_with('$') => {
                let end = uncommented.find([',', ']', '}', ' ', ':']).unwrap_or(uncommented.len());
                uncommented[..end].chars().count().max(1)
            }
            _ => whole,
        }
    }
}

/// Reads a text; fails at the node with the number `stop`.
fn read(text: &str, stop: Option<u32>) -> Result<Node, serde_yaml::Error> {
    let count = Cell::new(0);
    serde_yaml::Deserializer::from_str(text).deserialize_any(Reader { count: &count, stop })
}

/// What `serde_yaml` found wrong with a text.
fn refusal(file: &str, text: &str, error: &serde_yaml::Error) -> Diagnostic {
    let full = error.to_string();
    let (message, rest) = full.split_once(" at line ").unwrap_or((&full, ""));
    let message = message.rsplit_once(": ").map_or(message, |(_, last)| last);
    if message.contains("more than one document") {
        let second = text.lines().enumerate().filter(|(_, line)| line.starts_with("---")).last();
        let line = second.map_or(1, |(index, _)| index + 1);
        return Diagnostic::error("a runeset is one YAML document; a second begins here")
            .at(file, text, line, 1, 3);
    }
    let mut diagnostic = Diagnostic::error(format!("not valid YAML: {message}"));
    diagnostic = match error.location() {
        Some(location) => diagnostic.at(file, text, location.line(), location.column(), 1),
        None => diagnostic.in_file(file),
    };
    if let Some((_, context)) = rest.split_once(", ") {
        diagnostic = diagnostic.note(context);
    }
    if message.contains("cannot start any token") {
        diagnostic = diagnostic.help("indent with spaces, and quote values that begin with @, `, % or a tab");
    }
    if full.contains("anchor") || full.contains("alias") {
        diagnostic = diagnostic.help("a value that begins with `*` or `&` needs quotes");
    }
    diagnostic
}

/// Numbers and collects the nodes.
#[derive(Clone, Copy)]
struct Reader<'a> {
    count: &'a Cell<u32>,
    stop: Option<u32>,
}

impl Reader<'_> {
    fn number<E: de::Error>(self) -> Result<u32, E> {
        let id = self.count.get();
        self.count.set(id + 1);
        if self.stop == Some(id) { Err(E::custom("here")) } else { Ok(id) }
    }

    fn scalar<E: de::Error>(self, value: Value) -> Result<Node, E> {
        Ok(Node { id: self.number()?, kind: NodeKind::Scalar(value) })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Node;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        self.scalar(Value::Boolean(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        self.scalar(Value::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        self.scalar(Value::from(value))
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Node, E> {
        Err(E::custom("an integer of more than 64 bits"))
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Node, E> {
        Err(E::custom("an integer of more than 64 bits"))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        self.scalar(Value::F64(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        self.scalar(Value::from(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        self.scalar(Value::Nil)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        self.scalar(Value::Nil)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let id = self.number()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Node { id, kind: NodeKind::List(items) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let id = self.number()?;
        let mut entries = Vec::new();
        while let Some(key) = access.next_key_seed(self)? {
            entries.push((key, access.next_value_seed(self)?));
        }
        Ok(Node { id, kind: NodeKind::Map(entries) })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(de::Error::custom("tags such as `!name` have no meaning here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a: 1\nb:\n  - \"x\\\"y\"   # note\n  - { c: [1, 22], d: true }\nü: 'q'\n1: null\n";

    #[test]
    fn every_node_is_found_where_it_stands() {
        let source = Source::parse("f", TEXT.into()).unwrap();
        let locate = |path: &[&str], key| source.locate(source.find(path, key));
        assert_eq!(locate(&["a"], true), (1, 1, 1));
        assert_eq!(locate(&["a"], false), (1, 4, 1));
        assert_eq!(locate(&["b", "0"], false), (3, 5, 6));
        assert_eq!(locate(&["b", "1"], false), (4, 5, 23));
        assert_eq!(locate(&["b", "1", "c", "1"], false), (4, 14, 2));
        assert_eq!(locate(&["b", "1", "d"], false), (4, 22, 4));
        assert_eq!(locate(&["ü"], true), (5, 1, 1));
        assert_eq!(locate(&["ü"], false), (5, 4, 3));
        assert_eq!(locate(&["1"], false), (6, 4, 4));
        assert_eq!(locate(&["b", "7", "nothing"], false), (3, 3, 8));
        assert!(source.is_quoted(source.find(&["ü"], false)));
        assert!(!source.is_quoted(source.find(&["a"], false)));
    }

    #[test]
    fn refusals_have_a_place() {
        for (text, line) in
            [("a: [1", 2), ("a: *b", 1), ("a: !t 1", 1), ("a: 1\n---\nb: 2", 2), ("a: @x", 1), ("\ta: 1", 1)]
        {
            let diagnostic = Source::parse("f", text.into()).unwrap_err();
            assert_eq!(diagnostic.place.unwrap().line, line, "{text}: {}", diagnostic.message);
        }
    }
}
