//! The limit on work: VM instructions, counted by a hook of our own.
//!
//! A count hook on every thread of the VM adds to [`Meter::used`]; natives add what they do
//! ([`Meter::charge`]), and large blocks add what copying them costs. Once a limit is passed
//! ([`Meter::stop`]) the hook fires on every instruction and raises each time, so that no `pcall`
//! survives it. The count starts anew with each cast and is exact to [`STEP`] instructions, or to
//! one in exact mode, always the same for the same cast. Wall time is only the backstop.
//!
//! A coroutine that the hook killed has its hooks switched off for good inside Lua (`allowhook`), so
//! closing it would run `__close` handlers without limit: such threads carry [`spent`] as their hook
//! and are never closed (see `coroutine.rs`).
//!
//! Some instructions take time in proportion to the VM's memory (comparing long strings, walking a
//! table that was emptied). So the more memory there is, the more often the count is looked at
//! ([`step_for`]), and where one look comes long after the last, the clock is read at every instruction
//! ([`crawl`]), which changes the count in nothing.

use std::ffi::c_int;

use mlua::ffi::{self, lua_Debug, lua_State};

use super::arena::Arena;
use super::core::core_of;
use super::profile;

/// Instructions between two looks at the count.
pub const STEP: c_int = 512;

/// Two looks at the clock that lie further apart than this make the next steps crawl.
const SLOW_MS: u64 = 100;

/// Why a cast was ended, no matter what the spell catches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `limits.instructions`
    Instructions,
    /// `limits.time`
    Time,
    /// `limits.print_bytes`
    Prints,
    /// `limits.outputs`
    Outputs,
    /// `limits.state_bytes`
    State,
    /// The state cannot be read, which is no fault of the spell: the run ends.
    Unread,
}

impl Stop {
    /// What the spell did, as its error message.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Instructions => "ran more instructions than its limit allows",
            Self::Time => "ran longer than its time limit allows",
            Self::Prints => "printed more than its limit allows",
            Self::Outputs => "produced more energies than its limit allows",
            Self::State => "keeps more state than its limit allows",
            Self::Unread => "needs state that cannot be read",
        }
    }
}

/// Counts the work of one cast.
#[derive(Debug)]
pub struct Meter {
    /// Units done in this cast: instructions and what natives charge.
    pub used: u64,
    /// Units allowed in one cast.
    pub limit: u64,
    /// Set once a limit is passed.
    pub stop: Option<Stop>,
    /// Instructions between two fires of the hook.
    pub step: c_int,
    /// Clock reading at which the cast is stopped, in milliseconds.
    deadline_ms: u64,
    time_ms_max: u64,
    clock_ms: fn() -> u64,
    calls: u32,
    /// Clock reading at the last look, and whether the last two were far apart.
    looked_ms: u64,
    slow: bool,
    /// Instructions that [`crawl`] has seen since it counted a step.
    crawled: c_int,
    /// Decides where the first sample of a cast is taken, where samples are.
    sampling: Option<u64>,
}

impl Meter {
    /// `clock_ms` is any steady clock.
    pub fn new(limit: u64, time_ms_max: u64, clock_ms: fn() -> u64, exact: bool) -> Self {
        Self {
            used: 0,
            limit,
            stop: None,
            step: if exact { 1 } else { STEP },
            deadline_ms: u64::MAX,
            time_ms_max,
            clock_ms,
            calls: 0,
            looked_ms: 0,
            slow: false,
            crawled: 0,
            sampling: None,
        }
    }

    /// Looks at the count every so many instructions, for samples.
    pub fn sample_every(&mut self, instructions: c_int) {
        self.step = instructions.max(1);
        self.sampling = Some(0);
    }

    /// Instructions before the first look of a cast.
    #[inline]
    pub fn first_step(&mut self, arena: &Arena) -> c_int {
        let step = step_for(self.step, arena);
        let Some(state) = &mut self.sampling else { return step };
        // Knuth's generator; its upper bits are good enough to spread samples.
        *state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        1 + ((*state >> 33) % step as u64) as c_int
    }

    /// Forgets the last cast. The deadline is set when the first [`STEP`] is over: short casts, nearly
    /// all, never read the clock.
    #[inline]
    pub fn restart(&mut self) {
        self.used = 0;
        self.stop = None;
        self.deadline_ms = u64::MAX;
        self.crawled = 0;
    }

    /// Adds work of a native; false once a limit is passed.
    #[inline]
    pub fn charge(&mut self, units: u64) -> bool {
        self.used = self.used.saturating_add(units);
        self.calls = self.calls.wrapping_add(1);
        if self.used > self.limit || units > 4096 || self.calls.is_multiple_of(256) {
            return self.check();
        }
        self.stop.is_none()
    }

    #[cold]
    fn check(&mut self) -> bool {
        if self.stop.is_none() {
            if self.used > self.limit {
                self.stop = Some(Stop::Instructions);
            } else {
                let now = (self.clock_ms)();
                if self.deadline_ms == u64::MAX {
                    self.deadline_ms = now.saturating_add(self.time_ms_max);
                    self.slow = false;
                } else {
                    self.slow = now.saturating_sub(self.looked_ms) > SLOW_MS;
                    if now > self.deadline_ms {
                        self.stop = Some(Stop::Time);
                    }
                }
                self.looked_ms = now;
            }
        }
        self.stop.is_none()
    }
}

