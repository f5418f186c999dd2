//! `sanctum state`: what spells keep, read and, with `--force`, written.
//!
//! A key on the command line is JSON where it is that (`7`, `true`, `["eu",3]`, `"7"`), else text as it stands. What is
//! written is a change in the log as a spell's own is: it survives, and a run that starts later sees it.

use std::io;

use anyhow::{anyhow, bail};
use clap::Subcommand;
use serde_json::{Value, json};

use super::format::Format;
use super::output::print_rows;
use super::plane::Plane;
use super::{DONE, usage};
use crate::event::json as text;
use crate::log::file::Durability;
use crate::log::{Commit, FileLog, Log, Table};
use crate::state::{Address, key};

/// Read what spells keep: `state` and buckets
///
/// SPELL is a spell's name, SPELL/BUCKET one of its buckets. A key is JSON, such as 7 or '["eu",3]', or else text as it
/// stands.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sanctum state get count total\n  \
    sanctum state range count/users --prefix '[\"eu\"]' --limit 10\n  \
    sanctum state export count > state.ndjson\n  \
    sanctum state set count total 0 --force")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the value of a key, as JSON
    Get(Entry),
    /// Print entries in the order of their keys, one JSON object a line
    Range(Range),
    /// Set a key, as a change in the log
    Set {
        #[command(flatten)]
        entry: Entry,
        /// The value: JSON
        #[arg(value_name = "JSON", allow_hyphen_values = true)]
        value: String,
        /// Yes: a spell did not write this
        #[arg(long)]
        force: bool,
    },
    /// Delete a key, as a change in the log
    Delete {
        #[command(flatten)]
        entry: Entry,
        /// Yes: a spell did not delete this
        #[arg(long)]
        force: bool,
    },
    /// Print all that a spell keeps, all buckets and lanes, one JSON object a line
    Export {
        /// Spell, or one of its buckets: SPELL/BUCKET
        #[arg(value_name = "SPELL[/BUCKET]")]
        place: Place,
        #[command(flatten)]
        plane: Plane,
    },
}

#[derive(Debug, clap::Args)]
struct Entry {
    /// Spell, or one of its buckets: SPELL/BUCKET
    #[arg(value_name = "SPELL[/BUCKET]")]
    place: Place,
    /// Key: JSON, or text as it stands
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    key: String,
    /// The lane's key, of a spell with a `lane`
    #[arg(long, value_name = "KEY")]
    lane: Option<String>,
    #[command(flatten)]
    plane: Plane,
}

#[derive(Debug, clap::Args)]
struct Range {
    /// Spell, or one of its buckets: SPELL/BUCKET
    #[arg(value_name = "SPELL[/BUCKET]")]
    place: Place,
    /// From this key on
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    from: Option<String>,
    /// Before this key
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    to: Option<String>,
    /// Keys that are a list which begins as this list does, or a text which begins as this text does
    #[arg(long, value_name = "KEY", conflicts_with_all = ["from", "to"])]
    prefix: Option<String>,
    /// The last key first
    #[arg(long)]
    reverse: bool,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only of this lane's key, of a spell with a `lane`
    #[arg(long, value_name = "KEY")]
    lane: Option<String>,
    /// How they are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    plane: Plane,
}

/// A spell, or a bucket of it.
#[derive(Clone, Debug)]
struct Place {
    spell: String,
    bucket: Option<String>,
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (spell, bucket) = match text.split_once('/') {
            Some((spell, bucket)) => (spell, Some(bucket.to_owned())),
            None => (text, None),
        };
        if spell.is_empty() || bucket.as_deref() == Some("") {
            return Err("it is a spell's name, or SPELL/BUCKET".to_owned());
        }
        Ok(Self { spell: spell.to_owned(), bucket })
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    match &args.what {
        What::Get(entry) => get(entry)?,
        What::Range(range) => print_range(range)?,
        What::Set { entry, value, force } => {
            let value = msgpack_of(value).map_err(|error| anyhow!("the value is not JSON: {error}"))?;
            write(entry, Some(&value), *force)?;
        }
        What::Delete { entry, force } => write(entry, None, *force)?,
        What::Export { place, plane } => export(place, plane)?,
    }
    Ok(DONE)
}

fn get(entry: &Entry) -> anyhow::Result<()> {
    let log = entry.plane.read()?;
    let value = log.value(Table::State, &entry.address()?)?;
    let Some(value) = value else {
        known(&log, &entry.place.spell)?;
        bail!("spell `{}` keeps nothing under the key {}", entry.place, entry.key);
    };
    print_rows([shown(&value)], Format::Ndjson)?;
    Ok(())
}

impl Entry {
    fn address(&self) -> anyhow::Result<Vec<u8>> {
        let (scope, key) = (lane_of(self.lane.as_deref())?, key_of(&self.key)?);
        let bucket = self.place.bucket.as_deref().unwrap_or_default().as_bytes();
        let mut address = Vec::new();
        Address { spell: self.place.spell.as_bytes(), scope: &scope, bucket, key: &key }.write(&mut address);
        Ok(address)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.bucket {
            Some(bucket) => write!(f, "{}/{bucket}", self.spell),
            None => f.write_str(&self.spell),
        }
    }
}

