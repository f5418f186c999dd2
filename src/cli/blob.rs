//! `sanctum blob`: content by digest, for what is too large for an energy.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;

use super::plane::Plane;
use super::{DONE, usage};
use crate::blob::Hash;
use crate::blob::store::{Access, ContentStore};
use crate::log::file::Durability;
use crate::server::remote::RemoteLog;

/// Store content and read it back, by digest
///
/// Energies refer to content by its digest (`$content`, `append --content`) instead of carrying it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sanctum append photos '{\"name\":\"cat\"}' --content \"$(sanctum blob put cat.jpg)\"\n  \
    sanctum blob get \"$(sanctum last --topic photos | jq -r .content)\" > cat.jpg")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Store files, and print the digest of each once it is on the disk
    ///
    /// A digest is BLAKE3, as 64 hexadecimal digits. What is there already is not stored twice.
    Put {
        /// Files; `-` is standard input; none: standard input, if it is no terminal
        #[arg(value_name = "FILE|-")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        plane: Plane,
    },
    /// Write content to standard output, once all of it has proved to match its digest
    Get {
        /// Its digest, as `put` printed it
        #[arg(value_name = "DIGEST", value_parser = parse_digest)]
        digest: Hash,
        #[command(flatten)]
        plane: Plane,
    },
}

fn parse_digest(text: &str) -> Result<Hash, String> {
    Hash::from_hex(text).map_err(|_| "a digest is 64 hexadecimal digits".to_owned())
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    match &args.what {
        What::Put { files, plane } => put(files, plane),
        What::Get { digest, plane } => get(digest, plane),
    }
}

fn put(files: &[PathBuf], plane: &Plane) -> anyhow::Result<u8> {
    if files.is_empty() {
        if io::stdin().is_terminal() {
            return Err(usage("nothing to store: name a file, or `-` for standard input"));
        }
        put_one(&Store::open(plane)?, Path::new("-"))?;
        return Ok(DONE);
    }
    if files.iter().filter(|file| *file == Path::new("-")).count() > 1 {
        return Err(usage("standard input can be read once: `-` is given twice"));
    }
    let store = Store::open(plane)?;
    files.iter().try_for_each(|file| put_one(&store, file))?;
    Ok(DONE)
}

/// Where content goes.
enum Store {
    Own(Box<ContentStore>),
    /// To the server that has the log open.
    Served(Box<RemoteLog>),
}

impl Store {
    fn open(plane: &Plane) -> anyhow::Result<Self> {
        Ok(match plane.remote(Durability::Commit)? {
            Some(remote) => Self::Served(Box::new(remote)),
            None => Self::Own(Box::new(plane.contents(Access::Write)?)),
        })
    }

    /// Stores what a reader gives, durably, and returns its digest.
    fn put(&self, mut input: Box<dyn Read + Send>) -> anyhow::Result<String> {
        match self {
            Self::Own(store) => {
                let (digest, _) = store.put_stream(&mut *input)?;
                store.sync()?;
                Ok(digest.to_hex().to_string())
            }
            Self::Served(server) => Ok(server.put_content(input)?),
        }
    }
}

fn put_one(store: &Store, file: &Path) -> anyhow::Result<()> {
    let unreadable = || format!("cannot read `{}`", file.display());
    let input: Box<dyn Read + Send> = match file == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(file).with_context(unreadable)?),
    };
    let digest = store.put(input).with_context(|| format!("cannot store `{}`", file.display()))?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{digest}")?;
    Ok(stdout.flush()?)
}

fn get(digest: &Hash, plane: &Plane) -> anyhow::Result<u8> {
    let mut stdout = io::stdout().lock();
    if plane.contents(Access::Read)?.get_stream(digest, &mut stdout)?.is_none() {
        bail!("there is no content with the digest {} in plane `{}`", digest.to_hex(), plane.name());
    }
    stdout.flush()?;
    Ok(DONE)
}
