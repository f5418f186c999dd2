//! Calls into Lua, protected: functions, and operations that may run a metamethod.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use super::super::core::on_error;
use super::{Frame, Kind, Raise};

impl<'l> Frame<'l> {
    fn meta(&mut self, operation: ffi::lua_CFunction, operands: usize, results: usize) -> Result<(), Raise> {
        self.room();
        // SAFETY: the operation sits below its operands.
        unsafe {
            ffi::lua_pushcclosure(self.state, operation, 0);
            ffi::lua_rotate(self.state, -(operands as c_int) - 1, 1);
        }
        self.call(operands, results)
    }

    /// Pushes `value[n]`.
    pub fn index(&mut self, value: i32, n: i64) -> Result<(), Raise> {
        self.push_copy(value);
        self.push_int(n);
        self.meta(meta_index, 2, 1)
    }

    /// Pops the top into `value[n]`.
    pub fn set_index(&mut self, value: i32, n: i64) -> Result<(), Raise> {
        // SAFETY: turned absolute while the top is still there.
        let value = unsafe { ffi::lua_absindex(self.state, value) };
        self.push_copy(value);
        self.insert(2);
        self.push_int(n);
        self.insert(2);
        self.meta(meta_set_index, 3, 0)
    }

    /// `#value`.
    pub fn len_of(&mut self, value: i32) -> Result<i64, Raise> {
        self.push_copy(value);
        self.meta(meta_len, 1, 1)?;
        let len = self.int_at(-1).ok_or_else(|| Raise::message("object length is not an integer"));
        // SAFETY: pops the length.
        unsafe { ffi::lua_settop(self.state, -2) };
        len
    }

    /// `left < right`.
    pub fn less_than(&mut self, left: i32, right: i32) -> Result<bool, Raise> {
        // SAFETY: reads types and plain values.
        unsafe {
            let plain = |index| matches!(self.kind(index), Kind::Integer | Kind::Float);
            if plain(left) && plain(right) {
                return Ok(ffi::lua_compare(self.state, left, right, ffi::LUA_OPLT) != 0);
            }
            let (left, right) = (ffi::lua_absindex(self.state, left), ffi::lua_absindex(self.state, right));
            self.push_copy(left);
            self.push_copy(right);
            self.meta(meta_less, 2, 1)?;
            let less = self.truthy(-1);
            ffi::lua_settop(self.state, -2);
            Ok(less)
        }
    }

    /// Pushes the text of a value, as `tostring` gives it; addresses are those of the VM's own range.
    pub fn tostring(&mut self, index: i32) -> Result<(), Raise> {
        match self.kind(index) {
            Kind::String => {
                self.push_copy(index);
                return Ok(());
            }
            Kind::Integer | Kind::Float => {
                self.push_copy(index);
                // SAFETY: converts the copy in place.
                unsafe { self.bytes_at(-1) };
                return Ok(());
            }
            _ => {}
        }
        if self.has_metafield(index, "__tostring") {
            self.push_copy(index);
            self.meta(meta_tostring, 1, 1)?;
            return Ok(());
        }
        let text = match self.kind(index) {
            Kind::Nil | Kind::None => "nil".to_owned(),
            Kind::Boolean => self.truthy(index).to_string(),
            Kind::Light => "null".to_owned(),
            Kind::Userdata => self.type_name(index).to_owned(),
            kind => match self.address(index) {
                Some(address) if !self.is_builtin(index) => format!("{}: 0x{address:08x}", kind.name()),
                _ => format!("{}: builtin", kind.name()),
            },
        };
        self.push_bytes(text.as_bytes())
    }

    /// Whether a value's metatable has a field.
    #[must_use]
    pub fn has_metafield(&mut self, index: i32, name: &str) -> bool {
        self.room();
        // SAFETY: room.
        unsafe {
            if ffi::lua_getmetatable(self.state, index) == 0 {
                return false;
            }
            let has = self.get_field(-1, name) != Kind::Nil;
            ffi::lua_settop(self.state, -3);
            has
        }
    }

    /// Whether a function is written in C without upvalues: its address is the program's, not the VM's.
    fn is_builtin(&self, index: i32) -> bool {
        // SAFETY: reads.
        unsafe { ffi::lua_iscfunction(self.state, index) != 0 }
    }

    /// Calls the function below its `args` arguments. On an error the error value is on top, and where
    /// it was raised is kept: the native is to pass it on.
    pub fn call(&mut self, args: usize, results: usize) -> Result<(), Raise> {
        self.room();
        // SAFETY: the handler sits below the function. The limit is back in force while Lua runs, and
        // lifted again after.
        unsafe {
            let base = ffi::lua_gettop(self.state) - args as c_int;
            ffi::lua_pushcclosure(self.state, on_error, 0);
            ffi::lua_rotate(self.state, base, 1);
            let lifted = std::mem::take(&mut (*self.core).arena.lifted);
            let status = ffi::lua_pcallk(self.state, args as c_int, results as c_int, base, 0, None);
            (*self.core).arena.lifted = lifted;
            ffi::lua_rotate(self.state, base, -1);
            ffi::lua_settop(self.state, -2);
            match status {
                ffi::LUA_OK => Ok(()),
                _ => Err(Raise::Value),
            }
        }
    }
}

unsafe extern "C-unwind" fn meta_index(state: *mut lua_State) -> c_int {
    // SAFETY: two operands; may raise, nothing is pending.
    unsafe { ffi::lua_gettable(state, 1) };
    1
}

unsafe extern "C-unwind" fn meta_set_index(state: *mut lua_State) -> c_int {
    // SAFETY: three operands.
    unsafe { ffi::lua_settable(state, 1) };
    0
}

unsafe extern "C-unwind" fn meta_len(state: *mut lua_State) -> c_int {
    // SAFETY: one operand.
    unsafe { ffi::lua_len(state, 1) };
    1
}

unsafe extern "C-unwind" fn meta_less(state: *mut lua_State) -> c_int {
    // SAFETY: two operands.
    unsafe { ffi::lua_pushboolean(state, ffi::lua_compare(state, 1, 2, ffi::LUA_OPLT)) };
    1
}

unsafe extern "C-unwind" fn meta_tostring(state: *mut lua_State) -> c_int {
    // SAFETY: one operand.
    unsafe { ffi::luaL_tolstring(state, 1, std::ptr::null_mut()) };
    1
}
