//! `sanctum completions`: what a shell needs to complete commands and flags.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, DONE, console};

/// Print completions for a shell
///
/// For bash: sanctum completions bash > ~/.local/share/bash-completion/completions/sanctum
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sanctum", &mut text);
    console::print(&String::from_utf8_lossy(&text))?;
    Ok(DONE)
}
