//! `sanctum serve`: the log over HTTP, and spells that run on it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::console::{self, Faults};
use super::live::Spells;
use super::plane::{Plane, parse_name};
use super::{DONE, FAULT, usage};
use crate::blob::store::Access;
use crate::engine::batch::{Item, Request};
use crate::log::file::{Durability, manifest};
use crate::runeset::Fault;
use crate::server::tls::Tls;
use crate::server::token::Keyring;
use crate::server::{self, Limits, Options, Resident, listener};

/// Serve the log over HTTP: append to it, read and follow it; and run spells on it
///
/// Listens on a Unix socket in the folder of the log, which its owner alone may use, and by TCP where --listen says so.
/// All planes of the folder are served. Spells that are named run on each of them, on what is appended from then on or
/// since they ran last, and are loaded again when their files change. Ends on SIGTERM or SIGINT, once the requests at hand are answered.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sanctum serve\n  \
    sanctum serve spells/\n  \
    sanctum serve --listen 127.0.0.1:7700 --durability interval:100\n  \
    curl --unix-socket sanctum-data/sanctum.sock http://sanctum/v1/main/append/orders -d '{\"amount\":70}'\n  \
    curl --unix-socket sanctum-data/sanctum.sock -N 'http://sanctum/v1/main/events?follow'")]
pub struct Args {
    /// Spells, folders or globs of spells, that run on the log; a runeset, whose seeds are left out
    #[arg(value_name = "SPELL|DIR|GLOB")]
    spells: Vec<String>,
    /// Options and spells of what runs; its spells come first
    #[arg(long, value_name = "FILE")]
    runeset: Option<String>,
    /// Folder of the log
    #[arg(long, value_name = "DIR", default_value = "./sanctum-data", help_heading = "Log")]
    data: PathBuf,
    /// Plane to serve; made where there is none; may be given several times [default: all there are, and main]
    #[arg(long, value_name = "NAME", value_parser = parse_name, help_heading = "Log")]
    plane: Vec<String>,
    /// When an append is acknowledged: commit (synced), interval:MS (synced within), os
    #[arg(long, value_name = "DURABILITY", default_value_t, help_heading = "Log")]
    durability: Durability,
    /// Unix socket [default: sanctum.sock in the folder of the log]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// TCP address too, such as 127.0.0.1:7700
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Certificate of the TCP address, in PEM, with those that it is signed by
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "listen"])]
    tls_cert: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// How long requests may go on after a signal to stop, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    stop_ms: u64,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let limits = Limits::default();
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(Tls::load(certificate, key)?),
        _ => None,
    };
    let keyring = Keyring::open(&args.data)?;
    if let Some(address) = args.listen {
        listener::check(address, !keyring.tokens().is_empty(), tls.is_some())?;
    }
    let mut residents: Vec<Box<dyn Resident>> = Vec::new();
    if let Some(request) = args.request()? {
        match Spells::load(request) {
            Ok(spells) => residents.push(Box::new(spells)),
            Err(problems) => {
                console::report(&problems, Faults::Text);
                return Ok(FAULT);
            }
        }
    }
    let names = args.planes()?;
    let mut planes = Vec::new();
    for name in &names {
        let plane = Plane::at(args.data.clone(), name);
        let log = plane.write(args.durability)?;
        let contents = plane.contents(Access::Write)?;
        planes.push(server::Plane::new(name, log, contents, limits.commits)?);
    }
    let options = Options {
        socket: args.socket.clone().unwrap_or_else(|| args.data.join("sanctum.sock")),
        listen: args.listen,
        tls,
        limits,
        stop_ms: args.stop_ms,
    };
    let ready = |names: &[String]| console::tell(&format!("listening on {}\n", names.join(" and ")));
    server::run(planes, Some(keyring), &options, residents, ready)?;
    Ok(DONE)
}

impl Args {
    /// The spells to run, if any.
    fn request(&self) -> anyhow::Result<Option<Request>> {
        let item = |path: &String| Item::new("", path);
        let is_runeset = |path: &&String| path.ends_with(".yaml") || path.ends_with(".yml");
        let (runesets, spells): (Vec<_>, Vec<_>) = self.spells.iter().partition(is_runeset);
        let mut runesets = self.runeset.iter().chain(runesets);
        let runeset = runesets.next().map(item);
        if let Some(other) = runesets.next() {
            return Err(usage(format!("`{other}` is a runeset, and a server takes one")));
        }
        let spells: Vec<Item> = spells.into_iter().map(item).collect();
        let is_some = runeset.is_some() || !spells.is_empty();
        Ok(is_some.then(|| Request { runeset, spells, fault: Some(Fault::Quarantine), ..Request::default() }))
    }

    /// The planes to serve, by name.
    fn planes(&self) -> anyhow::Result<Vec<String>> {
        let mut names = self.plane.clone();
        if names.is_empty() {
            names = existing(&self.data).with_context(|| format!("cannot read `{}`", self.data.display()))?;
            names.push("main".to_owned());
        }
        names.sort();
        names.dedup();
        if names.is_empty() { Err(usage("no plane to serve")) } else { Ok(names) }
    }
}

/// The planes of a folder.
fn existing(data: &Path) -> std::io::Result<Vec<String>> {
    let entries = match fs::read_dir(data.join("planes")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let planes = entries.flatten().filter(|entry| entry.path().join(manifest::NAME).is_file());
    Ok(planes.filter_map(|entry| entry.file_name().into_string().ok()).collect())
}
