//! The command line: arguments in, exit code out; one file per command.
//!
//! Data goes to standard output, everything else to standard error. Exit codes: 0 done; 1 a spell, seed,
//! golden or data fault, a missing file included; 2 a command line that makes no sense. A reader that goes
//! away (`sanctum cast ... | head`) ends a command quietly, with 0.

mod app;
mod append;
mod archive;
mod backup;
mod bind;
mod blob;
mod bundle;
mod cast;
mod cat;
mod check;
mod compact;
mod completions;
mod console;
mod export;
mod faults;
mod first;
mod flame;
mod format;
mod freeze;
mod get;
mod graph;
mod handle;
mod history;
mod journal;
mod live;
mod new;
mod next;
mod output;
mod plane;
mod profile;
mod progress;
mod project;
mod prompt;
mod readiness;
mod repair;
mod replay;
mod selection;
mod serve;
mod services;
mod spells;
mod stat;
mod state;
mod summary;
mod test;
mod token;
mod topics;
mod trace;
mod transfer;
mod verify;
mod watch;

use std::ffi::OsString;
use std::io;
use std::thread;

use clap::{Parser, Subcommand};

/// Done.
pub const DONE: u8 = 0;
/// A spell, seed, golden or data fault.
pub const FAULT: u8 = 1;
/// A command line that makes no sense.
pub const USAGE: u8 = 2;

/// Stack of the thread that runs a command: with one worker it casts.
const STACK_BYTES: usize = 16 << 20;

/// An event engine that runs Lua: deterministic and sandboxed.
#[derive(Debug, Parser)]
#[command(name = "sanctum", version, about, max_term_width = 100, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "Exit codes: 0 done; 1 a spell, seed, golden or data fault; 2 a wrong command line.\n\
                     Environment: SANCTUM_PATH folders of apps, SANCTUM_LOG what to trace, NO_COLOR.";

#[derive(Debug, Subcommand)]
enum Command {
    Cast(cast::Args),
    Test(test::Args),
    Freeze(freeze::Args),
    Check(check::Args),
    New(new::Args),
    Bundle(bundle::Args),
    Serve(serve::Args),
    Token(token::Args),
    Append(append::Args),
    Cat(cat::CatArgs),
    Tac(cat::TacArgs),
    Get(get::Args),
    First(first::FirstArgs),
    Last(first::LastArgs),
    Next(next::NextArgs),
    Prev(next::PrevArgs),
    Topics(topics::TopicsArgs),
    Streams(topics::StreamsArgs),
    Stat(stat::Args),
    State(state::Args),
    Spells(spells::Args),
    Bind(bind::BindArgs),
    Unbind(bind::UnbindArgs),
    Faults(faults::Args),
    Project(project::Args),
    Replay(replay::Args),
    Profile(profile::Args),
    Trace(trace::Args),
    Export(transfer::ExportArgs),
    Import(transfer::ImportArgs),
    Backup(backup::Args),
    Compact(compact::Args),
    Verify(verify::Args),
    Repair(repair::Args),
    Blob(blob::Args),
    Completions(completions::Args),
}

/// A command line that parses and still makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// An error of usage.
fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// Runs a command and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors to the parser, and not to their reader.
            let code = if error.use_stderr() { USAGE } else { DONE };
            let _closed = error.print();
            return code;
        }
    };
    if !matches!(cli.command, Command::Serve(_))
        && let Err(error) = journal::Journal::asked(None).map(|journal| journal.begin(None))
    {
        return conclude(Err(error));
    }
    let body = move || cli.command.run();
    match thread::Builder::new().name("sanctum".into()).stack_size(STACK_BYTES).spawn(body) {
        // A panic has been reported where it happened.
        Ok(command) => conclude(command.join().unwrap_or(Ok(FAULT))),
        Err(error) => conclude(Err(error.into())),
    }
}

impl Command {
    fn run(self) -> anyhow::Result<u8> {
        match self {
            Self::Cast(args) => cast::run(&args),
            Self::Test(args) => test::run(&args),
            Self::Freeze(args) => freeze::run(&args),
            Self::Check(args) => check::run(&args),
            Self::New(args) => new::run(&args),
            Self::Bundle(args) => bundle::run(&args),
            Self::Token(args) => token::run(&args),
            Self::Serve(args) => serve::run(&args),
            Self::Append(args) => append::run(&args),
            Self::Cat(args) => cat::run_cat(&args),
            Self::Tac(args) => cat::run_tac(&args),
            Self::Get(args) => get::run(&args),
            Self::First(args) => first::run_first(&args),
            Self::Last(args) => first::run_last(&args),
            Self::Next(args) => next::run_next(&args),
            Self::Prev(args) => next::run_prev(&args),
            Self::Topics(args) => topics::run_topics(&args),
            Self::Streams(args) => topics::run_streams(&args),
            Self::Stat(args) => stat::run(&args),
            Self::State(args) => state::run(&args),
            Self::Spells(args) => spells::run(&args),
            Self::Bind(args) => bind::run_bind(&args),
            Self::Unbind(args) => bind::run_unbind(&args),
            Self::Faults(args) => faults::run(&args),
            Self::Project(args) => project::run(&args),
            Self::Profile(args) => profile::run(&args),
            Self::Replay(args) => replay::run(&args),
            Self::Trace(args) => trace::run(&args),
            Self::Export(args) => transfer::run_export(&args),
            Self::Import(args) => transfer::run_import(&args),
            Self::Backup(args) => backup::run(&args),
            Self::Compact(args) => compact::run(&args),
            Self::Verify(args) => verify::run(&args),
            Self::Repair(args) => repair::run(&args),
            Self::Blob(args) => blob::run(&args),
            Self::Completions(args) => completions::run(&args),
        }
    }
}

/// Says what went wrong, and how that counts.
fn conclude(result: anyhow::Result<u8>) -> u8 {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if is_broken_pipe(&error) {
        return DONE;
    }
    if error.is::<Usage>() {
        console::error(&format!("{error}\n\nFor more information, try '--help'."));
        return USAGE;
    }
    console::error(&describe(&error));
    FAULT
}

/// The error and its causes. Some say their cause themselves; it is not said twice.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
