//! A problem with its place in a source: what, where, and what to do about it.
//!
//! Runesets, spells and seeds all report through [`Diagnostic`], so every message looks the same:
//!
//! ```text
//! error: unknown key `topik`
//!   --> runeset.yaml:4:5
//!    |
//!  3 |   - path: spells/*.lua
//!  4 |     topik: orders.>
//!    |     ^^^^^ did you mean `topic`?
//!    |
//!    = help: known keys: path, name, topic
//! ```
//!
//! The lines shown are copied when the place is set, so a diagnostic outlives its source and stays
//! small: a long line is cut to a window around the marked part. Text from outside is made visible
//! before it is shown: control characters never reach a terminal.

use serde_json::{Map, Value};

use super::render;

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// The thing cannot be used.
    #[default]
    Error,
    /// It can, but something is odd.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// Whether to write ANSI colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    #[default]
    Plain,
    /// With escape sequences, for a terminal.
    Colour,
}

/// Lines kept before the marked one.
const BEFORE_MAX: usize = 3;
/// Lines kept after the marked one.
const AFTER_MAX: usize = 2;
/// Characters kept of a line.
const WIDTH_MAX: usize = 120;

/// A place in a source, with the lines around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: String,
    /// Counted from 1; 0 where only the file is known.
    pub line: usize,
    /// Counted from 1 in characters; 0 where only the line is known.
    pub column: usize,
    /// Marked characters; 0 marks the rest of the line.
    pub length: usize,
    /// The lines kept, the first of them being line `line - before`.
    pub(super) lines: Vec<String>,
    /// How many of them come before the marked one.
    pub(super) before: usize,
    /// First marked character and number of them in the line as kept.
    pub(super) mark: (usize, usize),
}

/// A problem, ready to be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// What stands beside the caret.
    pub label: Option<String>,
    /// What follows the source: kind (`help`, `note`, `traceback`) and text.
    pub notes: Vec<(String, String)>,
    /// Shown only in the JSON form: the spell, the energy's id ...
    pub fields: Map<String, Value>,
    /// Lines shown before and after the marked one.
    pub context: (usize, usize),
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self { message: message.into(), context: (1, 0), ..Self::default() }
    }

    /// A warning.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Says in which file, where no line is known.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<String>) -> Self {
        self.place = Some(Place { file: file.into(), ..Place::default() });
        self
    }

    /// Points at `length` characters of `source` from `line` and `column`, counted from 1. A column of 0
    /// marks the whole line, a length of 0 what is left of it.
    #[must_use]
    pub fn at(
        mut self,
        file: impl Into<String>,
        source: &str,
        line: usize,
        column: usize,
        length: usize,
    ) -> Self {
        let before = line.saturating_sub(1).min(BEFORE_MAX);
        let shown = source.lines().skip(line.saturating_sub(1 + before));
        let mut lines: Vec<String> = Vec::new();
        let mut mark = (0, 0);
        for (index, text) in shown.take(if line == 0 { 0 } else { before + 1 + AFTER_MAX }).enumerate() {
            if index == before {
                let (text, start, marked) = window(text, column, length);
                mark = (start, marked);
                lines.push(text);
            } else {
                lines.push(window(text, 1, 1).0);
            }
        }
        if lines.len() <= before {
            lines.clear();
        }
        self.place = Some(Place { file: file.into(), line, column, length, lines, before, mark });
        self
    }

    /// Says what stands beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// "did you mean `name`?" beside the caret, where there is a name to suggest.
    #[must_use]
    pub fn suggest(self, name: Option<&str>) -> Self {
        match name {
            Some(name) => self.label(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(self, text: impl Into<String>) -> Self {
        self.attach("help", text)
    }

    /// Adds what else there is to know.
    #[must_use]
    pub fn note(self, text: impl Into<String>) -> Self {
        self.attach("note", text)
    }

    /// Adds a section of any kind after the source: `traceback`, `energy` ... The text may have several lines.
    #[must_use]
    pub fn attach(mut self, kind: impl Into<String>, text: impl Into<String>) -> Self {
        self.notes.push((kind.into(), text.into()));
        self
    }

    /// Adds a member to the JSON form.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Sets how many lines are shown before (at most 3) and after (at most 2) the marked one.
    #[must_use]
    pub fn context(mut self, before: usize, after: usize) -> Self {
        self.context = (before, after);
        self
    }

    /// The text for people, ending in a newline.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        render::render(self, style)
    }

    /// The form for machines: `severity`, `message`, `file`, `line`, `column`, `length`, `source`, `label`, `notes`
    /// (a list of `{"kind","text"}`), then the fields. What is not known is left out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("severity".into(), self.severity.name().into());
        object.insert("message".into(), self.message.clone().into());
        if let Some(place) = &self.place {
            object.insert("file".into(), place.file.clone().into());
            for (name, number) in [("line", place.line), ("column", place.column), ("length", place.length)] {
                if number != 0 {
                    object.insert(name.into(), number.into());
                }
            }
            if let Some(line) = place.lines.get(place.before) {
                object.insert("source".into(), line.clone().into());
            }
        }
        if let Some(label) = &self.label {
            object.insert("label".into(), label.clone().into());
        }
        if !self.notes.is_empty() {
            let note = |(kind, text): &(String, String)| serde_json::json!({ "kind": kind, "text": text });
            object.insert("notes".into(), self.notes.iter().map(note).collect());
        }
        object.extend(self.fields.clone());
        Value::Object(object)
    }
}

