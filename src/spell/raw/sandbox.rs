//! The globals a spell starts with: what is safe of stock Lua, before the library adds its own.
//!
//! Absent: `io`, `os`, `package`, `require`, `debug`, `load`, `loadfile`, `dofile`, `collectgarbage`,
//! `warn`, `print`, `string.dump`, and finalizers (`__gc`). Functions that C could run for ever are
//! replaced by `library/`. Every stock function becomes a closure of the VM, so that even a table
//! keyed by functions has the same order in every process.

use std::ffi::{CStr, c_int};

use mlua::ffi::{self, lua_State};

use super::{coroutine, iterators};

/// Stock functions that spells do not get.
const REMOVED: [(&CStr, &[&CStr]); 2] = [
    (c"_G", &[c"collectgarbage", c"dofile", c"loadfile", c"load", c"warn", c"print", c"xpcall"]),
    (c"string", &[c"dump"]),
];

/// `xpcall` on `pcall`: a message handler of its own kind would run with the count switched off.
const PRELUDE: &CStr = c"
local pcall = pcall
local function finish(handler, ok, ...)
  if ok then return true, ... end
  local _, message = pcall(handler, ...)
  return false, message
end
function xpcall(f, handler, ...)
  return finish(handler, pcall(f, ...))
end
";

/// Fills the globals. Runs protected, on a fresh state.
///
/// # Safety
/// Called by Lua alone.
pub unsafe extern "C-unwind" fn open(state: *mut lua_State) -> c_int {
    // SAFETY: opens libraries as `linit.c` does; nothing here has a destructor.
    unsafe {
        for (name, open) in [
            (c"_G", ffi::luaopen_base as ffi::lua_CFunction),
            (c"coroutine", ffi::luaopen_coroutine),
            (c"string", ffi::luaopen_string),
            (c"table", ffi::luaopen_table),
            (c"math", ffi::luaopen_math),
            (c"utf8", ffi::luaopen_utf8),
        ] {
            ffi::luaL_requiref(state, name.as_ptr(), open, 1);
            ffi::lua_settop(state, -2);
        }
        for (library, names) in REMOVED {
            ffi::lua_getglobal(state, library.as_ptr());
            for name in names {
                ffi::lua_pushnil(state);
                ffi::lua_setfield(state, -2, name.as_ptr());
            }
            ffi::lua_settop(state, -2);
        }
        ffi::lua_pushcclosure(state, coroutine::pcall, 0);
        ffi::lua_setglobal(state, c"pcall".as_ptr());
        ffi::luaL_loadbufferx(
            state,
            PRELUDE.as_ptr(),
            PRELUDE.count_bytes(),
            c"=sanctum".as_ptr(),
            c"t".as_ptr(),
        );
        ffi::lua_call(state, 0, 0);
        ffi::lua_getglobal(state, c"setmetatable".as_ptr());
        ffi::lua_pushcclosure(state, set_metatable, 1);
        ffi::lua_setglobal(state, c"setmetatable".as_ptr());
        ffi::lua_getglobal(state, c"coroutine".as_ptr());
        for (name, function) in [
            (c"create", coroutine::create as ffi::lua_CFunction),
            (c"resume", coroutine::resume_protected),
            (c"wrap", coroutine::wrap),
            (c"close", coroutine::close),
        ] {
            ffi::lua_pushcclosure(state, function, 0);
            ffi::lua_setfield(state, -2, name.as_ptr());
        }
        ffi::lua_settop(state, -2);
        lock_string_metatable(state);
        for library in [c"_G", c"coroutine", c"string", c"table", c"math", c"utf8"] {
            ffi::lua_getglobal(state, library.as_ptr());
            own_functions(state);
            ffi::lua_settop(state, -2);
        }
        iterators::install(state);
        ffi::lua_pushlightuserdata(state, std::ptr::null_mut());
        ffi::lua_setglobal(state, c"null".as_ptr());
        0
    }
}

/// `getmetatable("")` must not hand out the table that all strings share.
unsafe fn lock_string_metatable(state: *mut lua_State) {
    // SAFETY: the string library has set the metatable.
    unsafe {
        ffi::lua_pushlstring(state, c"".as_ptr(), 0);
        ffi::lua_getmetatable(state, -1);
        ffi::lua_pushstring(state, c"string".as_ptr());
        ffi::lua_setfield(state, -2, c"__metatable".as_ptr());
        ffi::lua_settop(state, -3);
    }
}

/// Gives every plain C function in the table on top an upvalue, which makes it an object of the VM.
unsafe fn own_functions(state: *mut lua_State) {
    // SAFETY: assigning to existing fields during a walk is allowed.
    unsafe {
        ffi::lua_pushnil(state);
        while ffi::lua_next(state, -2) != 0 {
            if let Some(function) = ffi::lua_tocfunction(state, -1)
                && ffi::lua_getupvalue(state, -1, 1).is_null()
            {
                ffi::lua_pushvalue(state, -2);
                ffi::lua_pushnil(state);
                ffi::lua_pushcclosure(state, function, 1);
                ffi::lua_rawset(state, -5);
            } else if ffi::lua_tocfunction(state, -1).is_some() {
                ffi::lua_settop(state, -1);
            }
            // Leave the key alone on top of the table.
            while ffi::lua_gettop(state) > 2 {
                ffi::lua_settop(state, -2);
            }
        }
    }
}

/// `setmetatable` without finalizers: they would run outside every limit.
unsafe extern "C-unwind" fn set_metatable(state: *mut lua_State) -> c_int {
    // SAFETY: C function conventions.
    unsafe {
        if ffi::lua_type(state, 2) == ffi::LUA_TTABLE {
            ffi::lua_pushstring(state, c"__gc".as_ptr());
            if ffi::lua_rawget(state, 2) != ffi::LUA_TNIL {
                return ffi::luaL_error(state, c"finalizers (__gc) are not available to spells".as_ptr());
            }
            ffi::lua_settop(state, -2);
        }
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_rotate(state, 1, 1);
        ffi::lua_call(state, ffi::lua_gettop(state) - 1, ffi::LUA_MULTRET);
        ffi::lua_gettop(state)
    }
}
