//! `sanctum cat` and `sanctum tac`: energies of the log, oldest or newest first.

use std::time::Duration;

use anyhow::bail;

use super::format::Format;
use super::handle::Handle;
use super::output::{Output, is_abandoned};
use super::plane::{Plane, now_ms};
use super::selection::{Filters, Place};
use super::{DONE, usage};
use crate::engine::clock::steady_ms;
use crate::event::Events;
use crate::log::file::Durability;
use crate::log::{FileLog, Follower, Heard, Log, Pages, Query, cursor};

/// How often a follower looks whether anybody still reads what it prints.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Positions that a cursor may be behind where nothing matches.
const CURSOR_SKIPPED_MAX: u64 = 100_000;

/// Why a reader with a cursor writes.
const CURSOR: &str = "--cursor writes how far it came";

/// Which energies, and how they are printed.
#[derive(Debug, clap::Args)]
pub struct Reading {
    /// After this position, or the energy with this id
    #[arg(long, value_name = "POSITION|ID")]
    after: Option<Place>,
    /// Before this position, or the energy with this id
    #[arg(long, value_name = "POSITION|ID")]
    before: Option<Place>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// The last N of those that match
    #[arg(long, value_name = "N")]
    last: Option<u64>,
    /// How they are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    filters: Filters,
}

/// Print energies of the log, oldest first
///
/// One JSON object a line. On a log without energies nothing is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sanctum cat --topic 'orders.>' --since 2h\n  \
    sanctum cat --stream user-1 --last 10\n  \
    sanctum cat --follow --after 41 --pulse 5000\n  \
    sanctum cat --cursor mailer --limit 100\n\n\
    With --follow, the line {\"threshold\":POSITION} stands between history and what is new: energies at that \
    position and above were appended after following began. Each pulse is a line {\"pulse\":TIME}, in \
    milliseconds since 1970.")]
pub struct CatArgs {
    /// Go on with what is appended, until interrupted, or until --limit is reached
    #[arg(long, short, conflicts_with = "before")]
    follow: bool,
    /// Say that nothing was missed, every so many milliseconds, once history is past
    #[arg(long, value_name = "MS", requires = "follow", value_parser = clap::value_parser!(u64).range(1..))]
    pulse: Option<u64>,
    /// Begin where the reader of this name left off, and remember how far it came: what was printed is not
    /// printed again, also after a restart. It moves once what was printed is taken
    #[arg(long, value_name = "NAME", conflicts_with_all = ["after", "last"], value_parser = parse_cursor)]
    cursor: Option<String>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    plane: Plane,
}

/// Print energies of the log, newest first
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sanctum tac --limit 1\n  sanctum tac --topic orders.eu --until 1d --limit 20"
)]
pub struct TacArgs {
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    plane: Plane,
}

fn parse_cursor(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > cursor::NAME_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("a cursor's name is 1 to {} bytes", cursor::NAME_BYTES_MAX));
    }
    Ok(text.to_owned())
}

/// Runs `tac`.
pub fn run_tac(args: &TacArgs) -> anyhow::Result<u8> {
    let log = args.plane.read()?;
    let reading = &args.reading;
    let (from, to) = reading.bounds(&log, None)?;
    let limit = reading.limit.unwrap_or(u64::MAX).min(reading.last.unwrap_or(u64::MAX));
    let mut output = Output::new(reading.format);
    let mut pages = Pages::backward(to, from).limit(limit);
    let (mut page, query) = (Events::default(), reading.filters.query());
    while pages.next(&log, &query, &mut page)? {
        output.page(&page)?;
    }
    output.finish()?;
    Ok(DONE)
}

/// Runs `cat`.
pub fn run_cat(args: &CatArgs) -> anyhow::Result<u8> {
    let reading = &args.reading;
    if args.follow && reading.format == Format::Json {
        return Err(usage("--follow never ends, and a JSON array has to: take --format ndjson or msgpack"));
    }
    match &args.cursor {
        Some(_) if !args.follow => {
            // Held until all is printed, so that of two readers with one cursor each gets what the other does not.
            let log = args.plane.write_existing(Durability::Commit, CURSOR)?;
            let _alone = match &log {
                Handle::Own(_) => None,
                Handle::Served(_) => Some(args.plane.alone()?),
            };
            args.print(&*log)?;
            log.close()?;
        }
        _ => {
            let log = args.plane.read()?;
            if args.follow { args.follow(&log)? } else { args.print(&log)? }
        }
    }
    Ok(DONE)
}

