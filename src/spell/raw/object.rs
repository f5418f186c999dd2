//! Host values inside Lua: objects of a class, the array marker, extension types.
//!
//! Every full userdata that a spell can hold is an object made here: a header that names its class,
//! then an immutable payload. Metatables are kept in the registry under the class's name and cannot
//! be reached from a spell (`__metatable` is set).

use std::ffi::c_int;
use std::ptr;

use mlua::ffi::{self, lua_State};

/// Class of values that came from a MessagePack extension type: the type byte, then its bytes.
pub const EXT: &str = "ext";
/// Registry name of the metatable that marks an empty array.
const ARRAY: &str = "array";

/// What an object starts with.
#[repr(C)]
struct Header {
    class: &'static str,
    len: usize,
}

/// Pushes the metatable of a class, made empty on first use.
///
/// # Safety
/// The VM's limit is lifted, `state` has room for three values.
pub unsafe fn push_class(state: *mut lua_State, class: &'static str) {
    // SAFETY: the registry is a table; class names do not clash with Lua's own entries in it.
    unsafe {
        ffi::lua_pushlstring(state, class.as_ptr().cast(), class.len());
        if ffi::lua_rawget(state, ffi::LUA_REGISTRYINDEX) == ffi::LUA_TTABLE {
            return;
        }
        ffi::lua_settop(state, -2);
        ffi::lua_createtable(state, 0, 4);
        ffi::lua_pushlstring(state, c"__metatable".as_ptr(), 11);
        ffi::lua_pushlstring(state, class.as_ptr().cast(), class.len());
        ffi::lua_rawset(state, -3);
        ffi::lua_pushlstring(state, c"__name".as_ptr(), 6);
        ffi::lua_pushlstring(state, class.as_ptr().cast(), class.len());
        ffi::lua_rawset(state, -3);
        ffi::lua_pushlstring(state, class.as_ptr().cast(), class.len());
        ffi::lua_pushvalue(state, -2);
        ffi::lua_rawset(state, ffi::LUA_REGISTRYINDEX);
    }
}

/// Pushes a new object.
///
/// # Safety
/// As [`push_class`].
pub unsafe fn push(state: *mut lua_State, class: &'static str, payload: &[u8]) {
    // SAFETY: the block is as long as asked for; Lua aligns it for any type.
    unsafe {
        let block = ffi::lua_newuserdatauv(state, size_of::<Header>() + payload.len(), 0);
        block.cast::<Header>().write(Header { class, len: payload.len() });
        ptr::copy_nonoverlapping(payload.as_ptr(), block.cast::<Header>().add(1).cast(), payload.len());
        push_class(state, class);
        ffi::lua_setmetatable(state, -2);
    }
}

/// The class and payload of an object, given its block.
///
/// # Safety
/// The block was made by [`push`] and lives for `'l`.
pub unsafe fn read<'l>(block: *mut std::ffi::c_void) -> (&'static str, &'l [u8]) {
    // SAFETY: by the contract.
    unsafe {
        let header = block.cast::<Header>();
        let payload = std::slice::from_raw_parts(header.add(1).cast::<u8>(), (*header).len);
        ((*header).class, payload)
    }
}

/// The class and payload of the object at `index`.
///
/// # Safety
/// The value stays on the stack for `'l`.
pub unsafe fn get<'l>(state: *mut lua_State, index: c_int) -> Option<(&'static str, &'l [u8])> {
    // SAFETY: all full userdata were made by `push`.
    unsafe {
        if ffi::lua_type(state, index) != ffi::LUA_TUSERDATA {
            return None;
        }
        Some(read(ffi::lua_touserdata(state, index)))
    }
}

/// Pushes an extension value.
///
/// # Safety
/// As [`push_class`].
pub unsafe fn push_ext(state: *mut lua_State, kind: i8, bytes: &[u8]) {
    let mut payload = Vec::with_capacity(bytes.len() + 1);
    payload.push(kind as u8);
    payload.extend_from_slice(bytes);
    // SAFETY: by the contract; nothing raises, so the payload is freed.
    unsafe { push(state, EXT, &payload) };
}

/// Marks the table on top as an array, however empty.
///
/// # Safety
/// As [`push_class`].
pub unsafe fn mark_array(state: *mut lua_State) {
    // SAFETY: by the contract.
    unsafe {
        push_class(state, ARRAY);
        ffi::lua_setmetatable(state, -2);
    }
}

/// Whether the table at `index` carries the array mark.
///
/// # Safety
/// As [`push_class`].
pub unsafe fn is_array(state: *mut lua_State, index: c_int) -> bool {
    // SAFETY: by the contract.
    unsafe {
        if ffi::lua_getmetatable(state, index) == 0 {
            return false;
        }
        push_class(state, ARRAY);
        let same = ffi::lua_rawequal(state, -1, -2) != 0;
        ffi::lua_settop(state, -3);
        same
    }
}

/// The address of the metatable that marks arrays.
///
/// # Safety
/// As [`push_class`].
pub unsafe fn array_metatable(state: *mut lua_State) -> *const std::ffi::c_void {
    // SAFETY: the registry keeps the metatable alive, and nothing moves it.
    unsafe {
        push_class(state, ARRAY);
        let address = ffi::lua_topointer(state, -1);
        ffi::lua_settop(state, -2);
        address
    }
}
