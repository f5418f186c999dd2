//! A Lua value to canonical MessagePack.
//!
//! A table is walked once, in place ([`super::layout`]); its entries are written as they come, and put in key order
//! afterwards when they are not. Tables of one shape come in the same order each time, so the order of
//! the last table with as many entries is tried, and checked, before anything is sorted.
//!
//! Bounds: depth, bytes of the result, and work (every entry visited is charged, so that shared or
//! dropped parts cannot make a small result take for ever).

use std::cmp::Ordering;
use std::ffi::c_void;
use std::ptr;

use mlua::ffi::{self, lua_State};

use super::Codec;
use super::layout::{self, Node, Table, Value};
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
    value: u32,
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
    /// `core` is the VM's, whose limit is lifted; `out` is no part of its codec. No Lua code runs until the
    /// encoder is done, so tables and strings stay where they are.
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

    #[inline(always)]
    fn entries(&mut self) -> &mut Vec<Entry> {
        // SAFETY: the pointer is live; the borrow ends with the statement.
        unsafe { &mut (*self.core).codec.entries }
    }

    /// Appends the value at the stack's top, which stays there. On an error what was written stays.
    ///
    /// # Safety
    /// As [`Encoder::new`].
    pub unsafe fn value(&mut self) -> Result<(), EncodeError> {
        // SAFETY: by the contract; the value is read in place.
        unsafe {
            let state = self.state;
            match ffi::lua_type(state, -1) {
                ffi::LUA_TTABLE => self.table::<NoEnvelope>(top_table(state), 0, None)?,
                ffi::LUA_TSTRING => {
                    let mut len = 0;
                    let bytes = ffi::lua_tolstring(state, -1, &raw mut len);
                    msgpack::write_bytes(self.out, std::slice::from_raw_parts(bytes.cast(), len));
                }
                ffi::LUA_TNUMBER if ffi::lua_isinteger(state, -1) != 0 => {
                    msgpack::write_int(self.out, ffi::lua_tointeger(state, -1));
                }
                ffi::LUA_TNUMBER => msgpack::write_float(self.out, ffi::lua_tonumber(state, -1)),
                ffi::LUA_TBOOLEAN => msgpack::write_bool(self.out, ffi::lua_toboolean(state, -1) != 0),
                ffi::LUA_TNIL => msgpack::write_nil(self.out),
                ffi::LUA_TLIGHTUSERDATA if ffi::lua_touserdata(state, -1).is_null() => {
                    msgpack::write_nil(self.out);
                }
                ffi::LUA_TUSERDATA if self.ext(ffi::lua_touserdata(state, -1)) => {}
                ffi::LUA_TFUNCTION => return Err(EncodeError::Kind("function")),
                ffi::LUA_TTHREAD => return Err(EncodeError::Kind("thread")),
                _ => return Err(EncodeError::Kind("userdata")),
            }
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
        unsafe { self.table(top_table(self.state), 0, Some(envelope)) }
    }

    /// False when the value is of a kind that energies do not hold; nothing is written then.
    #[inline(always)]
    unsafe fn any(&mut self, tag: u8, value: Value, depth: usize) -> Result<bool, EncodeError> {
        // SAFETY: the tag says what the value is.
        unsafe {
            match tag {
                layout::SHORT_STRING | layout::LONG_STRING => {
                    msgpack::write_bytes(self.out, layout::bytes(tag, value));
                }
                layout::INT => msgpack::write_int(self.out, value.int),
                layout::FLOAT => msgpack::write_float(self.out, value.float),
                layout::TABLE => self.table::<NoEnvelope>(value.object.cast(), depth, None)?,
                layout::TRUE => msgpack::write_bool(self.out, true),
                layout::FALSE => msgpack::write_bool(self.out, false),
                layout::LIGHT if value.object.is_null() => msgpack::write_nil(self.out),
                layout::USERDATA => return Ok(self.ext(layout::block(value))),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn ext(&mut self, block: *mut c_void) -> bool {
        // SAFETY: every full userdata of a spell is an object, see `object.rs`.
        match unsafe { object::read(block) } {
            (object::EXT, [kind, bytes @ ..]) => {
                msgpack::write_ext(self.out, *kind as i8, bytes);
                true
            }
            _ => false,
        }
    }

    unsafe fn table<E: Envelope>(
        &mut self,
        table: *const Table,
        depth: usize,
        envelope: Option<&mut E>,
    ) -> Result<(), EncodeError> {
        if depth >= DEPTH_MAX {
            return Err(EncodeError::TooDeep);
        }
        // SAFETY: the table is live, and only read.
        unsafe {
            let table = &*table;
            if table.array_len > 0 && self.sequence(table, depth)? {
                return Ok(());
            }
            self.map(table, depth, envelope)
        }
    }

    /// Writes a table whose keys are just 1 ... n, all in its array part. False, with nothing written, for
    /// any other.
    unsafe fn sequence(&mut self, table: &Table, depth: usize) -> Result<bool, EncodeError> {
        // SAFETY: indexes stay below the array's length.
        unsafe {
            let slots = table.array_len as usize;
            // What is dropped leaves a hole; to find out half-way would cost a second walk at every level.
            let kept = |index| layout::is_data(table.slot(index).0);
            let count = (0..slots).position(|index| !kept(index)).unwrap_or(slots);
            let rest_is_empty = (count..slots).all(|index| layout::is_empty(table.slot(index).0));
            if count == 0 || !rest_is_empty || table.nodes().iter().any(|node| !layout::is_empty(node.tag)) {
                return Ok(false);
            }
            let header = self.out.len();
            msgpack::write_array_len(self.out, count);
            for index in 0..count {
                let (tag, value) = table.slot(index);
                if !self.any(tag, value, depth + 1)? {
                    self.out.truncate(header);
                    self.charge(256, depth)?;
                    return Ok(false);
                }
                if index % 256 == 255 {
                    self.charge(256, depth)?;
                }
            }
            self.charge((slots - count) as u64 / 8 + count as u64 % 256, depth)?;
            Ok(true)
        }
    }

    unsafe fn map<E: Envelope>(
        &mut self,
        table: &Table,
        depth: usize,
        mut envelope: Option<&mut E>,
    ) -> Result<(), EncodeError> {
        // SAFETY: the table is only read, and no Lua code runs.
        unsafe {
            let first = self.entries().len();
            let header = self.out.len();
            self.out.push(0);
            // Entries with a positive integer key, and the highest: are they 1 ... n in another order?
            let (mut positive, mut highest) = (0_i64, 0_i64);
            for index in 0..table.array_len as usize {
                let (tag, value) = table.slot(index);
                if !layout::is_empty(tag) {
                    let key = Value { int: index as i64 + 1 };
                    if self.entry(layout::INT, key, tag, value, depth)? {
                        (positive, highest) = (positive + 1, index as i64 + 1);
                    }
                }
                if index % 4096 == 4095 {
                    self.charge(512, depth)?;
                }
            }
            let nodes = table.nodes();
            for (index, node) in nodes.iter().enumerate() {
                if layout::is_empty(node.tag) {
                    continue;
                }
                let kept = match &mut envelope {
                    Some(envelope) if node.key_tag == layout::SHORT_STRING && is_dollar(node) => {
                        self.envelope_field(node, &mut **envelope)?;
                        false
                    }
                    _ => self.entry(node.key_tag, node.key, node.tag, node.value, depth)?,
                };
                if kept && node.key_tag == layout::INT && node.key.int > 0 {
                    (positive, highest) = (positive + 1, highest.max(node.key.int));
                }
                if index % 256 == 255 {
                    self.charge(256, depth)?;
                }
            }
            let count = self.entries().len() - first;
            if count == 0 && ptr::eq(table.metatable, (*self.core).array_metatable) {
                self.out[header] = 0x90;
            } else if count > 0 && positive == count as i64 && highest == positive {
                self.scattered_sequence(first, header);
            } else {
                self.finish_map(first, header);
            }
            self.charge((nodes.len() as u64 + u64::from(table.array_len)) / 8, depth)
        }
    }

    /// Writes one entry; false, and nothing is written, for a value of a kind that energies do not hold.
    #[inline(always)]
    unsafe fn entry(
        &mut self,
        key_tag: u8,
        key: Value,
        tag: u8,
        value: Value,
        depth: usize,
    ) -> Result<bool, EncodeError> {
        let mut entry = Entry { start: self.out.len() as u32, ..Entry::default() };
        // SAFETY: tags say what the values are.
        unsafe {
            match key_tag {
                layout::SHORT_STRING | layout::LONG_STRING => {
                    let bytes = layout::bytes(key_tag, key);
                    entry.class = CLASS_STR;
                    entry.prefix = prefix_of(bytes);
                    msgpack::write_bytes(self.out, bytes);
                    entry.key = (self.out.len() - bytes.len()) as u32;
                    entry.key_len = bytes.len() as u32;
                }
                layout::INT => {
                    entry.class = CLASS_INT;
                    entry.prefix = key.int as u64 ^ 1 << 63;
                    msgpack::write_int(self.out, key.int);
                }
                layout::FLOAT => {
                    let bits = key.float.to_bits();
                    entry.class = CLASS_FLOAT;
                    entry.prefix = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
                    msgpack::write_float(self.out, key.float);
                }
                layout::TRUE | layout::FALSE => {
                    entry.class = CLASS_BOOL;
                    entry.prefix = u64::from(key_tag == layout::TRUE);
                    msgpack::write_bool(self.out, key_tag == layout::TRUE);
                }
                _ => return Ok(false),
            }
            entry.value = self.out.len() as u32;
            if self.any(tag, value, depth + 1)? {
                entry.end = self.out.len() as u32;
                self.entries().push(entry);
                return Ok(true);
            }
        }
        self.out.truncate(entry.start as usize);
        Ok(false)
    }

    /// Hands a `$` key's value to the envelope.
    unsafe fn envelope_field<E: Envelope>(
        &mut self,
        node: &Node,
        envelope: &mut E,
    ) -> Result<(), EncodeError> {
        // SAFETY: tags say what the values are.
        unsafe {
            let key = layout::bytes(node.key_tag, node.key);
            let start = self.out.len();
            if !self.any(node.tag, node.value, 1)? {
                let name = String::from_utf8_lossy(key);
                return Err(EncodeError::Field(format!("`{name}` is a function, a thread or an object")));
            }
            let result = envelope.set(key, &self.out[start..]);
            self.out.truncate(start);
            result.map_err(EncodeError::Field)
        }
    }

    /// The keys are 1 ... n but came in another order: keeps the values only, in order.
    fn scattered_sequence(&mut self, first: usize, header: usize) {
        // SAFETY: as `finish_map`.
        let Codec { entries, body, .. } = unsafe { &mut (*self.core).codec };
        let list = &mut entries[first..];
        list.sort_unstable_by_key(|entry| entry.prefix);
        body.clear();
        for entry in list.iter() {
            body.extend_from_slice(&self.out[entry.value as usize..entry.end as usize]);
        }
        self.out.truncate(header);
        msgpack::write_array_len(self.out, list.len());
        self.out.extend_from_slice(body);
        entries.truncate(first);
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
        // The outermost table of a small energy is paid for by the cast itself. All others count, however
        // empty: to find that nothing is left in a table that was large takes long, and the meter
        // looks at the clock now and then.
        // SAFETY: the pointer is live.
        if (depth > 0 || entries >= 256) && !unsafe { (*self.core).meter.charge(entries) } {
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

/// The table at the stack's top.
#[inline(always)]
unsafe fn top_table(state: *mut lua_State) -> *const Table {
    // SAFETY: the caller knows that it is a table.
    unsafe { ffi::lua_topointer(state, -1).cast() }
}

/// Whether a node's key, a short string, begins with `$`.
#[inline(always)]
unsafe fn is_dollar(node: &Node) -> bool {
    // SAFETY: by the contract.
    unsafe { layout::bytes(node.key_tag, node.key).first() == Some(&b'$') }
}

/// The first eight bytes of a key, as a number that sorts like them.
#[inline(always)]
fn prefix_of(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(chunk) => u64::from_be_bytes(*chunk),
        None => {
            let mut prefix = [0; 8];
            prefix[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(prefix)
        }
    }
}
