//! What a native leaves on the stack.

use std::ffi::c_int;

use mlua::ffi;

use super::{Frame, Raise};

impl<'l> Frame<'l> {
    pub(super) fn room(&mut self) {
        // SAFETY: does not raise; Lua's stack limit is far above what natives push.
        unsafe { ffi::lua_checkstack(self.state, 4) };
    }

    /// Makes room for `count` values; fails rather than overflow Lua's stack.
    pub fn reserve(&mut self, count: usize) -> Result<(), Raise> {
        let fits = i32::try_from(count).is_ok_and(|count| {
            // SAFETY: does not raise.
            count < 1_000_000 && unsafe { ffi::lua_checkstack(self.state, count + 4) } != 0
        });
        if fits { Ok(()) } else { Err(Raise::message("stack overflow")) }
    }

    /// Pushes nil.
    pub fn push_nil(&mut self) {
        self.room();
        // SAFETY: room.
        unsafe { ffi::lua_pushnil(self.state) };
    }

    /// Pushes the value `null`.
    pub fn push_null(&mut self) {
        self.room();
        // SAFETY: room.
        unsafe { ffi::lua_pushlightuserdata(self.state, std::ptr::null_mut()) };
    }

    /// Pushes a boolean.
    pub fn push_bool(&mut self, value: bool) {
        self.room();
        // SAFETY: room.
        unsafe { ffi::lua_pushboolean(self.state, c_int::from(value)) };
    }

    /// Pushes an integer.
    pub fn push_int(&mut self, value: i64) {
        self.room();
        // SAFETY: room.
        unsafe { ffi::lua_pushinteger(self.state, value) };
    }

    /// Pushes a float.
    pub fn push_float(&mut self, value: f64) {
        self.room();
        // SAFETY: room.
        unsafe { ffi::lua_pushnumber(self.state, value) };
    }

    /// Pushes a string, unless the VM's memory has no room for it.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), Raise> {
        self.check_memory(bytes.len())?;
        self.room();
        // SAFETY: room; the limit is lifted.
        unsafe { ffi::lua_pushlstring(self.state, bytes.as_ptr().cast(), bytes.len()) };
        Ok(())
    }

    /// Pushes a string.
    pub fn push_str(&mut self, text: &str) -> Result<(), Raise> {
        self.push_bytes(text.as_bytes())
    }

    /// Fails where the VM has no room for `bytes` more, garbage not counted.
    pub fn check_memory(&mut self, bytes: usize) -> Result<(), Raise> {
        // SAFETY: as `host`.
        unsafe {
            if (*self.core).arena.used.saturating_add(bytes) <= (*self.core).arena.limit {
                return Ok(());
            }
        }
        self.collect(bytes)
    }

    /// Collects to make room: work in proportion to what there is, whether it helps or not.
    #[cold]
    fn collect(&mut self, bytes: usize) -> Result<(), Raise> {
        // SAFETY: as `host`; a collection runs no spell code, there are no finalizers.
        unsafe {
            let used = (*self.core).arena.used;
            self.charge(1 + (used >> 5) as u64)?;
            ffi::lua_gc(self.state, ffi::LUA_GCCOLLECT);
            let fits = (*self.core).arena.used.saturating_add(bytes) <= (*self.core).arena.limit;
            if fits { Ok(()) } else { Err(Raise::Memory) }
        }
    }

    /// Pushes a copy of the value at any index.
    pub fn push_copy(&mut self, index: i32) {
        self.room();
        // SAFETY: room.
        unsafe { ffi::lua_pushvalue(self.state, index) };
    }

    /// Pushes a new table with room for so many elements and fields.
    pub fn push_table(&mut self, elements: usize, fields: usize) {
        self.room();
        // SAFETY: room; sizes are bounded by what the caller holds in memory already.
        unsafe {
            ffi::lua_createtable(self.state, elements.min(1 << 26) as c_int, fields.min(1 << 26) as c_int)
        };
    }

    /// Removes values from the top, never arguments.
    pub fn pop(&mut self, count: usize) {
        let top = (self.top() - count as c_int).max(self.args);
        // SAFETY: no slot in an energy's table is to be closed.
        unsafe { ffi::lua_settop(self.state, top) };
    }

    /// Moves the top below the `count - 1` values under it.
    pub fn insert(&mut self, count: usize) {
        // SAFETY: within what the native pushed.
        unsafe { ffi::lua_rotate(self.state, -(count as c_int), 1) };
    }

    /// Removes the value below the top.
    pub fn drop_below_top(&mut self) {
        // SAFETY: host code calls this on what it pushed.
        unsafe {
            ffi::lua_rotate(self.state, -2, 1);
            ffi::lua_settop(self.state, -2);
        }
    }

    /// Takes the table on top as an output of the running cast: an energy, or a list of them.
    pub fn emit(&mut self) -> Result<(), Raise> {
        // SAFETY: natives run with the limit lifted.
        match unsafe { super::super::take::emit(self.state, self.core) } {
            Ok(()) => Ok(()),
            Err(()) if unsafe { (*self.core).meter.stop.is_some() } => Err(Raise::Limit),
            Err(()) => Err(Raise::Value),
        }
    }
}
