//! `sanctum freeze --from-log`: recorded energies as the seed of a golden case.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::plane::Plane;
use super::selection::parse_pattern;
use super::usage;
use crate::event::{EventRef, Events, json};
use crate::log::{FileLog, Log, Pages, Query};
use crate::regression::Case;
use crate::router::pattern::Pattern;

/// The seed that is written.
const SEED: &str = "seed.ndjson";

/// Which energies, and which spell.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "From a log")]
pub struct History {
    /// Make a case of recorded energies: CASE is its folder, with the spell or to be given one by --spell
    #[arg(long, requires = "last")]
    pub from_log: bool,
    /// Energies of these topics, or patterns of them
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern, requires = "from_log")]
    topic: Vec<Pattern>,
    /// The last N energies
    #[arg(long, value_name = "N", requires = "from_log")]
    last: Option<u64>,
    /// Spell of the case; its file is copied
    #[arg(long, value_name = "FILE", requires = "from_log")]
    spell: Option<PathBuf>,
    #[command(flatten)]
    plane: Plane,
}

impl History {
    /// Writes seed and spell of a case; returns the case.
    pub fn write(&self, arguments: &[String]) -> anyhow::Result<Case> {
        let [name] = arguments else { return Err(usage("--from-log makes one case: name its folder")) };
        let folder = Path::new(name);
        let case = Case { name: name.trim_end_matches('/').to_owned(), folder: folder.to_owned() };
        if case.has(SEED) {
            bail!("`{name}/{SEED}` is there already; remove it, or name another folder");
        }
        let seeds = self.seeds(&self.plane.read()?)?;
        if let Some(spell) = &self.spell {
            copy(spell, folder)?;
        }
        if !["spell.lua", "spells", "runeset.yaml"].iter().any(|file| case.has(file)) {
            bail!("the case `{name}` has no spell: name its file with `--spell FILE`");
        }
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(folder.join(SEED), seeds))
            .with_context(|| format!("cannot write `{name}/{SEED}`"))?;
        Ok(case)
    }

    /// The last energies that match, a line each, oldest first.
    fn seeds(&self, log: &FileLog) -> anyhow::Result<Vec<u8>> {
        let query = Query { topics: self.topic.clone(), ..Query::default() };
        let mut pages = Pages::backward(log.visible(), 0).limit(self.last.unwrap_or(u64::MAX));
        let (mut page, mut lines) = (Events::default(), Vec::new());
        while pages.next(log, &query, &mut page)? {
            lines.extend(page.iter().map(line));
        }
        if lines.is_empty() {
            bail!("the log has no energy that matches");
        }
        lines.reverse();
        Ok(lines.concat())
    }
}

/// An energy with the `$` keys that make a seed the same energy: `$id` and `$time` too.
fn line(event: EventRef<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    json::write_output(event, &mut text);
    let mut line =
        format!("{{\"$id\":\"{}\",\"$time\":{}", event.head().id, event.head().time_ms).into_bytes();
    if text.len() > 2 {
        line.push(b',');
    }
    line.extend_from_slice(&text[1..]);
    line.push(b'\n');
    line
}

/// Copies a spell under its own name, which its outputs' ids and its random numbers follow from.
fn copy(spell: &Path, folder: &Path) -> anyhow::Result<()> {
    let name = spell.file_name().with_context(|| format!("`{}` is no file", spell.display()))?;
    let spells = folder.join("spells");
    fs::create_dir_all(&spells).with_context(|| format!("cannot make the folder `{}`", spells.display()))?;
    fs::copy(spell, spells.join(name))
        .map(|_| ())
        .with_context(|| format!("cannot copy the spell `{}`", spell.display()))
}
