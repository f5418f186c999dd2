//! `sanctum state`: what spells keep, read and, with `--force`, written.
//!
//! A key on the command line is JSON where it is that (`7`, `true`, `["eu",3]`, `"7"`), else text as it stands. What is
//! written is a change in the log as a spell's own is: it survives, and a run that starts later sees it.

use anyhow::{anyhow, bail};
use clap::Subcommand;

use super::format::Format;
use super::output::print_rows;
use super::plane::Plane;
use super::{DONE, usage};
use crate::engine::inspection::{self, InspectionError};
use crate::engine::recall;
use crate::event::json as text;
use crate::log::file::Durability;
use crate::log::{Commit, Table};
use crate::state::Address;

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
    let log = entry.plane.consult()?;
    let value = log.value(Table::State, &entry.address()?)?;
    let Some(value) = value else {
        inspection::known(&*log, &entry.place.spell)?;
        bail!("spell `{}` keeps nothing under the key {}", entry.place, entry.key);
    };
    print_rows([inspection::shown(&value)], Format::Ndjson)?;
    Ok(())
}

impl Entry {
    fn address(&self) -> anyhow::Result<Vec<u8>> {
        let (scope, key) = (inspection::lane_of(self.lane.as_deref()), asked(inspection::key_of(&self.key))?);
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
    inspection::known(&*log, &entry.place.spell)?;
    let (address, mut commit) = (entry.address()?, Commit::default());
    match value {
        Some(value) => commit.changes.put(Table::State, &address, value),
        None if log.value(Table::State, &address)?.is_none() => {
            bail!("spell `{}` keeps nothing under the key {}", entry.place, entry.key)
        }
        None => commit.changes.delete(Table::State, &address),
    }
    recall::forget_sizes(&entry.place.spell, &mut commit.changes);
    log.append(commit)?;
    log.close()?;
    Ok(())
}

fn print_range(args: &Range) -> anyhow::Result<()> {
    let log = args.plane.consult()?;
    let range = inspection::Range {
        bucket: args.place.bucket.clone().unwrap_or_default(),
        lane: args.lane.clone(),
        from: args.from.clone(),
        to: args.to.clone(),
        prefix: args.prefix.clone(),
        reverse: args.reverse,
        limit: args.limit.unwrap_or(usize::MAX),
    };
    print_rows(asked(range.rows(&*log, &args.place.spell))?, args.format)?;
    Ok(())
}

fn export(place: &Place, plane: &Plane) -> anyhow::Result<()> {
    let log = plane.consult()?;
    inspection::known(&*log, &place.spell)?;
    let mut rows = Vec::new();
    for (address, value) in log.values(Table::State, &Address::prefix_of(&place.spell))? {
        let Some(at) = Address::read(&address) else { continue };
        if place.bucket.as_deref().is_none_or(|bucket| bucket.as_bytes() == at.bucket) {
            rows.push(inspection::entry(&at, &value, true)?);
        }
    }
    print_rows(rows, Format::Ndjson)?;
    Ok(())
}

fn msgpack_of(text: &str) -> Result<Vec<u8>, text::JsonError> {
    let mut out = Vec::new();
    text::Parser::new().to_msgpack(text.as_bytes(), &mut out)?;
    Ok(out)
}

/// A key that is none is an error of the command line.
fn asked<T>(result: Result<T, InspectionError>) -> anyhow::Result<T> {
    result.map_err(|error| match error {
        InspectionError::Key { .. } => usage(error.to_string()),
        error => error.into(),
    })
}
