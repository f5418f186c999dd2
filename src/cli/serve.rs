//! `sanctum serve`: the log over HTTP, and spells that run on it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::console::{self, Faults};
use super::journal::{Journal, LogFormat};
use super::live::Spells;
use super::plane::{Plane, now_ms, parse_name};
use super::services::Services;
use super::stat::rfc_3339;
use super::{DONE, FAULT, readiness, usage};
use crate::blob::store::Access;
use crate::engine::batch::{Item, Request};
use crate::log::file::{Durability, manifest};
use crate::runeset::{Fault, Http, Runeset};
use crate::server::holder;
use crate::server::telemetry::Telemetry;
use crate::server::tls::Tls;
use crate::server::token::Keyring;
use crate::server::{self, Limits, Options, listener, web};

/// What to do where another server has the log.
const SERVED: &str = "stop it first, or serve another folder by `--data DIR`";

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
    /// Address whose HTTP requests spells answer, such as 127.0.0.1:8080; it asks nobody for a token
    #[arg(long, value_name = "ADDRESS", help_heading = "Answered by spells")]
    http: Option<SocketAddr>,
    /// Folder of files that are served there before spells are asked
    #[arg(long, value_name = "DIR", help_heading = "Answered by spells")]
    http_files: Option<PathBuf>,
    /// Plane whose spells answer [default: main]
    #[arg(long, value_name = "NAME", value_parser = parse_name, help_heading = "Answered by spells")]
    http_plane: Option<String>,
    /// Other machines may reach that address
    #[arg(long, help_heading = "Answered by spells")]
    http_public: bool,
    /// Projections: files, and folders of them; may be given several times [default: ./projections, where there is one]
    #[arg(long, value_name = "DIR|FILE")]
    projections: Vec<PathBuf>,
    /// Write a log to standard error, a line for each request among others, as text or json; SANCTUM_LOG says of what
    #[arg(long, value_name = "FORMAT", value_enum)]
    log_format: Option<LogFormat>,
    /// Serve nothing: ask the server that listens on the socket whether it takes appends
    #[arg(long)]
    check: bool,
    /// How long requests may go on after a signal to stop, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    stop_ms: u64,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let journal = Journal::asked(args.log_format)?;
    let limits = Limits::default();
    let socket = args.socket.clone().unwrap_or_else(|| args.data.join("sanctum.sock"));
    if args.check {
        return readiness::check(&socket).map(|()| DONE);
    }
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(Tls::load(certificate, key)?),
        _ => None,
    };
    let keyring = Keyring::open(&args.data)?;
    if let Some(address) = args.listen {
        listener::check(address, !keyring.tokens().is_empty(), tls.is_some())?;
    }
    let spells = match Spells::load(args.request()?) {
        Ok(spells) => spells,
        Err(problems) => {
            console::report(&problems, Faults::Text);
            return Ok(FAULT);
        }
    };
    let runeset = spells.runeset();
    let services = match Services::of(&runeset) {
        Ok(services) => services,
        Err(problems) => {
            console::report(&problems, Faults::Text);
            return Ok(FAULT);
        }
    };
    let telemetry = runeset.telemetry.as_ref().map(|wanted| Telemetry::start(&wanted.otlp, &wanted.name));
    let telemetry = telemetry.transpose()?;
    journal.begin(telemetry.as_ref().map(Telemetry::layer));
    let web = args.web(&runeset)?;
    web.as_ref().map_or(Ok(()), web::Options::check)?;
    let names = args.planes()?;
    let socket = args.socket.clone().unwrap_or_else(|| args.data.join("sanctum.sock"));
    let note = holder::note(&rfc_3339(now_ms()), &socket);
    let mut planes = Vec::new();
    for name in &names {
        let plane = Plane::at(args.data.clone(), name);
        let log = plane.own(args.durability, note.clone(), SERVED)?;
        let contents = plane.contents(Access::Write)?;
        planes.push(server::Plane::new(name, log, contents, limits.commits)?);
    }
    let options = Options {
        socket,
        listen: args.listen,
        tls,
        web,
        commands: services.commands.clone(),
        limits,
        projections: args.projections()?,
        spans: telemetry.as_ref().map(Telemetry::tally),
        stop_ms: args.stop_ms,
    };
    let ready = |names: &[String]| {
        console::tell(&format!("listening on {}\n", names.join(" and ")));
        readiness::tell_ready();
    };
    server::run(planes, Some(keyring), &options, services.around(Some(Box::new(spells))), ready)?;
    Ok(DONE)
}

impl Args {
    /// The spells to run from the start.
    fn request(&self) -> anyhow::Result<Request> {
        let item = |path: &String| Item::new("", path);
        let is_runeset = |path: &&String| path.ends_with(".yaml") || path.ends_with(".yml");
        let (runesets, spells): (Vec<_>, Vec<_>) = self.spells.iter().partition(is_runeset);
        let mut runesets = self.runeset.iter().chain(runesets);
        let runeset = runesets.next().map(item);
        if let Some(other) = runesets.next() {
            return Err(usage(format!("`{other}` is a runeset, and a server takes one")));
        }
        let spells = spells.into_iter().map(item).collect();
        Ok(Request { runeset, spells, fault: Some(Fault::Quarantine), ..Request::default() })
    }

    /// The public face, if there is one: what the flags say goes before what the runeset says.
    fn web(&self, runeset: &Runeset) -> anyhow::Result<Option<web::Options>> {
        let is_meant = self.http_files.is_some() || self.http_plane.is_some() || self.http_public;
        let http = match (&runeset.http, self.http) {
            (Some(http), _) => http.clone(),
            (None, Some(_)) => Http::new(),
            (None, None) if is_meant => {
                return Err(usage("no address is given for requests: `--http ADDRESS`"));
            }
            (None, None) => return Ok(None),
        };
        let Some(listen) = self.http.or(http.listen) else { return Ok(None) };
        let files = http.files.map(|files| runeset.base.join(files));
        Ok(Some(web::Options {
            listen,
            plane: self.http_plane.clone().unwrap_or(http.plane),
            is_public: self.http_public || http.public,
            timeout: Duration::from_millis(http.timeout_ms),
            body_bytes: usize::try_from(http.body_bytes).unwrap_or(usize::MAX),
            files: self.http_files.clone().or(files),
        }))
    }

    /// Where projections are.
    fn projections(&self) -> anyhow::Result<Vec<PathBuf>> {
        if let Some(missing) = self.projections.iter().find(|path| !path.exists()) {
            return Err(usage(format!("there are no projections at `{}`", missing.display())));
        }
        let default = PathBuf::from(super::project::FOLDER);
        let is_default = self.projections.is_empty() && default.is_dir();
        Ok(if is_default { vec![default] } else { self.projections.clone() })
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
