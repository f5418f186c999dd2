//! `table`: the functions that C could run for ever on huge bounds or a lying `__len`, counted.
//!
//! `concat`, `insert`, `move`, `pack`, `remove` and `unpack` do what those of Lua 5.5 do (`sort` is in
//! `sort.rs`), errors included. Different from stock Lua: every element charges the cast's budget, and
//! a table that grows is checked against the VM's memory. Tables whose metatable has no say in an
//! operation are accessed raw, which shows in nothing but the time it takes.

use crate::spell::library::buffer::Buffer;
use crate::spell::raw::{Entry, Frame, Kind, Raise};

/// Replacements in `table`.
pub(crate) static FUNCTIONS: &[Entry] = &[
    ("concat", concat),
    ("insert", insert),
    ("move", move_elements),
    ("pack", pack),
    ("remove", remove),
    ("unpack", unpack),
];

/// Bytes that an array takes per element while it is moved to twice its size.
const ELEMENT_BYTES: usize = 18;
/// Results of `unpack`, at most: the size of Lua's stack.
const RESULTS_MAX: u64 = 999_000;
/// Units that a protected call for a metamethod costs.
const META_UNITS: u64 = 8;

/// What a function does to its table.
pub(crate) const READ: u8 = 1;
/// See [`READ`].
pub(crate) const WRITE: u8 = 2;
/// See [`READ`].
pub(crate) const LEN: u8 = 4;

/// How an argument that is a table, or can stand for one, is accessed.
#[derive(Clone, Copy)]
pub(crate) struct Array {
    slot: i32,
    /// Whether no metamethod has a say.
    pub raw: bool,
}

impl Array {
    /// Checks that an argument is a table or has metamethods for what is needed.
    pub fn new(frame: &mut Frame<'_>, index: usize, needs: u8) -> Result<Self, Raise> {
        let slot = index as i32;
        let kind = frame.kind(slot);
        let is_table = kind == Kind::Table;
        let mut raw = is_table;
        if frame.is_none(index) || !is_table && !frame.has_metatable(slot) {
            frame.table(index)?;
        }
        if !is_table || frame.has_metatable(slot) {
            for (need, field) in [(READ, "__index"), (WRITE, "__newindex"), (LEN, "__len")] {
                if needs & need == 0 {
                    continue;
                }
                if frame.has_metafield(slot, field) {
                    raw = false;
                } else if !(is_table || need == LEN && kind == Kind::String) {
                    frame.table(index)?;
                }
            }
        }
        Ok(Self { slot, raw })
    }

    /// `#t`
    pub fn len(self, frame: &mut Frame<'_>) -> Result<i64, Raise> {
        if self.raw { Ok(frame.raw_len(self.slot) as i64) } else { frame.len_of(self.slot) }
    }

    /// Pushes `t[n]`.
    #[inline]
    pub fn get(self, frame: &mut Frame<'_>, n: i64) -> Result<Kind, Raise> {
        if self.raw {
            return Ok(frame.raw_geti(self.slot, n));
        }
        frame.charge(META_UNITS)?;
        frame.index(self.slot, n)?;
        Ok(frame.kind(-1))
    }

    /// Pops the top into `t[n]`.
    #[inline]
    pub fn set(self, frame: &mut Frame<'_>, n: i64) -> Result<(), Raise> {
        if !self.raw {
            frame.charge(META_UNITS)?;
            return frame.set_index(self.slot, n);
        }
        frame.raw_seti(self.slot, n);
        Ok(())
    }

    /// Makes sure that `t[n]` may be a new element.
    #[inline]
    fn grow(self, frame: &mut Frame<'_>, n: i64) -> Result<(), Raise> {
        match usize::try_from(n.wrapping_sub(1)) {
            Ok(n) if n >= 256 && n.is_power_of_two() => frame.check_memory(n.saturating_mul(ELEMENT_BYTES)),
            _ => frame.check_memory(4097),
        }
    }
}

