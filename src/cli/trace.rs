//! `sanctum trace`: what an energy comes from, and what came of it.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::bail;
use clap::ValueEnum;

use super::DONE;
use super::graph::dot_text;
use super::plane::Plane;
use super::selection::Place;
use super::stat::rfc_3339;
use crate::event::{EventRef, Events, json};
use crate::log::Trace;

/// Levels that are drawn further and further right; a chain of causes may have thousands.
const LEVELS_DRAWN: usize = 40;
/// Characters of an energy's data in a line.
const DATA_CHARS: usize = 60;

/// How a tree is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each energy, below its cause.
    #[default]
    Text,
    /// One object: ancestors, energy, descendants.
    Json,
    /// A graph for Graphviz.
    Dot,
}

/// Print what an energy comes from and what came of it
///
/// Ancestors come first, from the first one down; then the energy, marked; then its descendants.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sanctum trace 41\n  sanctum trace 41 --format dot | dot -Tsvg > trace.svg\n\n\
    The JSON object has the keys `ancestors` (from the first one down), `energy`, `descendants` (by position), `lost` \
    (the id of a cause that the log does not have any more) and `cut` (whether --limit left any out)."
)]
pub struct Args {
    /// Its position or its id
    #[arg(value_name = "ID|POSITION")]
    place: Place,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// At most so many ancestors, the nearest ones, and so many descendants, the first ones
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    limit: usize,
    #[command(flatten)]
    plane: Plane,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let log = args.plane.read()?;
    let position = args.place.read(&log, &mut Events::default())?;
    let Some(trace) = Trace::of(&log, position, args.limit)? else {
        bail!("the energy at position {position} is no longer kept");
    };
    let text = match args.format {
        Format::Text => text(&trace).into_bytes(),
        Format::Json => trace.to_json(),
        Format::Dot => dot(&trace).into_bytes(),
    };
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&text)?;
    stdout.flush()?;
    Ok(DONE)
}

/// The tree, drawn.
fn text(trace: &Trace) -> String {
    let mut text = String::new();
    if let Some(lost) = trace.lost {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "… {lost} is not in the log (any more)");
    }
    if trace.has_more_ancestors {
        text.push_str("… more ancestors\n");
    }
    let effects = trace.effects();
    let width = trace.events.iter().map(|event| event.head().position.to_string().len()).max().unwrap_or(0);
    // What is still to be drawn, the next one last: index, level, what stands before its branch, whether it is the
    // last of its cause.
    let mut open = vec![(0, 0_usize, String::new(), true)];
    while let Some((index, level, before, is_last)) = open.pop() {
        let (branch, below) = match (level, is_last) {
            (0, _) => ("", ""),
            (_, true) => ("└─ ", "   "),
            (_, false) => ("├─ ", "│  "),
        };
        let deep = if level > LEVELS_DRAWN { format!("[{level}] ") } else { String::new() };
        let mark = if index == trace.traced { "  <- traced" } else { "" };
        let _ = writeln!(text, "{before}{branch}{deep}{}{mark}", describe(trace.events.get(index), width));
        let below = if level < LEVELS_DRAWN { format!("{before}{below}") } else { before };
        let children = effects[index].iter().rev().enumerate();
        open.extend(children.map(|(at, child)| (*child, level + 1, below.clone(), at == 0)));
    }
    if trace.has_more_descendants {
        text.push_str("… more descendants\n");
    }
    text
}

/// Position, topic, time, id and the beginning of the data.
fn describe(event: EventRef<'_>, width: usize) -> String {
    let head = event.head();
    let mut data = Vec::new();
    json::write_value(event.data(), &mut data);
    let data = String::from_utf8_lossy(&data);
    let mut shown: String = data.chars().take(DATA_CHARS).collect();
    if shown.len() < data.len() {
        shown.push('…');
    }
    let topic = event.topic().unwrap_or("-");
    format!("{:<width$}  {topic}  {}  {}  {shown}", head.position, rfc_3339(head.time_ms), head.id)
}

/// The tree as a graph.
fn dot(trace: &Trace) -> String {
    let mut text = String::from("digraph trace {\n  node [fontname=\"sans-serif\", shape=box];\n");
    for (index, event) in trace.events.iter().enumerate() {
        let style = if index == trace.traced { ", style=bold" } else { "" };
        let (position, topic) = (event.head().position, dot_text(event.topic().unwrap_or("-")));
        let _ = writeln!(text, "  e{position} [label=\"{topic}\\n{position}\"{style}];");
    }
    for (event, cause) in trace.events.iter().zip(&trace.causes) {
        if let Some(cause) = cause {
            let cause = trace.events.get(*cause).head().position;
            let _ = writeln!(text, "  e{cause} -> e{};", event.head().position);
        }
    }
    text.push_str("}\n");
    text
}
