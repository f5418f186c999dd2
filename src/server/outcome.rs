//! What the server answers to commands over the socket, as MessagePack: what became of a commit, and entries of tables.

use super::parts::{Parts, write_count, write_id, write_optional};
use crate::event::Events;
use crate::event::msgpack::{write_array_len, write_bin, write_str};
use crate::log::{Appended, Conflict, Pair, Receipt};

/// What became of a commit. Its energies are not sent back: who asked has them.
#[must_use]
pub fn write_appended(appended: &Appended) -> Vec<u8> {
    let mut bytes = Vec::new();
    let out = &mut bytes;
    let first = appended.batch.iter().next().map_or(0, |event| event.head().position);
    write_count(out, first);
    write_array_len(out, appended.batch.len());
    appended.batch.iter().for_each(|event| write_count(out, event.head().version));
    write_array_len(out, appended.known.len());
    for (index, receipt) in &appended.known {
        write_count(out, *index as u64);
        write_count(out, receipt.position);
        write_count(out, receipt.version);
        write_id(out, receipt.id);
    }
    write_array_len(out, appended.ephemeral.len());
    appended.ephemeral.iter().for_each(|index| write_count(out, *index as u64));
    write_array_len(out, appended.conflicts.len());
    for (index, conflict) in &appended.conflicts {
        write_count(out, *index as u64);
        write_conflict(out, conflict);
    }
    bytes
}

/// What became of a commit of these energies; `None` where the answer is not one to that.
#[must_use]
pub fn read_appended(bytes: &[u8], events: Events) -> Option<Appended> {
    let mut parts = Parts::new(bytes);
    let first = parts.count()?;
    let mut versions = Vec::new();
    for _ in 0..parts.array()? {
        versions.push(parts.count()?);
    }
    let mut appended = Appended::default();
    for _ in 0..parts.array()? {
        let index = parts.index()?;
        let receipt = Receipt { position: parts.count()?, version: parts.count()?, id: parts.id()? };
        appended.known.push((index, receipt));
    }
    for _ in 0..parts.array()? {
        appended.ephemeral.push(parts.index()?);
    }
    for _ in 0..parts.array()? {
        appended.conflicts.push((parts.index()?, read_conflict(&mut parts)?));
    }
    let mut stored = if versions.is_empty() { Events::default() } else { stored(events, &appended) };
    if stored.len() != versions.len() || !parts.is_end() {
        return None;
    }
    for ((head, version), position) in stored.heads_mut().iter_mut().zip(versions).zip(first..) {
        (head.position, head.version) = (position, version);
    }
    appended.batch = stored.into();
    Some(appended)
}

/// The energies that nothing kept out.
fn stored(events: Events, appended: &Appended) -> Events {
    let known = appended.known.iter().map(|(index, _)| *index);
    let refused = appended.conflicts.iter().map(|(index, _)| *index);
    let mut left_out: Vec<usize> = known.chain(refused).chain(appended.ephemeral.iter().copied()).collect();
    if left_out.is_empty() {
        return events;
    }
    left_out.sort_unstable();
    let mut stored = Events::with_capacity(events.len(), events.byte_len());
    for (_, event) in events.iter().enumerate().filter(|(index, _)| left_out.binary_search(index).is_err()) {
        stored.push_copy(event);
    }
    stored
}

fn write_conflict(out: &mut Vec<u8>, conflict: &Conflict) {
    match conflict {
        Conflict::Version { stream, actual, expected } => {
            write_str(out, "version");
            write_str(out, stream);
            write_optional(out, *actual, write_count);
            write_optional(out, *expected, write_count);
        }
        Conflict::Id { id, position } => {
            write_str(out, "id");
            write_id(out, *id);
            write_count(out, *position);
        }
        Conflict::Query { position, after } => {
            write_str(out, "query");
            write_count(out, *position);
            write_optional(out, *after, write_count);
        }
    }
}

