//! How Lua 5.5 lays out tables and strings, for reading them without a call per field.
//!
//! Read only: the encoder walks tables through this, everything else goes through Lua's interface. The
//! structures are those of `lobject.h` of the Lua that is built with this crate; [`fits`] compares what
//! they show of a table with what the interface says, and no VM starts where the two differ.

use std::ffi::{c_int, c_void};
use std::ptr;

use mlua::ffi::{self, lua_State};

pub const NIL: u8 = 0;
pub const FALSE: u8 = 0x01;
pub const TRUE: u8 = 0x11;
pub const LIGHT: u8 = 0x02;
pub const INT: u8 = 0x03;
pub const FLOAT: u8 = 0x13;
pub const SHORT_STRING: u8 = 0x44;
pub const LONG_STRING: u8 = 0x54;
pub const TABLE: u8 = 0x45;
pub const USERDATA: u8 = 0x47;

/// `Value`: which member holds is said by a tag kept elsewhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub union Value {
    pub object: *const c_void,
    pub int: i64,
    pub float: f64,
}

/// `Node`: an entry of the hash part.
#[repr(C)]
pub struct Node {
    pub value: Value,
    pub tag: u8,
    pub key_tag: u8,
    next: c_int,
    pub key: Value,
}

/// `Table`
#[repr(C)]
pub struct Table {
    next: *const c_void,
    kind: u8,
    marked: u8,
    flags: u8,
    log_nodes: u8,
    pub array_len: u32,
    array: *const Value,
    nodes: *const Node,
    pub metatable: *const Table,
    gray: *const c_void,
}

/// `TString`: the bytes of a short string take the place of `long`.
#[repr(C)]
struct Text {
    next: *const c_void,
    kind: u8,
    marked: u8,
    extra: u8,
    short_len: i8,
    hash: u32,
    long_len: usize,
    long: *const u8,
}

/// `Udata0`: a full userdata without user values.
#[repr(C)]
struct Userdata {
    next: *const c_void,
    kind: u8,
    marked: u8,
    values: u16,
    len: usize,
    metatable: *const Table,
}

impl Table {
    /// The entries of the hash part, empty ones among them.
    ///
    /// # Safety
    /// The table is live, and nothing is written into it while the slice is used.
    #[inline(always)]
    pub unsafe fn nodes<'l>(&self) -> &'l [Node] {
        // SAFETY: a table without a hash part points to one empty node.
        unsafe { std::slice::from_raw_parts(self.nodes, 1 << self.log_nodes) }
    }

    /// Tag and value of array slot `index`, from 0.
    ///
    /// # Safety
    /// As [`Table::nodes`]; the index is below `array_len`.
    #[inline(always)]
    pub unsafe fn slot(&self, index: usize) -> (u8, Value) {
        // SAFETY: values lie before the pointer, last first; behind it a counter, then the tags.
        unsafe { (*self.array.cast::<u8>().add(4 + index), *self.array.sub(1 + index)) }
    }
}

/// Whether a tag says that there is nothing.
#[inline(always)]
pub fn is_empty(tag: u8) -> bool {
    tag & 0x0f == NIL
}

/// Whether a tag says that there is something, and no function or thread.
#[inline(always)]
pub fn is_data(tag: u8) -> bool {
    !matches!(tag & 0x0f, NIL | 0x06 | 0x08)
}

/// The bytes of a string, given its tag.
///
/// # Safety
/// The value is a live string of that tag.
#[inline(always)]
pub unsafe fn bytes<'l>(tag: u8, value: Value) -> &'l [u8] {
    // SAFETY: by the contract.
    unsafe {
        let text = value.object.cast::<Text>();
        if tag == SHORT_STRING {
            let start = (&raw const (*text).long).cast::<u8>();
            std::slice::from_raw_parts(start, (*text).short_len as usize)
        } else {
            std::slice::from_raw_parts((*text).long, (*text).long_len)
        }
    }
}

/// The block of a full userdata, as `lua_touserdata` gives it.
///
/// # Safety
/// The value is a live userdata without user values.
pub unsafe fn block(value: Value) -> *mut c_void {
    // SAFETY: the block follows the header, aligned for any type.
    unsafe { value.object.cast::<Userdata>().add(1).cast_mut().cast() }
}

/// Whether the structures above are those of the Lua at hand: builds a table through the interface and
/// reads it back through them.
///
/// # Safety
/// The VM's limit is lifted, and there is room for five values.
pub unsafe fn fits(state: *mut lua_State) -> bool {
    // SAFETY: as far as the sizes agree, reads stay within the objects just made.
    unsafe {
        let top = ffi::lua_gettop(state);
        let long = [b'x'; 100];
        ffi::lua_createtable(state, 2, 4);
        let table = ffi::lua_topointer(state, -1).cast::<Table>();
        ffi::lua_pushinteger(state, -7);
        ffi::lua_rawseti(state, -2, 1);
        ffi::lua_pushnumber(state, 0.5);
        ffi::lua_rawseti(state, -2, 2);
        for (key, text) in [(&b"short"[..], &b"text"[..]), (&b"long"[..], &long[..])] {
            ffi::lua_pushlstring(state, key.as_ptr().cast(), key.len());
            ffi::lua_pushlstring(state, text.as_ptr().cast(), text.len());
            ffi::lua_rawset(state, -3);
        }
        ffi::lua_pushboolean(state, 1);
        let userdata = ffi::lua_newuserdatauv(state, 8, 0);
        ffi::lua_pushvalue(state, -1);
        ffi::lua_rotate(state, -3, -1);
        ffi::lua_rawset(state, -4);
        ffi::lua_createtable(state, 0, 0);
        let metatable = ffi::lua_topointer(state, -1).cast::<Table>();
        ffi::lua_setmetatable(state, -3);

        let mut fits = (*table).kind == TABLE & 0x0f && (*table).array_len == 2 && (*table).log_nodes == 2;
        fits = fits && ptr::eq((*table).metatable, metatable) && (*metatable).array_len == 0;
        if fits {
            let (first, second) = ((*table).slot(0), (*table).slot(1));
            fits = first.0 == INT && first.1.int == -7 && second.0 == FLOAT && second.1.float == 0.5;
            let mut seen = 0;
            for node in (*table).nodes() {
                seen += match (node.key_tag, node.tag) {
                    (_, tag) if is_empty(tag) => 0,
                    (SHORT_STRING, SHORT_STRING) if bytes(node.key_tag, node.key) == b"short" => {
                        u32::from(bytes(node.tag, node.value) == b"text")
                    }
                    (SHORT_STRING, LONG_STRING) if bytes(node.key_tag, node.key) == b"long" => {
                        u32::from(bytes(node.tag, node.value) == long)
                    }
                    (USERDATA, TRUE) => u32::from(block(node.key) == userdata),
                    _ => 9,
                };
            }
            fits = fits && seen == 3;
        }
        ffi::lua_settop(state, top);
        fits
    }
}
