//! What a native was called with, and any other value on the stack.

use std::ffi::c_int;

use mlua::ffi;

use super::super::core::frame_at;
use super::super::object;
use super::{Frame, Kind, Raise};

impl<'l> Frame<'l> {
    /// What the value at an index is. Arguments are 1 ...; negative indexes count from the top.
    #[must_use]
    pub fn kind(&self, index: i32) -> Kind {
        // SAFETY: any acceptable index can be asked for its type; beyond the top it is none.
        unsafe {
            if index > self.top() {
                return Kind::None;
            }
            match ffi::lua_type(self.state, index) {
                ffi::LUA_TNIL => Kind::Nil,
                ffi::LUA_TBOOLEAN => Kind::Boolean,
                ffi::LUA_TLIGHTUSERDATA => Kind::Light,
                ffi::LUA_TNUMBER if ffi::lua_isinteger(self.state, index) != 0 => Kind::Integer,
                ffi::LUA_TNUMBER => Kind::Float,
                ffi::LUA_TSTRING => Kind::String,
                ffi::LUA_TTABLE => Kind::Table,
                ffi::LUA_TFUNCTION => Kind::Function,
                ffi::LUA_TUSERDATA => Kind::Userdata,
                ffi::LUA_TTHREAD => Kind::Thread,
                _ => Kind::None,
            }
        }
    }

    /// The type's name as error messages give it: an object's is its class.
    #[must_use]
    pub fn type_name(&self, index: i32) -> &'static str {
        // SAFETY: the value is on the stack.
        match self.kind(index) {
            Kind::Userdata => {
                unsafe { object::get(self.state, index) }.map_or("userdata", |(class, _)| class)
            }
            Kind::Light => "null",
            kind => kind.name(),
        }
    }

    pub(super) fn expected(&self, index: usize, what: &str) -> Raise {
        Raise::argument(index, format!("{what} expected, got {}", self.type_name(index as i32)))
    }

    /// A string argument; a number is converted, as Lua does.
    pub fn bytes(&mut self, index: usize) -> Result<&'l [u8], Raise> {
        match self.kind(index as i32) {
            Kind::String | Kind::Integer | Kind::Float => {
                // SAFETY: argument slots are never changed but by this conversion; `'l` is the call.
                Ok(unsafe { self.bytes_at(index as i32) })
            }
            _ => Err(self.expected(index, "string")),
        }
    }

    /// A string argument that may be absent or nil.
    pub fn opt_bytes(&mut self, index: usize) -> Result<Option<&'l [u8]>, Raise> {
        if self.is_absent(index) { Ok(None) } else { self.bytes(index).map(Some) }
    }

    /// A string argument that is UTF-8.
    pub fn text(&mut self, index: usize) -> Result<&'l str, Raise> {
        std::str::from_utf8(self.bytes(index)?).map_err(|_| Raise::argument(index, "not valid UTF-8"))
    }

    /// An integer argument; floats with an integral value and numeric strings are converted.
    pub fn int(&mut self, index: usize) -> Result<i64, Raise> {
        let mut done = 0;
        // SAFETY: conversion changes nothing on the stack.
        let value = unsafe { ffi::lua_tointegerx(self.state, index as c_int, &raw mut done) };
        if done != 0 && !self.is_none(index) {
            return Ok(value);
        }
        match self.kind(index as i32) {
            Kind::Float => Err(Raise::argument(index, "number has no integer representation")),
            _ => Err(self.expected(index, "number")),
        }
    }

    /// An integer argument that may be absent or nil.
    pub fn opt_int(&mut self, index: usize) -> Result<Option<i64>, Raise> {
        if self.is_absent(index) { Ok(None) } else { self.int(index).map(Some) }
    }

    /// A number argument.
    pub fn number(&mut self, index: usize) -> Result<f64, Raise> {
        let mut done = 0;
        // SAFETY: as `int`.
        let value = unsafe { ffi::lua_tonumberx(self.state, index as c_int, &raw mut done) };
        if done != 0 && !self.is_none(index) { Ok(value) } else { Err(self.expected(index, "number")) }
    }

    /// A number argument that may be absent or nil.
    pub fn opt_number(&mut self, index: usize) -> Result<Option<f64>, Raise> {
        if self.is_absent(index) { Ok(None) } else { self.number(index).map(Some) }
    }

    /// Whether an argument is true in the sense of Lua.
    #[must_use]
    pub fn boolean(&self, index: usize) -> bool {
        // SAFETY: any index.
        !self.is_none(index) && unsafe { ffi::lua_toboolean(self.state, index as c_int) != 0 }
    }

    /// Checks that an argument is a table.
    pub fn table(&mut self, index: usize) -> Result<(), Raise> {
        if self.kind(index as i32) == Kind::Table { Ok(()) } else { Err(self.expected(index, "table")) }
    }

    /// Checks that an argument is there, nil included.
    pub fn any(&mut self, index: usize) -> Result<(), Raise> {
        if self.is_none(index) { Err(Raise::argument(index, "value expected")) } else { Ok(()) }
    }

    /// Whether there is no such argument.
    #[must_use]
    pub fn is_none(&self, index: usize) -> bool {
        index as c_int > self.args
    }

    /// Whether an argument is not there, or nil.
    #[must_use]
    pub fn is_absent(&self, index: usize) -> bool {
        matches!(self.kind(index as i32), Kind::None | Kind::Nil) || self.is_none(index)
    }

    /// The string or number on the stack at any index, as a copy.
    #[must_use]
    pub fn copy_bytes(&mut self, index: i32) -> Option<Vec<u8>> {
        match self.kind(index) {
            // SAFETY: it is on the stack while it is copied. A number that is a table key under
            // `next` would be changed by the conversion, so a copy is converted.
            Kind::String => Some(unsafe { self.bytes_at(index) }.to_vec()),
            Kind::Integer | Kind::Float => unsafe {
                self.push_copy(index);
                let bytes = self.bytes_at(-1).to_vec();
                self.pop(1);
                Some(bytes)
            },
            _ => None,
        }
    }

    /// The integer at any index, where it is one.
    #[must_use]
    pub fn int_at(&self, index: i32) -> Option<i64> {
        // SAFETY: reads.
        (self.kind(index) == Kind::Integer).then(|| unsafe { ffi::lua_tointeger(self.state, index) })
    }

    /// The number at any index, where it is one.
    #[must_use]
    pub fn number_at(&self, index: i32) -> Option<f64> {
        // SAFETY: reads.
        matches!(self.kind(index), Kind::Integer | Kind::Float)
            .then(|| unsafe { ffi::lua_tonumber(self.state, index) })
    }

    /// Whether the value at any index is true in the sense of Lua.
    #[must_use]
    pub fn truthy(&self, index: i32) -> bool {
        // SAFETY: reads.
        unsafe { ffi::lua_toboolean(self.state, index) != 0 }
    }

    /// The low 32 bits of a reference's address, the same in every run; `None` for plain values.
    #[must_use]
    pub fn address(&self, index: i32) -> Option<u32> {
        match self.kind(index) {
            Kind::Table | Kind::Function | Kind::Userdata | Kind::Thread | Kind::String => {
                // SAFETY: reads a pointer.
                Some(unsafe { ffi::lua_topointer(self.state, index) } as usize as u32)
            }
            _ => None,
        }
    }

    /// The caller's chunk and line, for log records.
    #[must_use]
    pub fn caller(&self) -> Option<(String, u32)> {
        // SAFETY: reads the call stack.
        unsafe { frame_at(self.state, 1) }.map(|frame| (frame.source, frame.line))
    }
}
