//! Field names that the cast loop keeps as upvalues.
//!
//! Events of one kind have the same names in the same order, so each name remembers which came next
//! the last time: one comparison, and the interned string is pushed. A miss goes to a hash map.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};
use rustc_hash::FxHashMap;

/// Names longer than this are not kept.
const KEY_BYTES_MAX: usize = 32;
/// A closure has at most 255 upvalues.
pub const KEYS_MAX: usize = 200;

#[derive(Clone, Copy)]
struct Slot {
    bytes: [u8; KEY_BYTES_MAX],
    len: u8,
    next: u8,
}

/// The names kept, and where the last one was found.
#[derive(Default)]
pub struct Keys {
    slots: Vec<Slot>,
    last: usize,
    index: FxHashMap<Box<[u8]>, u8>,
}

impl Keys {
    /// Pushes a name. Upvalues from `first` on of the running function hold the names.
    ///
    /// # Safety
    /// `state` runs the cast loop, whose closure has [`KEYS_MAX`] upvalues from `first` on.
    #[inline(always)]
    pub unsafe fn push(&mut self, state: *mut lua_State, first: c_int, key: &[u8]) {
        // SAFETY: slots and upvalues are filled together, so every slot's upvalue holds its name.
        unsafe {
            if let Some(last) = self.slots.get(self.last) {
                let next = last.next as usize;
                let slot = self.slots.get_unchecked(next);
                if slot.len as usize == key.len() && slot.bytes[..key.len()] == *key {
                    self.last = next;
                    return ffi::lua_pushvalue(state, ffi::lua_upvalueindex(first + next as c_int));
                }
            }
            self.find(state, first, key);
        }
    }

    #[inline(never)]
    unsafe fn find(&mut self, state: *mut lua_State, first: c_int, key: &[u8]) {
        // SAFETY: as `push`.
        unsafe {
            if let Some(&slot) = self.index.get(key) {
                ffi::lua_pushvalue(state, ffi::lua_upvalueindex(first + c_int::from(slot)));
                return self.follow(slot as usize);
            }
            ffi::lua_pushlstring(state, key.as_ptr().cast(), key.len());
            if key.len() > KEY_BYTES_MAX || self.slots.len() >= KEYS_MAX {
                return;
            }
            let slot = self.slots.len();
            let mut bytes = [0; KEY_BYTES_MAX];
            bytes[..key.len()].copy_from_slice(key);
            self.slots.push(Slot { bytes, len: key.len() as u8, next: 0 });
            self.index.insert(key.into(), slot as u8);
            ffi::lua_pushvalue(state, -1);
            ffi::lua_copy(state, -1, ffi::lua_upvalueindex(first + slot as c_int));
            ffi::lua_settop(state, -2);
            self.follow(slot);
        }
    }

    fn follow(&mut self, slot: usize) {
        if let Some(last) = self.slots.get_mut(self.last) {
            last.next = slot as u8;
        }
        self.last = slot;
    }
}
