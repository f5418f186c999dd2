//! `sanctum bind` and `sanctum unbind`: spells come and go while a server runs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};
use hyper::{HeaderMap, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::plane::Plane;
use super::{DONE, FAULT, console};
use crate::server::client::{Client, ClientError, Upload};

/// Bind a spell on the log of a running server
///
/// The server loads the file, calls `prepare`, and runs the spell from then on, on what is appended or, where a spell
/// of that name has run before, on all that has come since. It loads it again when the file changes and whenever it
/// starts, until the spell is unbound. What cannot run is refused with a report, and a spell of that name that runs goes on.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sanctum bind spells/big.lua\n  sanctum bind spells/big.lua --name big-eu\n  \
    sanctum bind spells/big-new.lua --shadow big"
)]
pub struct BindArgs {
    /// Spell
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of the spell [default: its own]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Compare it with this spell, which goes on: what it produces is dropped, and `sanctum spells` says where it differs
    #[arg(long, value_name = "NAME")]
    shadow: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// Unbind a spell on the log of a running server
///
/// It runs no longer. What it keeps stays in the log, and it goes on there when it is bound again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sanctum unbind big")]
pub struct UnbindArgs {
    /// Name of the spell
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    server: Server,
}

/// Which server, and which of its planes.
#[derive(Debug, clap::Args)]
struct Server {
    /// Unix socket of the server [default: sanctum.sock in the folder of the log]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    plane: Plane,
}

/// Runs `bind`.
pub fn run_bind(args: &BindArgs) -> anyhow::Result<u8> {
    let shown = args.file.display();
    let path = fs::canonicalize(&args.file).with_context(|| format!("cannot read the spell `{shown}`"))?;
    let Some(path) = path.to_str() else { bail!("the path of `{shown}` is not UTF-8") };
    let mut wish = json!({ "path": path });
    for (member, value) in [("name", &args.name), ("shadow", &args.shadow)] {
        if let Some(value) = value {
            wish[member] = value.as_str().into();
        }
    }
    args.server.ask(Method::POST, "", wish.to_string().into_bytes())
}

/// Runs `unbind`.
pub fn run_unbind(args: &UnbindArgs) -> anyhow::Result<u8> {
    let name = format!("/{}", utf8_percent_encode(&args.name, NON_ALPHANUMERIC));
    args.server.ask(Method::DELETE, &name, Vec::new())
}

impl Server {
    /// Asks, and prints the answer or the report.
    fn ask(&self, method: Method, rest: &str, body: Vec<u8>) -> anyhow::Result<u8> {
        let socket = self.socket.clone().unwrap_or_else(|| self.plane.data().join("sanctum.sock"));
        let mut client = Client::connect(&socket).map_err(|error| match error {
            ClientError::NoServer { path, .. } => anyhow::anyhow!(
                "no server listens on `{}`: start one by `sanctum serve`, or name its folder by `--data`",
                path.display()
            ),
            error => error.into(),
        })?;
        let path = format!("/v1/{}/spells{rest}", self.plane.name());
        let response = client.request(method, &path, &HeaderMap::new(), Upload::bytes(body))?;
        if response.status.is_success() {
            console::print(&response.text()?)?;
            return Ok(DONE);
        }
        let problem: Value = response.json()?;
        match problem["report"].as_str() {
            Some(report) => console::tell(report),
            None => bail!("{}", problem["detail"].as_str().unwrap_or("the server gave no reason")),
        }
        Ok(FAULT)
    }
}
