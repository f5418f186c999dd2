//! `sanctum export` and `sanctum import`: energies with their envelopes, out of one log and into another.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, IsTerminal, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde_json::json;

use super::plane::Plane;
use super::progress::Gauge;
use super::selection::{Filters, Place};
use super::{DONE, console, usage};
use crate::log::export::end_of;
use crate::log::file::Durability;
use crate::log::{Imported, Log, RecordFormat, export, import};

/// How energies are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A JSON object a line.
    #[default]
    Ndjson,
    /// MessagePack maps, one after the other: keeps keys that are no strings as they are.
    Msgpack,
}

/// Write energies with their whole envelopes to a file, for `import`
///
/// Ids, times, ancestors, tags and ttls are kept. Content that energies refer to, cursors and what spells keep are
/// not exported: `backup` copies all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sanctum export orders.ndjson --topic 'orders.>'\n  \
    sanctum export --format msgpack | ssh other sanctum import -\n  sanctum export all.ndjson --resume")]
pub struct ExportArgs {
    /// File, which must not exist; `-`, or none: standard output
    #[arg(value_name = "FILE|-")]
    file: Option<PathBuf>,
    /// How they are written; with --resume as they are in the file
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// After this position, or the energy with this id
    #[arg(long, value_name = "POSITION|ID", conflicts_with = "resume")]
    after: Option<Place>,
    /// Go on at the end of the file, where an export ended or was cut off
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    plane: Plane,
}

/// Append what `export` wrote, from this log or another
///
/// Order is that of the file: positions and versions are given anew, whatever ids and times say. An energy whose id
/// the log has, with the same content, is known and not stored again: so an import that was cut off is run again.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sanctum import orders.ndjson\n  sanctum export --data old | sanctum import --data new -\n\n\
    NDJSON and MessagePack are told apart by themselves. Prints one object: energies stored, known, and ephemeral \
    (never stored), and bytes read. The first that is no energy, or has the id of another, ends it; what came before is \
    stored."
)]
pub struct ImportArgs {
    /// File; `-` is standard input; none: standard input, if it is no terminal
    #[arg(value_name = "FILE|-")]
    file: Option<PathBuf>,
    /// When it counts as stored: commit (synced), interval:MS (synced within), os
    #[arg(long, value_name = "DURABILITY", default_value_t)]
    durability: Durability,
    #[command(flatten)]
    plane: Plane,
}

/// The file that is meant, if it is not a standard stream.
fn named(file: Option<&PathBuf>) -> Option<&Path> {
    file.map(PathBuf::as_path).filter(|file| *file != Path::new("-"))
}

/// Runs `export`.
pub fn run_export(args: &ExportArgs) -> anyhow::Result<u8> {
    let file = named(args.file.as_ref());
    if args.resume && file.is_none() {
        return Err(usage("--resume goes on at the end of a file, and none is named"));
    }
    let log = args.plane.read()?;
    let mut format = match args.format {
        Format::Ndjson => RecordFormat::Ndjson,
        Format::Msgpack => RecordFormat::Msgpack,
    };
    let mut from = match args.after {
        Some(place) => place.position(&log)? + 1,
        None => 0,
    };
    let mut output: Box<dyn Write> = match file {
        None => Box::new(io::stdout().lock()),
        Some(path) if args.resume => {
            let (output, there, position) = reopen(path, &log)?;
            (format, from) = (there.unwrap_or(format), position);
            Box::new(BufWriter::new(output))
        }
        Some(path) => Box::new(BufWriter::new(create(path)?)),
    };
    let mut gauge = Gauge::new("exported");
    export(&log, from, &args.filters.query(), format, &mut *output, &mut |done| {
        gauge.update(done.bytes, None)
    })?;
    gauge.end();
    Ok(DONE)
}

fn create(path: &Path) -> anyhow::Result<File> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("`{}` exists already; --resume goes on at its end, or name another file", path.display())
        }
        opened => opened.with_context(|| format!("cannot create `{}`", path.display())),
    }
}

/// Opens an earlier export, cuts off what is not whole, and says which position comes next.
fn reopen(path: &Path, log: &dyn Log) -> anyhow::Result<(File, Option<RecordFormat>, u64)> {
    let failed = || format!("cannot go on with `{}`", path.display());
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(failed)?;
    let mut reader = BufReader::new(&file);
    let format = io::BufRead::fill_buf(&mut reader)
        .with_context(failed)?
        .first()
        .map(|first| RecordFormat::of(*first));
    let (whole, position) = end_of(&mut reader).with_context(failed)?;
    let position = position.unwrap_or(0);
    if position > log.visible() {
        bail!(
            "`{}` ends with position {}, beyond the end of the log, which has positions up to {}: is it of this log?",
            path.display(),
            position - 1,
            log.visible()
        );
    }
    file.set_len(whole).with_context(failed)?;
    file.seek(SeekFrom::End(0)).with_context(failed)?;
    Ok((file, format, position))
}

/// Runs `import`.
pub fn run_import(args: &ImportArgs) -> anyhow::Result<u8> {
    let file = named(args.file.as_ref());
    if args.file.is_none() && io::stdin().is_terminal() {
        return Err(usage("nothing to import: name a file, or `-` for standard input"));
    }
    let (shown, total, mut input): (_, _, Box<dyn io::BufRead>) = match file {
        None => ("standard input".to_owned(), None, Box::new(io::stdin().lock())),
        Some(path) => {
            let shown = path.display().to_string();
            let opened = File::open(path).with_context(|| format!("cannot read `{shown}`"))?;
            let total = opened.metadata().ok().map(|metadata| metadata.len());
            (shown, total, Box::new(BufReader::with_capacity(1 << 20, opened)))
        }
    };
    let log = args.plane.write(args.durability)?;
    let mut gauge = Gauge::new("imported");
    let mut last = Imported::default();
    let result = import(&*log, &mut *input, &mut |done| {
        last = *done;
        gauge.update(done.bytes, total);
    });
    gauge.end();
    log.close()?;
    console::print(&format!(
        "{}\n",
        json!({ "stored": last.stored, "known": last.known, "ephemeral": last.ephemeral, "bytes": last.bytes })
    ))?;
    result.with_context(|| shown)?;
    Ok(DONE)
}
