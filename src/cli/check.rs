//! `sanctum check`: loads spells and runesets, runs nothing.

use std::path::Path;

use clap::ValueEnum;

use super::cast::request_of;
use super::console::{self, Faults};
use super::services::Services;
use super::{DONE, FAULT, graph, usage};
use crate::engine::batch;
use crate::event::msgpack::PathPart;
use crate::runeset::FILE_NAME as RUNESET;
use crate::spell::Spell;

/// Load spells and runesets, run nothing
///
/// Prints a line per spell: name, topics, filter, lanes, file. All problems are listed at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Spells, runesets, folders, globs, apps or bundles [default: the runeset or app in the current folder]
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Print a graph of topics and spells instead
    ///
    /// What a spell produces is found in its text: `["$topic"] = "x"` with a literal topic.
    #[arg(long, value_name = "FORMAT", value_enum)]
    graph: Option<GraphKind>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum GraphKind {
    /// For Markdown, and mermaid.live.
    Mermaid,
    /// For Graphviz: `| dot -Tsvg`.
    Dot,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let mut paths = args.paths.clone();
    if paths.is_empty() {
        if !Path::new(RUNESET).is_file() {
            return Err(usage("nothing to check: name spells, runesets, folders or apps"));
        }
        paths.push(RUNESET.to_owned());
    }
    let (requests, _apps) = request_of(&paths)?;
    let (mut spells, mut problems) = (Vec::new(), Vec::new());
    for request in &requests {
        match batch::load(request, &|name| std::env::var(name).ok()) {
            Ok(batch) => {
                problems.extend(Services::of(&batch.runeset).err().into_iter().flatten());
                spells.extend(batch.spells);
            }
            Err(found) => problems.extend(found),
        }
    }
    if args.graph.is_none() {
        console::print(&table(spells.iter().map(|spell| &**spell)))?;
    }
    if !problems.is_empty() {
        console::report(&problems, Faults::Text);
        return Ok(FAULT);
    }
    let graph = || graph::Graph::new(spells.iter().map(|spell| &**spell));
    match args.graph {
        Some(GraphKind::Mermaid) => console::print(&graph().mermaid())?,
        Some(GraphKind::Dot) => console::print(&graph().dot())?,
        None => {}
    }
    Ok(DONE)
}

/// A line per spell, in columns.
fn table<'a>(spells: impl Iterator<Item = &'a Spell>) -> String {
    let rows: Vec<[String; 5]> = spells.map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [name, topics, filter, lane] = [0, 1, 2, 3].map(width);
    let line = |row: &[String; 5]| {
        let [a, b, c, d, e] = row;
        format!("{a:<name$}  {b:<topics$}  {c:<filter$}  {d:<lane$}  {e}\n")
    };
    rows.iter().map(line).collect()
}

fn row(spell: &Spell) -> [String; 5] {
    let topics: Vec<&str> = spell.topics.iter().map(|pattern| pattern.as_str()).collect();
    let topics = if topics.is_empty() { "every energy".to_owned() } else { topics.join(", ") };
    let filter = match (&spell.filter, spell.filter_function) {
        (Some(_), _) => "table filter",
        (None, true) => "filter function",
        (None, false) => "no filter",
    };
    let lane = match &spell.lane {
        Some(path) => format!("lane {} x{}", path_text(path), spell.lanes),
        None => "one lane".to_owned(),
    };
    [spell.name.to_string(), topics, filter.to_owned(), lane, spell.path.clone()]
}

fn path_text(path: &[PathPart]) -> String {
    let text = |part: &PathPart| match part {
        PathPart::Key(key) | PathPart::Number(_, key) => String::from_utf8_lossy(key).into_owned(),
    };
    path.iter().map(text).collect::<Vec<_>>().join(".")
}
