//! What spells keep, over a durable log: the whole program, as it is used.
//!
//! `cargo bench --bench state`; `EVENTS=100000` for another number of energies. Counted per user, 100,000 of them, with
//! each durability; the two stages of `benches/orders`; going on with many keys; the cost of an energy as a run gets
//! longer; `state` from Lua. Compare within one run only; CPU time is steadier than seconds.

#![allow(missing_docs)]

#[path = "support/process.rs"]
mod process;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::Command;

const USERS: u64 = 100_000;

const COUNT: &str = r#"return {
  topic = "clicks",
  start = "oldest",
  cast = function(click)
    state[click.user] = (state[click.user] or 0) + 1
  end,
}"#;

const TOUCH: &str = r#"return {
  topic = "touch",
  limits = { instructions = 1000000000, memory = "512MiB", state_bytes = "512MiB", time = "60s" },
  cast = function(event)
    if event.what == "put" then
      for n = 1, event.count do state[n] = n end
    elseif event.what == "get" then
      local sum = 0
      for n = 1, event.count do sum = sum + state[n % 100000 + 1] end
    elseif event.what == "range" then
      local count = 0
      for key, value in state:range{} do count = count + 1 end
    end
  end,
}"#;

fn main() -> io::Result<()> {
    let quick = std::env::args().any(|arg| arg == "--test");
    let asked = std::env::var("EVENTS").ok().and_then(|text| text.parse().ok());
    let events: u64 = asked.unwrap_or(if quick { 10_000 } else { 1_000_000 });
    // Not in the temporary folder, which may be in memory.
    let folder = tempfile::tempdir_in(".")?;
    fs::write(folder.path().join("count.lua"), COUNT)?;
    fs::write(folder.path().join("touch.lua"), TOUCH)?;
    println!(
        "{:<48} {:>11} {:>8} {:>8} {:>9} {:>9}",
        "", "energies/s", "wall s", "CPU s", "ns CPU", "peak MiB"
    );
    per_user(folder.path(), events)?;
    stages(folder.path(), events)?;
    series(folder.path(), events)?;
    beyond_the_cache(folder.path(), events)?;
    touch(folder.path(), if quick { 1_000 } else { 1_000_000 })
}

/// Runs `sanctum cast` and prints what it took.
fn cast(what: &str, events: u64, arguments: &[&str], folder: &Path) -> io::Result<f64> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
    command.arg("cast").args(arguments).current_dir(folder);
    let usage = process::measure(&mut command)?;
    let (rate, nanos) = (events as f64 / usage.wall, usage.cpu * 1e9 / events as f64);
    println!(
        "{what:<48} {rate:>11.0} {:>8.2} {:>8.2} {nanos:>9.0} {:>9.1}",
        usage.wall, usage.cpu, usage.peak
    );
    print!("{}", usage.output);
    Ok(usage.wall)
}

fn clicks(path: &Path, count: u64, users: u64) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for n in 0..count {
        let user = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % users;
        writeln!(out, r#"{{"user":"user-{user}","page":{}}}"#, n % 97)?;
    }
    out.flush()
}

/// A fresh log for each run.
fn forget(folder: &Path) {
    let _missing = fs::remove_dir_all(folder.join("data"));
}

fn per_user(folder: &Path, events: u64) -> io::Result<()> {
    clicks(&folder.join("clicks.ndjson"), events, USERS)?;
    let seed = ["count.lua", "--seed", "clicks.ndjson", "--topic", "clicks"];
    cast("count per user, no durable log", events, &seed, folder)?;
    for durability in ["os", "interval:50", "commit"] {
        forget(folder);
        let flags = [&seed[..], &["--data", "data", "--durability", durability]].concat();
        cast(&format!("count per user, {durability}"), events, &flags, folder)?;
    }
    let again = [&seed[..], &["--data", "data"]].concat();
    cast("the same again: nothing is new, 100,000 keys", events, &again, folder)?;
    Ok(())
}

#[path = "support/orders.rs"]
mod orders;

fn stages(folder: &Path, events: u64) -> io::Result<()> {
    orders::write(events, &mut BufWriter::new(File::create(folder.join("orders.ndjson"))?))?;
    let spells = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/orders").display().to_string();
    forget(folder);
    let flags =
        ["--seed", "orders.ndjson", "--topic", "orders", "--data", "data", "--durability", "interval:50"];
    let flags = [&[spells.as_str()][..], &flags].concat();
    cast("two stages, logged, exactly once", events, &flags, folder)?;
    Ok(())
}

/// The cost of an energy, as the run gets longer.
fn series(folder: &Path, events: u64) -> io::Result<()> {
    let mut count = (events / 100).max(1);
    while count <= events {
        clicks(&folder.join("clicks.ndjson"), count, USERS)?;
        forget(folder);
        let flags = ["count.lua", "--seed", "clicks.ndjson", "--topic", "clicks", "--data", "data"];
        let flags = [&flags[..], &["--durability", "interval:50"]].concat();
        cast(&format!("a run of {count}"), count, &flags, folder)?;
        count *= 10;
    }
    Ok(())
}

/// More users than energies: with `EVENTS=4000000` five times what `limits.state_cache_bytes` holds.
fn beyond_the_cache(folder: &Path, events: u64) -> io::Result<()> {
    clicks(&folder.join("clicks.ndjson"), events, events / 4 * 5)?;
    forget(folder);
    let flags = ["count.lua", "--seed", "clicks.ndjson", "--topic", "clicks", "--data", "data"];
    let flags = [&flags[..], &["--durability", "interval:50"]].concat();
    cast("count per user, each of them once", events, &flags, folder)?;
    Ok(())
}

/// Keys put, got and walked through by one cast each.
fn touch(folder: &Path, keys: u64) -> io::Result<()> {
    forget(folder);
    let run = |what: &str, events: u64| {
        let line = format!("{{\"what\":\"{what}\",\"count\":{keys}}}\n");
        fs::write(folder.join(format!("{what}.ndjson")), line)?;
        let seed = format!("{what}.ndjson");
        let flags = ["touch.lua", "--seed", &seed, "--topic", "touch", "--data", "data"];
        cast(&format!("{what} from Lua, {keys} keys"), events, &flags, folder)
    };
    run("put", keys)?;
    run("nothing", keys)?;
    run("get", keys)?;
    run("range", keys)?;
    Ok(())
}
