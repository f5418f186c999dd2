//! What comes of spells that cannot be opened: every problem, and what they printed before.

use std::io;
use std::sync::Arc;

use super::Sink;
use super::worker::Opened;
use crate::log;
use crate::runeset::Diagnostic;
use crate::spell::{OpenError, Round, Spell, report};

/// Why there is no engine.
#[derive(Debug, Default)]
pub struct Unopened {
    /// One for each spell that failed, in spell order.
    pub problems: Vec<Diagnostic>,
    /// Those spells, by index; none where the log could not be read.
    pub spells: Vec<usize>,
    prints: Vec<u8>,
    notes: Vec<u8>,
}

impl Unopened {
    /// `lanes` holds the spell of each lane.
    pub(super) fn new(spells: &[Arc<Spell>], lanes: &[u32], opened: Opened) -> Self {
        let opened_lanes = opened.rounds.into_iter().map(|(lane, round)| (lane, Ok(round)));
        let failed_lanes = opened.failed.into_iter().map(|(lane, error)| (lane, Err(error)));
        let mut all: Vec<(usize, Result<Round, OpenError>)> = opened_lanes.chain(failed_lanes).collect();
        all.sort_by_key(|(lane, _)| *lane);
        // All lanes of a spell prepare alike; one speaks for them.
        all.dedup_by_key(|(lane, _)| lanes[*lane]);
        let mut unopened = Self::default();
        for (lane, result) in all {
            match result {
                Ok(round) => unopened.keep(&round),
                Err(OpenError::Fault(_, round)) if round.failure.is_some() => {
                    // No fault of the spell.
                    return round.failure.map_or_else(Self::default, Self::of_log);
                }
                Err(error) => {
                    unopened.spells.push(lanes[lane] as usize);
                    unopened.fail(&spells[lanes[lane] as usize], error);
                }
            }
        }
        unopened
    }

    /// The log could not be read.
    pub(super) fn of_log(error: log::Error) -> Self {
        Self { problems: vec![Diagnostic::error(error.to_string())], ..Self::default() }
    }

    /// The problems.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.problems.iter()
    }

    /// Writes what the spells printed and logged.
    pub fn tell(&self, sink: &mut dyn Sink) -> io::Result<()> {
        sink.print(&self.prints)?;
        sink.note(&self.notes)
    }

    fn keep(&mut self, round: &Round) {
        self.prints.extend_from_slice(&round.prints);
        self.notes.extend_from_slice(&round.notes);
    }

    fn fail(&mut self, spell: &Spell, error: OpenError) {
        let problem = match error {
            OpenError::Fault(fault, round) => {
                self.keep(&round);
                report::hook_fault(spell, "prepare", &fault)
            }
            OpenError::Migrate(fault, round) => {
                self.keep(&round);
                report::hook_fault(spell, "migrate", &fault)
            }
            OpenError::Vm(error) => Diagnostic::error(error.to_string()).in_file(&spell.path),
        };
        self.problems.push(problem);
    }
}
