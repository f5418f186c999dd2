//! A projection as it changes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Error, Projection, Row, key, row};
use crate::log::{FileLog, Log};

/// See [`watch_projection`].
#[derive(Debug)]
pub struct Watch<'a> {
    log: &'a FileLog,
    projection: &'a mut Projection,
    key: Option<Vec<u8>>,
    position: u64,
}

/// Watches the state of a key, given as MessagePack, or of all keys, from `position` on: the next position of the log
/// whose energies are news.
#[must_use]
pub fn watch_projection<'a>(
    log: &'a FileLog,
    projection: &'a mut Projection,
    key: Option<&[u8]>,
    position: u64,
) -> Watch<'a> {
    Watch { log, projection, key: key.map(key::of_value), position }
}

impl Watch<'_> {
    /// Waits for news, at most `timeout`: the keys that changed, in their order, each with its state now. None when
    /// there is no news. The store is open only while it folds, so that others can ask meanwhile.
    pub fn next(&mut self, timeout: Duration) -> Result<Vec<Row>, Error> {
        let (since, until) = (self.position, self.log.wait(self.position, timeout));
        if until <= since {
            return Ok(Vec::new());
        }
        let mut changed = BTreeMap::new();
        let (store, from) = self.projection.catch_up(self.log, until, &mut |key, kept| {
            changed.insert(key.to_owned(), kept.clone());
        })?;
        if from > since {
            // Another process has folded some of it. Which keys were forgotten is then not known.
            changed.extend(store.all(|kept| kept.position >= since)?);
        }
        self.projection.release();
        self.position = until;
        changed.retain(|_, kept| kept.position >= since);
        if let Some(key) = &self.key {
            changed.retain(|changed, _| changed == key);
        }
        Ok(changed.into_iter().map(row).collect())
    }

    /// Up to where news was told.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The states that the news told so far have led to.
    pub fn states(&mut self) -> Result<Vec<Row>, Error> {
        let (store, _) = self.projection.catch_up(self.log, self.position, &mut |_, _| {})?;
        Ok(super::now(store, self.key.clone())?.into_iter().map(row).collect())
    }

    /// The projection, between two calls.
    pub fn projection(&mut self) -> &mut Projection {
        self.projection
    }
}
