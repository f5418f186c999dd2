//! Canonical MessagePack onto the Lua stack.

use std::ffi::c_int;
use std::ptr;

use mlua::ffi::{self, lua_State};

use super::keys::Keys;
use crate::event::msgpack::{self, DEPTH_MAX, Reader, Token};
use crate::spell::raw::object;

/// Why bytes cannot become a Lua value.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not MessagePack.
    #[error(transparent)]
    Bytes(#[from] msgpack::Error),
    /// Deeper than an energy may be.
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// A map key that Lua cannot have.
    #[error("a map key is nil, NaN, an array or a map")]
    Key,
}

/// Where names come from: the cast loop's upvalues, or Lua's string table.
pub trait Names {
    /// Pushes a name.
    ///
    /// # Safety
    /// As for [`Keys::push`] where names are kept.
    unsafe fn push(&mut self, state: *mut lua_State, key: &[u8]);
}

/// Names from Lua's string table.
pub struct Plain;

impl Names for Plain {
    #[inline(always)]
    unsafe fn push(&mut self, state: *mut lua_State, key: &[u8]) {
        // SAFETY: pushing within the reserved stack.
        unsafe { ffi::lua_pushlstring(state, key.as_ptr().cast(), key.len()) };
    }
}

/// Names from the cast loop's upvalues, the first of which is `.1`.
pub struct Kept<'a>(pub &'a mut Keys, pub c_int);

impl Names for Kept<'_> {
    #[inline(always)]
    unsafe fn push(&mut self, state: *mut lua_State, key: &[u8]) {
        // SAFETY: the cast loop alone makes a `Kept`.
        unsafe { self.0.push(state, self.1, key) };
    }
}

/// Pushes one value. With `nulls` a nil in a map is the value `null`, else it is an absent field.
/// On an error the stack may hold more than before; the caller resets it.
///
/// # Safety
/// The VM's limit is lifted; `names` fits the running function.
#[inline]
pub unsafe fn push_value<N: Names>(
    state: *mut lua_State,
    names: &mut N,
    reader: &mut Reader<'_>,
    nulls: bool,
    depth: usize,
) -> Result<(), DecodeError> {
    let token = reader.token()?;
    // SAFETY: every push below has room, see `push_token`.
    unsafe { push_token(state, names, reader, token, nulls, depth) }
}

#[inline(always)]
unsafe fn push_token<N: Names>(
    state: *mut lua_State,
    names: &mut N,
    reader: &mut Reader<'_>,
    token: Token<'_>,
    nulls: bool,
    depth: usize,
) -> Result<(), DecodeError> {
    // SAFETY: containers reserve stack for themselves and one level of scalars below them.
    unsafe {
        match token {
            Token::Nil => ffi::lua_pushlightuserdata(state, ptr::null_mut()),
            Token::Bool(value) => ffi::lua_pushboolean(state, c_int::from(value)),
            Token::Int(value) => ffi::lua_pushinteger(state, value),
            Token::BigUint(value) => ffi::lua_pushnumber(state, value as f64),
            Token::Float(value) => ffi::lua_pushnumber(state, value),
            Token::Str(bytes) | Token::Bin(bytes) => {
                ffi::lua_pushlstring(state, bytes.as_ptr().cast(), bytes.len());
            }
            Token::Ext(kind, bytes) => object::push_ext(state, kind, bytes),
            Token::Array(len) => push_array(state, names, reader, len, nulls, depth)?,
            Token::Map(len) => push_map(state, names, reader, len, nulls, depth, 0)?,
        }
    }
    Ok(())
}

unsafe fn push_array<N: Names>(
    state: *mut lua_State,
    names: &mut N,
    reader: &mut Reader<'_>,
    len: u32,
    nulls: bool,
    depth: usize,
) -> Result<(), DecodeError> {
    if depth >= DEPTH_MAX {
        return Err(DecodeError::TooDeep);
    }
    // SAFETY: room is reserved first.
    unsafe {
        ffi::lua_checkstack(state, 8);
        ffi::lua_createtable(state, len.min(1 << 26) as c_int, 0);
        if len == 0 {
            object::mark_array(state);
        }
        for index in 1..=i64::from(len) {
            push_value(state, names, reader, nulls, depth + 1)?;
            ffi::lua_rawseti(state, -2, index);
        }
    }
    Ok(())
}

/// Pushes the entries of a map whose header was read, with room for `extra` more fields.
///
/// # Safety
/// As [`push_value`].
#[inline]
pub unsafe fn push_map<N: Names>(
    state: *mut lua_State,
    names: &mut N,
    reader: &mut Reader<'_>,
    len: u32,
    nulls: bool,
    depth: usize,
    extra: c_int,
) -> Result<(), DecodeError> {
    if depth >= DEPTH_MAX {
        return Err(DecodeError::TooDeep);
    }
    // SAFETY: room is reserved first.
    unsafe {
        ffi::lua_checkstack(state, 8);
        ffi::lua_createtable(state, 0, len.min(1 << 26) as c_int + extra);
        for _ in 0..len {
            match reader.token()? {
                Token::Str(key) => names.push(state, key),
                key => push_key(state, key)?,
            }
            match reader.token()? {
                Token::Nil if !nulls => ffi::lua_settop(state, -2),
                token => {
                    push_token(state, names, reader, token, nulls, depth + 1)?;
                    ffi::lua_rawset(state, -3);
                }
            }
        }
    }
    Ok(())
}

/// Pushes the entries of a map that are declared in `reads`, which is sorted; the others are passed over.
///
/// # Safety
/// As [`push_value`].
pub unsafe fn push_fields<N: Names>(
    state: *mut lua_State,
    names: &mut N,
    reader: &mut Reader<'_>,
    len: u32,
    nulls: bool,
    reads: &[Box<[u8]>],
) -> Result<(), DecodeError> {
    // SAFETY: as `push_map`.
    unsafe {
        ffi::lua_checkstack(state, 8);
        ffi::lua_createtable(state, 0, reads.len() as c_int + 1);
        let mut wanted = reads.iter();
        let mut next = wanted.next();
        for _ in 0..len {
            // Both are sorted: a name that is behind cannot come any more.
            let Token::Str(key) = reader.token()? else {
                reader.skip()?;
                continue;
            };
            while next.is_some_and(|name| **name < *key) {
                next = wanted.next();
            }
            let Some(name) = next else { break };
            if **name != *key {
                reader.skip()?;
                continue;
            }
            names.push(state, key);
            match reader.token()? {
                Token::Nil if !nulls => ffi::lua_settop(state, -2),
                token => {
                    push_token(state, names, reader, token, nulls, 1)?;
                    ffi::lua_rawset(state, -3);
                }
            }
        }
    }
    Ok(())
}

#[cold]
unsafe fn push_key(state: *mut lua_State, key: Token<'_>) -> Result<(), DecodeError> {
    // SAFETY: scalars only, within the room that the map reserved.
    unsafe {
        match key {
            Token::Bool(value) => ffi::lua_pushboolean(state, c_int::from(value)),
            Token::Int(value) => ffi::lua_pushinteger(state, value),
            Token::BigUint(value) => ffi::lua_pushnumber(state, value as f64),
            Token::Float(value) if !value.is_nan() => ffi::lua_pushnumber(state, value),
            Token::Bin(bytes) => {
                ffi::lua_pushlstring(state, bytes.as_ptr().cast(), bytes.len());
            }
            _ => return Err(DecodeError::Key),
        }
    }
    Ok(())
}
