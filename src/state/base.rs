//! Where a spell's state lies that is not in memory: its rows in the table of a log.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use super::Address;
use crate::log::{Bounds, Direction, Error, Log, Pair, Table};

/// See the module.
#[derive(Clone)]
pub struct Base {
    log: Arc<dyn Log>,
    spell: Arc<str>,
}

impl Base {
    /// What a log holds of the state of the spell with that name.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, spell: Arc<str>) -> Self {
        Self { log, spell }
    }

    /// The value of a key.
    pub(super) fn value(&self, scope: &[u8], bucket: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.log.value(Table::State, &self.address(scope, bucket, key))
    }

    /// The first entries in a range of a bucket's keys, at most `limit`: the last ones if `reverse`.
    pub(super) fn page(
        &self,
        (scope, bucket): (&[u8], &[u8]),
        (from, to): Bounds<'_>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<Pair>, Error> {
        let prefix = self.address(scope, bucket, &[]);
        let whole = |bound: Bound<&[u8]>| bound.map(|key| [&prefix, key].concat());
        let (from, to) = (whole(from), whole(to));
        let bounds = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        let direction = if reverse { Direction::Backward } else { Direction::Forward };
        let mut page = self.log.range(Table::State, bounds, direction, limit)?;
        for (key, _) in &mut page {
            key.drain(..prefix.len());
        }
        Ok(page)
    }

    fn address(&self, scope: &[u8], bucket: &[u8], key: &[u8]) -> Vec<u8> {
        let mut address = Vec::with_capacity(self.spell.len() + scope.len() + bucket.len() + key.len() + 12);
        Address { spell: self.spell.as_bytes(), scope, bucket, key }.write(&mut address);
        address
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base").field("spell", &self.spell).finish_non_exhaustive()
    }
}
