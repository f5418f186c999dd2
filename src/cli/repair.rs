//! `sanctum repair`: what can be saved of a damaged log.

use std::io::{self, Write};
use std::sync::Arc;

use serde_json::json;

use super::plane::Plane;
use super::{DONE, FAULT};
use crate::disk::{Disk, RealDisk};
use crate::log::file::repair::{Action, repair};
use crate::server::holder::Holder;

/// What to do where a server has the log.
const SERVED: &str = "stop it first; `sanctum verify` can be run beside it";

/// Say what can be saved of a damaged log, and with --apply save it
///
/// Whole commits stay, damaged ones are given up, and their positions are never given again. Nothing is thrown away:
/// every byte that the log loses is kept in a folder `repair-N` beside it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sanctum verify; sanctum repair\n  sanctum repair --apply && sanctum verify\n\n\
    Prints an object for each thing that is put right (file, repaired, what, lost), and one with the sum. A backup is \
    better than a repair: restore it where there is one. Exit code 1 when something is left that no repair can put \
    right."
)]
pub struct Args {
    /// Do it; without this nothing is changed
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    plane: Plane,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let folder = args.plane.existing_folder()?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut written = Ok(());
    let mut line = |text: String| {
        if written.is_ok() {
            written = writeln!(io::stdout().lock(), "{text}");
        }
    };
    let done = repair(&folder, &disk, args.apply, &mut |action: Action| {
        let Action { file, what, lost, is_repaired } = action;
        let file = file.display().to_string();
        line(json!({ "file": file, "repaired": is_repaired, "what": what, "lost": lost }).to_string());
    })
    .map_err(|error| match Holder::of(&folder) {
        Some(holder) => args.plane.served(&holder, SERVED),
        None => args.plane.explain(error),
    })?;
    let aside = done.aside.map(|aside| aside.display().to_string());
    line(
        json!({
            "applied": args.apply, "repaired": done.repaired, "left": done.left, "lost": done.lost, "aside": aside,
        })
        .to_string(),
    );
    written?;
    Ok(if done.left == 0 { DONE } else { FAULT })
}