/// Several diagnostics one after the other, a blank line between.
#[must_use]
pub fn render_all(diagnostics: &[Diagnostic], style: Style) -> String {
    diagnostics.iter().map(|diagnostic| diagnostic.render(style)).collect::<Vec<_>>().join("\n")
}

/// The part of a line around the mark, and the mark's first character and length within it.
fn window(line: &str, column: usize, length: usize) -> (String, usize, usize) {
    let indent = line.chars().take_while(|char| char.is_whitespace()).count();
    let start = if column == 0 { indent } else { column - 1 };
    let first = if start + 40 > WIDTH_MAX { start - 40 } else { 0 };
    let mut chars = line.chars().skip(first);
    let mut text: String = chars.by_ref().take(WIDTH_MAX).collect();
    let more = chars.next().is_some();
    let mut mark = start - first;
    let end = text.chars().count();
    let left = end.saturating_sub(mark).max(1);
    let marked = if length == 0 {
        text.trim_end().chars().count().saturating_sub(mark).max(1)
    } else {
        length.min(left)
    };
    if first > 0 {
        text.insert(0, '…');
        mark += 1;
    }
    if more {
        text.push('…');
    }
    (text, mark.min(end + 1), marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_as_documented() {
        let source = "data: ./d\nspells:\n  - path: spells/*.lua\n    topik: orders.>\n";
        let diagnostic = Diagnostic::error("unknown key `topik`")
            .at("runeset.yaml", source, 4, 5, 5)
            .suggest(Some("topic"))
            .help("known keys: path, name, topic");
        let expected = "\
error: unknown key `topik`
  --> runeset.yaml:4:5
   |
 3 |   - path: spells/*.lua
 4 |     topik: orders.>
   |     ^^^^^ did you mean `topic`?
   |
   = help: known keys: path, name, topic
";
        assert_eq!(diagnostic.render(Style::Plain), expected);
        let json = diagnostic.to_json();
        assert_eq!((&json["line"], &json["source"]), (&4.into(), &"    topik: orders.>".into()));
    }

    #[test]
    fn long_lines_are_cut_around_the_mark() {
        let source = format!("{}here{}", "x".repeat(5000), "y".repeat(5000));
        let text = Diagnostic::error("odd").at("seed.ndjson", &source, 1, 5001, 4).render(Style::Plain);
        assert!(text.contains("…xxxx") && text.contains("yyy…"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        let caret = lines[4].find('^').unwrap();
        assert_eq!(lines[3].chars().skip(caret).take(4).collect::<String>(), "here");
        assert_eq!(lines[4].matches('^').count(), 4);
    }

    #[test]
    fn terminals_are_safe() {
        let text =
            Diagnostic::error("a\u{1b}[31m").at("f\u{7}", "\u{1b}]0;x\u{202e}", 1, 1, 0).render(Style::Plain);
        assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
        assert!(!text.contains('\u{202e}'));
    }

    #[test]
    fn any_place_renders() {
        for source in ["", "\n", "a", "a\nb", "\tä漢\t字x"] {
            for line in 0..4 {
                for column in 0..9 {
                    for length in [0, 1, 5, 500] {
                        let text = Diagnostic::error("m").at("f", source, line, column, length).context(3, 2);
                        assert!(text.render(Style::Colour).ends_with('\n'));
                    }
                }
            }
        }
    }
}
