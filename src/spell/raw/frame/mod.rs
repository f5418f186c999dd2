//! What a native function sees of Lua: arguments, results, calls; all of it safe.
//!
//! A native is a plain Rust function. Nothing in here jumps over its frames: the VM's memory limit is
//! lifted while it runs (large results are checked first, [`Frame::push_bytes`]), calls back into Lua
//! are protected, and an error is raised only after the native has returned. Arguments stay in their
//! slots for the whole call, so borrowed bytes stay valid.

mod arguments;
mod calls;
mod errors;
mod results;
mod tables;
mod values;

use std::ffi::c_int;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mlua::ffi::{self, lua_State};

use super::core::{Core, core_of};
use super::meter::Stop;
use crate::spell::host::Host;

/// A function of the library: takes its arguments from the frame, leaves results on the stack's top,
/// and says how many.
pub type Native = fn(&mut Frame<'_>) -> Result<usize, Raise>;

/// Why a native ends in an error.
#[derive(Debug)]
pub enum Raise {
    /// The spell's position is put before the message.
    Message(String),
    /// `bad argument #index to 'name' (message)`
    Argument {
        /// From 1.
        index: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A limit of the cast ran out; the meter says which.
    Limit,
    /// The result would not fit the VM's memory.
    Memory,
    /// The error value is on the stack's top, and is raised as it is.
    Value,
}

impl Raise {
    /// An error with a text.
    #[must_use]
    pub fn message(message: impl Into<String>) -> Self {
        Self::Message(message.into())
    }

    /// A complaint about an argument.
    #[must_use]
    pub fn argument(index: usize, message: impl Into<String>) -> Self {
        Self::Argument { index, message: message.into() }
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    None,
    Nil,
    Boolean,
    Integer,
    Float,
    String,
    Table,
    Function,
    Userdata,
    Thread,
    Light,
}

impl Kind {
    /// Lua's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "no value",
            Self::Nil => "nil",
            Self::Boolean => "boolean",
            Self::Integer | Self::Float => "number",
            Self::String => "string",
            Self::Table => "table",
            Self::Function => "function",
            Self::Userdata | Self::Light => "userdata",
            Self::Thread => "thread",
        }
    }
}

/// See the module. `'l` is the call.
pub struct Frame<'l> {
    state: *mut lua_State,
    core: *mut Core,
    args: c_int,
    _call: PhantomData<&'l ()>,
}

/// A native with its name, as upvalue 1 of its closure points to it.
pub type Entry = (&'static str, Native);

enum Outcome {
    Return(c_int),
    Raise,
}

/// Runs a native; the C function behind every closure that [`push_native`] makes.
unsafe extern "C-unwind" fn trampoline(state: *mut lua_State) -> c_int {
    // SAFETY: `run` has dropped all it made when the error is raised.
    unsafe {
        match run(state) {
            Outcome::Return(count) => count,
            Outcome::Raise => ffi::lua_error(state),
        }
    }
}

unsafe fn run(state: *mut lua_State) -> Outcome {
    // SAFETY: upvalue 1 is a light userdata that points to a static entry.
    unsafe {
        let core = core_of(state);
        let (name, native) = *ffi::lua_touserdata(state, ffi::lua_upvalueindex(1)).cast::<Entry>();
        (*core).arena.lifted += 1;
        let mut frame = Frame { state, core, args: ffi::lua_gettop(state), _call: PhantomData };
        let result = if (*core).meter.stop.is_some() {
            Err(Raise::Limit)
        } else {
            catch_unwind(AssertUnwindSafe(|| native(&mut frame))).unwrap_or_else(|_| {
                Err(Raise::message(format!("internal error in '{name}': please report it")))
            })
        };
        let outcome = match result {
            Ok(count) => Outcome::Return(count as c_int),
            Err(raise) => {
                frame.push_error(name, raise);
                Outcome::Raise
            }
        };
        (*core).arena.lifted -= 1;
        outcome
    }
}

/// Pushes a closure over a native and the `upvalues` values on top, which are its upvalues 1 ...
///
/// # Safety
/// The VM's limit is lifted; there is room.
pub unsafe fn push_native(state: *mut lua_State, entry: &'static Entry, upvalues: c_int) {
    // SAFETY: the entry is static.
    unsafe {
        ffi::lua_pushlightuserdata(state, std::ptr::from_ref(entry).cast_mut().cast());
        ffi::lua_rotate(state, -upvalues - 1, 1);
        ffi::lua_pushcclosure(state, trampoline, upvalues + 1);
    }
}

impl<'l> Frame<'l> {
    /// A frame for host code that is not called from Lua, on a stack it owns.
    ///
    /// # Safety
    /// The VM's limit is lifted for the frame's life.
    pub(super) unsafe fn host_frame(state: *mut lua_State) -> Self {
        // SAFETY: by the contract.
        unsafe { Self { state, core: core_of(state), args: ffi::lua_gettop(state), _call: PhantomData } }
    }

    /// How many arguments there are.
    #[must_use]
    pub fn args(&self) -> usize {
        self.args as usize
    }

    /// The index of the stack's top.
    #[must_use]
    pub fn top(&self) -> i32 {
        // SAFETY: reads a pointer difference.
        unsafe { ffi::lua_gettop(self.state) }
    }

    /// The host's side of this VM.
    pub fn host(&mut self) -> &mut Host {
        // SAFETY: natives run one at a time, and the reference ends with the borrow of the frame.
        unsafe { &mut (*self.core).host }
    }

    /// Counts work: 1 unit is about one VM instruction, or 16 bytes of copying.
    pub fn charge(&mut self, units: u64) -> Result<(), Raise> {
        // SAFETY: as `host`.
        if unsafe { (*self.core).meter.charge(units) } { Ok(()) } else { Err(Raise::Limit) }
    }

    /// Ends the cast, whatever the spell catches.
    pub fn stop(&mut self, stop: Stop) -> Raise {
        // SAFETY: as `host`.
        unsafe { (*self.core).meter.stop.get_or_insert(stop) };
        Raise::Limit
    }

    /// The string at an index, numbers converted in place.
    pub(super) unsafe fn bytes_at(&mut self, index: i32) -> &'l [u8] {
        let mut len = 0;
        // SAFETY: a string or number; conversion may allocate, which cannot fail here.
        unsafe {
            let bytes = ffi::lua_tolstring(self.state, index, &raw mut len);
            std::slice::from_raw_parts(bytes.cast(), len)
        }
    }
}
