//! The memory of one VM: an address range of its own, size classes, a byte limit.
//!
//! A range of 4 GiB is reserved (not committed) at a multiple of 4 GiB, and Lua's blocks are carved
//! from its start. So the low 32 bits of every address depend only on what the VM did, and with the
//! fixed hash seed `pairs` has the same order in every process, even over tables keyed by tables.
//! Dropping the arena gives everything back at once: a VM is never torn down object by object.
//!
//! Limits: a block is at most 2 GiB; freed blocks stay in their class; blocks of 256 KiB and more
//! give their pages back to the system when freed. Physical memory is what Lua uses plus at most a
//! quarter for rounding, and what lies free in other classes. A spell that fills its memory with one
//! size after another could so take its limit once per class: beyond [`SPREAD_MAX`] times the limit
//! a block is taken from a larger class, or refused.

use std::ffi::c_void;
use std::ptr;

/// Bytes reserved for a VM, and what they are aligned to.
const RANGE: usize = 1 << 32;
/// Pages are made accessible in steps of this many bytes.
const COMMIT_STEP: usize = 1 << 20;
/// Blocks up to this size have classes 16 bytes apart; larger ones four classes a doubling.
const SMALL_MAX: usize = 512;
/// Freed blocks from this size on give their pages back.
const LARGE_MIN: usize = 256 << 10;
/// How many times its limit a VM's blocks, free ones included, may spread over.
const SPREAD_MAX: usize = 3;
/// What of the range the limit can use; the rest is for host code, which must not fail.
const LIMIT_MAX: usize = RANGE / 2;
/// Work of collections between two looks at the count, after which memory counts as full: a spell at
/// its limit collects for every few bytes.
const THRASH_MAX: u64 = 4 << 20;
/// What a refusal costs beside the memory that is walked.
const REFUSAL_UNITS: u64 = 1_000;
const CLASSES: usize = SMALL_MAX / 16 + 4 * 23;
/// Nothing lies at the very start, so that no block has a null low half.
const FIRST: usize = 1 << 16;