fn write(entry: &Entry, value: Option<&[u8]>, force: bool) -> anyhow::Result<()> {
    if !force {
        return Err(usage(
            "what a spell keeps is the spell's: with --force it is written all the same, as a change in the log",
        ));
    }
    let log = entry.plane.write_existing(Durability::Commit, "what a spell keeps is written to the log")?;
    known(&log, &entry.place.spell)?;
    let (address, mut commit) = (entry.address()?, Commit::default());
    match value {
        Some(value) => commit.changes.put(Table::State, &address, value),
        None if log.value(Table::State, &address)?.is_none() => {
            bail!("spell `{}` keeps nothing under the key {}", entry.place, entry.key)
        }
        None => commit.changes.delete(Table::State, &address),
    }
    log.append(commit)?;
    log.close()?;
    Ok(())
}

fn print_range(args: &Range) -> anyhow::Result<()> {
    let log = args.plane.read()?;
    known(&log, &args.place.spell)?;
    let lane = args.lane.as_deref().map(|lane| lane_of(Some(lane))).transpose()?;
    let bound = |text: &Option<String>| text.as_deref().map(bound_of).transpose();
    let (from, to, prefix) = (bound(&args.from)?, bound(&args.to)?, bound(&args.prefix)?);
    let bucket = args.place.bucket.as_deref().unwrap_or_default().as_bytes();
    let mut rows = Vec::new();
    for (address, value) in log.values(Table::State, &Address::prefix_of(&args.place.spell))? {
        let Some(at) = Address::read(&address) else { continue };
        let wanted = at.bucket == bucket
            && lane.as_deref().is_none_or(|lane| lane == at.scope)
            && from.as_deref().is_none_or(|from| at.key >= from)
            && to.as_deref().is_none_or(|to| at.key < to)
            && prefix.as_deref().is_none_or(|prefix| at.key.starts_with(prefix));
        if wanted {
            rows.push((at.key.to_owned(), row(&at, &value, false)?));
        }
    }
    // Lanes lie one after the other; keys are what is asked for.
    rows.sort_by(|left, right| left.0.cmp(&right.0));
    if args.reverse {
        rows.reverse();
    }
    let rows = rows.into_iter().map(|(_, row)| row).take(args.limit.unwrap_or(usize::MAX));
    print_rows(rows, args.format)?;
    Ok(())
}

fn export(place: &Place, plane: &Plane) -> anyhow::Result<()> {
    let log = plane.read()?;
    known(&log, &place.spell)?;
    let mut rows = Vec::new();
    for (address, value) in log.values(Table::State, &Address::prefix_of(&place.spell))? {
        let Some(at) = Address::read(&address) else { continue };
        if place.bucket.as_deref().is_none_or(|bucket| bucket.as_bytes() == at.bucket) {
            rows.push(row(&at, &value, true)?);
        }
    }
    print_rows(rows, Format::Ndjson)?;
    Ok(())
}

/// An entry as an object; with its bucket where that is not known from the question.
fn row(at: &Address<'_>, value: &[u8], with_bucket: bool) -> anyhow::Result<Value> {
    let mut object = json!({});
    if with_bucket && !at.bucket.is_empty() {
        object["bucket"] = String::from_utf8_lossy(at.bucket).into();
    }
    if !at.scope.is_empty() {
        object["lane"] = shown(at.scope);
    }
    let mut key = Vec::new();
    key::decode(at.key, &mut key)?;
    object["key"] = shown(&key);
    object["value"] = shown(value);
    Ok(object)
}

/// MessagePack as JSON.
pub fn shown(data: &[u8]) -> Value {
    let mut bytes = Vec::new();
    text::write_value(data, &mut bytes);
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

fn msgpack_of(text: &str) -> Result<Vec<u8>, text::JsonError> {
    let mut out = Vec::new();
    text::Parser::new().to_msgpack(text.as_bytes(), &mut out)?;
    Ok(out)
}

/// The MessagePack of an argument: JSON, or text as it stands.
pub fn argument(text: &str) -> Vec<u8> {
    msgpack_of(text).unwrap_or_else(|_| {
        let mut out = Vec::new();
        crate::event::msgpack::write_bytes(&mut out, text.as_bytes());
        out
    })
}

fn key_of(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut key = Vec::new();
    key::encode(&argument(text), &mut key).map_err(|error| usage(format!("the key {text}: {error}")))?;
    Ok(key)
}

fn bound_of(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut key = Vec::new();
    key::encode_bound(&argument(text), &mut key)
        .map_err(|error| usage(format!("the key {text}: {error}")))?;
    Ok(key)
}

/// A lane's key as addresses have it.
fn lane_of(text: Option<&str>) -> io::Result<Vec<u8>> {
    Ok(text.map(argument).unwrap_or_default())
}

/// An error when the log has never seen the spell.
pub fn known(log: &FileLog, spell: &str) -> anyhow::Result<()> {
    if log.value(Table::Spell, spell.as_bytes())?.is_some() {
        return Ok(());
    }
    let spells = log.values(Table::Spell, b"")?;
    let names: Vec<_> =
        spells.iter().map(|(name, _)| format!("`{}`", String::from_utf8_lossy(name))).collect();
    match names.is_empty() {
        true => bail!("no spell has run on this log yet"),
        false => bail!("no spell `{spell}` has run on this log; there are {}", names.join(", ")),
    }
}
