//! `sanctum cast`: spells run on seeds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;

use super::app::{self, App};
use super::console::{self, Console, Faults};
use super::export::Export;
use super::format::Format;
use super::plane::{self, Plane};
use super::progress::Progress;
use super::selection::parse_pattern;
use super::{DONE, FAULT, summary, usage, watch};
use crate::blob::store::{Access, ContentStore};
use crate::engine::batch::{self, Batch, Item, Request};
use crate::engine::clock::steady_ns;
use crate::engine::seed::SeedOptions;
use crate::engine::{Clock, Engine, Failure, Options};
use crate::event::msgpack::has_empty_part;
use crate::log::Log;
use crate::log::file::Durability;
use crate::router::pattern::Pattern;

/// Run spells on seeds
///
/// Spells are files, folders of them or globs; an app is named by its folder, by its name, or is a bundle.
/// What spells print goes to standard output, everything else to standard error.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Seeds: .lua (returns an energy or a list of them), .ndjson or .jsonl, .json (an object or \
                        an array), .msgpack (a stream of maps), - (NDJSON on standard input)."
)]
pub struct Args {
    /// Spells, folders or globs of spells, an app or a bundle
    #[arg(value_name = "SPELL|DIR|GLOB|APP|BUNDLE")]
    spells: Vec<String>,
    /// Seed file, folder or glob; `-` is NDJSON on standard input
    #[arg(long = "seed", value_name = "FILE|-")]
    seeds: Vec<String>,
    /// Options, spells and seeds of a run; its spells and seeds come first
    #[arg(long, value_name = "FILE")]
    runeset: Option<String>,
    /// Folder of a durable log: everything is kept in it, and the run goes on where the last one stopped
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Plane of the log, with --data [default: main]
    #[arg(long, value_name = "NAME", value_parser = plane::parse_name)]
    plane: Option<String>,
    /// When an energy is on the disk: commit, interval:MS or os [default: commit]
    #[arg(long, value_name = "D")]
    durability: Option<Durability>,
    /// Topic of seeds that have none
    #[arg(long, value_name = "TOPIC", value_parser = parse_topic)]
    topic: Option<String>,
    /// Dotted path of the field that holds a seed's time
    #[arg(long, value_name = "PATH", value_parser = parse_path)]
    time: Option<String>,
    /// Dotted path of the field that a seed's id is taken from: a UUID, or another text or an integer, which is
    /// hashed to one. A seed whose id the log knows is not added again
    #[arg(long, value_name = "PATH", value_parser = parse_path)]
    seed_id: Option<String>,
    /// Threads that cast; the results do not depend on it [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Casts after which a run that has not settled is taken for a loop; counted anew for each chunk of
    /// 4,096 seeds [default: 1000000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_casts: Option<u64>,
    /// Show every energy that passes through a spell: position, topic, bytes as hex, data as JSON
    #[arg(long)]
    dump_events: bool,
    /// Write the energies that the run produced and no spell consumed
    #[arg(long, value_name = "FILE|-")]
    output: Option<PathBuf>,
    /// Write the produced energies of these topics instead, consumed or not
    #[arg(long, value_name = "PATTERN", requires = "output", value_parser = parse_pattern)]
    output_topic: Option<Pattern>,
    /// Write whole energies, not their data alone
    #[arg(long, requires = "output")]
    envelope: bool,
    /// Format of the output; with `json`, faults are JSON objects too
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// What the log keeps: everything, or nothing that every spell is past
    #[arg(long, value_enum, default_value_t)]
    log: LogKind,
    /// Show what each spell did, and how fast
    #[arg(long)]
    summary: bool,
    /// Run again whenever a spell, seed or runeset changes
    #[arg(long)]
    watch: bool,
    /// Read seed files from their start again, as other energies; with --data
    #[arg(long)]
    again: bool,
}

/// A run is the only writer of its log.
pub(super) const OUTRUN: &str = "the log was written to by somebody else meanwhile; run again";

/// Where a run's log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LogKind {
    /// In memory, whole.
    #[default]
    Memory,
    /// Nowhere: an energy is forgotten once every spell is past it.
    None,
}

