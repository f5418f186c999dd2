//! What commands say to the server over the socket, as MessagePack: one [`Ask`] is the body of one request.
//!
//! It is no part of the API: it changes with the version, which each request therefore begins with, and only the Unix
//! socket takes it. It allows what opening the files would: who may use the socket may do that too. Energies are
//! maps with their whole envelope, as `export` writes them, and are checked as those of an `import` are.

use std::ops::Bound;

use super::parts::{Parts, write_count, write_id, write_optional};
use crate::event::envelope::{RecordReader, write_record};
use crate::event::msgpack::{
    canonicalize, write_array_len, write_bin, write_bool, write_int, write_nil, write_str,
};
use crate::event::{Events, Expect, Extra, Uuid};
use crate::log::{Absent, Change, Changes, Commit, Direction, Query, Table};
use crate::router::pattern::Pattern;

/// What of a log and its content is to go: see [`compact`](super::compaction::compact()).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacting {
    /// Every segment that has a dead energy, however few.
    pub all: bool,
    /// Keep content that nothing refers to.
    pub keep_contents: bool,
    /// Energies at this position and above stay.
    pub before: Option<u64>,
    /// Bytes that are read or written in a second, about.
    pub rate: Option<u64>,
}

/// What is asked.
#[derive(Debug)]
pub enum Ask {
    /// Whether this is the server of that plane.
    Hello,
    /// To append a commit, as an effect of `cause` if there is one.
    Commit {
        /// The commit.
        commit: Commit,
        /// Whose effect its energies are.
        cause: Option<Uuid>,
        /// Whether it is to be synced before it is acknowledged, whatever the server's durability.
        is_synced: bool,
    },
    /// The value of a key in a table.
    Value(Table, Vec<u8>),
    /// The keys of a table that begin so, with their values.
    Values(Table, Vec<u8>),
    /// The keys of a table between two, with their values.
    Range {
        /// The table.
        table: Table,
        /// The first key.
        from: Bound<Vec<u8>>,
        /// The last key.
        to: Bound<Vec<u8>>,
        /// The way.
        direction: Direction,
        /// How many.
        limit: u64,
    },
    /// To compact.
    Compact(Compacting),
    /// To have a spell go on from another place.
    Rewind {
        /// The spell.
        spell: String,
        /// A position or a time.
        to: String,
        /// Whether it forgets what it keeps.
        fresh: bool,
    },
}

/// Why a body is no ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is of another version.
    Version,
    /// It is malformed.
    Malformed,
}

impl Ask {
    /// Its form on the wire, to the server of the plane with that identity.
    #[must_use]
    pub fn bytes(&self, plane: Uuid) -> Vec<u8> {
        let mut out = Vec::new();
        write_str(&mut out, env!("CARGO_PKG_VERSION"));
        write_id(&mut out, plane);
        match self {
            Self::Hello => write_str(&mut out, "hello"),
            Self::Commit { commit, cause, is_synced } => {
                write_str(&mut out, "commit");
                write_bool(&mut out, *is_synced);
                write_optional(&mut out, *cause, write_id);
                write_commit(&mut out, commit);
            }
            Self::Value(table, key) => write_lookup(&mut out, "value", *table, key),
            Self::Values(table, prefix) => write_lookup(&mut out, "values", *table, prefix),
            Self::Range { table, from, to, direction, limit } => {
                write_str(&mut out, "range");
                write_int(&mut out, i64::from(*table as u8));
                write_bound(&mut out, from);
                write_bound(&mut out, to);
                write_bool(&mut out, *direction == Direction::Backward);
                write_count(&mut out, *limit);
            }
            Self::Compact(what) => {
                write_str(&mut out, "compact");
                write_bool(&mut out, what.all);
                write_bool(&mut out, what.keep_contents);
                write_optional(&mut out, what.before, write_count);
                write_optional(&mut out, what.rate, write_count);
            }
            Self::Rewind { spell, to, fresh } => {
                write_str(&mut out, "rewind");
                write_str(&mut out, spell);
                write_str(&mut out, to);
                write_bool(&mut out, *fresh);
            }
        }
        out
    }

