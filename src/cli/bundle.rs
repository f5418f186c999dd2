//! `sanctum bundle`: an app, packed into one file that runs the same.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::app::{self, BUNDLE_KIND};
use super::console::{self, Faults};
use super::test::test_all;
use super::{DONE, FAULT, archive};
use crate::engine::batch::{self, Request};
use crate::regression::{self, Checks, Verdict, report};

/// Pack an app into one file
///
/// The app is checked first, as it will be unpacked: it loads, and its golden cases pass. Equal apps give
/// equal bundles. Run it with `sanctum cast FILE`, test it with `sanctum test FILE`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The app: a folder with a runeset.yaml, or its name
    app: String,
    /// Where to [default: APP.sanctum]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let Some(app) = app::find(&args.app)? else {
        bail!("there is no app `{}`; looked for it here and in {}", args.app, searched());
    };
    let output = args.output.clone().map_or_else(|| default_output(&app.folder), Ok)?;
    let files = archive::gather(&app.folder, &output).context("cannot pack the app")?;
    // What is checked is what will run: the files of the bundle, in a folder of their own.
    let unpacked = app::unpack(&files)?;
    let request = Request { runeset: Some(unpacked.runeset()), ..Request::default() };
    if let Err(problems) = batch::load(&request, &|name| std::env::var(name).ok()) {
        console::report(&problems, Faults::Text);
        return Ok(FAULT);
    }
    let folder = unpacked.folder.join("regression");
    let mut passed = 0;
    if folder.is_dir() {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut failures = String::new();
        let tested = test_all(&regression::find(&folder, &[])?, jobs, Checks::default(), |case| {
            if case.verdict != Verdict::Passed {
                failures.push_str(&report::text(case, console::colour_of_stderr()));
            }
        });
        if !failures.is_empty() {
            console::tell(&failures);
            bail!("the app is not packed: its golden cases do not pass");
        }
        passed = tested.len();
    }
    let bytes = archive::write(&files);
    if bytes.len() as u64 > archive::BYTES_MAX {
        return Err(archive::ArchiveError::TooLarge.into());
    }
    std::fs::write(&output, &bytes).with_context(|| format!("cannot write `{}`", output.display()))?;
    let (shown, count, size) = (output.display(), files.len(), bytes.len());
    let cases = if passed == 1 { "case" } else { "cases" };
    console::tell(&format!("{shown}: {count} files, {size} bytes, {passed} golden {cases} passed\n"));
    Ok(DONE)
}

fn default_output(folder: &Path) -> anyhow::Result<PathBuf> {
    let folder = folder.canonicalize()?;
    let name = folder.file_name().context("the app's folder has no name; use `--output FILE`")?;
    Ok(PathBuf::from(format!("{}.{BUNDLE_KIND}", name.to_string_lossy())))
}

fn searched() -> String {
    let folders = app::search_path();
    let shown: Vec<String> = folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
    if shown.is_empty() { "no other folder".into() } else { shown.join(", ") }
}
