//! The best of each span, for windows with `top`: the other keys of the span give no result.

use std::collections::BTreeMap;

use super::super::score::Score;
use super::options::TOP;
use super::panes::{Pane, append_record};
use crate::spell::raw::{Frame, Kind, Raise};

/// What a span has so far.
pub(super) struct Ranking {
    n: usize,
    pane: Option<Pane>,
    /// Key and value by place: the highest first, of equal ones in the order of the keys.
    best: BTreeMap<Vec<u8>, (Vec<u8>, Vec<u8>)>,
}

impl Ranking {
    /// None for windows without `top`.
    pub fn new(frame: &mut Frame<'_>, parts: i32) -> Option<Self> {
        let n = if frame.raw_geti(parts, TOP) == Kind::Nil { None } else { frame.int_at(-1) };
        frame.pop(1);
        n.map(|n| Self { n: n as usize, pane: None, best: BTreeMap::new() })
    }

    /// Takes the next entry; spans come one after the other.
    pub fn add(
        &mut self,
        frame: &mut Frame<'_>,
        parts: i32,
        pane: Pane,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), Raise> {
        if self.pane != Some(pane) {
            self.finish(frame, parts)?;
            self.pane = Some(pane);
        }
        let Some(score) = Score::stored(value) else {
            return Err(Raise::message("`top` ranks numbers; give the window a `fold` that makes one"));
        };
        let place = score.place(name);
        let is_full = self.best.len() == self.n;
        if is_full && self.best.last_key_value().is_some_and(|(last, _)| place > *last) {
            return Ok(());
        }
        if is_full {
            self.best.pop_last();
        }
        self.best.insert(place, (name.to_vec(), value.to_vec()));
        Ok(())
    }

    /// Appends the best of the span to the list on top.
    pub fn finish(&mut self, frame: &mut Frame<'_>, parts: i32) -> Result<(), Raise> {
        let Some(pane) = self.pane.take() else { return Ok(()) };
        for (name, value) in std::mem::take(&mut self.best).into_values() {
            append_record(frame, parts, pane, &name, &value)?;
        }
        Ok(())
    }
}
