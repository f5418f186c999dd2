//! How a [`Diagnostic`] looks on a terminal.

use std::fmt::Write;

use super::diagnostic::{Diagnostic, Place, Severity, Style};

const TAB: usize = 4;

/// Escape sequences, or nothing.
struct Paint {
    strong: &'static str,
    severity: &'static str,
    gutter: &'static str,
    reset: &'static str,
}

impl Paint {
    fn new(style: Style, severity: Severity) -> Self {
        match style {
            Style::Plain => Self { strong: "", severity: "", gutter: "", reset: "" },
            Style::Colour => Self {
                strong: "\x1b[1m",
                severity: if severity == Severity::Error { "\x1b[1;31m" } else { "\x1b[1;33m" },
                gutter: "\x1b[1;34m",
                reset: "\x1b[0m",
            },
        }
    }
}

/// The text for people, ending in a newline.
pub(super) fn render(diagnostic: &Diagnostic, style: Style) -> String {
    let paint = Paint::new(style, diagnostic.severity);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}{}{}{}: {}{}",
        paint.severity,
        diagnostic.severity.name(),
        paint.reset,
        paint.strong,
        visible(&diagnostic.message, true),
        paint.reset
    );
    let mut width = 1;
    if let Some(place) = &diagnostic.place {
        width = excerpt(&mut out, diagnostic, place, &paint);
    }
    let gutter = " ".repeat(width + 2);
    for (kind, text) in &diagnostic.notes {
        let Paint { strong, gutter: blue, reset, .. } = &paint;
        let _ = write!(out, "{gutter}{blue}={reset} {strong}{}{reset}:", visible(kind, false));
        let text = visible(text, true);
        let mut lines = text.lines();
        let _ = writeln!(out, " {}", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(out, "{gutter}    {line}");
        }
    }
    out
}

/// The place and the lines around it; gives the width of the line numbers.
fn excerpt(out: &mut String, diagnostic: &Diagnostic, place: &Place, paint: &Paint) -> usize {
    let Paint { severity, gutter: blue, reset, .. } = paint;
    let (before, after) = diagnostic.context;
    let first = place.before.saturating_sub(before);
    let end = place.lines.len().min(place.before + 1 + after);
    let last_number = place.line + (end.saturating_sub(1)).saturating_sub(place.before);
    let width = last_number.to_string().len();
    let pad = " ".repeat(width);
    let _ = write!(out, " {pad}{blue}-->{reset} {}", visible(&place.file, false));
    if place.line > 0 {
        let _ = write!(out, ":{}", place.line);
        if place.column > 0 {
            let _ = write!(out, ":{}", place.column);
        }
    }
    out.push('\n');
    if place.lines.is_empty() {
        return width;
    }
    let _ = writeln!(out, " {pad} {blue}|{reset}");
    for index in first..end {
        let number = place.line + index - place.before;
        let line = visible(&place.lines[index], false);
        let _ = writeln!(out, "{}", format!(" {blue}{number:>width$} |{reset} {line}").trim_end());
        if index != place.before {
            continue;
        }
        let (start, marked) = place.mark;
        let columns = |text: String| visible(&text, false).chars().map(columns_of).sum::<usize>();
        let indent = columns(place.lines[index].chars().take(start).collect());
        let carets = columns(place.lines[index].chars().skip(start).take(marked).collect()).max(1);
        let label = diagnostic.label.as_deref().map(|label| visible(label, true)).unwrap_or_default();
        let mark = format!("{}{severity}{} {label}", " ".repeat(indent), "^".repeat(carets));
        let _ = writeln!(out, " {pad} {blue}|{reset} {}{reset}", mark.trim_end());
    }
    if !diagnostic.notes.is_empty() {
        let _ = writeln!(out, " {pad} {blue}|{reset}");
    }
    width
}

/// Text that is safe to show: tabs as spaces, other control characters as pictures of themselves, and what
/// turns the direction of writing as the replacement character. Line breaks stay where `lines` says so.
pub(super) fn visible(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' if lines => out.push('\n'),
            '\t' => out.push_str(&" ".repeat(TAB)),
            '\0'..='\x1f' => {
                out.push(char::from_u32(0x2400 + char as u32).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            '\x7f' => out.push('␡'),
            '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push(char::REPLACEMENT_CHARACTER);
            }
            _ => out.push(char),
        }
    }
    out
}

/// Columns that a character takes on a terminal: East Asian wide ones and emoji two, combining marks none.
fn columns_of(char: char) -> usize {
    match char as u32 {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f | 0xfeff => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}
