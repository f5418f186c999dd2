//! A flame graph: stacks as an SVG, each function as wide as the instructions in it and in what it calls.
//!
//! The outermost functions are at the bottom. A picture without scripts: what is narrow says its name and its numbers
//! where the pointer rests on it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::spell::Stacks;

/// Width of the picture and height of a function, in pixels.
const WIDTH: f64 = 1200.0;
const ROW: usize = 18;
/// Pixels around the picture, and above it for the title.
const MARGIN: usize = 10;
const TITLE: usize = 30;
/// Width of a character; and the narrowest function that is drawn.
const CHAR: f64 = 7.0;
const NARROWEST: f64 = 0.3;

/// A function below those that called it.
#[derive(Default)]
struct Node {
    count: u64,
    calls: BTreeMap<String, Node>,
}

impl Node {
    fn of(stacks: &Stacks) -> Self {
        let mut root = Self::default();
        for (stack, count) in stacks {
            root.count += count;
            let mut node = &mut root;
            for name in stack.split(';') {
                node = node.calls.entry(name.to_owned()).or_default();
                node.count += count;
            }
        }
        root
    }

    fn height(&self) -> usize {
        1 + self.calls.values().map(Node::height).max().unwrap_or(0)
    }
}

/// Draws stacks.
#[must_use]
pub fn svg(title: &str, stacks: &Stacks) -> String {
    let root = Node::of(stacks);
    let height = root.height() * ROW + TITLE + 2 * MARGIN;
    let width = WIDTH + 2.0 * MARGIN as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"monospace\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fffdf8\"/>\n\
         <text x=\"{}\" y=\"24\" text-anchor=\"middle\" font-size=\"16\">{}</text>\n",
        width / 2.0,
        escaped(title)
    );
    let bottom = height - MARGIN - ROW;
    draw("all", &root, root.count.max(1), (MARGIN as f64, bottom), &mut text);
    text.push_str("</svg>\n");
    text
}

/// Draws a function, and those that it calls above it.
fn draw(name: &str, node: &Node, total: u64, (left, top): (f64, usize), text: &mut String) {
    let width = WIDTH * node.count as f64 / total as f64;
    if width < NARROWEST {
        return;
    }
    let share = 100.0 * node.count as f64 / total as f64;
    let (name, inner) = (escaped(name), (width - 1.0).max(0.2));
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "<g><title>{name}: {} instructions, {share:.1}%</title><rect x=\"{left:.1}\" y=\"{top}\" width=\"{inner:.1}\" \
         height=\"{}\" rx=\"2\" fill=\"{}\"/>{}</g>",
        node.count,
        ROW - 1,
        colour(&name),
        label(&name, left, top, width)
    );
    let mut at = left;
    for (name, call) in &node.calls {
        draw(name, call, total, (at, top.saturating_sub(ROW)), text);
        at += WIDTH * call.count as f64 / total as f64;
    }
}

/// As much of a name as there is room for.
fn label(name: &str, left: f64, top: usize, width: f64) -> String {
    let room = (width / CHAR) as usize;
    if room < 4 {
        return String::new();
    }
    let shown: String = match name.chars().count() <= room {
        true => name.to_owned(),
        // An entity that was cut would be no XML.
        false => name.chars().take_while(|char| *char != '&').take(room - 2).chain("..".chars()).collect(),
    };
    format!("<text x=\"{:.1}\" y=\"{}\">{shown}</text>", left + 3.0, top + 13)
}

/// A warm colour that follows from the name.
fn colour(name: &str) -> String {
    let hash = crc32fast::hash(name.as_bytes());
    format!("rgb({},{},{})", 205 + hash % 50, 100 + (hash >> 8) % 110, 40 + (hash >> 16) % 50)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Stacks as lines, `outer;inner count`, as tools for flame graphs read them.
#[must_use]
pub fn folded(stacks: &Stacks) -> String {
    stacks.iter().map(|(stack, count)| format!("{stack} {count}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_as_wide_as_what_it_calls() {
        let stacks = Stacks::from([("cast;one".to_owned(), 30), ("cast;two<".to_owned(), 10)]);
        let picture = svg("a & b", &stacks);
        assert!(picture.contains("<title>cast: 40 instructions, 100.0%</title>"));
        assert!(picture.contains("<title>two&lt;: 10 instructions, 25.0%</title>"));
        assert!(picture.contains("width=\"899.0\"") && picture.contains("a &amp; b"));
        assert_eq!(folded(&stacks), "cast;one 30\ncast;two< 10\n");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let picture = svg("none", &Stacks::new());
        assert!(picture.contains("none") && !picture.contains("<g>"));
    }
}