fn read_conflict(parts: &mut Parts<'_>) -> Option<Conflict> {
    Some(match parts.text()?.as_str() {
        "version" => Conflict::Version {
            stream: parts.text()?,
            actual: parts.optional(Parts::count)?,
            expected: parts.optional(Parts::count)?,
        },
        "id" => Conflict::Id { id: parts.id()?, position: parts.count()? },
        "query" => Conflict::Query { position: parts.count()?, after: parts.optional(Parts::count)? },
        _ => return None,
    })
}

/// The value of a key, if it has one.
#[must_use]
pub fn write_value(value: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    write_optional(&mut out, value, write_bin);
    out
}

/// Reads it back.
#[must_use]
pub fn read_value(bytes: &[u8]) -> Option<Option<Vec<u8>>> {
    let value = Parts::new(bytes).optional(Parts::bytes)?;
    Some(value.map(<[u8]>::to_vec))
}

/// Keys and their values.
#[must_use]
pub fn write_pairs(pairs: &[Pair]) -> Vec<u8> {
    let mut out = Vec::new();
    write_array_len(&mut out, pairs.len());
    for (key, value) in pairs {
        write_bin(&mut out, key);
        write_bin(&mut out, value);
    }
    out
}

/// Reads them back.
#[must_use]
pub fn read_pairs(bytes: &[u8]) -> Option<Vec<Pair>> {
    let mut parts = Parts::new(bytes);
    let mut pairs = Vec::new();
    for _ in 0..parts.array()? {
        pairs.push((parts.bytes()?.to_vec(), parts.bytes()?.to_vec()));
    }
    parts.is_end().then_some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Head, Uuid};

    fn events(count: u128) -> Events {
        let mut events = Events::default();
        (0..count).for_each(|id| events.push(Head::seed(Uuid::from_u128(id), 0), None));
        events
    }

    #[test]
    fn what_became_of_a_commit_comes_back() {
        let mut stored = Events::default();
        for (index, event) in [(1, 7_u64), (4, 8)].into_iter().enumerate() {
            stored.push_copy(events(5).get(event.0));
            let head = &mut stored.heads_mut()[index];
            (head.position, head.version) = (event.1, 3);
        }
        let appended = Appended {
            batch: stored.into(),
            known: vec![(0, Receipt { position: 1, version: 2, id: Uuid::from_u128(0) })],
            ephemeral: vec![2],
            conflicts: vec![(
                3,
                Conflict::Version { stream: "s".to_owned(), actual: None, expected: Some(4) },
            )],
        };
        let bytes = write_appended(&appended);
        let read = read_appended(&bytes, events(5)).unwrap();
        assert_eq!(read.receipts().collect::<Vec<_>>(), appended.receipts().collect::<Vec<_>>());
        assert_eq!((read.conflicts, read.ephemeral), (appended.conflicts, appended.ephemeral));
        assert!(read_appended(&bytes, events(6)).is_none(), "it is of another commit");
        for end in 0..bytes.len() {
            assert!(read_appended(&bytes[..end], events(5)).is_none(), "{end} bytes");
        }
    }

    #[test]
    fn a_refused_commit_stores_nothing() {
        let conflicts = vec![
            (0, Conflict::Query { position: 9, after: None }),
            (1, Conflict::Id { id: Uuid::from_u128(1), position: 3 }),
        ];
        let appended = Appended { conflicts, ..Appended::default() };
        let read = read_appended(&write_appended(&appended), events(2)).unwrap();
        assert_eq!((read.count(), read.conflicts), (0, appended.conflicts));
    }

    #[test]
    fn entries_come_back() {
        let pairs = vec![(b"a".to_vec(), Vec::new()), (Vec::new(), b"\xff".to_vec())];
        assert_eq!(read_pairs(&write_pairs(&pairs)), Some(pairs));
        assert_eq!(read_value(&write_value(Some(b"a"))), Some(Some(b"a".to_vec())));
        assert_eq!((read_value(&write_value(None)), read_value(b"")), (Some(None), None));
    }
}
