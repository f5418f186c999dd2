//! `sanctum append`: energies into the log, each acknowledged by a receipt.
//!
//! Of a stream of lines what is at hand is one commit, which is acknowledged before more is waited for. The first
//! line that is no energy, or that the log refuses, ends it: what came before is stored and acknowledged, and
//! nothing after it is. So the receipts tell how far an input came, whatever went wrong.

use std::io::{self, IsTerminal, StdoutLock, Write};

use anyhow::Context;

use super::cast::parse_topic;
use super::console::{self, Faults};
use super::plane::Plane;
use super::selection::{absolute, parse_id, parse_pattern, parse_tag, within};
use super::{DONE, FAULT, usage};
use crate::engine::seed::{Purpose, SeedOptions, Seeds, Source};
use crate::engine::{Clock, Intake};
use crate::event::msgpack::write_str;
use crate::event::{Events, Expect, Fields, Ttl, Uuid};
use crate::log::defaults::Defaults;
use crate::log::file::Durability;
use crate::log::receipts::write_receipts;
use crate::log::{Appended, Commit, Conflict, Log, Query};
use crate::router::pattern::Pattern;
use crate::runeset::Diagnostic;

/// Append energies to the log, and print a receipt for each
///
/// One energy is an argument: a JSON object. `-` reads NDJSON from standard input and acknowledges as it goes, each
/// energy when it is as durable as --durability says. `$` keys in the data ($topic, $stream, $id, $time, $tags, $ttl,
/// $expect, $content) go before the flags, which are for energies that do not say it themselves.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A receipt: {\"position\":7,\"id\":\"…\",\"stream\":\"orders\",\"version\":3}; without position and \
    version for an energy that is not stored (--ttl ephemeral).\n\n\
    Examples:\n  \
    sanctum append orders.eu '{\"amount\":70}' --stream order-17 --expect none\n  \
    tail -f orders.ndjson | sanctum append orders.eu -\n  \
    sanctum append seats.booked '{\"seat\":\"12A\"}' --unless-topic seats.booked --unless-tag seat=12A --tag seat=12A\n\n\
    An energy that is appended again with its --id and the same content is not stored twice: the first receipt is \
    printed."
)]
pub struct Args {
    /// Topic of energies that do not set `$topic`
    #[arg(value_name = "TOPIC", value_parser = parse_topic)]
    topic: String,
    /// The energy, or `-` for lines on standard input; absent: lines, if standard input is no terminal
    #[arg(value_name = "JSON|-")]
    energy: Option<String>,
    /// Stream, the entity that it belongs to [default: the topic]
    #[arg(long, value_name = "STREAM", value_parser = parse_stream)]
    stream: Option<String>,
    /// Tag and its value; may be given several times
    #[arg(long, value_name = "TAG=VALUE", value_parser = parse_tag)]
    tag: Vec<(String, String)>,
    /// How long it is kept: forever, ephemeral (live readers only), time:MS, last:N (of its topic)
    #[arg(long, value_name = "TTL", default_value_t)]
    ttl: Ttl,
    /// Id, a UUID [default: a new one of version 7]
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    id: Option<Uuid>,
    /// Time: RFC 3339, a date, or milliseconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    time: Option<i64>,
    /// Digest of content that it refers to
    #[arg(long, value_name = "DIGEST", value_parser = parse_content)]
    content: Option<String>,
    /// Id of the energy that caused it
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    causation: Option<Uuid>,
    /// Only if the stream is there: any, none (empty), or its last version; of several the first energy's
    #[arg(
        long,
        value_name = "EXPECT",
        default_value_t,
        allow_hyphen_values = true,
        help_heading = "Conditions"
    )]
    expect: Expect,
    /// Only if no energy has a topic that matches, and the other --unless flags
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern, help_heading = "Conditions")]
    unless_topic: Vec<Pattern>,
    /// Only if no energy belongs to this stream, and the other --unless flags
    #[arg(long, value_name = "STREAM", help_heading = "Conditions")]
    unless_stream: Option<String>,
    /// Only if no energy has this tag, and the other --unless flags
    #[arg(long, value_name = "TAG=VALUE", value_parser = parse_tag, help_heading = "Conditions")]
    unless_tag: Vec<(String, String)>,
    /// Energies up to this position, which were seen when it was decided, do not count
    #[arg(long, value_name = "POSITION", visible_alias = "after", help_heading = "Conditions")]
    unless_after: Option<u64>,
    /// All energies of the input or none: one commit
    #[arg(long)]
    atomic: bool,
    /// When it is acknowledged: commit (synced), interval:MS (synced within), os
    #[arg(long, value_name = "DURABILITY", default_value_t)]
    durability: Durability,
    #[command(flatten)]
    plane: Plane,
}