impl Reading {
    /// The first position that may be printed and the one that may not be any more.
    fn bounds(&self, log: &dyn Log, cursor: Option<(&str, u64)>) -> anyhow::Result<(u64, u64)> {
        let head = log.visible();
        let mut from = match self.after {
            Some(place) => place.position(log)? + 1,
            None => 0,
        };
        if let Some((name, position)) = cursor {
            if position > head {
                bail!(
                    "the cursor `{name}` stands at position {position}, beyond the end of the log, which has \
                     positions up to {head}: is this the log that it was made in?"
                );
            }
            from = position;
        }
        let to = match self.before {
            Some(Place::Position(position)) => position.min(head),
            Some(place) => place.position(log)?,
            None => head,
        };
        Ok((from, to.max(from)))
    }

    /// Where the last N that match begin.
    fn tail(&self, log: &dyn Log, query: &Query, from: u64, to: u64) -> anyhow::Result<u64> {
        let Some(last) = self.last else { return Ok(from) };
        let mut pages = Pages::backward(to, from).limit(last);
        let (mut page, mut first) = (Events::default(), to);
        while pages.next(log, query, &mut page)? {
            first = page.iter().last().map_or(first, |event| event.head().position);
        }
        Ok(first)
    }
}

impl CatArgs {
    fn place(&self, log: &dyn Log) -> anyhow::Result<Option<(&str, u64)>> {
        let Some(name) = self.cursor.as_deref() else { return Ok(None) };
        Ok(Some((name, cursor::position(log, name)?.unwrap_or(0))))
    }

    fn print(&self, log: &dyn Log) -> anyhow::Result<()> {
        let query = self.reading.filters.query();
        let (from, to) = self.reading.bounds(log, self.place(log)?)?;
        let from = self.reading.tail(log, &query, from, to)?;
        let mut pages = Pages::forward(from, to).limit(self.reading.limit.unwrap_or(u64::MAX));
        let mut output = Output::new(self.reading.format);
        let mut page = Events::default();
        while pages.next(log, &query, &mut page)? {
            output.page(&page)?;
            if let Some(name) = &self.cursor {
                output.flush()?;
                cursor::advance(log, name, pages.position())?;
            }
        }
        output.finish()?;
        // What did not match is passed as well.
        match &self.cursor {
            Some(name) if pages.position() > from => Ok(cursor::advance(log, name, pages.position())?),
            _ => Ok(()),
        }
    }

    fn follow(&self, log: &FileLog) -> anyhow::Result<()> {
        let query = self.reading.filters.query();
        let place = match &self.cursor {
            Some(_) => self.place(&*self.plane.consult()?)?,
            None => None,
        };
        log.refresh()?;
        let (from, to) = self.reading.bounds(log, place)?;
        let from = self.reading.tail(log, &query, from, to)?;
        let mut follower = Follower::new(log, query, from).limit(self.reading.limit.unwrap_or(u64::MAX));
        if let Some(every_ms) = self.pulse {
            follower = follower.pulse(every_ms, steady_ms);
        }
        let mut output = Output::new(self.reading.format);
        let (mut page, mut kept) = (Events::default(), from);
        loop {
            let heard = follower.next(&mut page, LOOK_EVERY)?;
            match heard {
                Heard::Events => output.page(&page)?,
                Heard::Threshold(position) => {
                    output.mark("threshold", i64::try_from(position).unwrap_or(i64::MAX))?;
                }
                Heard::Pulse => output.mark("pulse", now_ms())?,
                Heard::Nothing if is_abandoned() => return Ok(()),
                // Waiting tells nothing of errors.
                Heard::Nothing => drop(log.refresh()?),
                Heard::End => return Ok(output.finish()?),
            }
            output.flush()?;
            let position = follower.position();
            let is_due = heard == Heard::Events || position - kept >= CURSOR_SKIPPED_MAX;
            if let Some(name) = self.cursor.as_deref().filter(|_| is_due) {
                self.advance(name, position)?;
                kept = position;
            }
        }
    }

    /// Moves the cursor of a follower, which only reads: others append meanwhile, so the log is opened to write
    /// for this moment alone.
    fn advance(&self, name: &str, position: u64) -> anyhow::Result<()> {
        let log = self.plane.write_existing(Durability::Commit, CURSOR)?;
        cursor::advance(&*log, name, position)?;
        Ok(log.close()?)
    }
}
