//! Tables, raw: no metamethod runs.

use mlua::ffi;

use super::super::object;
use super::{Frame, Kind, Raise};

impl<'l> Frame<'l> {
    /// The border of a table, or the length of a string.
    #[must_use]
    pub fn raw_len(&self, index: i32) -> usize {
        // SAFETY: reads.
        unsafe { ffi::lua_rawlen(self.state, index) }
    }

    /// Replaces the key on top by its value.
    pub fn raw_get(&mut self, table: i32) -> Kind {
        // SAFETY: callers name a table.
        unsafe { ffi::lua_rawget(self.state, table) };
        self.kind(-1)
    }

    /// Pops value and key from the top and stores them.
    pub fn raw_set(&mut self, table: i32) -> Result<(), Raise> {
        match self.kind(-2) {
            Kind::Nil => return Err(Raise::message("table index is nil")),
            Kind::Float if self.number_at(-2).is_some_and(f64::is_nan) => {
                return Err(Raise::message("table index is NaN"));
            }
            _ => {}
        }
        // SAFETY: the key is fit.
        unsafe { ffi::lua_rawset(self.state, table) };
        Ok(())
    }

    /// Pushes element `n`.
    pub fn raw_geti(&mut self, table: i32, n: i64) -> Kind {
        self.room();
        // SAFETY: room.
        unsafe { ffi::lua_rawgeti(self.state, table, n) };
        self.kind(-1)
    }

    /// Pops the top into element `n`.
    pub fn raw_seti(&mut self, table: i32, n: i64) {
        // SAFETY: an integer is a fit key.
        unsafe { ffi::lua_rawseti(self.state, table, n) };
    }

    /// Pushes a field.
    pub fn get_field(&mut self, table: i32, name: &str) -> Kind {
        self.room();
        // SAFETY: room; the index is made absolute before the push.
        unsafe {
            let table = ffi::lua_absindex(self.state, table);
            ffi::lua_pushlstring(self.state, name.as_ptr().cast(), name.len());
            ffi::lua_rawget(self.state, table);
        }
        self.kind(-1)
    }

    /// Pops the top into a field.
    pub fn set_field(&mut self, table: i32, name: &str) {
        self.room();
        // SAFETY: as `get_field`.
        unsafe {
            let table = ffi::lua_absindex(self.state, table);
            ffi::lua_pushlstring(self.state, name.as_ptr().cast(), name.len());
            ffi::lua_rotate(self.state, -2, 1);
            ffi::lua_rawset(self.state, table);
        }
    }

    /// Replaces the key on top by the next key and value; false, and the key is gone, at the end.
    pub fn next(&mut self, table: i32) -> bool {
        self.room();
        // SAFETY: the key came from this table.
        unsafe { ffi::lua_next(self.state, table) != 0 }
    }

    /// Whether a value has a metatable.
    #[must_use]
    pub fn has_metatable(&mut self, index: i32) -> bool {
        self.room();
        // SAFETY: room.
        unsafe {
            let has = ffi::lua_getmetatable(self.state, index) != 0;
            if has {
                ffi::lua_settop(self.state, -2);
            }
            has
        }
    }

    /// Pops a table and makes it the metatable of the value at `index`.
    pub fn set_metatable(&mut self, index: i32) {
        // SAFETY: the library makes metatables without `__gc`.
        unsafe { ffi::lua_setmetatable(self.state, index) };
    }

    /// Raw equality of two values.
    #[must_use]
    pub fn raw_equal(&self, left: i32, right: i32) -> bool {
        // SAFETY: reads.
        unsafe { ffi::lua_rawequal(self.state, left, right) != 0 }
    }

    /// Marks the table on top as an array, however empty.
    pub fn mark_array(&mut self) {
        self.room();
        // SAFETY: room.
        unsafe { object::mark_array(self.state) };
    }
}
