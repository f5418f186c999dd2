//! Runs a program and tells what it took, from `/proc`: CPU time of all its threads, and its largest memory.

use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Clock ticks a second in `/proc/PID/stat`: the same on every Linux.
const TICKS: f64 = 100.0;

/// What a run took.
pub struct Usage {
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of CPU, user and system.
    pub cpu: f64,
    /// The largest resident set, in MiB.
    pub peak: f64,
    /// Standard output.
    pub output: String,
}

/// Runs it to its end, which has to be a success.
pub fn measure(command: &mut Command) -> io::Result<Usage> {
    let begin = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let folder = format!("/proc/{}", child.id());
    let mut peak = 0.0_f64;
    // Until it is waited for, a process that ended keeps its times, but not its memory.
    let cpu = loop {
        let stat = fs::read_to_string(format!("{folder}/stat"))?;
        // The name, in brackets, may hold blanks; fields are counted after it: state is the first.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        if fields.first() == Some(&"Z") {
            let ticks = [11, 12].map(|at| fields.get(at).and_then(|text| text.parse::<f64>().ok()));
            break ticks.iter().flatten().sum::<f64>() / TICKS;
        }
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        peak = peak.max(kib.unwrap_or_default() / 1024.0);
        std::thread::sleep(Duration::from_millis(1));
    };
    let wall = begin.elapsed().as_secs_f64();
    let mut output = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        io::Read::read_to_string(&mut stdout, &mut output)?;
    }
    let status = child.wait()?;
    if !status.success() {
        return Err(io::Error::other(format!("it ended with {status}")));
    }
    Ok(Usage { wall, cpu, peak, output })
}
