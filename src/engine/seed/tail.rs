//! How far seeds were read, in a log that remembers it.
//!
//! For each source the log keeps how many records were read and the chain over them, from which their ids are derived.
//! Another run passes over as many records and compares the chain: so a run that is repeated, or was killed, goes
//! on where it stopped, a file that has grown gives what is new, and one that was changed is noticed. What is
//! read anew begins a chain of its own, for its energies are other ones.

use std::collections::HashMap;

use crate::event::envelope::SeedChain;
use crate::log::{self, Changes, Log, Table};
use crate::runeset::Diagnostic;

/// Where a source stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    /// What its chain began with.
    name: String,
    chain: SeedChain,
}

impl Mark {
    /// Records, chain (little endian), then the name.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.chain.ordinal.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.chain.chain.to_le_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (ordinal, rest) = bytes.split_first_chunk::<8>()?;
        let (chain, name) = rest.split_first_chunk::<16>()?;
        let chain = SeedChain { chain: u128::from_le_bytes(*chain), ordinal: u64::from_le_bytes(*ordinal) };
        Some(Self { name: String::from_utf8(name.to_vec()).ok()?, chain })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tail {
    known: HashMap<Vec<u8>, Mark>,
    /// What no other run has.
    unique: u64,
    again: bool,
    /// The source at hand: its key and the name of its chain.
    current: Option<(Vec<u8>, String)>,
    /// What was read since the last commit.
    read: Vec<(Vec<u8>, Mark)>,
}

impl Tail {
    pub fn new(log: &dyn Log, again: bool) -> Result<Self, log::Error> {
        let marks = log.values(Table::Seed, &[])?;
        let known = marks.into_iter().filter_map(|(key, value)| Some((key, Mark::read(&value)?))).collect();
        Ok(Self { known, unique: log.head(), again, current: None, read: Vec::new() })
    }

    /// Begins a source; returns what its chain begins with, and what of it was read before.
    pub fn begin(&mut self, name: &str, is_stream: bool) -> (String, Option<SeedChain>) {
        let known = self.known.get(name.as_bytes()).filter(|_| !self.again && !is_stream).cloned();
        let (chain_name, passed) = match known {
            Some(Mark { name, chain }) => (name, Some(chain)),
            None if self.again || is_stream => (format!("{name}\0\0{}", self.unique), None),
            None => (name.to_owned(), None),
        };
        self.current = (!is_stream).then(|| (name.as_bytes().to_vec(), chain_name.clone()));
        (chain_name, passed)
    }

    /// The source at hand was read so far.
    pub fn come_to(&mut self, chain: &SeedChain) {
        let Some((key, name)) = &self.current else { return };
        let mark = Mark { name: name.clone(), chain: chain.clone() };
        match self.read.last_mut().filter(|(last, _)| last == key) {
            Some((_, last)) => *last = mark,
            None => self.read.push((key.clone(), mark)),
        }
    }

    /// Adds what was read since the last commit.
    pub fn record(&mut self, changes: &mut Changes) {
        for (key, mark) in self.read.drain(..) {
            // What is only passed over is no news.
            if self
                .known
                .get(&key)
                .is_none_or(|known| *known != mark && known.chain.ordinal <= mark.chain.ordinal)
                || self.again
            {
                changes.put(Table::Seed, &key, &mark.bytes());
            }
        }
    }
}

/// A file that has lost records.
#[cold]
pub(super) fn shorter(shown: &str) -> Diagnostic {
    Diagnostic::error(format!("`{shown}` is shorter than it was when it was read last"))
        .help("`--again` reads it anew, as other energies")
}
