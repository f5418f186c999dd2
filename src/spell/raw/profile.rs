//! Where a spell's instructions go: the call stack, looked at every so many of them.
//!
//! The count hook takes the samples. The first one of a cast comes after a pseudo-random number of instructions, so that
//! casts shorter than the distance of two samples are seen as often as they should be. Natives have no instructions;
//! they are not in it.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;

use mlua::ffi::{self, lua_Debug, lua_State};

use super::core::core_of;
use crate::spell::host::Phase;

/// Levels of a stack that are kept, from the innermost.
const LEVELS: c_int = 128;

/// Instructions by stack: the functions from the outermost to the innermost, `;` between them.
pub type Stacks = BTreeMap<String, u64>;

/// Takes a sample that stands for so many instructions, where samples are taken.
///
/// # Safety
/// `state` is a live thread, stopped in a hook.
#[inline]
pub unsafe fn sample(state: *mut lua_State, instructions: u64) {
    // SAFETY: by the contract; allocates on the Rust side only, raises nothing.
    unsafe {
        let core = core_of(state);
        if (*core).stacks.is_some() {
            take(state, instructions);
        }
    }
}

#[cold]
unsafe fn take(state: *mut lua_State, instructions: u64) {
    // SAFETY: as `sample`.
    unsafe {
        let core = core_of(state);
        let mut names: Vec<String> =
            (0..LEVELS).map_while(|level| name_at(state, level)).filter(|name| !name.is_empty()).collect();
        let is_main = ffi::lua_pushthread(state) == 1;
        ffi::lua_settop(state, -2);
        let outermost = match (*core).host.phase {
            _ if !is_main => "coroutine",
            Phase::Filter => "filter",
            Phase::Cast if (*core).host.input.salt >= 2 => "tick",
            _ => "cast",
        };
        names.reverse();
        for (level, name) in names.iter_mut().enumerate().filter(|(_, name)| name.starts_with('?')) {
            name.replace_range(..1, if level == 0 { outermost } else { "function" });
        }
        if let Some(stacks) = &mut (*core).stacks {
            *stacks.entry(names.join(";")).or_default() += instructions;
        }
    }
}

/// The function at a level, `name (file:line)`, with `?` for a name that Lua does not know; empty for a native, `None`
/// above the last level.
unsafe fn name_at(state: *mut lua_State, level: c_int) -> Option<String> {
    // SAFETY: `lua_getinfo` with these options fills the fields that are read, and allocates nothing.
    unsafe {
        let mut debug = MaybeUninit::<lua_Debug>::zeroed();
        if ffi::lua_getstack(state, level, debug.as_mut_ptr()) == 0 {
            return None;
        }
        ffi::lua_getinfo(state, c"Sn".as_ptr(), debug.as_mut_ptr());
        let debug = debug.assume_init();
        if CStr::from_ptr(debug.what) == c"C" {
            return Some(String::new());
        }
        let source = std::slice::from_raw_parts(debug.source.cast::<u8>(), debug.srclen);
        let source = String::from_utf8_lossy(source.strip_prefix(b"@").unwrap_or(source)).replace(';', ",");
        if CStr::from_ptr(debug.what) == c"main" {
            return Some(source);
        }
        let name = match debug.name.is_null() {
            true => "?".into(),
            false => CStr::from_ptr(debug.name).to_string_lossy(),
        };
        Some(format!("{name} ({source}:{})", debug.linedefined))
    }
}
