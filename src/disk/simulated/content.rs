//! One file of the simulated disk: what is durable, what readers see, and the changes between the two.
//!
//! Every write and change of length is kept until a sync, because a crash decides about each by itself.

use std::ops::Range;

use super::faults::FailedSync;
use super::image::Image;
use super::random::Random;

/// What a drive writes whole or not at all.
const SECTOR_BYTES: u64 = 512;

/// Room for changes that is not given back at a sync, in bytes.
const CHANGES_KEPT_BYTES: usize = 64 * 1024;

/// Something done to the file since its last sync.
#[derive(Clone, Debug)]
enum Change {
    /// These of `written`, at an offset.
    Write { offset: u64, bytes: Range<usize> },
    /// The file was cut or made longer.
    Length(u64),
}

/// A file without its names.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    cached: Image,
    durable: Image,
    changes: Vec<Change>,
    /// The bytes of all unsynced writes, one after the other.
    written: Vec<u8>,
    /// Bytes it takes on the disk: up to the last that was written or allocated.
    pub(super) room_bytes: u64,
    /// Names it has, as readers see them.
    pub(super) links: u32,
    /// How often it is open.
    pub(super) handles: u32,
    pub(super) is_locked: bool,
}

impl Content {
    pub(super) fn cached(&self) -> &Image {
        &self.cached
    }

    pub(super) fn durable(&self) -> &Image {
        &self.durable
    }

    /// Gives it other bytes, durable at once.
    pub(super) fn replace(&mut self, bytes: &[u8]) {
        self.forget_changes();
        self.durable = Image::default();
        self.durable.write(bytes, 0);
        self.cached = self.durable.clone();
        self.room_bytes = self.cached.len();
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        self.cached.write(bytes, offset);
        let start = self.written.len();
        self.written.extend_from_slice(bytes);
        self.changes.push(Change::Write { offset, bytes: start..self.written.len() });
        self.room_bytes = self.room_bytes.max(offset + bytes.len() as u64);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len == self.cached.len() {
            return;
        }
        self.cached.set_len(len);
        self.changes.push(Change::Length(len));
        self.room_bytes = self.room_bytes.min(len);
    }

    /// An honest sync: every change becomes durable.
    pub(super) fn sync(&mut self) {
        for change in &self.changes {
            match change {
                Change::Write { offset, bytes } => self.durable.write(&self.written[bytes.clone()], *offset),
                Change::Length(len) => self.durable.set_len(*len),
            }
        }
        self.forget_changes();
    }

    /// A sync that fails: some of it reached the disk, and nobody will write the rest again.
    pub(super) fn fail_sync(&mut self, then: FailedSync, random: &mut Random) {
        let is_dropped = match then {
            FailedSync::Dirty => return,
            FailedSync::Clean => false,
            FailedSync::Dropped => true,
            FailedSync::Random => random.coin(),
        };
        self.settle(random);
        if is_dropped {
            self.cached = self.durable.clone();
        }
    }

    /// The power goes: what was not synced survives or not, and readers see what did.
    pub(super) fn crash(&mut self, random: &mut Random) {
        self.settle(random);
        self.cached = self.durable.clone();
        self.room_bytes = self.cached.len();
        self.handles = 0;
        self.is_locked = false;
    }

    /// Flips a bit where it is durable and where it is seen; false where there is no such byte.
    pub(super) fn flip(&mut self, offset: u64, bit: u8) -> bool {
        let is_durable = self.durable.flip(offset, bit);
        self.cached.flip(offset, bit) || is_durable
    }

    /// Makes any subset of the changes durable and forgets the others.
    ///
    /// By itself, a coin per change would hardly ever keep all of many or lose all of them, which are the
    /// likely outcomes of a real crash; so the kind of crash is drawn first.
    fn settle(&mut self, random: &mut Random) {
        if self.changes.is_empty() {
            return;
        }
        let count = self.changes.len() as u64;
        // None, all, those before one that is torn, or each by its own chance.
        let (whole, torn, keep) = match random.below(8) {
            0 => (0, None, None),
            1 => (count, None, None),
            2 | 3 => {
                let at = random.below(count);
                (at, Some(at), None)
            }
            kind => (0, None, Some([0.25, 0.5, 0.75, 0.94][(kind - 4) as usize])),
        };
        let changes = std::mem::take(&mut self.changes);
        for (at, change) in (0..).zip(&changes) {
            let keeps = match keep {
                None => at < whole,
                Some(chance) => random.chance(chance),
            };
            let tears = !keeps && (torn == Some(at) || (keep.is_some() && random.below(3) == 0));
            match change {
                Change::Length(len) if keeps || (tears && random.coin()) => self.durable.set_len(*len),
                Change::Length(_) => {}
                Change::Write { offset, bytes } => {
                    let bytes = &self.written[bytes.clone()];
                    if keeps {
                        self.durable.write(bytes, *offset);
                    } else {
                        let end = offset + bytes.len() as u64;
                        if tears {
                            tear(&mut self.durable, bytes, *offset, random);
                        }
                        // The length is recorded elsewhere than the bytes, and may arrive without them.
                        if (tears || keep.is_some()) && end > self.durable.len() && random.below(4) == 0 {
                            self.durable.set_len(end);
                        }
                    }
                }
            }
        }
        self.forget_changes();
    }

    fn forget_changes(&mut self) {
        self.changes.clear();
        self.written.clear();
        if self.written.capacity() > CHANGES_KEPT_BYTES {
            self.written = Vec::new();
            self.changes = Vec::new();
        }
    }
}

/// Writes a part: a prefix cut at a byte, a prefix cut at a sector, or some of the sectors.
fn tear(image: &mut Image, bytes: &[u8], offset: u64, random: &mut Random) {
    let len = bytes.len() as u64;
    let sector_end = |at: u64| ((offset + at) / SECTOR_BYTES + 1) * SECTOR_BYTES - offset;
    match random.below(3) {
        0 => image.write(&bytes[..random.below(len) as usize], offset),
        1 => {
            // Sectors are those of the file: a write may begin and end in the middle of one.
            let cut = random.below(len);
            let cut = (offset + cut) / SECTOR_BYTES * SECTOR_BYTES;
            image.write(&bytes[..cut.saturating_sub(offset) as usize], offset);
        }
        _ => {
            let mut start = 0;
            while start < len {
                let end = sector_end(start).min(len);
                if random.coin() {
                    image.write(&bytes[start as usize..end as usize], offset + start);
                }
                start = end;
            }
        }
    }
}
