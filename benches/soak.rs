//! A server under load for as long as is asked: whether anything is lost, and whether memory is flat.
//!
//! `cargo bench --bench soak -- SECONDS` (10 unless said otherwise; `just soak` takes 600). Appenders number what they
//! append; followers go away and come back where they were; a spell answers each energy with one, and keeps a sum; one
//! client never reads. At the end, in the middle of it all, the server is killed and started again. Then every
//! acknowledged energy must be there, and each follower must have seen each energy, and each answer, once and in order.
//! Memory is printed ten times; in the second half it must not grow beyond what the index of a segment takes.

#![allow(missing_docs)]

#[path = "support/server.rs"]
mod server;
#[path = "support/wire.rs"]
mod wire;

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use server::Server;
use wire::{Address, request};

const APPENDERS: usize = 4;
const FOLLOWERS: usize = 4;
/// What an appender waits between two energies.
const PACE: Duration = Duration::from_millis(2);
/// How long a follower stays.
const STAY: Duration = Duration::from_secs(3);
/// How long what was asked for may take to come about.
const PATIENCE: Duration = Duration::from_secs(300);
/// Memory may grow by this share, and so many MiB: the index of the active segment, 40 bytes an energy, and noise.
const GROWTH: (f64, f64) = (0.1, 16.0);

const SPELL: &str = r#"return { name = "echo", topic = "soak.in", cast = function(event)
  state.sum = (state.sum or 0) + event.n
  return { ["$topic"] = "soak.out", appender = event.appender, n = event.n }
end }"#;

/// What the hands share.
#[derive(Default)]
struct Soak {
    /// How many energies each appender knows to be stored.
    acknowledged: [AtomicU64; APPENDERS],
    is_over: AtomicBool,
}

fn main() -> io::Result<()> {
    let is_quick = std::env::args().any(|word| word == "--test");
    let asked = std::env::args().find_map(|word| word.parse().ok());
    let seconds: u64 = asked.unwrap_or(if is_quick { 3 } else { 10 });
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("echo.lua"), SPELL)?;
    let (folder, soak) = (folder.path(), Soak::default());
    let mut server = Server::start_in(folder, &["echo.lua", "--durability", "os"])?;
    let address = server.unix();
    let mut followers: Vec<Follower> = (0..FOLLOWERS).map(|_| Follower::default()).collect();
    thread::scope(|scope| -> io::Result<()> {
        let (soak, address) = (&soak, &address);
        let appenders: Vec<_> =
            (0..APPENDERS).map(|n| scope.spawn(move || soak.append(n, address))).collect();
        let readers: Vec<_> =
            followers.iter_mut().map(|follower| scope.spawn(move || follower.stay(soak, address))).collect();
        let watched = watch(&server, soak, seconds);
        server.kill()?;
        soak.is_over.store(true, Ordering::Release);
        appenders.into_iter().for_each(|hand| drop(hand.join()));
        let read: io::Result<()> = readers.into_iter().try_for_each(|hand| joined(hand.join()));
        watched.and(read)
    })?;
    server = Server::start_in(folder, &["echo.lua", "--durability", "os"])?;
    let counts = settle(&server)?;
    println!("{} energies in, {} out; killed and started again", counts.0, counts.1);
    for follower in &mut followers {
        follower.read(&server.unix(), "", None)?;
        follower.check(&soak)?;
    }
    println!(
        "nothing acknowledged is lost; each of {FOLLOWERS} followers saw each energy once; memory is flat"
    );
    Ok(())
}

fn joined<T>(result: thread::Result<io::Result<T>>) -> io::Result<T> {
    result.unwrap_or_else(|_| Err(failed("a hand panicked")))
}

fn failed(what: impl Into<String>) -> io::Error {
    io::Error::other(what.into())
}

/// Prints what the server takes, ten times; an error where its memory grows.
fn watch(server: &Server, soak: &Soak, seconds: u64) -> io::Result<()> {
    let mut resident = Vec::new();
    for tenth in 1..=10 {
        // A client that never reads: its connection is dropped after the next.
        let mut idle = server.unix().connect()?;
        idle.begin(&request("GET", "/v1/main/events?follow", "*/*", b""))?;
        thread::sleep(Duration::from_millis(seconds * 100));
        resident.push(server.resident());
        let all: u64 = soak.acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        let (mib, cpu) = (server.resident(), server.cpu());
        println!("{tenth}/10: {all} energies appended, {mib:.1} MiB resident, {cpu:.1} s of CPU");
    }
    let (early, late) = (resident[4], resident[9]);
    match late > early * (1.0 + GROWTH.0) + GROWTH.1 {
        true => Err(failed(format!("memory grew from {early:.1} to {late:.1} MiB"))),
        false => Ok(()),
    }
}

