//! Coroutines, and `pcall`, that cannot outlive a limit.
//!
//! The hook counts each thread by itself. So that spells cannot shelter work in threads that have not been
//! looked at yet, nothing here goes on once a limit was passed, and whatever catches an error settles
//! what it cost.
//!
//! Stock `coroutine.wrap` closes a coroutine that failed, and `coroutine.close` any that is asked for.
//! Where the meter killed one, Lua has left its hooks off, and its `__close` handlers would run without
//! limit: such a thread is dropped as it is. All else is as in Lua 5.5, but that a running coroutine
//! cannot close itself. Each new coroutine costs [`CREATE_UNITS`], since its count starts at zero.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use super::core::{caught, keep_trace};
use super::meter::{self, is_spent};

/// What a coroutine costs in instructions.
const CREATE_UNITS: u64 = 64;

/// `coroutine.create(f)`
///
/// # Safety
/// Called by Lua alone, as all functions of this file.
pub unsafe extern "C-unwind" fn create(state: *mut lua_State) -> c_int {
    // SAFETY: C function conventions; nothing here has a destructor.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TFUNCTION);
        meter::charge(state, CREATE_UNITS);
        let thread = ffi::lua_newthread(state);
        ffi::lua_pushvalue(state, 1);
        ffi::lua_xmove(state, thread, 1);
        1
    }
}

/// `coroutine.wrap(f)`
pub unsafe extern "C-unwind" fn wrap(state: *mut lua_State) -> c_int {
    // SAFETY: as `create`.
    unsafe {
        create(state);
        ffi::lua_pushcclosure(state, wrapped, 1);
        1
    }
}

unsafe extern "C-unwind" fn wrapped(state: *mut lua_State) -> c_int {
    // SAFETY: upvalue 1 is the thread.
    unsafe {
        meter::refuse_stopped(state);
        let thread = ffi::lua_tothread(state, ffi::lua_upvalueindex(1));
        let before = ffi::lua_status(thread);
        let count = resume(state, thread, ffi::lua_gettop(state));
        if count >= 0 {
            return count;
        }
        let status = ffi::lua_status(thread);
        if status != before && status != ffi::LUA_YIELD && status != ffi::LUA_OK {
            keep_trace(state, thread);
        }
        if status != ffi::LUA_OK && status != ffi::LUA_YIELD && !is_spent(thread) {
            ffi::lua_closethread(thread, state);
            ffi::lua_xmove(thread, state, 1);
        }
        if ffi::lua_type(state, -1) == ffi::LUA_TSTRING && status != ffi::LUA_ERRMEM {
            ffi::luaL_where(state, 1);
            ffi::lua_rotate(state, -2, 1);
            ffi::lua_concat(state, 2);
        }
        ffi::lua_error(state)
    }
}

/// `coroutine.resume(co, ...)`
pub unsafe extern "C-unwind" fn resume_protected(state: *mut lua_State) -> c_int {
    // SAFETY: as `create`.
    unsafe {
        let thread = ffi::lua_tothread(state, 1);
        if thread.is_null() {
            let found = ffi::luaL_typename(state, 1);
            let text = ffi::lua_pushfstring(state, c"coroutine expected, got %s".as_ptr(), found);
            return ffi::luaL_argerror(state, 1, text);
        }
        meter::refuse_stopped(state);
        let count = resume(state, thread, ffi::lua_gettop(state) - 1);
        if count < 0 {
            caught(state);
        }
        ffi::lua_pushboolean(state, c_int::from(count >= 0));
        let count = count.max(-count);
        ffi::lua_rotate(state, -count - 1, 1);
        count + 1
    }
}

/// `pcall(f, ...)`
pub unsafe extern "C-unwind" fn pcall(state: *mut lua_State) -> c_int {
    // SAFETY: as `create`.
    unsafe {
        ffi::luaL_checkany(state, 1);
        meter::refuse_stopped(state);
        ffi::lua_pushboolean(state, 1);
        ffi::lua_rotate(state, 1, 1);
        let args = ffi::lua_gettop(state) - 2;
        let status = ffi::lua_pcallk(state, args, ffi::LUA_MULTRET, 0, 0, Some(finish_pcall));
        finish_pcall(state, status, 0)
    }
}

unsafe extern "C-unwind" fn finish_pcall(
    state: *mut lua_State,
    status: c_int,
    _: ffi::lua_KContext,
) -> c_int {
    // SAFETY: below the results lies `true`; an error value is on top.
    unsafe {
        if status == ffi::LUA_OK || status == ffi::LUA_YIELD {
            return ffi::lua_gettop(state);
        }
        caught(state);
        ffi::lua_pushboolean(state, 0);
        ffi::lua_rotate(state, -2, 1);
        2
    }
}

/// As `auxresume` of Lua's library: results or one error value are moved to `state`; -1 on error.
unsafe fn resume(state: *mut lua_State, thread: *mut lua_State, args: c_int) -> c_int {
    // SAFETY: both threads belong to one VM.
    unsafe {
        if ffi::lua_checkstack(thread, args) == 0 {
            ffi::lua_pushstring(state, c"too many arguments to resume".as_ptr());
            return -1;
        }
        ffi::lua_xmove(state, thread, args);
        let mut results = 0;
        let status = ffi::lua_resume(thread, state, args, &raw mut results);
        if status == ffi::LUA_OK || status == ffi::LUA_YIELD {
            if ffi::lua_checkstack(state, results + 1) == 0 {
                ffi::lua_settop(thread, -results - 1);
                ffi::lua_pushstring(state, c"too many results to resume".as_ptr());
                return -1;
            }
            ffi::lua_xmove(thread, state, results);
            results
        } else {
            ffi::lua_xmove(thread, state, 1);
            -1
        }
    }
}

/// `coroutine.close(co)`
pub unsafe extern "C-unwind" fn close(state: *mut lua_State) -> c_int {
    // SAFETY: as `create`; a thread is closed only when nothing runs on it.
    unsafe {
        meter::refuse_stopped(state);
        let thread = ffi::lua_tothread(state, 1);
        if thread.is_null() {
            ffi::luaL_checktype(state, 1, ffi::LUA_TTHREAD);
        }
        if thread == state {
            return ffi::luaL_error(state, c"cannot close a running coroutine".as_ptr());
        }
        let mut level = std::mem::MaybeUninit::<ffi::lua_Debug>::zeroed();
        let idle =
            ffi::lua_status(thread) != ffi::LUA_OK || ffi::lua_getstack(thread, 0, level.as_mut_ptr()) == 0;
        if !idle {
            return ffi::luaL_error(state, c"cannot close a normal coroutine".as_ptr());
        }
        let dead = ffi::lua_status(thread) != ffi::LUA_OK && ffi::lua_status(thread) != ffi::LUA_YIELD;
        if dead && is_spent(thread) {
            ffi::lua_pushboolean(state, 0);
            ffi::lua_pushstring(state, c"it was ended by a limit".as_ptr());
            return 2;
        }
        if ffi::lua_closethread(thread, state) == ffi::LUA_OK {
            ffi::lua_pushboolean(state, 1);
            1
        } else {
            ffi::lua_pushboolean(state, 0);
            ffi::lua_xmove(thread, state, 1);
            2
        }
    }
}
