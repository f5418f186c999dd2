//! `table.sort`: the quicksort of Lua 5.5, so that elements that compare equal end where stock Lua puts
//! them, and an inconsistent order function is met with the same complaint.
//!
//! Different from stock Lua: the pivot of a lopsided partition is not random but derived from its
//! bounds, so that a sort is the same in every run; comparisons charge the cast's budget; an array of
//! integers only, floats only or strings only without an order function is sorted in Rust, where
//! the result cannot differ, since equal elements cannot be told apart.

use crate::spell::library::table::{Array, LEN, READ, WRITE};
use crate::spell::raw::{Entry, Frame, Kind, Raise};

/// Replacement in `table`.
pub(crate) static FUNCTIONS: &[Entry] = &[("sort", sort)];

/// Longer arrays get other pivots where partitions are lopsided.
const PIVOT_MIN: u64 = 100;
/// Strings of an array that are copied to be sorted, in bytes, at most.
const TEXT_BYTES_MAX: usize = 4 << 20;

fn sort(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let array = Array::new(frame, 1, READ | WRITE | LEN)?;
    let len = array.len(frame)?;
    if len > 1 {
        if len >= i64::from(i32::MAX) {
            return Err(Raise::argument(1, "array too big"));
        }
        let ordered = !frame.is_absent(2);
        if ordered && frame.kind(2) != Kind::Function {
            let got = frame.type_name(2);
            return Err(Raise::argument(2, format!("function expected, got {got}")));
        }
        if ordered || !array.raw || !sort_plain(frame, len as usize)? {
            Sorter { array, ordered }.sort(frame, 1, len as u64, 0)?;
        }
    }
    Ok(0)
}

enum Keys {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    /// The strings one after another, and where each ends.
    Texts(Vec<u8>, Vec<usize>),
}

