//! Which segments there are, from the files alone: for when the manifest is lost.
//!
//! Where files cover the same positions, the one that was written anew the least counts: it has all that the others
//! have, and what a ttl has ended stays hidden. What is between two segments and in none is a segment that is missing.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;

use super::frames::{self, FrameReader, Next};
use super::manifest::{Entry, Manifest};
use super::segment::{self, HEADER_BYTES, Header};
use crate::disk::{Disk, File, Mode};
use crate::event::Uuid;
use crate::log::Error;

/// A segment's file.
struct Found {
    first: u64,
    generation: u32,
    plane: Option<Uuid>,
    /// The position after its last energy, as far as its frames say.
    end: u64,
    /// Where its last frame ends.
    bytes: u64,
}

/// The manifest that the segments in a folder make; `None` where there are none.
///
/// # Errors
/// Failed reads; segments of which no header is whole.
pub fn take(folder: &Path, disk: &dyn Disk) -> Result<Option<Manifest>, Error> {
    let mut found = Vec::new();
    for name in disk.list(folder).map_err(Error::io("read the folder", folder))? {
        let Some(stem) = name.strip_suffix(".log").filter(|_| segment::is_name(&name)) else { continue };
        let Some((first, generation)) = stem.split_once('-') else { continue };
        if let (Ok(first), Ok(generation)) = (first.parse(), generation.parse()) {
            found.push(look(folder, disk, first, generation)?);
        }
    }
    found.sort_by_key(|found| (found.first, found.generation, Reverse(found.end)));
    if found.is_empty() {
        return Ok(None);
    }
    let Some(plane) = found.iter().find_map(|found| found.plane) else {
        let reason = "the manifest is lost, and no segment says which log it belongs to".to_owned();
        return Err(Error::Foreign { path: folder.to_owned(), reason });
    };
    found.retain(|found| found.plane.is_none_or(|own| own == plane));
    let mut segments: Vec<Entry> = Vec::new();
    let mut last: Option<Found> = None;
    for next in found {
        if let Some(before) = &last {
            if next.first < before.end || next.first == before.first {
                continue;
            }
            seal(&mut segments, before, next.first);
        }
        segments.push(Entry { first: next.first, generation: next.generation, sealed: None });
        last = Some(next);
    }
    // Only a segment that never was written anew is written to.
    if let Some(last) = last.filter(|last| last.generation > 0) {
        seal(&mut segments, &last, last.end.max(last.first + 1));
        let first = last.end.max(last.first + 1);
        segments.push(Entry { first, generation: 0, sealed: None });
    }
    Ok(Some(Manifest { plane, durable_sequence: 0, durable_position: 0, segments, lost: Vec::new() }))
}

/// Says where the last segment ends, which the next one follows.
fn seal(segments: &mut Vec<Entry>, last: &Found, next: u64) {
    // What was written anew may end with positions that have no energy any more.
    let end = if last.generation > 0 { next } else { last.end };
    if let Some(entry) = segments.last_mut() {
        entry.sealed = Some((end, last.bytes));
    }
    if end < next {
        segments.push(Entry { first: end, generation: 0, sealed: Some((next, HEADER_BYTES as u64)) });
    }
}

fn look(folder: &Path, disk: &dyn Disk, first: u64, generation: u32) -> Result<Found, Error> {
    let path = segment::log_path(folder, first, generation);
    let file: Arc<dyn File> = disk.open(&path, Mode::Read).map_err(Error::io("open", &path))?;
    let len = file.len().map_err(Error::io("read", &path))?;
    let mut header = [0; HEADER_BYTES];
    let header = match file.read_exact_at(&mut header, 0) {
        Ok(()) => Header::read(&path, &header).ok(),
        Err(_) => None,
    };
    let plane = header.map(|header| header.plane);
    let mut found = Found { first, generation, plane, end: first, bytes: HEADER_BYTES as u64 };
    let mut reader = FrameReader::new(file.clone(), HEADER_BYTES as u64, len);
    loop {
        let at = reader.offset();
        match reader.next_frame().map_err(Error::io("read", &path))? {
            Next::Frame { offset, frame } => {
                found.end = found.end.max(frame.header.first + u64::from(frame.header.count));
                found.bytes = offset + frame.header.frame_bytes();
            }
            Next::End if at >= len => return Ok(found),
            Next::End | Next::Flawed(_) => {
                let next = frames::search(&file, at + 1, len).map_err(Error::io("read", &path))?;
                let Some((offset, _)) = next else { return Ok(found) };
                reader = FrameReader::new(file.clone(), offset, len);
            }
        }
    }
}
