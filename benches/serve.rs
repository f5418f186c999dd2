//! The server, by real clients on loopback and on its Unix socket.
//!
//! `cargo bench --bench serve` runs everything; a word after `--` picks parts: append, batch, commit, replay, follow,
//! spell, idle; `--test` is a quick try. Clients run in this process and share the machine with the server, so beside
//! each rate stands what one of them took of CPU: in the server, and in the clients. Compare within one run.

#![allow(missing_docs)]

#[path = "support/server.rs"]
mod server;
#[path = "support/wire.rs"]
mod wire;

use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use sanctum::event::msgpack;
use server::Server;
use wire::{Address, request};

/// Energies in a batch.
const BATCH: u64 = 1_000;
/// Energies that are followed a second.
const PACE: u64 = 10_000;
const NDJSON: &str = "application/x-ndjson";
const MSGPACK: &str = "application/msgpack";

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_quick = words.iter().any(|word| word == "--test");
    let picked: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let scale = if is_quick { 100 } else { 1 };
    for (name, part) in PARTS {
        if picked.is_empty() || picked.iter().any(|word| *word == name) {
            part(scale)?;
        }
    }
    Ok(())
}

/// What is measured; each is given by how much less it is to do.
type Part = (&'static str, fn(u64) -> io::Result<()>);

const PARTS: [Part; 7] = [
    ("append", append),
    ("batch", batch),
    ("commit", commit),
    ("replay", replay),
    ("follow", follow),
    ("spell", spell),
    ("idle", idle),
];

/// Time passing, in the server and here.
struct Watch<'a> {
    server: &'a Server,
    wall: Instant,
    there: f64,
    here: ProcessTime,
}

impl<'a> Watch<'a> {
    fn start(server: &'a Server) -> Self {
        Self { server, wall: Instant::now(), there: server.cpu(), here: ProcessTime::now() }
    }

    /// Prints a row; gives how many a second.
    fn stop(self, what: &str, count: u64) -> f64 {
        let rate = count as f64 / self.wall.elapsed().as_secs_f64();
        let there = (self.server.cpu() - self.there) * 1e6 / count as f64;
        let here = self.here.elapsed().as_secs_f64() * 1e6 / count as f64;
        println!("{what:<44} {rate:>11.0}/s   server {there:>7.2} µs   clients {here:>7.2} µs");
        rate
    }
}