    /// Reads it, and the identity of the plane that it is for.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn read(bytes: &[u8]) -> Result<(Uuid, Self), Unread> {
        let mut parts = Parts::new(bytes);
        if parts.text().as_deref() != Some(env!("CARGO_PKG_VERSION")) {
            return Err(Unread::Version);
        }
        let asked = parts.id().and_then(|plane| Some((plane, Self::read_parts(&mut parts)?)));
        asked.filter(|_| parts.is_end()).ok_or(Unread::Malformed)
    }

    fn read_parts(parts: &mut Parts<'_>) -> Option<Self> {
        Some(match parts.text()?.as_str() {
            "hello" => Self::Hello,
            "commit" => {
                let (is_synced, cause) = (parts.flag()?, parts.optional(Parts::id)?);
                Self::Commit { commit: read_commit(parts)?, cause, is_synced }
            }
            "value" => Self::Value(read_table(parts)?, parts.bytes()?.to_owned()),
            "values" => Self::Values(read_table(parts)?, parts.bytes()?.to_owned()),
            "range" => Self::Range {
                table: read_table(parts)?,
                from: read_bound(parts)?,
                to: read_bound(parts)?,
                direction: if parts.flag()? { Direction::Backward } else { Direction::Forward },
                limit: parts.count()?,
            },
            "compact" => Self::Compact(Compacting {
                all: parts.flag()?,
                keep_contents: parts.flag()?,
                before: parts.optional(Parts::count)?,
                rate: parts.optional(Parts::count)?,
            }),
            "rewind" => Self::Rewind { spell: parts.text()?, to: parts.text()?, fresh: parts.flag()? },
            _ => return None,
        })
    }
}

fn write_lookup(out: &mut Vec<u8>, what: &str, table: Table, key: &[u8]) {
    write_str(out, what);
    write_int(out, i64::from(table as u8));
    write_bin(out, key);
}

/// Whether the key itself is in, and the key; nothing where there is no bound.
fn write_bound(out: &mut Vec<u8>, bound: &Bound<Vec<u8>>) {
    let (is_in, key) = match bound {
        Bound::Included(key) => (true, Some(&**key)),
        Bound::Excluded(key) => (false, Some(&**key)),
        Bound::Unbounded => (false, None),
    };
    write_bool(out, is_in);
    write_optional(out, key, write_bin);
}

fn read_bound(parts: &mut Parts<'_>) -> Option<Bound<Vec<u8>>> {
    let (is_in, key) = (parts.flag()?, parts.optional(Parts::bytes)?);
    Some(match key.map(<[u8]>::to_owned) {
        Some(key) if is_in => Bound::Included(key),
        Some(key) => Bound::Excluded(key),
        None => Bound::Unbounded,
    })
}

fn read_table(parts: &mut Parts<'_>) -> Option<Table> {
    Table::of(u8::try_from(parts.count()?).ok()?)
}

fn write_commit(out: &mut Vec<u8>, commit: &Commit) {
    write_bool(out, commit.atomic);
    write_bool(out, commit.events.is_checked());
    write_array_len(out, commit.conditions.len());
    commit.conditions.iter().for_each(|condition| write_condition(out, condition));
    write_array_len(out, commit.changes.len());
    for change in commit.changes.iter() {
        write_int(out, i64::from(change.table as u8));
        write_bin(out, change.key);
        write_optional(out, change.value, write_bin);
    }
    write_array_len(out, commit.events.len());
    for event in commit.events.iter() {
        match event.extra().map_or(Expect::Any, |extra| extra.expect) {
            Expect::Any => write_nil(out),
            expect => write_str(out, &expect.to_string()),
        }
        write_record(event, out);
    }
}

fn read_commit(parts: &mut Parts<'_>) -> Option<Commit> {
    let (atomic, is_checked) = (parts.flag()?, parts.flag()?);
    let mut commit = Commit { atomic, ..Commit::default() };
    for _ in 0..parts.array()? {
        commit.conditions.push(read_condition(parts)?);
    }
    for _ in 0..parts.array()? {
        read_change(parts, &mut commit.changes)?;
    }
    let (mut reader, mut map) = (RecordReader::default(), Vec::new());
    for _ in 0..parts.array()? {
        let expect: Expect =
            parts.optional(Parts::text)?.map_or(Some(Expect::Any), |text| text.parse().ok())?;
        map.clear();
        canonicalize(parts.raw()?, &mut map).ok()?;
        if expect == Expect::Any {
            reader.read(&map, &mut commit.events).ok()?;
            continue;
        }
        let mut one = Events::default();
        reader.read(&map, &mut one).ok()?;
        push_expecting(&mut commit.events, &one, expect);
    }
    if is_checked {
        commit.events.require_check();
    }
    Some(commit)
}

/// Copies an energy, with its condition, which a record does not keep.
fn push_expecting(events: &mut Events, one: &Events, expect: Expect) {
    for event in one.iter() {
        let mut head = *event.head();
        head.topic = events.store_topic(event.topic_bytes());
        head.stream = events.store(event.stream_bytes());
        head.data = events.store(event.data());
        let extra = event.extra().cloned().unwrap_or_default();
        events.push(head, Some(Extra { expect, ..extra }));
    }
}

