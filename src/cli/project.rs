//! `sanctum project`: the log folded into states.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{anyhow, bail};

use super::format::Format;
use super::output::{is_abandoned, print_rows};
use super::plane::{Plane, now_ms};
use super::{DONE, FAULT, console, usage};
use crate::engine::batch::read_source;
use crate::engine::clock::steady_ms;
use crate::engine::inspection::shown;
use crate::engine::projected::{Moment, absent, key_of, object};
use crate::log::{FileLog, Log};
use crate::projection::{Error, Freshness, Projection, Row, project, watch_projection};
use crate::spell::{Clocks, Fold, Modules};

/// Where a NAME is looked for.
pub const FOLDER: &str = "projections";
/// How often a follower looks whether anybody still reads what it prints.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Print what a projection makes of the log
///
/// NAME is the file projections/NAME.lua, or the path of another .lua file. With KEY its state as JSON, without one
/// every key, one JSON object a line. Only what is new in the log is folded. A key is JSON, such as 7 or
/// '["eu",3]', or else text as it stands; of a projection by stream it is the stream.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sanctum project stock\n  \
    sanctum project stock apple\n  \
    sanctum project stock apple --at 41\n  \
    sanctum project stock --at 2026-01-31T12:00:00Z\n  \
    sanctum project projections/stock.lua apple --follow")]
pub struct Args {
    /// The projection
    #[arg(value_name = "NAME|FILE")]
    projection: String,
    /// Key whose state is printed: JSON, or text as it stands
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    key: Option<String>,
    /// As it was once this position was folded, or all energies before the first one that is later than this time:
    /// RFC 3339, a date, or back from now such as 10m, 2h, 7d
    #[arg(long, value_name = "POSITION|TIME", value_parser = parse_moment)]
    at: Option<Moment>,
    /// Go on with every change, until interrupted
    #[arg(long, short, conflicts_with_all = ["at", "cached"])]
    follow: bool,
    /// As it is kept, and be it of a former text of the projection: nothing is folded
    #[arg(long, conflicts_with = "at")]
    cached: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    plane: Plane,
}

fn parse_moment(text: &str) -> Result<Moment, String> {
    Moment::parse(text, now_ms())
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    if args.follow && args.format == Format::Json {
        return Err(usage("--follow never ends, and a JSON array has to: take --format ndjson or msgpack"));
    }
    let path = path_of(&args.projection)?;
    let source = read_source(Path::new(&path)).map_err(|error| anyhow!("cannot read `{path}`: {error}"))?;
    let folder = Path::new(&path).parent().unwrap_or(Path::new(""));
    let clocks = Clocks { steady_ms, timer_ns: None, exact: false };
    let fold = match Fold::load(&path, source, Modules::folder(folder), clocks) {
        Ok(fold) => fold,
        Err(problems) => {
            console::report(&problems, console::Faults::Text);
            return Ok(FAULT);
        }
    };
    let log = args.plane.read()?;
    let mut projection = Projection::new(fold, &args.plane.folder(), clocks);
    let answered = args.answer(&log, &mut projection);
    console::tell(&String::from_utf8_lossy(&projection.take_prints()));
    match answered {
        Ok(()) => Ok(DONE),
        Err(error) => match error.downcast::<Error>() {
            Ok(Error::Fault(report)) => {
                console::report(&[*report], console::Faults::Text);
                Ok(FAULT)
            }
            Ok(Error::NothingCached(name)) => {
                bail!("nothing is kept of the projection `{name}` yet; without --cached it is made")
            }
            Ok(error) => Err(error.into()),
            Err(error) => Err(error),
        },
    }
}

/// The file that NAME|FILE means.
fn path_of(text: &str) -> anyhow::Result<String> {
    if text.ends_with(".lua") {
        return Ok(text.to_owned());
    }
    let path = format!("{FOLDER}/{text}.lua");
    if Path::new(&path).is_file() {
        return Ok(path);
    }
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let name = |name: String| name.strip_suffix(".lua").map(|name| format!("`{name}`"));
    let mut names: Vec<_> =
        entries.filter_map(|entry| name(entry.file_name().to_string_lossy().into_owned())).collect();
    names.sort();
    match names.is_empty() {
        true => bail!("there is no projection `{text}`: no file `{path}`; a path ends with .lua"),
        false => bail!("there is no projection `{text}`: no file `{path}`; there are {}", names.join(", ")),
    }
}

impl Args {
    fn answer(&self, log: &FileLog, projection: &mut Projection) -> anyhow::Result<()> {
        let key = self.key.as_deref().map(|text| key_of(text, &projection.fold().by));
        let freshness = match self.at {
            None if self.cached => Freshness::Cached,
            None => Freshness::Exact,
            Some(moment) => match moment.position(log, projection.fold())? {
                Some(position) => Freshness::At(position),
                None => return self.print(Vec::new(), projection.fold()),
            },
        };
        let rows = project(log, projection, key.as_deref(), freshness)?;
        if !self.follow {
            return self.print(rows, projection.fold());
        }
        self.show(rows)?;
        projection.release();
        // A log that is open to read is read on only when that is asked for.
        let head = log.visible();
        let mut watch = watch_projection(log, projection, key.as_deref(), head);
        loop {
            let rows = watch.next(LOOK_EVERY)?;
            console::tell(&String::from_utf8_lossy(&watch.projection().take_prints()));
            if rows.is_empty() && is_abandoned() {
                return Ok(());
            }
            self.show(rows)?;
        }
    }

    /// An answer. That there is no such key is an error.
    fn print(&self, rows: Vec<Row>, fold: &Fold) -> anyhow::Result<()> {
        if let (Some(key), true) = (&self.key, rows.is_empty()) {
            bail!(absent(fold, key, self.at));
        }
        self.show(rows)
    }

    fn show(&self, rows: Vec<Row>) -> anyhow::Result<()> {
        let rows = rows.into_iter();
        match (&self.key, self.format) {
            // One value; as JSON it is itself, not a list of one.
            (Some(_), Format::Msgpack) => print_rows(rows.map(|row| shown(&row.state)), Format::Msgpack)?,
            (Some(_), _) => print_rows(rows.map(|row| shown(&row.state)), Format::Ndjson)?,
            (None, format) => print_rows(rows.map(|row| object(&row)), format)?,
        }
        Ok(())
    }
}
