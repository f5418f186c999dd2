//! From the log to the tables: what was not folded yet, or no longer is.

use std::sync::Arc;

use super::layer::Layer;
use super::store::{Failure, Store};
use super::{Base, Tables};
use crate::log::Error;
use crate::log::file::frames::{FrameReader, Next};
use crate::log::file::plane::Plane;
use crate::log::file::segment::HEADER_BYTES;
use crate::log::file::view::Part;

impl Plane {
    /// Sees to it that what comes before the layers is known. Needs `storing`.
    pub(super) fn prepare_tables(&self) -> Result<(), Error> {
        let tables = &self.tables;
        let (upto, claim, done) = {
            let state = tables.state();
            if !matches!(state.base, Base::Unread) {
                return Ok(());
            }
            (state.covered_from(), state.claim, state.done)
        };
        if !tables.is_owner {
            return self.fill_gaps();
        }
        let (mut store, applied) = match tables.open_store(self, claim, done)? {
            Some((store, applied)) => (Some(Arc::new(store)), applied),
            None => (None, 0),
        };
        let mut caught = Layer::new(applied);
        if applied < upto {
            let limit = self.options.checkpoint_bytes;
            self.fold(&mut caught, upto, &mut |layer| {
                if layer.bytes() < limit {
                    return Ok(());
                }
                let next = layer.next;
                let full = Arc::new(std::mem::replace(layer, Layer::new(next)));
                let store = match &store {
                    Some(store) => store.clone(),
                    None => store.insert(Arc::new(tables.create_store(self)?)).clone(),
                };
                store.write(&[full], next).or_else(|failure| {
                    store.shut();
                    tables.failed(&*self.options.disk, &failure)?;
                    Err(tables.error(&failure))
                })
            })?;
        }
        let mut state = tables.state_mut();
        if caught.next > caught.from {
            state.frozen.insert(0, Arc::new(caught));
        }
        state.base = store.map_or(Base::Nothing, Base::Stored);
        Ok(())
    }

    /// Opened to read: folds what is not in the layers. Needs `storing`.
    fn fill_gaps(&self) -> Result<(), Error> {
        let tables = &self.tables;
        loop {
            let (from, upto) = {
                let mut state = tables.state_mut();
                match state.gap(0) {
                    Some(gap) => gap,
                    None => {
                        state.base = Base::Nothing;
                        break;
                    }
                }
            };
            let mut caught = Layer::new(from);
            self.fold(&mut caught, upto, &mut |_| Ok(()))?;
            let mut state = tables.state_mut();
            let at = state.frozen.partition_point(|layer| layer.next <= from);
            state.frozen.insert(at, Arc::new(caught));
        }
        tables.tidy();
        Ok(())
    }

    /// Folds commits from where a layer ends up to `upto`; shows the layer after each.
    fn fold(
        &self,
        layer: &mut Layer,
        upto: u64,
        after: &mut dyn FnMut(&mut Layer) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if layer.next >= upto {
            return Ok(());
        }
        let parts: Vec<Part> = {
            let view = self.view();
            (0..view.len()).map(|at| view.part(at)).collect()
        };
        let first = parts.partition_point(|part| part.header.sequence <= layer.next).saturating_sub(1);
        for part in parts[first..].iter().take_while(|part| part.header.sequence < upto) {
            tracing::debug!(segment = %part.path.display(), "its changes are folded");
            fold_part(part, layer, upto, after)?;
        }
        layer.next = upto;
        Ok(())
    }
}

fn fold_part(
    part: &Part,
    layer: &mut Layer,
    upto: u64,
    after: &mut dyn FnMut(&mut Layer) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut reader = FrameReader::new(part.file.clone(), HEADER_BYTES as u64, part.end);
    let mut position = part.header.first;
    loop {
        let at = reader.offset();
        let flaw = match reader.next_frame().map_err(Error::io("read", &part.path))? {
            Next::Frame { frame, .. } if frame.header.sequence >= upto => return Ok(()),
            Next::Frame { frame, .. } => {
                position = frame.header.first + u64::from(frame.header.count);
                let sequence = frame.header.sequence;
                match frame.changes() {
                    Some(changes) if sequence >= layer.next => {
                        layer.apply(sequence, &changes);
                        after(layer)?;
                        continue;
                    }
                    Some(_) => continue,
                    None => "the frame makes no sense".to_owned(),
                }
            }
            Next::End if at >= part.end => return Ok(()),
            Next::End => "there are zeros in its middle".to_owned(),
            Next::Flawed(flaw) => flaw.to_string(),
        };
        let (path, positions) = (part.path.clone(), Some((position, position)));
        return Err(Error::Damaged { path, offset: at, reason: flaw, positions });
    }
}

impl Tables {
    /// Opens the file, if there is one that is the log's; with it the sequence below which commits are in it.
    fn open_store(&self, plane: &Plane, claim: u64, done: u64) -> Result<Option<(Store, u64)>, Error> {
        let disk = &*plane.options.disk;
        if !disk.exists(&self.path) {
            return Ok(None);
        }
        let reason = match Store::open(disk, &self.path, self.plane) {
            Ok((_, applied)) if applied > claim => "it is ahead of the log".to_owned(),
            Ok((_, applied)) if applied < done => "it is older than it says".to_owned(),
            Ok(found) => return Ok(Some(found)),
            Err(Failure::Damaged(reason)) => reason,
            Err(failure) => return Err(self.error(&failure)),
        };
        self.remove(disk, &reason)?;
        self.state_mut().done = 0;
        Ok(None)
    }

    pub(super) fn create_store(&self, plane: &Plane) -> Result<Store, Error> {
        let disk = &*plane.options.disk;
        let created = Store::create(disk, &self.path, self.plane);
        created.map_err(|failure| {
            // What is half made is none.
            let _best_effort = disk.remove(&self.path);
            self.error(&failure)
        })
    }
}