/// An order of a shop.
fn order(n: u64) -> String {
    format!(r#"{{"order":{n},"user":"user-{}","amount":{}.5,"currency":"EUR","items":3}}"#, n % 1_000, n % 97)
}

fn ndjson(count: u64) -> Vec<u8> {
    (0..count).flat_map(|n| (order(n) + "\n").into_bytes()).collect()
}

fn packed(count: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for n in 0..count {
        msgpack::write_map_len(&mut bytes, 3);
        msgpack::write_str(&mut bytes, "order");
        msgpack::write_int(&mut bytes, i64::try_from(n).unwrap_or_default());
        msgpack::write_str(&mut bytes, "user");
        msgpack::write_str(&mut bytes, &format!("user-{}", n % 1_000));
        msgpack::write_str(&mut bytes, "items");
        msgpack::write_int(&mut bytes, 3);
    }
    bytes
}

/// The same request over and over on so many connections, `count` in all.
fn hammer(address: &Address, connections: u64, count: u64, request: &[u8]) -> io::Result<()> {
    let left = AtomicU64::new(count);
    thread::scope(|scope| {
        let hands: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let mut wire = address.connect()?;
                    while left
                        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                        .is_ok()
                    {
                        match wire.ask(request)? {
                            201 => {}
                            status => return Err(io::Error::other(format!("status {status}"))),
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        hands
            .into_iter()
            .try_for_each(|hand| hand.join().unwrap_or_else(|_| Err(io::Error::other("a panic"))))
    })
}

fn one() -> Vec<u8> {
    request("POST", "/v1/main/append/orders", "application/json", order(7).as_bytes())
}

fn append(scale: u64) -> io::Result<()> {
    println!("\nappend one energy a request, --durability os");
    for (name, is_unix) in [("TCP", false), ("Unix socket", true)] {
        let server = Server::start(&["--durability", "os"])?;
        let address = if is_unix { server.unix() } else { server.tcp() };
        for (connections, count) in [(1, 100_000), (16, 300_000)] {
            let count = count / scale;
            let watch = Watch::start(&server);
            hammer(&address, connections, count, &one())?;
            watch.stop(&format!("{name}, {connections} connection(s)"), count);
        }
    }
    Ok(())
}

fn batch(scale: u64) -> io::Result<()> {
    println!("\nappend {BATCH} energies a request, --durability os");
    let server = Server::start(&["--durability", "os"])?;
    for (name, kind, body) in [("NDJSON", NDJSON, ndjson(BATCH)), ("MessagePack", MSGPACK, packed(BATCH))] {
        let request = request("POST", "/v1/main/append/orders", kind, &body);
        for connections in [1, 4] {
            let count = 1_000 / scale;
            let watch = Watch::start(&server);
            hammer(&server.tcp(), connections, count, &request)?;
            watch.stop(&format!("{name}, TCP, {connections} connection(s): energies"), count * BATCH);
        }
    }
    Ok(())
}

fn commit(scale: u64) -> io::Result<()> {
    println!("\nappend one energy a request, --durability commit");
    let server = Server::start(&["--durability", "commit"])?;
    let mut rates = Vec::new();
    for (connections, count) in [(1, 10_000), (16, 100_000), (64, 200_000)] {
        let count = count / scale;
        let watch = Watch::start(&server);
        hammer(&server.tcp(), connections, count, &one())?;
        rates.push(watch.stop(&format!("TCP, {connections} connection(s)"), count));
    }
    println!("64 connections: {:.1} times one", rates[2] / rates[0]);
    Ok(())
}

fn replay(scale: u64) -> io::Result<()> {
    let count = 1_000_000 / scale / BATCH * BATCH;
    println!("\nreplay of {count} energies to one reader");
    let server = Server::start(&["--durability", "os"])?;
    let batch = request("POST", "/v1/main/append/orders", NDJSON, &ndjson(BATCH));
    hammer(&server.tcp(), 1, count / BATCH, &batch)?;
    for (name, address) in [("TCP", server.tcp()), ("Unix socket", server.unix())] {
        for format in ["ndjson", "msgpack"] {
            let mut wire = address.connect()?;
            let ask = request("GET", &format!("/v1/main/events?format={format}&limit={count}"), NDJSON, b"");
            let watch = Watch::start(&server);
            let mut bytes = 0;
            wire.begin(&ask)?;
            wire.chunks(|piece| {
                bytes += piece.len();
                true
            })?;
            let rate = watch.stop(&format!("{format}, {name}"), count);
            println!("{:44} {:>11.0} MB/s", "", rate * bytes as f64 / count as f64 / 1e6);
        }
    }
    Ok(())
}

fn follow(scale: u64) -> io::Result<()> {
    let count = 100_000 / scale;
    println!("\nfrom request to follower, {PACE} energies a second on one connection, --durability os");
    let server = Server::start(&["--durability", "os"])?;
    let start = Instant::now();
    let is_there = Barrier::new(2);
    let latencies = thread::scope(|scope| -> io::Result<Vec<u64>> {
        let follower = scope.spawn(|| {
            let mut wire = server.tcp().connect()?;
            wire.begin(&request("GET", "/v1/main/events?follow", NDJSON, b""))?;
            is_there.wait();
            let (mut latencies, mut line) = (Vec::new(), Vec::new());
            wire.chunks(|piece| {
                let now = start.elapsed().as_nanos() as u64;
                for byte in piece {
                    line.push(*byte);
                    if *byte == b'\n' {
                        latencies.extend(sent(&line).map(|sent| now.saturating_sub(sent)));
                        line.clear();
                    }
                }
                latencies.len() < count as usize
            })?;
            Ok::<_, io::Error>(latencies)
        });
        is_there.wait();
        let mut wire = server.unix().connect()?;
        let watch = Watch::start(&server);
        let begin = Instant::now();
        for n in 0..count {
            let due = begin + Duration::from_nanos(n * 1_000_000_000 / PACE);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let body = format!(r#"{{"sent":{}}}"#, start.elapsed().as_nanos());
            wire.ask(&request("POST", "/v1/main/append/orders", "application/json", body.as_bytes()))?;
        }
        watch.stop("appended", count);
        follower.join().unwrap_or_else(|_| Err(io::Error::other("a panic")))
    })?;
    tell_latencies(latencies);
    Ok(())
}

/// When an energy says that it was sent.
fn sent(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let (_, rest) = text.split_once(r#""sent":"#)?;
    rest.split('}').next()?.parse().ok()
}

/// From a request to the answer that a spell gives.
fn spell(scale: u64) -> io::Result<()> {
    const ECHO: &str = r#"return { topic = "http.request", cast = function(request)
      return { ["$topic"] = "http.response", body = { hello = request.query.name } }
    end }"#;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let face = format!("127.0.0.1:{port}");
    for durability in ["os", "commit"] {
        println!("\nfrom request to response through a spell, --durability {durability}");
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("echo.lua"), ECHO)?;
        let server =
            Server::start_in(folder.path(), &["echo.lua", "--http", &face, "--durability", durability])?;
        let address = Address::Tcp(face.clone());
        let asked = request("GET", "/hello?name=Ada", NDJSON, b"");
        for (connections, count) in [(1, 10_000), (16, 50_000)] {
            let (latencies, watch) = (Mutex::new(Vec::new()), Watch::start(&server));
            thread::scope(|scope| -> io::Result<()> {
                let hands: Vec<_> = (0..connections)
                    .map(|_| {
                        scope.spawn(|| ask_often(&address, &asked, count / scale / connections, &latencies))
                    })
                    .collect();
                hands
                    .into_iter()
                    .try_for_each(|hand| hand.join().unwrap_or_else(|_| Err(io::Error::other("a panic"))))
            })?;
            watch.stop(&format!("TCP, {connections} connection(s)"), count / scale);
            tell_latencies(latencies.into_inner().unwrap_or_default());
        }
    }
    Ok(())
}

/// Asks on a connection of its own, and notes how long each answer took, in nanoseconds.
fn ask_often(address: &Address, request: &[u8], count: u64, latencies: &Mutex<Vec<u64>>) -> io::Result<()> {
    let (mut wire, mut own) = (address.connect()?, Vec::new());
    for _ in 0..count {
        let begun = Instant::now();
        match wire.ask(request)? {
            200 => own.push(begun.elapsed().as_nanos() as u64),
            status => return Err(io::Error::other(format!("status {status}"))),
        }
    }
    latencies.lock().map_err(|_| io::Error::other("a panic"))?.extend(own);
    Ok(())
}

fn tell_latencies(mut latencies: Vec<u64>) {
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize] as f64 / 1e6;
    println!(
        "latency in ms: p50 {:.3}, p99 {:.3}, p99.9 {:.3}, largest {:.3}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

fn idle(scale: u64) -> io::Result<()> {
    println!("\nidle, after 100,000 energies, with 10 followers");
    let server = Server::start(&["--durability", "os"])?;
    println!("{:<44} {:>11.1} MiB resident", "after the start", server.resident());
    let batch = request("POST", "/v1/main/append/orders", NDJSON, &ndjson(BATCH));
    hammer(&server.tcp(), 1, 100 / scale.min(100), &batch)?;
    let mut followers = Vec::new();
    for _ in 0..10 {
        let mut wire = server.tcp().connect()?;
        wire.begin(&request("GET", "/v1/main/events?follow&last=1", NDJSON, b""))?;
        followers.push(wire);
    }
    thread::sleep(Duration::from_secs(1));
    let (before, seconds) = (server.cpu(), if scale > 1 { 1 } else { 10 });
    thread::sleep(Duration::from_secs(seconds));
    let cpu = (server.cpu() - before) * 1e3 / seconds as f64;
    println!("{:<44} {:>11.1} MiB resident, {cpu:.1} ms of CPU a second", "at rest", server.resident());
    Ok(())
}
