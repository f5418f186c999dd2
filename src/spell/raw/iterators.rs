//! `pairs`, `ipairs`, `utf8.codes` with iterators that are objects of the VM; `utf8` functions that count.
//!
//! Stock Lua hands out its iterators as plain C functions, whose address is the program's: a table keyed by
//! one would have another order in each process. And `utf8.len`, `codepoint` and `offset` walk a string
//! that may be as long as memory.

use std::ffi::{CStr, c_int};

use mlua::ffi::{self, lua_State};

use super::meter;

/// Functions of `utf8` that take time with the length of their first argument.
const WALKS: [&CStr; 3] = [c"len", c"codepoint", c"offset"];

/// Replaces the functions. The stack is empty before and after.
///
/// # Safety
/// The stock libraries are open, their functions closures of the VM.
pub unsafe fn install(state: *mut lua_State) {
    // SAFETY: runs protected, on a fresh state; stack use is far below what C functions have.
    unsafe {
        ffi::lua_getglobal(state, c"next".as_ptr());
        ffi::lua_pushcclosure(state, pairs, 1);
        ffi::lua_setglobal(state, c"pairs".as_ptr());

        ffi::lua_getglobal(state, c"ipairs".as_ptr());
        ffi::lua_createtable(state, 0, 0);
        push_iterator(state, 1);
        ffi::lua_pushcclosure(state, ipairs, 1);
        ffi::lua_setglobal(state, c"ipairs".as_ptr());

        ffi::lua_getglobal(state, c"utf8".as_ptr());
        ffi::lua_getfield(state, 1, c"codes".as_ptr());
        for lax in [0, 1] {
            ffi::lua_pushvalue(state, 2);
            ffi::lua_pushlstring(state, c"".as_ptr(), 0);
            ffi::lua_pushboolean(state, lax);
            push_iterator(state, 2);
        }
        ffi::lua_pushcclosure(state, codes, 3);
        ffi::lua_setfield(state, 1, c"codes".as_ptr());
        for name in WALKS {
            ffi::lua_getfield(state, 1, name.as_ptr());
            ffi::lua_pushcclosure(state, walk, 1);
            ffi::lua_setfield(state, 1, name.as_ptr());
        }
        ffi::lua_settop(state, 0);
    }
}

/// Calls the function below its arguments and leaves a closure of the C function it returns first.
unsafe fn push_iterator(state: *mut lua_State, args: c_int) {
    // SAFETY: the stock functions return a plain C function.
    unsafe {
        ffi::lua_call(state, args, 1);
        if let Some(function) = ffi::lua_tocfunction(state, -1) {
            ffi::lua_pushnil(state);
            ffi::lua_pushcclosure(state, function, 1);
            ffi::lua_rotate(state, -2, 1);
            ffi::lua_settop(state, -2);
        }
    }
}

/// `pairs(t)`. Upvalue: `next`.
unsafe extern "C-unwind" fn pairs(state: *mut lua_State) -> c_int {
    // SAFETY: C function conventions; nothing here has a destructor.
    unsafe {
        ffi::luaL_checkany(state, 1);
        if ffi::luaL_getmetafield(state, 1, c"__pairs".as_ptr()) == ffi::LUA_TNIL {
            ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
            ffi::lua_pushvalue(state, 1);
            ffi::lua_pushnil(state);
            ffi::lua_pushnil(state);
        } else {
            ffi::lua_pushvalue(state, 1);
            ffi::lua_callk(state, 1, 4, 0, Some(pairs_on));
        }
        4
    }
}

unsafe extern "C-unwind" fn pairs_on(_: *mut lua_State, _: c_int, _: ffi::lua_KContext) -> c_int {
    4
}

/// `ipairs(t)`. Upvalue: the iterator.
unsafe extern "C-unwind" fn ipairs(state: *mut lua_State) -> c_int {
    // SAFETY: as `pairs`.
    unsafe {
        ffi::luaL_checkany(state, 1);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_pushvalue(state, 1);
        ffi::lua_pushinteger(state, 0);
        3
    }
}

/// `utf8.codes(s [, lax])`. Upvalues: the stock function, the strict and the lax iterator.
unsafe extern "C-unwind" fn codes(state: *mut lua_State) -> c_int {
    // SAFETY: as `pairs`; the stock function checks the arguments.
    unsafe {
        let iterator = if ffi::lua_toboolean(state, 2) == 0 { 2 } else { 3 };
        let count = match ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1)) {
            Some(stock) => stock(state),
            None => 0,
        };
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(iterator));
        ffi::lua_replace(state, -count - 1);
        count
    }
}

/// A stock function that walks its first argument. Upvalue: that function, which looks at none itself.
unsafe extern "C-unwind" fn walk(state: *mut lua_State) -> c_int {
    // SAFETY: as `pairs`.
    unsafe {
        if ffi::lua_type(state, 1) == ffi::LUA_TSTRING {
            meter::charge(state, 1 + ffi::lua_rawlen(state, 1) as u64 / 16);
        }
        match ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1)) {
            Some(stock) => stock(state),
            None => 0,
        }
    }
}
