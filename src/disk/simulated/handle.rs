//! The calls of [`Disk`], [`File`] and [`Lock`] on a simulated disk: power and faults first, then the work.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::faults::Fault;
use super::tree::NodeId;
use super::{FILE_BYTES_MAX, SimulatedDisk, State};
use crate::disk::{Disk, File, Lock, Mode};

/// An open file.
#[derive(Debug)]
struct Handle {
    disk: SimulatedDisk,
    id: NodeId,
    crashes: u64,
    is_writable: bool,
}

/// A lock that is held.
#[derive(Debug)]
struct Held {
    disk: SimulatedDisk,
    id: NodeId,
    crashes: u64,
}

impl Handle {
    /// That it may be written up to `end`; `denied` is what the system says of one opened to read.
    fn check_write(&self, state: &mut State, end: Option<u64>, denied: Errno) -> io::Result<()> {
        state.opened(self.id, self.crashes)?;
        if !self.is_writable {
            return Err(denied.into());
        }
        match end {
            Some(end) if end <= FILE_BYTES_MAX => Ok(()),
            _ => Err(Errno::FBIG.into()),
        }
    }
}

impl File for Handle {
    fn len(&self) -> io::Result<u64> {
        self.disk.look(|state| Ok(state.opened(self.id, self.crashes)?.cached().len()))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.look(|state| {
            state.opened(self.id, self.crashes)?;
            state.fails(Fault::Read)?;
            Ok(state.tree.file(self.id)?.cached().read(buffer, offset))
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.disk.operate(|state| {
            let end = offset.checked_add(bytes.len() as u64);
            self.check_write(state, end, Errno::BADF)?;
            if bytes.is_empty() {
                return Ok(0);
            }
            let mut count = bytes.len();
            let room_bytes = state.tree.file(self.id)?.room_bytes;
            if end.is_some_and(|end| end > room_bytes) {
                let left = state.reach_bytes(room_bytes).saturating_sub(offset);
                count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
                if count == 0 {
                    return Err(Errno::NOSPC.into());
                }
            }
            if state.hits(Fault::Write) {
                let written = state.random.below(count as u64 + 1) as usize;
                state.tree.file_mut(self.id)?.write(&bytes[..written], offset);
                return Err(Errno::IO.into());
            }
            if state.hits(Fault::ShortWrite) && count > 1 {
                count = 1 + state.random.below(count as u64 - 1) as usize;
            }
            state.tree.file_mut(self.id)?.write(&bytes[..count], offset);
            Ok(count)
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.operate(|state| {
            state.opened(self.id, self.crashes)?;
            state.powered()?;
            if state.hits(Fault::Sync) {
                let then = state.faults.failed_sync;
                state.tree.file_mut(self.id)?.fail_sync(then, &mut state.random);
                return Err(Errno::IO.into());
            }
            if !state.hits(Fault::SyncLie) {
                state.tree.file_mut(self.id)?.sync();
            }
            Ok(())
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.operate(|state| {
            let content = state.opened(self.id, self.crashes)?;
            let room_bytes = content.room_bytes;
            if content.cached().len() >= len {
                return Ok(());
            }
            self.check_write(state, Some(len), Errno::BADF)?;
            state.fails(Fault::Resize)?;
            if state.reach_bytes(room_bytes) < len {
                return Err(Errno::NOSPC.into());
            }
            let content = state.tree.file_mut(self.id)?;
            content.set_len(len);
            content.room_bytes = content.room_bytes.max(len);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.operate(|state| {
            self.check_write(state, Some(len), Errno::INVAL)?;
            state.fails(Fault::Resize)?;
            state.tree.file_mut(self.id)?.set_len(len);
            Ok(())
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.crashes == self.crashes {
            state.tree.close(self.id);
        }
    }
}

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if let Ok(content) = state.opened(self.id, self.crashes) {
            content.is_locked = false;
        }
        if state.crashes == self.crashes {
            state.tree.close(self.id);
        }
    }
}

impl Disk for SimulatedDisk {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>> {
        let open = |state: &mut State| {
            state.fails(Fault::Open)?;
            let id = match mode {
                Mode::Create => state.tree.create(path)?,
                Mode::Read | Mode::Write => state.tree.find(path)?,
            };
            // With the power gone there is nobody to hold it.
            state.tree.file_mut(id)?.handles += u32::from(!state.is_off);
            Ok((id, state.crashes))
        };
        let (id, crashes) = if mode == Mode::Create { self.operate(open)? } else { self.look(open)? };
        Ok(Arc::new(Handle { disk: self.clone(), id, crashes, is_writable: mode != Mode::Read }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.look(|state| state.tree.list(folder))
    }

    fn exists(&self, path: &Path) -> bool {
        self.look(|state| state.tree.find(path)).is_ok()
    }

    fn create_dir(&self, folder: &Path) -> io::Result<()> {
        self.operate(|state| {
            state.fails(Fault::Open)?;
            state.tree.create_dir(folder)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(|state| {
            state.fails(Fault::Rename)?;
            state.tree.rename(from, to)
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operate(|state| {
            state.fails(Fault::Rename)?;
            state.tree.remove(path)
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(|state| {
            state.fails(Fault::Rename)?;
            state.tree.link(from, to)
        })
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.operate(|state| {
            let id = state.tree.find(folder)?;
            state.powered()?;
            if state.hits(Fault::DirSync) {
                let then = state.faults.failed_sync;
                state.tree.fail_sync_dir(id, then, &mut state.random);
                return Err(Errno::IO.into());
            }
            if state.hits(Fault::DirSyncLie) { Ok(()) } else { state.tree.sync_dir(id) }
        })
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Option<Box<dyn Lock>>> {
        let held = self.operate(|state| {
            state.fails(Fault::Open)?;
            let id = match state.tree.find(path) {
                Ok(id) => id,
                Err(error) if error.kind() == io::ErrorKind::NotFound => state.tree.create(path)?,
                Err(error) => return Err(error),
            };
            let is_off = state.is_off;
            let content = state.tree.file_mut(id)?;
            if content.is_locked {
                return Ok(None);
            }
            content.set_len(0);
            content.write(note.as_bytes(), 0);
            content.is_locked = true;
            content.handles += u32::from(!is_off);
            Ok(Some((id, state.crashes)))
        })?;
        Ok(held.map(|(id, crashes)| Box::new(Held { disk: self.clone(), id, crashes }) as Box<dyn Lock>))
    }
}
