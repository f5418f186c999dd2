//! A spell that stands before one cast, to be asked: `event`, `envelope` and `state` are as the cast would have them.

use super::fault::{Fault, FaultKind};
use super::host::Round;
use super::raw::Vm;

/// See the module. Lines run in the spell's VM, under its limits; nothing of what they do leaves it.
pub struct Prompt<'l> {
    vm: &'l mut Vm,
}

/// What came of a line.
#[derive(Debug)]
pub struct Answer {
    /// Its results as text: tables as JSON.
    pub results: Vec<String>,
    /// What it printed, and the energies that it emitted.
    pub round: Round,
    /// Why it failed.
    pub fault: Option<Fault>,
}

impl Answer {
    /// Whether the line is the beginning of a statement that goes on in the next one.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        let is_cut = |fault: &Fault| fault.kind == FaultKind::Syntax && fault.message.ends_with("near <eof>");
        self.fault.as_ref().is_some_and(is_cut)
    }
}

impl<'l> Prompt<'l> {
    pub(super) fn new(vm: &'l mut Vm) -> Self {
        Self { vm }
    }

    /// Evaluates an expression or a statement.
    pub fn evaluate(&mut self, line: &str) -> Answer {
        let (results, fault) = match self.vm.evaluate_line(line) {
            Ok(results) => (results, None),
            Err(fault) => (Vec::new(), Some(fault)),
        };
        Answer { results, fault, round: std::mem::take(&mut self.vm.host().round) }
    }
}
