//! What a simulated disk does wrong, and when.

/// Which calls a fault hits. Calls are counted per fault, from 1, since the faults were set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum When {
    /// None.
    #[default]
    Never,
    /// Every one.
    Always,
    /// Each with this probability, from 0.0 to 1.0.
    Chance(f64),
    /// This one.
    Nth(u64),
    /// This one and all after it.
    From(u64),
}

/// What a failed sync leaves in the cache, beside what reached the disk all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailedSync {
    /// As `Dropped` or as `Clean`, at random. What a program must cope with.
    #[default]
    Random,
    /// What did not reach the disk is gone from the cache: reads give the older bytes.
    Dropped,
    /// It can still be read and counts as written, as on Linux: the next sync succeeds without writing it.
    Clean,
    /// It is still to be written, and the next sync does: a kinder system than there is.
    Dirty,
}

/// What goes wrong. By default nothing does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Writes that fail with EIO, any prefix written.
    pub failing_writes: When,
    /// Writes that write fewer bytes than asked, at least one.
    pub short_writes: When,
    /// Reads that fail with EIO.
    pub failing_reads: When,
    /// `allocate` and `set_len` that fail with EIO and do nothing.
    pub failing_resizes: When,
    /// Syncs of files that fail with EIO, see `failed_sync`.
    pub failing_syncs: When,
    /// Syncs of files that say yes and do nothing; a later honest one makes up for it.
    pub lying_syncs: When,
    /// Syncs of folders that fail with EIO, see `failed_sync`.
    pub failing_dir_syncs: When,
    /// Syncs of folders that say yes and do nothing; a later honest one makes up for it.
    pub lying_dir_syncs: When,
    /// Renames, links and removals that fail with EIO and do nothing.
    pub failing_renames: When,
    /// Files, folders and locks that are not opened or made: EIO.
    pub failing_opens: When,
    /// Room on the disk, all files together; see `SimulatedDisk::used_bytes`. Beyond it writes are short,
    /// then they and `allocate` fail with ENOSPC. `None` for no limit.
    pub room_bytes: Option<u64>,
    /// What a failing sync does to what was to be synced. For folders `Dropped` is the same as `Clean`, and
    /// `Random` is `Clean` or `Dirty`.
    pub failed_sync: FailedSync,
}

/// The faults that are counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Write,
    ShortWrite,
    Read,
    Resize,
    Sync,
    SyncLie,
    DirSync,
    DirSyncLie,
    Rename,
    Open,
}

impl Fault {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Open as usize + 1;
}

impl Faults {
    /// When one of them happens.
    pub(super) fn when(&self, fault: Fault) -> When {
        match fault {
            Fault::Write => self.failing_writes,
            Fault::ShortWrite => self.short_writes,
            Fault::Read => self.failing_reads,
            Fault::Resize => self.failing_resizes,
            Fault::Sync => self.failing_syncs,
            Fault::SyncLie => self.lying_syncs,
            Fault::DirSync => self.failing_dir_syncs,
            Fault::DirSyncLie => self.lying_dir_syncs,
            Fault::Rename => self.failing_renames,
            Fault::Open => self.failing_opens,
        }
    }
}
