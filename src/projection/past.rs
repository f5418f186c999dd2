//! States as they were at an old position: those of the snapshot before it, and what was folded since.
//!
//! Costs a look-up for each key that is asked for, and at most `snapshot_every` folds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::folding::Folding;
use super::progress::own;
use super::store::{Kept, Store};
use super::{Error, key};
use crate::event::msgpack::{Reader, Token};
use crate::event::{EventRef, Events};
use crate::log::{FileLog, Pages, Query};
use crate::spell::{By, Clocks, Fold};

/// The state of a key, or of all, once every energy below `until` was folded, which the store has done. What a fold
/// prints was printed before.
pub fn rows(
    store: &Store,
    (fold, clocks): (&Fold, Clocks),
    log: &FileLog,
    wanted: Option<&[u8]>,
    until: u64,
) -> Result<Vec<(Vec<u8>, Kept)>, Error> {
    let boundary = store.snapshot_before(until)?;
    let is_wanted = |event: EventRef<'_>| {
        wanted.is_none_or(|wanted| key::of_scope(&fold.by, &fold.scope(event)) == wanted)
    };
    let (query, mut folding) = (query(fold, wanted), Folding::new(fold, clocks));
    let mut pages = Pages::forward(boundary, until);
    let (mut found, mut page) = (Events::default(), Arc::new(Events::default()));
    while pages.next(log, &query, &mut found)? {
        let copy = own(&mut page);
        copy.clear();
        found.iter().filter(|event| is_wanted(*event)).for_each(|event| copy.push_copy(event));
        if !page.is_empty() {
            folding.page(&page, &mut |key| Ok(store.state_at(key, boundary)?.and_then(|kept| kept.state)))?;
        }
    }
    let before = match wanted {
        Some(key) => store.state_at(key, boundary)?.map(|kept| (key.to_owned(), kept)).into_iter().collect(),
        None => store.all_at(boundary)?,
    };
    let mut rows: BTreeMap<_, _> = before.into_iter().collect();
    rows.extend(folding.take_touched());
    rows.retain(|_, kept| kept.state.is_some());
    Ok(rows.into_iter().collect())
}

/// The energies that can touch the key: a stream has an index.
fn query(fold: &Fold, wanted: Option<&[u8]>) -> Query {
    let value = wanted.filter(|_| fold.by == By::Stream).map(key::value).unwrap_or_default();
    let stream = match Reader::new(&value).token() {
        Ok(Token::Str(stream)) => Some(String::from_utf8_lossy(stream).into_owned()),
        _ => None,
    };
    Query { stream, ..fold.query() }
}
