//! From memory to the file: layers are written in one transaction, when they are large, when a segment is
//! sealed, and on closing when it is worth it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Base;
use super::layer::Layer;
use super::store::{Failure, Store};
use crate::log::Error;
use crate::log::file::plane::Plane;

/// Bytes of changes that stay in the log alone when a plane is closed: opening folds them in a few milliseconds,
/// which is less than a checkpoint takes.
const CLOSE_BYTES: usize = 1 << 20;

/// Times [`Options::checkpoint_bytes`](crate::log::file::Options::checkpoint_bytes) that layers take at most.
const BACKLOG: usize = 4;

impl Plane {
    /// After an append: asks for a checkpoint when the layers are large, and waits for it when they are far too large.
    pub fn relieve_tables(&self, (recent, all): (usize, usize)) {
        let tables = &self.tables;
        let limit = self.options.checkpoint_bytes;
        if recent < limit || recent < tables.retry_bytes.load(Ordering::Relaxed) {
            return;
        }
        let is_behind = all > limit.saturating_mul(BACKLOG);
        if is_behind || !self.ask_checkpoint() {
            self.checkpoint_or_warn();
        }
    }

    /// A segment was sealed: where there are changes, those in it should not have to be read again.
    pub(in crate::log::file) fn checkpoint_sealed(&self) {
        let has_any = {
            let state = self.tables.state();
            !state.recent.is_empty() || !state.frozen.is_empty() || !matches!(state.base, Base::Unread)
        };
        if has_any || self.options.disk.exists(&self.tables.path) {
            self.checkpoint_or_warn();
        }
    }

    /// The plane is being closed.
    pub(in crate::log::file) fn close_tables(&self) {
        let first = self.view().active.header.sequence;
        let is_worth_it = {
            let state = self.tables.state();
            let is_unread = matches!(state.base, Base::Unread);
            let from = state.covered_from();
            // What an unread file lacks was not asked for until now.
            state.recent.bytes() + state.frozen_bytes() >= CLOSE_BYTES
                || (from < first && !(is_unread && state.recent.is_empty()))
        };
        if is_worth_it {
            self.checkpoint_or_warn();
        }
        let base = std::mem::take(&mut self.tables.state_mut().base);
        if let Base::Stored(store) = base {
            store.shut();
        }
    }

    /// A checkpoint that may fail: what it would have written stays in memory and in the log.
    pub(in crate::log::file) fn checkpoint_or_warn(&self) {
        let tables = &self.tables;
        tables.asked.store(false, Ordering::Release);
        if let Err(error) = self.checkpoint() {
            tracing::warn!(%error, "the tables were not written: they stay in memory and in the log");
            // Not with each append.
            let bytes = tables.state().recent.bytes();
            tables.retry_bytes.store(bytes + self.options.checkpoint_bytes, Ordering::Relaxed);
        } else {
            tables.retry_bytes.store(0, Ordering::Relaxed);
        }
    }

    /// Writes what the layers have to the file.
    pub fn checkpoint(&self) -> Result<(), Error> {
        let tables = &self.tables;
        let _storing = tables.storing();
        let mut is_second = false;
        loop {
            self.prepare_tables()?;
            let (layers, upto, store) = {
                let mut state = tables.state_mut();
                state.freeze();
                (state.storing, state.claim) = (state.frozen.len(), state.recent.from);
                let store = if let Base::Stored(store) = &state.base { Some(store.clone()) } else { None };
                (state.frozen.clone(), state.recent.from, store)
            };
            let result = self.write_tables(&layers, upto, store);
            {
                let mut state = tables.state_mut();
                state.storing = 0;
                if let Ok(Ok(store)) = result {
                    state.frozen.drain(..layers.len());
                    state.done = upto;
                    state.base = store.map_or(Base::Nothing, Base::Stored);
                    return Ok(());
                }
            }
            let Err(failure) = result? else { continue };
            tables.failed(&*self.options.disk, &failure)?;
            if is_second || matches!(failure, Failure::Io(_)) {
                return Err(tables.error(&failure));
            }
            is_second = true;
        }
    }

    /// Returns the file, if one is needed.
    fn write_tables(
        &self,
        layers: &[Arc<Layer>],
        upto: u64,
        store: Option<Arc<Store>>,
    ) -> Result<Result<Option<Arc<Store>>, Failure>, Error> {
        self.syncer.sync_to(upto)?;
        let store = match store {
            Some(store) => store,
            None if layers.iter().all(|layer| layer.is_empty()) && self.view().sealed.is_empty() => {
                return Ok(Ok(None));
            }
            None => Arc::new(self.tables.create_store(self)?),
        };
        Ok(store.write(layers, upto).map(|()| Some(store)))
    }
}