fn parse_stream(text: &str) -> Result<String, String> {
    parse_field("$stream", text)
}

fn parse_content(text: &str) -> Result<String, String> {
    parse_field("$content", text)
}

/// A text that the `$` key would take.
fn parse_field(key: &str, text: &str) -> Result<String, String> {
    let mut value = Vec::new();
    write_str(&mut value, text);
    Fields::default().set(key, &value).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

fn parse_time(text: &str) -> Result<i64, String> {
    absolute(text).ok_or_else(|| {
        "a time is RFC 3339 such as 2026-01-31T12:00:00Z, a date such as 2026-01-31, or milliseconds since 1970"
            .to_owned()
    })
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let source = args.source()?;
    let mut seeds = Seeds::new(vec![source], args.options());
    // What is given as an argument is at hand, and is to be right before a log is made for it.
    let mut events = Events::default();
    if args.is_one()
        && let Err(diagnostic) = seeds.fill(&mut events)
    {
        report(*diagnostic);
        return Ok(FAULT);
    }
    let log = args.plane.write(args.durability)?;
    let mut appender = Appender::new(args, &*log)?;
    let done = match (args.is_one(), args.atomic) {
        (true, _) => appender.one(events)?,
        (false, true) => appender.all_or_none(seeds)?,
        (false, false) => appender.as_it_comes(seeds)?,
    };
    drop(appender);
    log.close()?;
    Ok(if done { DONE } else { FAULT })
}

impl Args {
    /// Whether the energy is an argument.
    fn is_one(&self) -> bool {
        self.energy.as_deref().is_some_and(|data| data != "-")
    }

    fn source(&self) -> anyhow::Result<Source> {
        let conditions =
            !self.unless_topic.is_empty() || self.unless_stream.is_some() || !self.unless_tag.is_empty();
        if self.unless_after.is_some() && !conditions {
            return Err(usage(
                "--unless-after says up to where --unless-topic, --unless-stream or --unless-tag do not count, and none is given",
            ));
        }
        match self.energy.as_deref() {
            Some(data) if data != "-" => return Ok(Source::argument(data)),
            None if io::stdin().is_terminal() => {
                return Err(usage(
                    "nothing to append: give a JSON object, or `-` for lines on standard input",
                ));
            }
            _ => {}
        }
        if self.id.is_some() {
            return Err(usage("--id names one energy; lines name theirs by `$id`"));
        }
        if conditions && !self.atomic {
            return Err(usage(
                "with lines the --unless flags need --atomic: they are a condition of one commit",
            ));
        }
        Ok(Source::stdin())
    }

    fn options(&self) -> SeedOptions {
        SeedOptions {
            topic: Some(self.topic.clone()),
            clock: self.time.map_or(Clock::System, Clock::FixedMs),
            purpose: Purpose::Append,
            ..SeedOptions::default()
        }
    }

    /// What energies get that do not say it themselves.
    fn defaults(&self) -> Defaults {
        Defaults {
            stream: self.stream.clone(),
            id: self.id,
            tags: self.tag.clone(),
            ttl: self.ttl,
            content: self.content.clone(),
            expect: self.expect,
        }
    }
}

/// Appends what sources give.
struct Appender<'a> {
    args: &'a Args,
    defaults: Defaults,
    log: &'a dyn Log,
    /// `None` once nobody reads receipts; energies are appended all the same.
    stdout: Option<StdoutLock<'static>>,
    line: Vec<u8>,
    is_first: bool,
}

impl<'a> Appender<'a> {
    fn new(args: &'a Args, log: &'a dyn Log) -> anyhow::Result<Self> {
        if let Some(after) = args.unless_after {
            within(log, after)?;
        }
        let (defaults, stdout) = (args.defaults(), Some(io::stdout().lock()));
        Ok(Self { args, defaults, log, stdout, line: Vec::new(), is_first: true })
    }

    /// Commits one energy; false when it was refused, which is reported.
    fn one(&mut self, events: Events) -> anyhow::Result<bool> {
        let refused = self.take(events)?;
        if let Some((_, conflict)) = &refused {
            report(Diagnostic::error(conflict.to_string()));
        }
        Ok(refused.is_none())
    }

