//! `sanctum verify`: reads a whole log and says what is wrong with it.

use std::io::{self, Write};
use std::sync::Arc;

use serde_json::json;

use super::plane::Plane;
use super::{DONE, FAULT};
use crate::blob::store::{self, Access};
use crate::disk::{Disk, RealDisk};
use crate::log::file::verify::{Finding, Verified, verify};

/// Read the whole log and its content, and say what is wrong
///
/// Checks every file: checksums, the order of commits and positions, the hash chain of every stream, indexes, and
/// content against its digests. Nothing is changed, and the log may be in use.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sanctum verify\n  sanctum verify --human\n\n\
    Prints an object for each finding (kind, file, offset, positions, damage, what, advice), and one that says what was \
    verified. Exit code 1 when anything was found.")]
pub struct Args {
    /// For people
    #[arg(long)]
    human: bool,
    #[command(flatten)]
    plane: Plane,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let folder = args.plane.existing_folder()?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut printer = Printer { human: args.human, count: 0, written: Ok(()) };
    let verified = verify(&folder, &disk, &mut |finding| printer.finding(&finding))
        .map_err(|error| args.plane.explain(error))?;
    let has_contents = args.plane.has_contents();
    if has_contents {
        args.plane.contents(Access::Read)?.verify(&mut |finding| printer.content(&finding))?;
    }
    printer.sum(&verified, has_contents);
    printer.written?;
    Ok(if printer.count == 0 { DONE } else { FAULT })
}

struct Printer {
    human: bool,
    count: u64,
    written: io::Result<()>,
}

impl Printer {
    fn line(&mut self, text: &str) {
        if self.written.is_ok() {
            self.written = writeln!(io::stdout().lock(), "{text}");
        }
    }

    fn finding(&mut self, finding: &Finding) {
        self.count += 1;
        let (kind, file, advice) = (finding.kind.to_string(), finding.file.display(), finding.advice);
        let text = if self.human {
            let positions = match finding.positions {
                Some((from, to)) if to > from + 1 => format!(", positions {from} to {}", to - 1),
                Some((from, to)) if to > from => format!(", position {from}"),
                _ => String::new(),
            };
            format!("{kind}: {file}, byte {}{positions}\n  {}\n  {advice}", finding.offset, finding.what)
        } else {
            json!({
                "kind": kind, "file": file.to_string(), "offset": finding.offset, "positions": finding.positions,
                "damage": finding.kind.is_damage(), "what": finding.what, "advice": advice,
            })
            .to_string()
        };
        self.line(&text);
    }

    fn content(&mut self, finding: &store::Finding) {
        self.count += 1;
        let text = match self.human {
            true => format!("content: {finding}"),
            false => json!({ "kind": "content", "damage": finding.is_damage(), "what": finding.to_string() })
                .to_string(),
        };
        self.line(&text);
    }

    fn sum(&mut self, verified: &Verified, has_contents: bool) {
        let Verified { segments, indexes, frames, energies, bytes, head, .. } = verified;
        let text = if self.human {
            let found = match self.count {
                0 => "nothing is wrong".to_owned(),
                1 => "1 finding".to_owned(),
                count => format!("{count} findings"),
            };
            let contents = if has_contents { ", and the content" } else { "" };
            format!(
                "{energies} energies in {frames} commits, {segments} segments and {indexes} indexes{contents} verified: {found}"
            )
        } else {
            json!({
                "segments": segments, "indexes": indexes, "commits": frames, "energies": energies, "bytes": bytes,
                "head": head, "lost": verified.lost, "findings": self.count,
            })
            .to_string()
        };
        self.line(&text);
    }
}
