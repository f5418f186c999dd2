//! Folds pages of energies in memory: the states of the keys that they touch.
//!
//! The VM holds the states of the keys it has seen, up to [`HELD_BYTES_MAX`]; then it starts over. A state that it
//! does not hold is asked of the caller.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::store::Kept;
use super::{Error, key};
use crate::event::Events;
use crate::spell::{Clocks, Fold, Folder, report};

/// Bytes of the states in the VM's hands.
const HELD_BYTES_MAX: u64 = 64 << 20;

/// See the module.
pub struct Folding<'a> {
    fold: &'a Fold,
    clocks: Clocks,
    folder: Option<Folder>,
    /// What the VM has been asked about.
    known: HashSet<Vec<u8>>,
    touched: HashMap<Vec<u8>, Kept>,
    prints: Vec<u8>,
}

/// Tells the state of a key before it was touched.
pub type Before<'b> = &'b mut dyn FnMut(&[u8]) -> Result<Option<Vec<u8>>, Error>;

impl<'a> Folding<'a> {
    /// Nothing is folded yet. The VM is made when it is needed.
    pub fn new(fold: &'a Fold, clocks: Clocks) -> Self {
        Self {
            fold,
            clocks,
            folder: None,
            known: HashSet::new(),
            touched: HashMap::new(),
            prints: Vec::new(),
        }
    }

    /// Folds a page. After an error it is of no further use.
    pub fn page(&mut self, events: &Arc<Events>, before: Before<'_>) -> Result<(), Error> {
        let folder = match &mut self.folder {
            Some(folder) => folder,
            None => self.folder.insert(self.fold.open(self.clocks)?),
        };
        if folder.held_bytes() > HELD_BYTES_MAX {
            folder.forget();
            self.known.clear();
        }
        let mut keys = Vec::with_capacity(events.len());
        for event in events.iter() {
            let scope = self.fold.scope(event);
            let key = key::of_scope(&self.fold.by, &scope);
            if !self.known.contains(&*scope) {
                let state = match self.touched.get(&key) {
                    Some(kept) => kept.state.clone(),
                    None => before(&key)?,
                };
                if let Some(state) = state {
                    folder.give(&scope, &state);
                }
                self.known.insert(scope.into_owned());
            }
            keys.push(key);
        }
        let touched = &mut self.touched;
        let folded = folder.fold(events, |index, state| {
            let index = index as usize;
            let position = events.get(index).head().position;
            let kept = Kept { position, state: state.map(<[u8]>::to_owned) };
            touched.insert(std::mem::take(&mut keys[index]), kept);
        });
        self.prints.append(&mut folder.take_prints());
        folded.map_err(|(index, fault)| {
            let event = events.get(index as usize);
            Error::Fault(Box::new(report::fold_fault(self.fold, &fault, Some(event))))
        })
    }

    /// The keys that were touched since this was asked last, and their states now.
    pub fn take_touched(&mut self) -> HashMap<Vec<u8>, Kept> {
        std::mem::take(&mut self.touched)
    }

    /// What was printed and logged.
    pub fn take_prints(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.prints)
    }
}