/// The system refused the address range.
#[derive(Debug, thiserror::Error)]
#[error("cannot reserve 4 GiB of address space for a VM: {0}; raise `ulimit -v` or run fewer spells")]
pub struct ReserveError(#[source] std::io::Error);

impl ReserveError {
    /// A VM that does not even start.
    #[must_use]
    pub fn out_of_memory() -> Self {
        Self(std::io::Error::from(std::io::ErrorKind::OutOfMemory))
    }
}

/// See the module.
pub struct Arena {
    base: *mut u8,
    top: usize,
    committed: usize,
    free: [*mut u8; CLASSES],
    /// Bytes in use, counted by class size.
    pub used: usize,
    /// The most that was ever in use.
    pub peak: usize,
    /// Growth beyond this is refused, unless [`Arena::lifted`] is above 0.
    pub limit: usize,
    /// While above 0 the limit is not applied: host code must not fail in the middle of a step.
    pub lifted: u32,
    /// Work units for large blocks and collections, taken up by the instruction count.
    pub work: u64,
    /// Units of `work` that are collections.
    thrash: u64,
    /// What `limit` comes to: nothing while too much was collected.
    bound: usize,
    top_max: usize,
}

impl Arena {
    /// Reserves a range; nothing is committed yet.
    pub fn new(limit: usize) -> Result<Self, ReserveError> {
        let limit = limit.min(LIMIT_MAX);
        // SAFETY: an anonymous private mapping touches no memory that exists.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                2 * RANGE,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(ReserveError(std::io::Error::last_os_error()));
        }
        let start = start as usize;
        let base = (start + RANGE - 1) & !(RANGE - 1);
        // SAFETY: both cuts lie within the mapping just made, and nothing points into it yet.
        unsafe {
            if base > start {
                libc::munmap(start as *mut c_void, base - start);
            }
            let end = start + 2 * RANGE;
            if end > base + RANGE {
                libc::munmap((base + RANGE) as *mut c_void, end - base - RANGE);
            }
        }
        Ok(Self {
            base: base as *mut u8,
            top: FIRST,
            committed: FIRST,
            free: [ptr::null_mut(); CLASSES],
            used: 0,
            peak: 0,
            limit,
            lifted: 0,
            work: 0,
            thrash: 0,
            bound: limit,
            top_max: (FIRST + COMMIT_STEP + limit * SPREAD_MAX).min(RANGE / 4 * 3),
        })
    }

    /// Lua's allocator contract: `size` 0 frees, `old` null allocates, else the block is resized.
    ///
    /// # Safety
    /// `block` is null or came from this arena with size `old`, and is not used afterwards.
    #[inline]
    pub unsafe fn resize(&mut self, block: *mut u8, old: usize, size: usize) -> *mut u8 {
        // SAFETY: by the contract above.
        unsafe {
            if block.is_null() {
                return self.allocate(size, 0);
            }
            if size == 0 {
                self.release(block, old);
                return ptr::null_mut();
            }
            let (from, to) = (class_of(old), class_of(size));
            if from == to {
                return block;
            }
            let new = self.allocate(size, if size > old { size_of_class(from) } else { usize::MAX });
            if new.is_null() {
                // Lua relies on shrinking to succeed; a block that is too big serves as well.
                return if size <= old { block } else { new };
            }
            ptr::copy_nonoverlapping(block, new, old.min(size));
            self.release(block, old);
            new
        }
    }

    /// `credit`: bytes that are freed right after, or `usize::MAX` to apply no limit.
    #[inline]
    unsafe fn allocate(&mut self, size: usize, credit: usize) -> *mut u8 {
        if size > RANGE / 2 {
            return self.refuse();
        }
        let class = class_of(size);
        let bytes = size_of_class(class);
        let used = self.used + bytes;
        if used > self.bound && self.lifted == 0 && credit != usize::MAX && used - credit > self.bound {
            return self.refuse();
        }
        let head = self.free[class];
        let block = if head.is_null() {
            // SAFETY: carves unused bytes of the range, or takes a free block.
            let block = unsafe {
                if self.top + bytes > self.top_max { self.scrape(class, bytes) } else { self.carve(bytes) }
            };
            if block.is_null() {
                return self.refuse();
            }
            block
        } else {
            // SAFETY: a free block starts with the link to the next one of its class.
            self.free[class] = unsafe { head.cast::<*mut u8>().read() };
            head
        };
        self.used = used;
        self.peak = self.peak.max(used);
        if bytes >= 4096 {
            self.work += (bytes >> 6) as u64;
        }
        block
    }

    #[inline]
    unsafe fn release(&mut self, block: *mut u8, size: usize) {
        let class = class_of(size);
        let bytes = size_of_class(class);
        self.used -= bytes;
        // SAFETY: the block is ours and at least 16 bytes; whole pages inside it hold nothing any more.
        unsafe {
            if bytes >= LARGE_MIN {
                let start = (block as usize + 4095) & !4095;
                let end = (block as usize + bytes) & !4095;
                libc::madvise(start as *mut c_void, end - start, libc::MADV_DONTNEED);
            }
            block.cast::<*mut u8>().write(self.free[class]);
        }
        self.free[class] = block;
    }

    /// Lua collects everything and tries once more: that is work too.
    #[cold]
    fn refuse(&mut self) -> *mut u8 {
        let units = REFUSAL_UNITS + (self.used >> 5) as u64;
        self.work += units;
        self.thrash += units;
        if self.thrash > THRASH_MAX {
            self.bound = 0;
        }
        ptr::null_mut()
    }

    /// Hands over the work since the last call.
    #[inline]
    pub fn settle(&mut self) -> u64 {
        self.thrash = 0;
        self.bound = self.limit;
        std::mem::take(&mut self.work)
    }

    /// A free block of a larger class, where blocks spread too far; host code gets a new one all the same.
    #[cold]
    unsafe fn scrape(&mut self, class: usize, bytes: usize) -> *mut u8 {
        // SAFETY: as in `allocate`. The block joins the smaller class for good, its end unused.
        unsafe {
            for head in &mut self.free[class + 1..] {
                if !head.is_null() {
                    return std::mem::replace(head, head.cast::<*mut u8>().read());
                }
            }
            if self.lifted > 0 { self.carve(bytes) } else { ptr::null_mut() }
        }
    }

    #[cold]
    unsafe fn commit(&mut self, end: usize) -> bool {
        let target = ((end + COMMIT_STEP - 1) & !(COMMIT_STEP - 1)).min(RANGE);
        // SAFETY: within the reserved range.
        let status = unsafe {
            libc::mprotect(
                self.base.add(self.committed).cast(),
                target - self.committed,
                libc::PROT_READ | libc::PROT_WRITE,
            )
        };
        if status == 0 {
            self.committed = target;
        }
        status == 0
    }

    #[inline]
    unsafe fn carve(&mut self, bytes: usize) -> *mut u8 {
        let end = self.top + bytes;
        if end > RANGE {
            return ptr::null_mut();
        }
        // SAFETY: `end` is within the range, and committed before it is handed out.
        unsafe {
            if end > self.committed && !self.commit(end) {
                return ptr::null_mut();
            }
            let block = self.base.add(self.top);
            self.top = end;
            block
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the whole range is ours; the VM that used it is gone.
        unsafe { libc::munmap(self.base.cast(), RANGE) };
    }
}

#[inline]
fn class_of(size: usize) -> usize {
    if size <= SMALL_MAX {
        return size.saturating_sub(1) / 16;
    }
    // 513..640 is the first class above the small ones; four classes a doubling.
    let log = usize::BITS as usize - 1 - (size - 1).leading_zeros() as usize;
    let quarter = (size - 1) >> (log - 2) & 3;
    SMALL_MAX / 16 + (log - 9) * 4 + quarter
}

#[inline]
fn size_of_class(class: usize) -> usize {
    if class < SMALL_MAX / 16 {
        return (class + 1) * 16;
    }
    let above = class - SMALL_MAX / 16;
    let log = above / 4 + 9;
    (1 << log) + ((above % 4 + 1) << (log - 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_every_size_with_at_most_a_quarter_lost() {
        let mut size = 1;
        while size < 1 << 31 {
            let class = size_of_class(class_of(size));
            assert!(class >= size, "{size} in {class}");
            assert!(size < 16 || class <= size + size / 4 + 16, "{size} in {class}");
            size += 1 + size / 37;
        }
        assert!(class_of(1 << 31) < CLASSES);
    }

    #[test]
    fn addresses_repeat_and_the_limit_holds() {
        let run = || {
            let mut arena = Arena::new(1 << 20).expect("address space");
            let mut seen = Vec::new();
            // SAFETY: blocks are used within their sizes and freed once.
            unsafe {
                let a = arena.resize(ptr::null_mut(), 0, 100);
                let b = arena.resize(a, 100, 5000);
                let c = arena.resize(ptr::null_mut(), 0, 100);
                assert_eq!(a, c, "a freed block is used again");
                assert!(arena.resize(ptr::null_mut(), 0, 2 << 20).is_null());
                seen.extend([a as usize as u32, b as usize as u32]);
                arena.resize(b, 5000, 0);
                arena.resize(c, 100, 0);
            }
            assert_eq!(arena.used, 0);
            seen
        };
        assert_eq!(run(), run());
    }
}
