//! `sanctum token`: who may use the server by TCP.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::DONE;
use super::format::Format;
use super::output::print_rows;
use super::plane::{now_ms, parse_name};
use crate::server::token::{Role, Tokens};

/// Make, list and remove tokens of the server
///
/// A request by TCP shows one (`Authorization: Bearer TOKEN`); over the Unix socket none is needed. A running server
/// takes up a change within a second.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sanctum token add mailer --role append --plane main\n  \
    sanctum token remove mailer")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a token, and print it: it is shown this once, and kept as a digest
    Add {
        /// Its name
        #[arg(value_name = "NAME", value_parser = parse_name)]
        name: String,
        /// What it allows: read, append (and read), or admin (everything)
        #[arg(long, value_name = "ROLE")]
        role: Role,
        /// On this plane only
        #[arg(long, value_name = "NAME", value_parser = parse_name)]
        plane: Option<String>,
        #[command(flatten)]
        folder: Folder,
    },
    /// List tokens: names and roles
    List {
        /// How they are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        folder: Folder,
    },
    /// Take a token back
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        folder: Folder,
    },
}

#[derive(Debug, clap::Args)]
struct Folder {
    /// Folder of the log
    #[arg(long, value_name = "DIR", default_value = "./sanctum-data", help_heading = "Log")]
    data: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    match &args.what {
        What::Add { name, role, plane, folder } => {
            std::fs::create_dir_all(&folder.data)?;
            let mut tokens = Tokens::load(&folder.data)?;
            let text = tokens.add(name, *role, plane.as_deref(), now_ms())?;
            tokens.store(&folder.data)?;
            super::console::print(&format!("{text}\n"))?;
        }
        What::List { format, folder } => {
            let tokens = Tokens::load(&folder.data)?;
            let rows = tokens.iter().map(|token| {
                json!({ "name": token.name, "role": token.role.name(), "plane": token.plane, "time": token.time })
            });
            print_rows(rows, *format)?;
        }
        What::Remove { name, folder } => {
            let mut tokens = Tokens::load(&folder.data)?;
            tokens.remove(name)?;
            tokens.store(&folder.data)?;
        }
    }
    Ok(DONE)
}