/// Waits until the spell has answered everything; how many energies went in and out.
fn settle(server: &Server) -> io::Result<(u64, u64)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = server.unix().connect()?.get("/v1/main/topics")?;
        let rows: Vec<Value> = rows.split(|byte| *byte == b'\n').flat_map(serde_json::from_slice).collect();
        let count = |topic: &str| {
            let row = rows.iter().find(|row| row["topic"] == topic);
            row.and_then(|row| row["events"].as_u64()).unwrap_or(0)
        };
        let counts = (count("soak.in"), count("soak.out"));
        if counts.0 > 0 && counts.0 == counts.1 {
            return Ok(counts);
        }
        if Instant::now() > deadline {
            return Err(failed(format!("{} energies went in, and {} came out", counts.0, counts.1)));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

impl Soak {
    /// Appends numbered energies until it is over, or the server is.
    fn append(&self, appender: usize, address: &Address) -> io::Result<()> {
        let mut wire = address.connect()?;
        for n in 0_u64.. {
            if self.is_over.load(Ordering::Acquire) {
                break;
            }
            if n % 1_000 == 999 {
                wire = address.connect()?;
            }
            let body = format!(r#"{{"appender":{appender},"n":{n},"text":"{:0100}"}}"#, n);
            let ask = request("POST", "/v1/main/append/soak.in", "application/json", body.as_bytes());
            match wire.ask(&ask)? {
                201 => self.acknowledged[appender].store(n + 1, Ordering::Release),
                status => return Err(failed(format!("status {status}"))),
            }
            thread::sleep(PACE);
        }
        Ok(())
    }
}

/// Where a follower is, and what it has seen.
#[derive(Default)]
struct Follower {
    after: Option<u64>,
    /// What comes next of each appender, in and out.
    next: [[u64; 2]; APPENDERS],
    line: Vec<u8>,
}

impl Follower {
    /// Follows until it is over; comes back now and then.
    fn stay(&mut self, soak: &Soak, address: &Address) -> io::Result<()> {
        while !soak.is_over.load(Ordering::Acquire) {
            match self.read(address, "&follow&pulse=100", Some(Instant::now() + STAY)) {
                // The server has been killed, which is no fault of the log's.
                Err(error) if error.kind() != io::ErrorKind::Other => thread::sleep(PACE),
                read => read?,
            }
        }
        Ok(())
    }

    /// Reads from where it was, to the end or until some time.
    fn read(&mut self, address: &Address, more: &str, until: Option<Instant>) -> io::Result<()> {
        // What was cut off comes again.
        self.line.clear();
        let after = self.after.map_or_else(String::new, |after| format!("&after={after}"));
        let mut wire = address.connect()?;
        wire.begin(&request("GET", &format!("/v1/main/events?topic=soak.*{after}{more}"), "*/*", b""))?;
        let mut seen = Ok(());
        wire.chunks(|piece| {
            for byte in piece {
                self.line.push(*byte);
                if *byte == b'\n' && seen.is_ok() {
                    seen = self.see();
                    self.line.clear();
                }
            }
            seen.is_ok() && until.is_none_or(|until| Instant::now() < until)
        })?;
        seen
    }

    /// One line: each energy has to be the next of its kind.
    fn see(&mut self) -> io::Result<()> {
        let event: Value = serde_json::from_slice(&self.line)?;
        let Some(position) = event["position"].as_u64() else { return Ok(()) };
        let (data, is_out) = (&event["data"], event["topic"] == "soak.out");
        let next = data["appender"]
            .as_u64()
            .and_then(|appender| self.next.get_mut(usize::try_from(appender).ok()?))
            .ok_or_else(|| failed(format!("a stranger: {event}")))?;
        let next = &mut next[usize::from(is_out)];
        if self.after.is_some_and(|after| position <= after) || data["n"] != *next {
            return Err(failed(format!("{next} was to come next, after position {:?}: {event}", self.after)));
        }
        *next += 1;
        self.after = Some(position);
        Ok(())
    }

    /// Whether it has seen all that was acknowledged, with its answers.
    fn check(&self, soak: &Soak) -> io::Result<()> {
        for (appender, [seen, answered]) in self.next.iter().enumerate() {
            let acknowledged = soak.acknowledged[appender].load(Ordering::Acquire);
            // The last one may have been stored without an answer.
            if !(acknowledged..=acknowledged + 1).contains(seen) || seen != answered {
                let told = format!(
                    "appender {appender}: {acknowledged} acknowledged, {seen} seen, {answered} answered"
                );
                return Err(failed(told));
            }
        }
        Ok(())
    }
}