fn insert(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let array = Array::new(frame, 1, READ | WRITE | LEN)?;
    let end = array.len(frame)?.wrapping_add(1);
    frame.charge(1)?;
    let position = match frame.args() {
        2 => end,
        3 => {
            let position = frame.int(2)?;
            if position.wrapping_sub(1) as u64 >= end as u64 {
                return Err(Raise::argument(2, "position out of bounds"));
            }
            let mut n = end;
            if n > position {
                array.grow(frame, n)?;
            }
            while n > position {
                frame.charge(1)?;
                array.get(frame, n - 1)?;
                array.set(frame, n)?;
                n -= 1;
            }
            position
        }
        _ => return Err(Raise::message("wrong number of arguments to 'insert'")),
    };
    array.grow(frame, end)?;
    frame.push_copy(frame.args() as i32);
    array.set(frame, position)?;
    Ok(0)
}

fn remove(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let array = Array::new(frame, 1, READ | WRITE | LEN)?;
    let size = array.len(frame)?;
    let mut position = frame.opt_int(2)?.unwrap_or(size);
    if position != size && position.wrapping_sub(1) as u64 > size as u64 {
        return Err(Raise::argument(2, "position out of bounds"));
    }
    array.get(frame, position)?;
    while position < size {
        frame.charge(1)?;
        array.get(frame, position + 1)?;
        array.set(frame, position)?;
        position += 1;
    }
    frame.push_nil();
    array.set(frame, position)?;
    Ok(1)
}

fn move_elements(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (first, last, target) = (frame.int(2)?, frame.int(3)?, frame.int(4)?);
    let to = if frame.is_absent(5) { 1 } else { 5 };
    let source = Array::new(frame, 1, READ)?;
    let destination = Array::new(frame, to, WRITE)?;
    if last >= first {
        if first <= 0 && last >= i64::MAX.wrapping_add(first) {
            return Err(Raise::argument(3, "too many elements to move"));
        }
        let count = last - first + 1;
        if target > i64::MAX - count + 1 {
            return Err(Raise::argument(4, "destination wrap around"));
        }
        // Stock Lua also asks `__eq` here; which order is taken shows only where two tables share
        // their elements and say that they are not equal.
        let upwards = target > last || target <= first || to != 1 && !frame.raw_equal(1, 5);
        for step in 0..count {
            let i = if upwards { step } else { count - 1 - step };
            frame.charge(1)?;
            source.get(frame, first + i)?;
            if destination.raw {
                destination.grow(frame, target + i)?;
            }
            destination.set(frame, target + i)?;
        }
    }
    frame.push_copy(to as i32);
    Ok(1)
}

fn concat(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let array = Array::new(frame, 1, READ | LEN)?;
    let len = array.len(frame)?;
    let separator = frame.opt_bytes(2)?.unwrap_or(b"");
    let mut n = frame.opt_int(3)?.unwrap_or(1);
    let last = frame.opt_int(4)?.unwrap_or(len);
    let mut out = Buffer::default();
    while n <= last {
        frame.charge(1)?;
        array.get(frame, n)?;
        if !out.add_top(frame)? {
            let kind = frame.kind(-1).name();
            return Err(Raise::message(format!("invalid value ({kind}) at index {n} in table for 'concat'")));
        }
        if n == last {
            break;
        }
        out.add(frame, separator)?;
        n += 1;
    }
    out.finish(frame)?;
    Ok(1)
}

fn pack(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let count = frame.args();
    frame.charge(count as u64)?;
    frame.check_memory(count * ELEMENT_BYTES)?;
    frame.push_table(count, 1);
    for i in 1..=count {
        frame.push_copy(i as i32);
        frame.raw_seti(-2, i as i64);
    }
    frame.push_int(count as i64);
    frame.set_field(-2, "n");
    Ok(1)
}

fn unpack(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let array = Array::new(frame, 1, READ | LEN)?;
    let len = array.len(frame)?;
    let first = frame.opt_int(2)?.unwrap_or(1);
    let last = frame.opt_int(3)?.unwrap_or(len);
    if first > last {
        return Ok(0);
    }
    let more = last.wrapping_sub(first) as u64;
    let too_many = || Raise::message("too many results to unpack");
    if more >= RESULTS_MAX {
        return Err(too_many());
    }
    let count = more as usize + 1;
    frame.charge(count as u64)?;
    frame.check_memory(count * 16)?;
    frame.reserve(count).map_err(|_| too_many())?;
    for i in 0..count {
        array.get(frame, first + i as i64)?;
    }
    Ok(count)
}
