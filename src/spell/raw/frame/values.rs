//! Values of the host: MessagePack, objects, natives, chunks.

use std::ffi::c_int;

use mlua::ffi;

use super::super::codec::decode::{self, Plain};
use super::super::codec::encode::{EncodeError, Encoder, Envelope};
use super::super::object;
use super::{Entry, Frame, Raise, push_native};
use crate::event::msgpack::Reader;

impl<'l> Frame<'l> {
    /// Pushes a MessagePack value as Lua data.
    pub fn push_value(&mut self, bytes: &[u8], nulls: bool) -> Result<(), Raise> {
        self.check_memory(bytes.len())?;
        self.room();
        let mut reader = Reader::new(bytes);
        // SAFETY: the limit is lifted.
        unsafe { decode::push_value(self.state, &mut Plain, &mut reader, nulls, 0) }
            .map_err(|error| Raise::message(error.to_string()))?;
        if reader.is_end() { Ok(()) } else { Err(Raise::message("bytes follow the value")) }
    }

    /// Appends the value at an index as canonical MessagePack, of at most `bytes_max` bytes.
    pub fn encode(&mut self, index: i32, out: &mut Vec<u8>, bytes_max: usize) -> Result<(), EncodeError> {
        let top = self.top();
        self.push_copy(index);
        // SAFETY: the limit is lifted; `out` is the native's.
        let result = unsafe { Encoder::new(self.state, self.core, out, bytes_max).value() };
        // SAFETY: back to where it was, whatever a failed walk left.
        unsafe { ffi::lua_settop(self.state, top) };
        result
    }

    /// As [`Frame::encode`], for the table at an index, with `$` keys going to `envelope`.
    pub fn encode_energy<E: Envelope>(
        &mut self,
        index: i32,
        out: &mut Vec<u8>,
        bytes_max: usize,
        envelope: &mut E,
    ) -> Result<(), EncodeError> {
        let top = self.top();
        self.push_copy(index);
        // SAFETY: as `encode`.
        let result = unsafe { Encoder::new(self.state, self.core, out, bytes_max).energy(envelope) };
        // SAFETY: back to where it was.
        unsafe { ffi::lua_settop(self.state, top) };
        result
    }

    /// Pushes an object: `payload` is never changed; `class` names its metatable.
    pub fn push_object(&mut self, class: &'static str, payload: &[u8]) {
        self.room();
        // SAFETY: room.
        unsafe { object::push(self.state, class, payload) };
    }

    /// Pushes the metatable of a class, to fill it.
    pub fn push_class(&mut self, class: &'static str) {
        self.room();
        // SAFETY: room.
        unsafe { object::push_class(self.state, class) };
    }

    /// The payload of an argument that must be an object of `class`.
    pub fn object(&mut self, index: usize, class: &'static str) -> Result<&'l [u8], Raise> {
        // SAFETY: arguments stay for `'l`.
        match unsafe { object::get(self.state, index as c_int) } {
            Some((found, payload)) if found == class && !self.is_none(index) => Ok(payload),
            _ => Err(self.expected(index, class)),
        }
    }

    /// Pushes a native with the `upvalues` values on top as its upvalues.
    pub fn push_native(&mut self, entry: &'static Entry, upvalues: usize) {
        self.room();
        // SAFETY: room.
        unsafe { push_native(self.state, entry, upvalues as c_int) };
    }

    /// Pushes an upvalue, from 1.
    pub fn push_upvalue(&mut self, n: usize) {
        self.room();
        // SAFETY: upvalue 1 of the closure is the native itself.
        unsafe { ffi::lua_pushvalue(self.state, ffi::lua_upvalueindex(n as c_int + 1)) };
    }

    /// Pops the top into an upvalue, from 1.
    pub fn set_upvalue(&mut self, n: usize) {
        // SAFETY: as `push_upvalue`.
        unsafe {
            ffi::lua_copy(self.state, -1, ffi::lua_upvalueindex(n as c_int + 1));
            ffi::lua_settop(self.state, -2);
        }
    }

    /// Compiles text as a chunk named `name` and pushes its function. Bytecode is refused.
    pub fn load(&mut self, name: &str, source: &[u8]) -> Result<(), Raise> {
        self.room();
        let name = std::ffi::CString::new(format!("@{name}"))
            .map_err(|_| Raise::message("a chunk's name holds a NUL byte"))?;
        // SAFETY: loading is protected inside, so the limit may be in force: a chunk is as large as its
        // author likes. On failure the message is on top.
        let status = unsafe {
            let lifted = std::mem::take(&mut (*self.core).arena.lifted);
            let status = ffi::luaL_loadbufferx(
                self.state,
                source.as_ptr().cast(),
                source.len(),
                name.as_ptr(),
                c"t".as_ptr(),
            );
            (*self.core).arena.lifted = lifted;
            status
        };
        if status == ffi::LUA_OK { Ok(()) } else { Err(Raise::Value) }
    }

    /// Pushes the globals.
    pub fn push_globals(&mut self) {
        self.room();
        // SAFETY: the registry holds them under this index.
        unsafe { ffi::lua_rawgeti(self.state, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS) };
    }

    /// Pushes the registry, where a spell cannot reach, for what the library keeps between calls.
    pub fn push_registry(&mut self) {
        self.push_copy(ffi::LUA_REGISTRYINDEX);
    }
}