pub(super) fn parse_topic(text: &str) -> Result<String, String> {
    batch::check_topic(text).map(|()| text.to_owned())
}

fn parse_path(text: &str) -> Result<String, String> {
    match has_empty_part(text) {
        true => Err("the path has an empty part".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// What to do where a server has the log.
const SERVED: &str = "have it run the spells, as in `sanctum serve SPELL`, or stop it first";

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    if args.seeds.iter().filter(|seed| *seed == "-").count() > 1 {
        return Err(usage("standard input can be read once: `--seed -` is given twice"));
    }
    let plan = Plan::new(args)?;
    if !args.watch {
        return plan.run();
    }
    if args.seeds.iter().any(|seed| seed == "-") {
        return Err(usage("standard input cannot be read again: `--watch` takes no `--seed -`"));
    }
    watch::run(&plan.request, args.output.as_deref(), || plan.run())
}

/// A run, ready to be made any number of times.
struct Plan<'a> {
    args: &'a Args,
    request: Request,
    /// Keeps unpacked bundles.
    _apps: Vec<App>,
}

impl<'a> Plan<'a> {
    fn new(args: &'a Args) -> anyhow::Result<Self> {
        let mut request = Request { seeds: here(&args.seeds), ..Request::default() };
        request.runeset = args.runeset.as_deref().map(|path| Item::new("", path));
        let mut apps = Vec::new();
        for argument in &args.spells {
            if is_runeset(argument) {
                if request.runeset.replace(Item::new("", argument)).is_some() {
                    return Err(usage(format!("`{argument}` is a runeset, and a run takes one")));
                }
                continue;
            }
            let Some(app) = app::find(argument)? else {
                request.spells.push(Item::new("", argument));
                continue;
            };
            if request.runeset.replace(app.runeset()).is_some() {
                return Err(usage(format!("`{argument}` has a runeset, and a run takes one")));
            }
            apps.push(app);
        }
        if request.spells.is_empty() && request.runeset.is_none() {
            return Err(usage(
                "nothing to run: name a spell, a folder of spells, an app or `--runeset FILE`",
            ));
        }
        Ok(Self { args, request, _apps: apps })
    }

    fn run(&self) -> anyhow::Result<u8> {
        let batch = match batch::load(&self.request, &|name| std::env::var(name).ok()) {
            Ok(batch) => batch,
            Err(problems) => {
                console::report(&problems, self.faults());
                return Ok(FAULT);
            }
        };
        if batch.spells.is_empty() {
            return Err(usage("nothing to run: the runeset names no spell"));
        }
        let data = self.args.data.clone().or_else(|| batch.runeset.data.clone());
        let Some(data) = data else {
            let flags = [
                ("--again", self.args.again),
                ("--plane", self.args.plane.is_some()),
                ("--durability", self.args.durability.is_some()),
            ];
            if let Some((flag, _)) = flags.iter().find(|(_, given)| *given) {
                return Err(usage(format!("{flag} needs a durable log: name its folder with `--data DIR`")));
            }
            if batch.seeds.is_empty() {
                return Err(usage(
                    "nothing to run on: name a seed with `--seed FILE`, or `--seed -` for standard input",
                ));
            }
            return self.cast(batch, None);
        };
        if self.args.log == LogKind::None {
            return Err(usage("`--log none` keeps nothing, `--data` everything: name one of them"));
        }
        let plane = Plane::at(data, self.args.plane.as_deref().unwrap_or("main"));
        let durability = self.args.durability.unwrap_or(batch.runeset.durability);
        let log = plane.own(durability, String::new(), SERVED)?;
        let store = plane.contents(Access::Write)?;
        self.cast(batch, Some((Arc::new(log), Arc::new(store))))
    }

    fn faults(&self) -> Faults {
        if self.args.format == Format::Json { Faults::Json } else { Faults::Text }
    }

    fn options(&self, batch: &Batch) -> Options {
        let mut options = batch.options();
        options.workers = self.args.workers.map_or(options.workers, usize::from);
        options.max_casts = self.args.max_casts.unwrap_or(options.max_casts);
        options.keep = self.args.log == LogKind::Memory;
        options.timed = self.args.summary;
        options
    }

    fn seed_options(&self, batch: &Batch) -> SeedOptions {
        let mut options = batch.seed_options(Clock::System);
        options.topic = self.args.topic.clone().or(options.topic);
        options.time = self.args.time.clone().or(options.time);
        options.id = self.args.seed_id.clone();
        options
    }

    /// Casts over memory, or over what is on the disk.
    fn cast(
        &self,
        mut batch: Batch,
        durable: Option<(Arc<dyn Log>, Arc<ContentStore>)>,
    ) -> anyhow::Result<u8> {
        let args = self.args;
        let mut options = self.options(&batch);
        options.resume = durable.is_some();
        let (log, store) = durable.unzip();
        options.store = store;
        let start = steady_ns();
        let spells = std::mem::take(&mut batch.spells);
        let opened = match &log {
            None => Engine::open(spells, options),
            Some(log) => Engine::over(log.clone(), spells, options),
        };
        let mut engine = match opened {
            Ok(engine) => engine,
            Err(unopened) => {
                let mut console = Console::new(None, self.faults(), false, Progress::new());
                let told = unopened.tell(&mut console).and_then(|()| console.finish());
                told.and_then(|()| console.report(&unopened.problems)).context("cannot write the output")?;
                return Ok(FAULT);
            }
        };
        let progress = Progress::new();
        let mut intake = batch.intake(self.seed_options(&batch));
        if let Some(log) = &log {
            intake.follow(&**log, args.again)?;
        }
        let export = args.output.as_deref().map(|path| self.export(path)).transpose()?;
        let mut watched = progress.watch(&mut intake);
        let mut console = Console::new(export, self.faults(), args.dump_events, progress);
        let fault = match engine.run(&mut watched, &mut console) {
            Ok(()) => None,
            Err(Failure::Diagnostic(fault)) => Some(*fault),
            Err(Failure::Sink(error)) => return Err(error).context("cannot write the output"),
            Err(Failure::Log(error)) => return Err(error.into()),
            Err(Failure::Content(error)) => return Err(error.into()),
            Err(Failure::Outrun) => anyhow::bail!(OUTRUN),
        };
        if let Some(log) = &log {
            log.sync()?;
        }
        let finished = console.finish().and_then(|()| console.report(fault.as_slice()));
        finished.context("cannot write the output")?;
        drop(console);
        let code = if fault.is_some() { FAULT } else { DONE };
        let summary = engine.summary();
        if args.summary {
            console::tell(&summary::table(summary, steady_ns() - start));
        }
        tracing::debug!(seeds = summary.seeds, casts = summary.casts, "the run is over");
        Ok(code)
    }

    fn export(&self, path: &Path) -> anyhow::Result<Export> {
        let args = self.args;
        let export = Export::create(path, args.format, args.envelope, args.output_topic.clone());
        export.with_context(|| format!("cannot write `{}`", path.display()))
    }
}

fn is_runeset(argument: &str) -> bool {
    Path::new(argument).extension().is_some_and(|kind| kind == "yaml" || kind == "yml")
}

fn here(paths: &[String]) -> Vec<Item> {
    paths.iter().map(|path| Item::new("", path)).collect()
}

/// What a run would be made of: for commands that only look.
pub fn request_of(arguments: &[String]) -> anyhow::Result<(Vec<Request>, Vec<App>)> {
    let (mut requests, mut apps) = (Vec::new(), Vec::new());
    let mut spells = Request::default();
    for argument in arguments {
        if is_runeset(argument) {
            requests.push(Request { runeset: Some(Item::new("", argument)), ..Request::default() });
        } else if let Some(app) = app::find(argument)? {
            requests.push(Request { runeset: Some(app.runeset()), ..Request::default() });
            apps.push(app);
        } else {
            spells.spells.push(Item::new("", argument));
        }
    }
    if !spells.spells.is_empty() {
        requests.push(spells);
    }
    Ok((requests, apps))
}
