//! Several sources of keys in order become one: where two have a key, the later one counts.

use std::borrow::Borrow;
use std::cmp::Ordering;

use super::layer::{Layer, Slot};
use super::store::{Failure, Range, Snapshot, Stored};
use crate::log::{Bounds, Direction, Table};

/// What a source has next.
enum Head<'a> {
    Slot(&'a [u8], &'a Slot),
    Stored(Stored),
}

impl Head<'_> {
    fn key(&self) -> &[u8] {
        match self {
            Self::Slot(key, _) => key,
            Self::Stored(stored) => stored.key(),
        }
    }
}

enum Source<'a> {
    Layer(Box<dyn Iterator<Item = (&'a [u8], &'a Slot)> + 'a>),
    Stored(Box<Range>),
}

impl<'a> Source<'a> {
    fn next(&mut self) -> Result<Option<Head<'a>>, Failure> {
        match self {
            Self::Layer(layer) => Ok(layer.next().map(|(key, slot)| Head::Slot(key, slot))),
            Self::Stored(range) => Ok(range.next()?.map(Head::Stored)),
        }
    }
}

/// Shows the values of the keys in a range, until told to stop. Layers are ordered from old to new, and
/// are newer than what is stored. The range must not be void.
pub fn values<L: Borrow<Layer>>(
    stored: Option<&Snapshot>,
    layers: &[L],
    (table, bounds, direction): (Table, Bounds<'_>, Direction),
    mut show: impl FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), Failure> {
    let mut sources = Vec::with_capacity(layers.len() + 1);
    if let Some(stored) = stored {
        sources.push(Source::Stored(Box::new(stored.range(table, bounds, direction)?)));
    }
    sources.extend(layers_of(layers, table, bounds, direction));
    merge(sources, direction, |head| match head {
        Head::Slot(key, slot) => Ok(slot.value.as_ref().is_none_or(|value| show(key, value))),
        Head::Stored(stored) => Ok(show(stored.key(), stored.value()?)),
    })
}

/// Shows the last changes of the keys in a range, removals too, until told to stop.
pub fn changes<L: Borrow<Layer>>(
    layers: &[L],
    table: Table,
    bounds: Bounds<'_>,
    direction: Direction,
    mut show: impl FnMut(&[u8], &Slot) -> bool,
) {
    let sources: Vec<_> = layers_of(layers, table, bounds, direction).collect();
    // Only what is stored can fail.
    let _never_fails = merge(sources, direction, |head| match head {
        Head::Slot(key, slot) => Ok(show(key, slot)),
        Head::Stored(_) => Ok(true),
    });
}

fn layers_of<'a, L: Borrow<Layer>>(
    layers: &'a [L],
    table: Table,
    bounds: Bounds<'a>,
    direction: Direction,
) -> impl Iterator<Item = Source<'a>> {
    let full = layers.iter().map(Borrow::borrow).filter(|layer| !layer.is_empty());
    full.map(move |layer| Source::Layer(layer.range(table, bounds, direction)))
}

/// Sources are ordered from old to new.
fn merge<'a>(
    mut sources: Vec<Source<'a>>,
    direction: Direction,
    mut show: impl FnMut(&Head<'a>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let mut heads = Vec::with_capacity(sources.len());
    for source in &mut sources {
        heads.push(source.next()?);
    }
    loop {
        let mut best: Option<usize> = None;
        for at in (0..heads.len()).rev() {
            let Some(head) = &heads[at] else { continue };
            let Some(other) = best.and_then(|best: usize| heads[best].as_ref()) else {
                best = Some(at);
                continue;
            };
            let order = head.key().cmp(other.key());
            let order = if direction == Direction::Forward { order } else { order.reverse() };
            match order {
                Ordering::Less => best = Some(at),
                Ordering::Greater => {}
                // An older value of a key that a newer source has.
                Ordering::Equal => heads[at] = sources[at].next()?,
            }
        }
        let Some(best) = best else { return Ok(()) };
        if let Some(head) = heads[best].take()
            && !show(&head)?
        {
            return Ok(());
        }
        heads[best] = sources[best].next()?;
    }
}
