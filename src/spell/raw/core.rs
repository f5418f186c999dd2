//! What belongs to a VM beside its Lua state: memory, meter, codec scratch, host context.
//!
//! A [`Core`] is boxed, its address never changes, and every thread of the VM finds it in Lua's
//! extra space. All of `raw/` reaches it through that pointer, and holds a reference into it only
//! between two calls into Lua, never across one.

use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;

use mlua::ffi::{self, lua_Debug, lua_State};

use super::arena::Arena;
use super::cast::Job;
use super::codec::Codec;
use super::codec::layout::Table;
use super::meter::{self, Meter};
use super::profile::Stacks;
use crate::spell::fault::TraceFrame;
use crate::spell::host::Host;

/// Levels of a traceback that are kept, from the innermost.
const TRACE_LEVELS: c_int = 24;

/// See the module.
pub struct Core {
    pub arena: Arena,
    pub meter: Meter,
    pub codec: Codec,
    pub host: Host,
    /// Where the error on its way was raised, innermost first; taken by whoever reports it.
    pub trace: Vec<TraceFrame>,
    /// Whether `trace` reaches down to the bottom of the running thread.
    pub traced: bool,
    /// What the cast loop works on.
    pub job: Job,
    /// The metatable that marks arrays.
    pub array_metatable: *const Table,
    /// The error on its way is about what the cast returned.
    pub bad_output: bool,
    /// Where instructions went, where that is asked for.
    pub stacks: Option<Stacks>,
    /// Where the spell was seen last while its memory was more than half used.
    near_limit: Option<(String, u32)>,
}

impl Core {
    pub fn new(arena: Arena, meter: Meter, host: Host) -> Self {
        Self {
            arena,
            meter,
            codec: Codec::default(),
            host,
            trace: Vec::new(),
            traced: false,
            job: Job::default(),
            array_metatable: std::ptr::null(),
            bad_output: false,
            stacks: None,
            near_limit: None,
        }
    }

    /// Remembers the current line: an out-of-memory error has no traceback of its own.
    ///
    /// # Safety
    /// `state` is a live thread, stopped in a hook.
    #[cold]
    pub unsafe fn sample_line(&mut self, state: *mut lua_State) {
        // SAFETY: level 0 exists in a hook.
        self.near_limit = unsafe { frame_at(state, 0) }.map(|frame| (frame.source, frame.line));
    }

    /// No error is on its way.
    #[inline]
    pub fn forget_trace(&mut self) {
        self.traced = false;
        if !self.trace.is_empty() {
            self.trace.clear();
        }
    }

    /// The last sampled line, once.
    pub fn take_sample(&mut self) -> Option<TraceFrame> {
        self.near_limit.take().map(|(source, line)| TraceFrame { source, line, function: String::new() })
    }
}

/// The core of the VM that a thread belongs to.
///
/// # Safety
/// `state` is a live thread of a VM made by `Vm::new`.
#[inline(always)]
pub unsafe fn core_of(state: *mut lua_State) -> *mut Core {
    // SAFETY: `Vm::new` stores the pointer before any code runs; new threads copy it.
    unsafe { ffi::lua_getextraspace(state).cast::<*mut Core>().read() }
}

/// Lua's allocator.
///
/// # Safety
/// Called by Lua alone, with the arena that `lua_newstate` was given.
pub unsafe extern "C" fn allocate(
    arena: *mut c_void,
    block: *mut c_void,
    old: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: `old` is a type tag when `block` is null, which `resize` does not look at then.
    unsafe { (*arena.cast::<Arena>()).resize(block.cast(), old, size).cast() }
}

/// The message handler of every protected call of the host: keeps the traceback, leaves the error as it is.
///
/// # Safety
/// Called by Lua alone.
pub unsafe extern "C-unwind" fn on_error(state: *mut lua_State) -> c_int {
    // SAFETY: reads the call stack; allocates on the Rust side only, raises nothing.
    unsafe {
        let core = core_of(state);
        if !std::mem::replace(&mut (*core).traced, true) {
            (*core).trace.extend(trace(state));
        }
    }
    1
}

/// Keeps the traceback of a coroutine that died, for the error goes on in `state`, which resumed it.
///
/// # Safety
/// Live threads of one VM.
pub unsafe fn keep_trace(state: *mut lua_State, thread: *mut lua_State) {
    // SAFETY: reads the call stack of a thread at rest.
    unsafe {
        let core = core_of(state);
        if !std::mem::replace(&mut (*core).traced, false) && (*core).trace.len() < TRACE_LEVELS as usize {
            (*core).trace.extend(trace(thread));
        }
    }
}

/// The spell caught an error: where it came from no longer matters, what it cost does.
///
/// # Safety
/// `state` is the running thread; a C function with nothing pending calls.
pub unsafe fn caught(state: *mut lua_State) {
    // SAFETY: by the contract.
    unsafe {
        (*core_of(state)).forget_trace();
        (*core_of(state)).bad_output = false;
        meter::charge(state, 1);
    }
}

/// The call stack, innermost first, natives left out.
///
/// # Safety
/// `state` is a live thread.
pub unsafe fn trace(state: *mut lua_State) -> Vec<TraceFrame> {
    (0..TRACE_LEVELS)
        // SAFETY: by the contract.
        .map_while(|level| unsafe { frame_at(state, level) })
        .filter(|frame| frame.line > 0)
        .collect()
}

/// One level of the call stack; `None` above the last.
///
/// # Safety
/// `state` is a live thread.
pub unsafe fn frame_at(state: *mut lua_State, level: c_int) -> Option<TraceFrame> {
    // SAFETY: `lua_getinfo` with these options fills the fields that are read, and allocates nothing.
    unsafe {
        let mut debug = MaybeUninit::<lua_Debug>::zeroed();
        if ffi::lua_getstack(state, level, debug.as_mut_ptr()) == 0 {
            return None;
        }
        ffi::lua_getinfo(state, c"Sln".as_ptr(), debug.as_mut_ptr());
        let debug = debug.assume_init();
        let source = std::slice::from_raw_parts(debug.source.cast::<u8>(), debug.srclen);
        let source = source.strip_prefix(b"@").unwrap_or(source);
        let function = if debug.name.is_null() {
            String::new()
        } else {
            CStr::from_ptr(debug.name).to_string_lossy().into_owned()
        };
        Some(TraceFrame {
            source: String::from_utf8_lossy(source).into_owned(),
            line: u32::try_from(debug.currentline).unwrap_or(0),
            function,
        })
    }
}

/// Whether the running native was called as a method, `object:name()`.
///
/// # Safety
/// `state` is a live thread.
pub unsafe fn is_method(state: *mut lua_State) -> bool {
    // SAFETY: as `frame_at`.
    unsafe {
        let mut debug = MaybeUninit::<lua_Debug>::zeroed();
        if ffi::lua_getstack(state, 0, debug.as_mut_ptr()) == 0 {
            return false;
        }
        ffi::lua_getinfo(state, c"n".as_ptr(), debug.as_mut_ptr());
        let what = debug.assume_init().namewhat;
        !what.is_null() && CStr::from_ptr(what) == c"method"
    }
}