/// Instructions between two looks, so that none of them comes too late: what one instruction can do grows with the
/// memory there is. Depends on nothing but what the VM did.
#[inline]
pub fn step_for(step: c_int, arena: &Arena) -> c_int {
    match arena.used {
        0..=0x1f_ffff => step,
        0x20_0000..=0x7f_ffff => step.min(128),
        _ => step.min(32),
    }
}

/// Sets the count hook on a thread, its count at the start.
///
/// # Safety
/// `state` is a live thread of a VM with a core.
#[inline]
pub unsafe fn arm(state: *mut lua_State, step: c_int) {
    // SAFETY: by the contract.
    unsafe { ffi::lua_sethook(state, Some(count), ffi::LUA_MASKCOUNT, step) }
}

/// Whether the hook killed something on this thread since it was last armed.
///
/// # Safety
/// As [`arm`].
pub unsafe fn is_spent(state: *mut lua_State) -> bool {
    // SAFETY: by the contract.
    unsafe { ffi::lua_gethook(state).is_some_and(|hook| hook as usize == spent as *const () as usize) }
}

unsafe extern "C-unwind" fn count(state: *mut lua_State, _: *mut lua_Debug) {
    // SAFETY: Lua calls hooks with a live thread; nothing with a destructor lives here when it raises.
    unsafe {
        look(state, ffi::lua_gethookcount(state));
    }
}

/// Counts a step, and ends it all where a limit is passed.
unsafe fn look(state: *mut lua_State, step: c_int) {
    // SAFETY: as `count`, which calls this.
    unsafe {
        let core = core_of(state);
        let meter = &mut (*core).meter;
        let work = (*core).arena.settle();
        meter.used = meter.used.saturating_add(step as u64 + work);
        if (*core).arena.used > (*core).arena.limit / 2 {
            (*core).sample_line(state);
        }
        profile::sample(state, step_for((*core).meter.step, &(*core).arena) as u64);
        let meter = &mut (*core).meter;
        if !meter.check() {
            kill(state);
        }
        let next = step_for(meter.step, &(*core).arena);
        if meter.slow && next > 1 {
            meter.crawled = 0;
            ffi::lua_sethook(state, Some(crawl), ffi::LUA_MASKCOUNT, 1);
        } else if next != ffi::lua_gethookcount(state) {
            arm(state, next);
        }
    }
}

/// The hook of a thread whose last step took long: reads the clock at every instruction, and counts them as
/// [`count`] would.
unsafe extern "C-unwind" fn crawl(state: *mut lua_State, _: *mut lua_Debug) {
    // SAFETY: as in `count`.
    unsafe {
        let core = core_of(state);
        let meter = &mut (*core).meter;
        meter.crawled += 1;
        let step = step_for(meter.step, &(*core).arena);
        if meter.crawled >= step {
            meter.crawled = 0;
            arm(state, step);
            return look(state, step);
        }
        if (meter.clock_ms)() > meter.deadline_ms {
            meter.stop.get_or_insert(Stop::Time);
            kill(state);
        }
    }
}

/// Ends what runs on this thread where a limit was passed. For functions in C that could else go on.
///
/// # Safety
/// As [`arm`]; called by a C function with nothing pending.
#[inline]
pub unsafe fn refuse_stopped(state: *mut lua_State) {
    // SAFETY: by the contract.
    unsafe {
        if (*core_of(state)).meter.stop.is_some() {
            kill(state);
        }
    }
}

/// Adds work of a function in C, and ends what runs where that passes a limit. Work of the allocator
/// is taken up too: an error for lack of memory that is caught has cost a collection.
///
/// # Safety
/// As [`refuse_stopped`].
pub unsafe fn charge(state: *mut lua_State, units: u64) {
    // SAFETY: by the contract.
    unsafe {
        let core = core_of(state);
        let work = (*core).arena.settle();
        if !(*core).meter.charge(units + work) {
            kill(state);
        }
    }
}

/// The hook of a thread on which a limit was enforced: fires on every instruction.
unsafe extern "C-unwind" fn spent(state: *mut lua_State, _: *mut lua_Debug) {
    // SAFETY: as in `count`.
    unsafe {
        let meter = &mut (*core_of(state)).meter;
        if meter.stop.is_none() {
            // A later cast resumed a thread that an earlier one had caught in time.
            meter.used += 1;
            let step = step_for(meter.step, &(*core_of(state)).arena);
            return arm(state, step);
        }
        kill(state);
    }
}

unsafe fn kill(state: *mut lua_State) -> ! {
    // SAFETY: raising is the purpose; no destructors are pending in the hooks.
    unsafe {
        ffi::lua_sethook(state, Some(spent), ffi::LUA_MASKCOUNT, 1);
        let stop = (*core_of(state)).meter.stop.unwrap_or(Stop::Instructions);
        let message = stop.message();
        (*core_of(state)).arena.lifted += 1;
        ffi::lua_pushlstring(state, message.as_ptr().cast(), message.len());
        (*core_of(state)).arena.lifted -= 1;
        ffi::lua_error(state)
    }
}