fn read_change(parts: &mut Parts<'_>, changes: &mut Changes) -> Option<()> {
    let (table, key) = (read_table(parts)?, parts.bytes()?);
    let value = parts.optional(Parts::bytes)?;
    changes.push(Change { table, key, value });
    Some(())
}

fn write_condition(out: &mut Vec<u8>, condition: &Absent) {
    let Query { topics, stream, tags, since_ms, until_ms, causation, correlation } = &condition.query;
    write_optional(out, condition.after, write_count);
    write_array_len(out, topics.len());
    topics.iter().for_each(|topic| write_str(out, &topic.to_string()));
    write_optional(out, stream.as_deref(), write_str);
    write_array_len(out, tags.len());
    for (tag, value) in tags {
        write_str(out, tag);
        write_str(out, value);
    }
    [since_ms, until_ms].into_iter().for_each(|time| write_optional(out, *time, write_int));
    [causation, correlation].into_iter().for_each(|id| write_optional(out, *id, write_id));
}

fn read_condition(parts: &mut Parts<'_>) -> Option<Absent> {
    let after = parts.optional(Parts::count)?;
    let mut query = Query::default();
    for _ in 0..parts.array()? {
        query.topics.push(Pattern::parse(&parts.text()?).ok()?);
    }
    query.stream = parts.optional(Parts::text)?;
    for _ in 0..parts.array()? {
        query.tags.push((parts.text()?, parts.text()?));
    }
    (query.since_ms, query.until_ms) = (parts.optional(Parts::int)?, parts.optional(Parts::int)?);
    (query.causation, query.correlation) = (parts.optional(Parts::id)?, parts.optional(Parts::id)?);
    Some(Absent { query, after })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Head;
    use crate::event::msgpack::write_map_len;

    fn commit() -> Commit {
        let mut events = Events::default();
        for (expect, topic) in [(Expect::Any, "a.b"), (Expect::Version(7), "")] {
            let mut head = Head::seed(Uuid::from_u128(7), 12);
            head.topic = events.store_topic(topic.as_bytes());
            head.stream = events.store(b"s");
            let mut data = Vec::new();
            write_map_len(&mut data, 1);
            write_str(&mut data, "n");
            write_int(&mut data, 5);
            head.data = events.store(&data);
            let tags = [("t".to_owned(), "v".to_owned())].into();
            events.push(head, Some(Extra { expect, tags, ..Extra::default() }));
        }
        events.require_check();
        let mut commit = Commit::of(events).atomic();
        commit.changes.put(Table::State, b"key", b"value");
        commit.changes.delete(Table::Cursor, b"\xff");
        let query = Query {
            topics: vec![Pattern::parse("a.*").unwrap()],
            stream: Some("s".to_owned()),
            tags: vec![("t".to_owned(), "v".to_owned())],
            until_ms: Some(-1),
            causation: Some(Uuid::from_u128(9)),
            ..Query::default()
        };
        commit.unless(query, Some(3))
    }

    #[test]
    fn a_commit_comes_over_as_it_was() {
        let plane = Uuid::from_u128(1);
        let ask = Ask::Commit { commit: commit(), cause: Some(Uuid::from_u128(2)), is_synced: true };
        let (id, read) = Ask::read(&ask.bytes(plane)).unwrap();
        assert_eq!(id, plane);
        assert_eq!(read.bytes(plane), ask.bytes(plane), "it has all that is written");
        let Ask::Commit { commit, .. } = read else { panic!("{read:?}") };
        assert!(commit.atomic && commit.events.is_checked() && commit.events.len() == 2);
        assert_eq!(commit.events.get(1).extra().unwrap().expect, Expect::Version(7));
        assert_eq!(commit.events.get(1).topic(), None);
        assert_eq!(commit.conditions[0].query.until_ms, Some(-1));
        assert_eq!(commit.changes.len(), 2);
    }

    #[test]
    fn what_is_cut_or_of_another_version_is_refused() {
        let ask = Ask::Commit { commit: commit(), cause: None, is_synced: false };
        let bytes = ask.bytes(Uuid::nil());
        for end in 0..bytes.len() {
            assert!(Ask::read(&bytes[..end]).is_err(), "{end} bytes");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x55;
            // Whatever it is then, it is read without a panic, and without taking what it says it needs.
            drop(Ask::read(&changed));
        }
        let mut other = Vec::new();
        write_str(&mut other, "0.0.0-other");
        assert_eq!(Ask::read(&other).unwrap_err(), Unread::Version);
    }
}
