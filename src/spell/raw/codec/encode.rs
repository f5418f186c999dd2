//! A Lua value to canonical MessagePack.
//!
//! A table is walked once with `lua_next`; its entries are written as they come, and put in key order
//! afterwards when they are not. Tables of one shape come in the same order each time, so the order of
//! the last table with as many entries is tried, and checked, before anything is sorted.
//!
//! Bounds: depth, bytes of the result, and work (every entry visited is charged, so that shared or
//! dropped parts cannot make a small result take for ever).

use std::cmp::Ordering;
use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use super::Codec;
use crate::event::msgpack::{self, DEPTH_MAX};
use crate::spell::raw::core::Core;
use crate::spell::raw::object;

/// Why a value cannot be an energy.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A cycle shows as depth.
    #[error("it is nested deeper than {DEPTH_MAX} levels, or contains itself")]
    TooDeep,
    /// `limits.event_bytes`
    #[error("it is larger than the {0} bytes that `limits.event_bytes` allows")]
    TooLarge(usize),
    /// The cast's limit on work ran out.
    #[error("it took too long to encode")]
    Work,
    /// Text from `Fields::set`.
    #[error("{0}")]
    Field(String),
    /// Neither scalar nor table.
    #[error("a {0} cannot be stored")]
    Kind(&'static str),
}

/// One entry of a map being encoded. The key is in the output, `key` bytes after its header.
#[derive(Clone, Copy, Default)]
pub(super) struct Entry {
    class: u8,
    prefix: u64,
    key: u32,
    key_len: u32,
    start: u32,
    end: u32,
}

impl Entry {
    fn compare(&self, other: &Self, out: &[u8]) -> Ordering {
        (self.class, self.prefix).cmp(&(other.class, other.prefix)).then_with(|| {
            let key = |entry: &Self| &out[entry.key as usize..][..entry.key_len as usize];
            key(self).cmp(key(other))
        })
    }
}

const CLASS_INT: u8 = 0;
const CLASS_FLOAT: u8 = 1;
const CLASS_BOOL: u8 = 2;
const CLASS_STR: u8 = 3;

/// The order of the last map of each size.
pub(super) struct Orders([Vec<u16>; 32]);

impl Default for Orders {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Vec::new()))
    }
}

/// Who takes the `$` keys of an energy's outermost table.
pub trait Envelope {
    /// `value` is MessagePack. An error ends the encoding.
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), String>;
}

/// For values that are not energies: `$` keys are keys like any other.
pub struct NoEnvelope;

impl Envelope for NoEnvelope {
    fn set(&mut self, _: &[u8], _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// Encodes values of one VM.
pub struct Encoder<'a> {
    state: *mut lua_State,
    core: *mut Core,
    out: &'a mut Vec<u8>,
    start: usize,
    bytes_max: usize,
}

impl<'a> Encoder<'a> {
    /// # Safety
    /// `core` is the VM's, whose limit is lifted; `out` is no part of its codec.
    pub unsafe fn new(
        state: *mut lua_State,
        core: *mut Core,
        out: &'a mut Vec<u8>,
        bytes_max: usize,
    ) -> Self {
        // SAFETY: the codec is idle: an encoding never starts another. An earlier one may have ended in an error.
        unsafe { (*core).codec.entries.clear() };
        let start = out.len();
        Self { state, core, out, start, bytes_max }
    }

    fn codec(&mut self) -> &mut Codec {
        // SAFETY: the pointer is live; the borrow ends before the next call into Lua.
        unsafe { &mut (*self.core).codec }
    }

    /// Appends the value at the stack's top, which stays there. On an error what was written stays.
    ///
    /// # Safety
    /// As [`Encoder::new`].
    pub unsafe fn value(&mut self) -> Result<(), EncodeError> {
        // SAFETY: by the contract.
        let written = unsafe { self.any(0)? };
        if !written {
            // SAFETY: a type name is a static string.
            return Err(EncodeError::Kind(unsafe { kind_name(self.state) }));
        }
        if self.out.len() - self.start > self.bytes_max {
            return Err(EncodeError::TooLarge(self.bytes_max));
        }
        Ok(())
    }