impl Keys {
    /// Takes the value on top; false if it does not fit in.
    fn take(&mut self, frame: &mut Frame<'_>) -> Result<bool, Raise> {
        match (self, frame.kind(-1)) {
            (Self::Ints(ints), Kind::Integer) => ints.extend(frame.int_at(-1)),
            (Self::Floats(floats), Kind::Float) => match frame.number_at(-1) {
                // -0.0 equals 0.0 and prints otherwise; NaN has no place.
                Some(x) if !x.is_nan() && (x != 0.0 || x.is_sign_positive()) => floats.push(x),
                _ => return Ok(false),
            },
            (Self::Texts(bytes, ends), Kind::String) => {
                if bytes.len() + frame.raw_len(-1) > TEXT_BYTES_MAX {
                    return Ok(false);
                }
                let top = frame.top() as usize;
                bytes.extend_from_slice(frame.bytes(top)?);
                ends.push(bytes.len());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Sorts arrays of one plain type; false, and nothing is changed, for others.
fn sort_plain(frame: &mut Frame<'_>, len: usize) -> Result<bool, Raise> {
    let mut keys = match frame.raw_geti(1, 1) {
        Kind::Integer => Keys::Ints(Vec::new()),
        Kind::Float => Keys::Floats(Vec::new()),
        Kind::String => Keys::Texts(Vec::new(), Vec::new()),
        _ => {
            frame.pop(1);
            return Ok(false);
        }
    };
    frame.pop(1);
    for n in 1..=len {
        frame.charge(1)?;
        frame.raw_geti(1, n as i64);
        let fits = keys.take(frame)?;
        frame.pop(1);
        if !fits {
            return Ok(false);
        }
    }
    let rounds = u64::from(len.ilog2()) + 1;
    frame.charge(len as u64 * rounds / 4)?;
    match keys {
        Keys::Ints(mut ints) => {
            ints.sort_unstable();
            for (i, n) in ints.into_iter().enumerate() {
                frame.push_int(n);
                frame.raw_seti(1, i as i64 + 1);
            }
        }
        Keys::Floats(mut floats) => {
            floats.sort_unstable_by(f64::total_cmp);
            for (i, x) in floats.into_iter().enumerate() {
                frame.push_float(x);
                frame.raw_seti(1, i as i64 + 1);
            }
        }
        Keys::Texts(bytes, ends) => {
            frame.charge(bytes.len() as u64 / 16 * rounds)?;
            frame.check_memory(len * 16)?;
            let text = |i: usize| &bytes[if i == 0 { 0 } else { ends[i - 1] }..ends[i]];
            let mut order: Vec<usize> = (0..len).collect();
            order.sort_unstable_by(|&a, &b| text(a).cmp(text(b)));
            frame.push_table(len, 0);
            for n in 1..=len as i64 {
                frame.raw_geti(1, n);
                frame.raw_seti(-2, n);
            }
            for (i, from) in order.into_iter().enumerate() {
                frame.raw_geti(-1, from as i64 + 1);
                frame.raw_seti(1, i as i64 + 1);
            }
            frame.pop(1);
        }
    }
    Ok(true)
}

#[derive(Clone, Copy)]
struct Sorter {
    array: Array,
    /// Whether there is an order function.
    ordered: bool,
}

impl Sorter {
    fn get(self, frame: &mut Frame<'_>, n: u64) -> Result<(), Raise> {
        self.array.get(frame, n as i64).map(|_| ())
    }

    /// Pops the top into element `i`, the next into element `j`.
    fn set_two(self, frame: &mut Frame<'_>, i: u64, j: u64) -> Result<(), Raise> {
        self.array.set(frame, i as i64)?;
        self.array.set(frame, j as i64)
    }

    /// Whether the value at stack index `a` comes before the one at `b`; both count from the top.
    fn less(self, frame: &mut Frame<'_>, a: i32, b: i32) -> Result<bool, Raise> {
        frame.charge(2)?;
        if !self.ordered {
            if frame.kind(a) == Kind::String && frame.kind(b) == Kind::String {
                frame.charge(frame.raw_len(a).min(frame.raw_len(b)) as u64 / 16)?;
            }
            return frame.less_than(a, b);
        }
        frame.push_copy(2);
        frame.push_copy(a - 1);
        frame.push_copy(b - 2);
        frame.call(2, 1)?;
        let less = frame.truthy(-1);
        frame.pop(1);
        Ok(less)
    }

    /// Sorts elements `low` to `high`. Recursion is into the smaller half, so it is shallow.
    fn sort(self, frame: &mut Frame<'_>, mut low: u64, mut high: u64, mut salt: u64) -> Result<(), Raise> {
        while low < high {
            self.get(frame, low)?;
            self.get(frame, high)?;
            if self.less(frame, -1, -2)? {
                self.set_two(frame, low, high)?;
            } else {
                frame.pop(2);
            }
            if high - low == 1 {
                return Ok(());
            }
            let mut middle = if high - low < PIVOT_MIN || salt == 0 {
                (low + high) / 2
            } else {
                let quarter = (high - low) / 4;
                (salt ^ low ^ high) % (quarter * 2) + low + quarter
            };
            self.get(frame, middle)?;
            self.get(frame, low)?;
            if self.less(frame, -2, -1)? {
                self.set_two(frame, middle, low)?;
            } else {
                frame.pop(1);
                self.get(frame, high)?;
                if self.less(frame, -1, -2)? {
                    self.set_two(frame, middle, high)?;
                } else {
                    frame.pop(2);
                }
            }
            if high - low == 2 {
                return Ok(());
            }
            self.get(frame, middle)?;
            frame.push_copy(-1);
            self.get(frame, high - 1)?;
            self.set_two(frame, middle, high - 1)?;
            middle = self.partition(frame, low, high)?;
            let smaller = if middle - low < high - middle {
                self.sort(frame, low, middle - 1, salt)?;
                let smaller = middle - low;
                low = middle + 1;
                smaller
            } else {
                self.sort(frame, middle + 1, high, salt)?;
                let smaller = high - middle;
                high = middle - 1;
                smaller
            };
            if high.saturating_sub(low) / 128 > smaller {
                salt = (low ^ high.rotate_left(32) ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 | 1;
            }
        }
        Ok(())
    }

    /// Splits `low` to `high` around the pivot on top of the stack, which is also in `high - 1`, and
    /// pops it; where it ends.
    fn partition(self, frame: &mut Frame<'_>, low: u64, high: u64) -> Result<u64, Raise> {
        let (mut i, mut j) = (low, high - 1);
        let inconsistent = || Raise::message("invalid order function for sorting");
        loop {
            i += 1;
            self.get(frame, i)?;
            while self.less(frame, -1, -2)? {
                if i == high - 1 {
                    return Err(inconsistent());
                }
                frame.pop(1);
                i += 1;
                self.get(frame, i)?;
            }
            j -= 1;
            self.get(frame, j)?;
            while self.less(frame, -3, -1)? {
                if j < i {
                    return Err(inconsistent());
                }
                frame.pop(1);
                j -= 1;
                self.get(frame, j)?;
            }
            if j < i {
                frame.pop(1);
                self.set_two(frame, high - 1, i)?;
                return Ok(i);
            }
            self.set_two(frame, i, j)?;
        }
    }
}
