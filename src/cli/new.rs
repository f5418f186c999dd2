//! `sanctum new`: a working start, with a golden case that passes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;

use super::freeze::freeze_all;
use super::{DONE, console, usage};
use crate::regression::Case;

const SPELL: &str = include_str!("templates/spell.lua");
const SEED: &str = include_str!("templates/seed.lua");
const CASE: &str = include_str!("templates/case.yaml");
const APP: &str = include_str!("templates/app.yaml");
const APP_CASE: &str = include_str!("templates/app_case.yaml");
const REPORT: &str = include_str!("templates/report.lua");
const LUARC: &str = include_str!("templates/luarc.json");
/// The spell API, for editors.
const TYPES: &str = include_str!("../../docunomicon/lua/sanctum.lua");

/// Make a working start: a spell or an app, with a golden case
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// spells/NAME.lua with a golden case regression/NAME, in the current folder
    Spell {
        /// Name of the spell
        name: String,
    },
    /// A folder NAME with a runeset, spells, seeds and a golden case
    App {
        /// Name of the app
        name: String,
    },
}

/// Files to be written, by path.
type Files = Vec<(String, String)>;

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let (root, name, files, case, next) = match &args.what {
        What::Spell { name } => {
            let folder = format!("regression/{name}");
            let next =
                format!("sanctum cast spells/{name}.lua --seed {folder}/seed.lua\nsanctum test {name}\n");
            (PathBuf::new(), name, spell_files(name, &folder), folder, next)
        }
        What::App { name } => {
            let next = format!("sanctum cast {name}\nsanctum test {name}\n");
            (PathBuf::from(name), name, app_files(name), format!("{name}/regression/first"), next)
        }
    };
    check_name(name)?;
    if !root.as_os_str().is_empty() && root.exists() {
        bail!("`{}` is there already; nothing was written", root.display());
    }
    if let Some((path, _)) = files.iter().find(|(path, _)| root.join(path).exists()) {
        bail!("`{path}` is there already; nothing was written");
    }
    let mut written = String::new();
    for (path, text) in files.iter().chain(&editor_files()) {
        let path = root.join(path);
        if write(&path, text)? {
            written.push_str(&format!("  {}\n", path.display()));
        }
    }
    freeze(&case)?;
    console::print(&format!("{written}  {case}/*.assert\n\nNow try:\n{}", indented(&next)))?;
    Ok(DONE)
}

fn spell_files(name: &str, case: &str) -> Files {
    vec![
        (format!("spells/{name}.lua"), SPELL.replace("{NAME}", name)),
        (format!("{case}/runeset.yaml"), CASE.replace("{NAME}", name)),
        (format!("{case}/seed.lua"), SEED.to_owned()),
    ]
}

fn app_files(name: &str) -> Files {
    vec![
        ("runeset.yaml".to_owned(), APP.replace("{NAME}", name)),
        ("spells/large.lua".to_owned(), SPELL.replace("{NAME}", "large")),
        ("spells/report.lua".to_owned(), REPORT.to_owned()),
        ("seeds/orders.lua".to_owned(), SEED.replace("this case", "the app")),
        ("regression/first/runeset.yaml".to_owned(), APP_CASE.to_owned()),
    ]
}

/// What editors need; kept where it is there already.
fn editor_files() -> Files {
    vec![(".luarc.json".to_owned(), LUARC.to_owned()), (".sanctum/sanctum.lua".to_owned(), TYPES.to_owned())]
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 64 || name.starts_with(['-', '_']) || !name.bytes().all(good) {
        return Err(usage(format!("`{name}` is no good name: use letters, digits, `-` and `_`")));
    }
    Ok(())
}

/// Writes a file; one that is there is left as it is.
fn write(path: &Path, text: &str) -> anyhow::Result<bool> {
    let shown = path.display();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder of `{shown}`"))?;
    }
    match fs::File::create_new(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).with_context(|| format!("cannot write `{shown}`"))?;
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write `{shown}`")),
    }
}

fn freeze(folder: &str) -> anyhow::Result<()> {
    let case = Case { name: folder.to_owned(), folder: PathBuf::from(folder) };
    let mut problem = None;
    freeze_all(&[case], 1, false, |frozen| problem = frozen.result.clone().err());
    match problem {
        Some(problem) => bail!("the golden case `{folder}` cannot be frozen: {problem}"),
        None => Ok(()),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