    /// Commits whatever is at hand; false when something was refused, which is reported.
    fn as_it_comes(&mut self, mut seeds: Seeds) -> anyhow::Result<bool> {
        loop {
            let mut events = Events::default();
            let filled = seeds.fill(&mut events);
            if let Some((index, conflict)) = self.take(events)? {
                report(seeds.locate(index, Diagnostic::error(conflict.to_string())));
                return Ok(false);
            }
            match filled {
                Ok(true) => {}
                Ok(false) => return Ok(true),
                Err(diagnostic) => {
                    report(*diagnostic);
                    return Ok(false);
                }
            }
        }
    }

    /// Reads everything, then commits it at once.
    fn all_or_none(&mut self, mut seeds: Seeds) -> anyhow::Result<bool> {
        let nothing = |diagnostic: Diagnostic| report(diagnostic.note("nothing was stored: --atomic"));
        let mut all = Events::default();
        loop {
            let mut events = Events::default();
            let more = match seeds.fill(&mut events) {
                Ok(more) => more,
                Err(diagnostic) => {
                    nothing(*diagnostic);
                    return Ok(false);
                }
            };
            events.iter().for_each(|event| all.push_copy(event));
            if events.is_checked() {
                all.require_check();
            }
            if !more {
                break;
            }
            if all.is_full() {
                nothing(Diagnostic::error("the input is too large for one commit"));
                return Ok(false);
            }
        }
        let Some((index, conflict)) = self.take(all)? else { return Ok(true) };
        let diagnostic = Diagnostic::error(conflict.to_string());
        nothing(match conflict {
            Conflict::Query { .. } => diagnostic,
            _ => diagnostic.note(format!("it is energy {} of the input", index + 1)),
        });
        Ok(false)
    }

    /// Appends energies up to the first one that is refused, whose index and reason are given.
    fn take(&mut self, events: Events) -> anyhow::Result<Option<(usize, Conflict)>> {
        if events.is_empty() {
            return Ok(None);
        }
        let is_first = std::mem::take(&mut self.is_first);
        let mut events = self.defaults.complete(events, is_first);
        for head in events.heads_mut().iter_mut().filter(|head| head.id.is_nil()) {
            head.id = Uuid::now_v7();
        }
        self.store(events)
    }

    fn store(&mut self, events: Events) -> anyhow::Result<Option<(usize, Conflict)>> {
        // What the log refuses, knows or does not store is not given back by it.
        let kept = (events.is_checked() || events.has_ephemeral()).then(|| copy(&events, events.len()));
        let appended = self.append(events)?;
        let Some((index, conflict)) = appended.conflicts.first().cloned() else {
            self.acknowledge(&appended, kept.as_ref()).context("cannot write the receipts")?;
            return Ok(None);
        };
        // A commit is stored whole or not at all, so that where input ends does not depend on how it was cut.
        if let Some(kept) = kept.filter(|_| index > 0 && !self.args.atomic)
            && let Some(earlier) = self.store(copy(&kept, index))?
        {
            return Ok(Some(earlier));
        }
        Ok(Some((index, conflict)))
    }

    fn append(&self, events: Events) -> anyhow::Result<Appended> {
        let args = self.args;
        let mut commit = Commit::of(events).atomic();
        let query = Query {
            topics: args.unless_topic.clone(),
            stream: args.unless_stream.clone(),
            tags: args.unless_tag.clone(),
            ..Query::default()
        };
        if !query.is_all() {
            commit = commit.unless(query, args.unless_after);
        }
        Ok(match args.causation {
            Some(cause) => self.log.append_reaction(cause, commit)?,
            None => self.log.append(commit)?,
        })
    }

    /// Prints a receipt for each energy, in order. `kept` are all energies of the commit, where the log may not
    /// have stored them all.
    fn acknowledge(&mut self, appended: &Appended, kept: Option<&Events>) -> io::Result<()> {
        let Some(stdout) = &mut self.stdout else { return Ok(()) };
        self.line.clear();
        write_receipts(appended, kept, &mut self.line);
        match stdout.write_all(&self.line).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.stdout = None;
                Ok(())
            }
            written => written,
        }
    }
}

/// The first energies of a batch.
fn copy(events: &Events, count: usize) -> Events {
    let mut out = Events::with_capacity(count, events.byte_len());
    events.iter().take(count).for_each(|event| out.push_copy(event));
    if events.is_checked() {
        out.require_check();
    }
    out
}

fn report(diagnostic: Diagnostic) {
    console::report(&[diagnostic], Faults::Text);
}