    /// Appends the table at the top as an energy: `$` keys of the outermost level go to `envelope`.
    ///
    /// # Safety
    /// As [`Encoder::new`], and the top is a table.
    pub unsafe fn energy<E: Envelope>(&mut self, envelope: &mut E) -> Result<(), EncodeError> {
        // SAFETY: by the contract.
        unsafe { self.table(0, Some(envelope)) }
    }

    /// False when the value is of a kind that energies do not hold; nothing is written then.
    #[inline(always)]
    unsafe fn any(&mut self, depth: usize) -> Result<bool, EncodeError> {
        let state = self.state;
        // SAFETY: reads the top only.
        unsafe {
            match ffi::lua_type(state, -1) {
                ffi::LUA_TSTRING => msgpack::write_bytes(self.out, bytes_at_top(state)),
                ffi::LUA_TNUMBER => {
                    if ffi::lua_isinteger(state, -1) != 0 {
                        msgpack::write_int(self.out, ffi::lua_tointeger(state, -1));
                    } else {
                        msgpack::write_float(self.out, ffi::lua_tonumber(state, -1));
                    }
                }
                ffi::LUA_TTABLE => self.table::<NoEnvelope>(depth, None)?,
                ffi::LUA_TBOOLEAN => msgpack::write_bool(self.out, ffi::lua_toboolean(state, -1) != 0),
                ffi::LUA_TNIL => msgpack::write_nil(self.out),
                ffi::LUA_TLIGHTUSERDATA if ffi::lua_touserdata(state, -1).is_null() => {
                    msgpack::write_nil(self.out);
                }
                ffi::LUA_TUSERDATA => return Ok(self.ext()),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn ext(&mut self) -> bool {
        // SAFETY: the object is on the stack while its payload is copied.
        match unsafe { object::get(self.state, -1) } {
            Some((object::EXT, [kind, bytes @ ..])) => {
                msgpack::write_ext(self.out, *kind as i8, bytes);
                true
            }
            _ => false,
        }
    }

    unsafe fn table<E: Envelope>(
        &mut self,
        depth: usize,
        envelope: Option<&mut E>,
    ) -> Result<(), EncodeError> {
        if depth >= DEPTH_MAX {
            return Err(EncodeError::TooDeep);
        }
        // SAFETY: room for key, value and a copy; the table stays below them.
        unsafe {
            let state = self.state;
            ffi::lua_checkstack(state, 6);
            let start = self.out.len();
            ffi::lua_pushnil(state);
            if ffi::lua_next(state, -2) == 0 {
                if object::is_array(state, -1) {
                    msgpack::write_array_len(self.out, 0);
                } else {
                    msgpack::write_map_len(self.out, 0);
                }
                return self.charge(1, depth);
            }
            if ffi::lua_isinteger(state, -2) != 0 && ffi::lua_tointeger(state, -2) == 1 {
                if self.sequence(depth)? {
                    return Ok(());
                }
                self.out.truncate(start);
                ffi::lua_pushnil(state);
                ffi::lua_next(state, -2);
            }
            self.map(depth, envelope)
        }
    }

    /// Key 1 and its value are on top of the table. True when the keys came as 1, 2 ... n; both are
    /// popped either way.
    unsafe fn sequence(&mut self, depth: usize) -> Result<bool, EncodeError> {
        // SAFETY: `lua_next` pops the key and pushes the next pair.
        unsafe {
            let state = self.state;
            let header = self.out.len();
            self.out.push(0);
            let mut count = 0;
            loop {
                let key = ffi::lua_isinteger(state, -2) != 0 && ffi::lua_tointeger(state, -2) == count + 1;
                if !key || !self.any(depth + 1)? {
                    ffi::lua_settop(state, -3);
                    return Ok(false);
                }
                count += 1;
                ffi::lua_settop(state, -2);
                if count % 256 == 0 {
                    self.charge(256, depth)?;
                }
                if ffi::lua_next(state, -2) == 0 {
                    break;
                }
            }
            patch_header(self.out, header, count as usize, msgpack::write_array_len);
            self.charge(count as u64 % 256, depth)?;
            Ok(true)
        }
    }

    /// The first pair is on top of the table; both are popped.
    unsafe fn map<E: Envelope>(
        &mut self,
        depth: usize,
        mut envelope: Option<&mut E>,
    ) -> Result<(), EncodeError> {
        // SAFETY: as `sequence`; nothing is written into the table while it is walked.
        unsafe {
            let state = self.state;
            let first = self.codec().entries.len();
            let header = self.out.len();
            self.out.push(0);
            let mut visited = 0_u64;
            let mut positive = 0_i64;
            let mut highest = 0_i64;
            loop {
                visited += 1;
                if visited.is_multiple_of(256) {
                    self.charge(256, depth)?;
                }
                let mut entry = Entry { start: self.out.len() as u32, ..Entry::default() };
                let kept = match ffi::lua_type(state, -2) {
                    ffi::LUA_TSTRING => {
                        let key = bytes_at(state, -2);
                        match &mut envelope {
                            Some(envelope) if key.first() == Some(&b'$') => {
                                self.envelope_field(key, &mut **envelope)?;
                                false
                            }
                            _ => self.string_key(key, &mut entry),
                        }
                    }
                    ffi::LUA_TNUMBER if ffi::lua_isinteger(state, -2) != 0 => {
                        let key = ffi::lua_tointeger(state, -2);
                        positive += i64::from(key > 0);
                        highest = highest.max(key);
                        entry.class = CLASS_INT;
                        entry.prefix = key as u64 ^ 1 << 63;
                        msgpack::write_int(self.out, key);
                        true
                    }
                    ffi::LUA_TNUMBER => {
                        let key = ffi::lua_tonumber(state, -2);
                        let bits = key.to_bits();
                        entry.class = CLASS_FLOAT;
                        entry.prefix = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
                        msgpack::write_float(self.out, key);
                        true
                    }
                    ffi::LUA_TBOOLEAN => {
                        let key = ffi::lua_toboolean(state, -2) != 0;
                        entry.class = CLASS_BOOL;
                        entry.prefix = u64::from(key);
                        msgpack::write_bool(self.out, key);
                        true
                    }
                    _ => false,
                };
                if kept && self.any(depth + 1)? {
                    entry.end = self.out.len() as u32;
                    self.codec().entries.push(entry);
                } else {
                    self.out.truncate(entry.start as usize);
                }
                ffi::lua_settop(state, -2);
                if ffi::lua_next(state, -2) == 0 {
                    break;
                }
            }
            let count = self.codec().entries.len() - first;
            if count > 0 && positive == count as i64 && highest == positive {
                self.codec().entries.truncate(first);
                self.out.truncate(header);
                return self.scattered_sequence(count, depth);
            }
            self.finish_map(first, header);
            self.charge(visited % 256, depth)
        }
    }

    #[inline(always)]
    fn string_key(&mut self, key: &[u8], entry: &mut Entry) -> bool {
        let mut prefix = [0; 8];
        let short = key.len().min(8);
        prefix[..short].copy_from_slice(&key[..short]);
        entry.class = CLASS_STR;
        entry.prefix = u64::from_be_bytes(prefix);
        msgpack::write_bytes(self.out, key);
        entry.key = (self.out.len() - key.len()) as u32;
        entry.key_len = key.len() as u32;
        true
    }

    /// The pair is on top.
    unsafe fn envelope_field<E: Envelope>(
        &mut self,
        key: &[u8],
        envelope: &mut E,
    ) -> Result<(), EncodeError> {
        // SAFETY: reads the top.
        unsafe {
            let start = self.out.len();
            if !self.any(1)? {
                let name = String::from_utf8_lossy(key);
                return Err(EncodeError::Field(format!("`{name}` is a {}", kind_name(self.state))));
            }
            let result = envelope.set(key, &self.out[start..]);
            self.out.truncate(start);
            result.map_err(EncodeError::Field)
        }
    }

    /// The keys are 1 ... n but came in another order.
    unsafe fn scattered_sequence(&mut self, count: usize, depth: usize) -> Result<(), EncodeError> {
        msgpack::write_array_len(self.out, count);
        for index in 1..=count as i64 {
            // SAFETY: the table is at the top.
            unsafe {
                ffi::lua_rawgeti(self.state, -1, index);
                self.any(depth + 1)?;
                ffi::lua_settop(self.state, -2);
            }
        }
        self.charge(count as u64, depth)
    }

    /// Puts the entries after `first` into key order and writes the header at `header`.
    fn finish_map(&mut self, first: usize, header: usize) {
        // SAFETY: the codec is not reached through another path during this call.
        let Codec { entries, orders, body, .. } = unsafe { &mut (*self.core).codec };
        let map = &entries[first..];
        let count = map.len();
        let ascending = map.windows(2).all(|pair| pair[0].compare(&pair[1], self.out) == Ordering::Less);
        if !ascending && count <= usize::from(u16::MAX) {
            let order = &mut orders.0[count % 32];
            let known = order.len() == count
                && order.windows(2).all(|pair| {
                    map[usize::from(pair[0])].compare(&map[usize::from(pair[1])], self.out) == Ordering::Less
                });
            if !known {
                order.clear();
                order.extend(0..count as u16);
                order.sort_unstable_by(|&a, &b| map[usize::from(a)].compare(&map[usize::from(b)], self.out));
            }
            body.clear();
            for &index in order.iter() {
                let entry = &map[usize::from(index)];
                body.extend_from_slice(&self.out[entry.start as usize..entry.end as usize]);
            }
            self.out.truncate(header + 1);
            self.out.extend_from_slice(body);
        } else if !ascending {
            let mut map = map.to_vec();
            map.sort_unstable_by(|a, b| a.compare(b, self.out));
            body.clear();
            for entry in &map {
                body.extend_from_slice(&self.out[entry.start as usize..entry.end as usize]);
            }
            self.out.truncate(header + 1);
            self.out.extend_from_slice(body);
        }
        entries.truncate(first);
        patch_header(self.out, header, count, msgpack::write_map_len);
    }

    /// Counts the work of a table, and ends one that is too large.
    #[inline]
    fn charge(&mut self, entries: u64, depth: usize) -> Result<(), EncodeError> {
        if self.out.len() - self.start > self.bytes_max {
            return Err(EncodeError::TooLarge(self.bytes_max));
        }
        // The outermost tables of small energies are paid for by the cast itself.
        // SAFETY: the pointer is live.
        if (depth > 1 || entries >= 256) && !unsafe { (*self.core).meter.charge(entries) } {
            return Err(EncodeError::Work);
        }
        Ok(())
    }
}

/// Replaces the one byte kept at `header` by the header of `count` elements.
#[inline(always)]
fn patch_header(out: &mut Vec<u8>, header: usize, count: usize, write: fn(&mut Vec<u8>, usize)) {
    let end = out.len();
    write(out, count);
    if out.len() == end + 1 {
        out[header] = out[end];
        out.truncate(end);
    } else {
        let bytes = out.split_off(end);
        out.splice(header..=header, bytes);
    }
}

#[inline(always)]
unsafe fn bytes_at_top<'l>(state: *mut lua_State) -> &'l [u8] {
    // SAFETY: as `bytes_at`.
    unsafe { bytes_at(state, -1) }
}

/// A string's bytes, in place. The caller knows that it is a string and keeps it on the stack.
#[inline(always)]
unsafe fn bytes_at<'l>(state: *mut lua_State, index: c_int) -> &'l [u8] {
    let mut len = 0;
    // SAFETY: for a string, `lua_tolstring` returns its bytes and changes nothing.
    unsafe {
        let bytes = ffi::lua_tolstring(state, index, &raw mut len);
        std::slice::from_raw_parts(bytes.cast(), len)
    }
}

unsafe fn kind_name(state: *mut lua_State) -> &'static str {
    // SAFETY: reads a type tag.
    match unsafe { ffi::lua_type(state, -1) } {
        ffi::LUA_TFUNCTION => "function",
        ffi::LUA_TTHREAD => "thread",
        _ => "userdata",
    }
}
