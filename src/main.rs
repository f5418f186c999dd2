//! Arguments in, exit code out.

use std::process::ExitCode;

use rustix::process::{Resource, getrlimit, setrlimit};

fn main() -> ExitCode {
    raise_open_files();
    ExitCode::from(sanctum::cli::run(std::env::args_os()))
}

/// A log has a file open for each of its segments: as many as the system allows this process to ask for.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is not granted, a large log says so when it is opened.
    let _refused = setrlimit(Resource::Nofile, limit);
}
