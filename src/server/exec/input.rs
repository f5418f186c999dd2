//! What a program reads: energies of its topics, one as JSON a line, from where it stopped reading.
//!
//! How far that is, a cursor of the log keeps; it moves when energies are written to the pipe. So after a kill of the server
//! the last ones may be written again, and none is left out; a program that must not do anything twice can tell by
//! their ids. A program that ends has been given what was in its pipe, whether it read that or not.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::event::{Events, json};
use crate::log::{self, Follower, Heard, Log, Query, cursor};
use crate::router::Pattern;
use crate::server::Plane;

/// How often the thread looks whether its program has ended.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes of energies that are written at a time.
const PAGE_BYTES: usize = 64 << 10;

fn cursor_of(name: &str) -> String {
    format!("exec.{name}")
}

/// Remembers where a program begins that is new to the log: at its end.
pub(super) fn begin(plane: &Plane, name: &str) -> Result<(), log::Error> {
    let (log, cursor) = (&**plane.log(), cursor_of(name));
    match cursor::position(log, &cursor)? {
        Some(_) => Ok(()),
        None => cursor::advance(log, &cursor, log.visible()),
    }
}

/// Writes energies to a pipe until the program ends.
pub(super) fn write(
    pipe: impl Write,
    name: &str,
    patterns: Vec<Pattern>,
    plane: &Plane,
    is_over: &AtomicBool,
) {
    if let Err(error) = follow(pipe, &cursor_of(name), patterns, plane, is_over) {
        tracing::error!(%error, name, "a program is given no more energies");
    }
}

fn follow(
    mut pipe: impl Write,
    name: &str,
    topics: Vec<Pattern>,
    plane: &Plane,
    is_over: &AtomicBool,
) -> Result<(), log::Error> {
    let log = plane.log();
    let from = cursor::position(&**log, name)?.unwrap_or_else(|| log.visible());
    let query = Query { topics, ..Query::default() };
    let mut follower = Follower::new(log.clone(), query, from).page_bytes(PAGE_BYTES);
    let (mut page, mut text) = (Events::default(), Vec::new());
    while !is_over.load(Ordering::Acquire) {
        if follower.next(&mut page, LOOK)? != Heard::Events {
            continue;
        }
        text.clear();
        for event in page.iter() {
            json::write_event(event, &mut text);
            text.push(b'\n');
        }
        if pipe.write_all(&text).and_then(|()| pipe.flush()).is_err() {
            // It reads no more; its end is told by who waits for it.
            return Ok(());
        }
        cursor::advance(&**log, name, follower.position())?;
    }
    Ok(())
}
