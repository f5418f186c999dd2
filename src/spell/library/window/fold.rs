//! Accumulators on the stack: the first one, one more value, two made one.

use super::options::{FOLD, INITIAL, MERGE};
use crate::event::suggest::suggest;
use crate::spell::raw::{Frame, Kind, Raise};

/// Folds by name; a fold's code is its place in here.
const NAMES: [&str; 7] = ["list", "count", "sum", "min", "max", "first", "last"];
const LIST: i64 = 0;
const COUNT: i64 = 1;
const SUM: i64 = 2;
const MIN: i64 = 3;
const MAX: i64 = 4;
const FIRST: i64 = 5;

/// Where `add` has key and value.
const KEY_ARG: i32 = 2;
const VALUE_ARG: i32 = 4;

/// The code of a named fold, or what is wrong with the name.
pub(super) fn code(name: &str) -> Result<i64, String> {
    match NAMES.iter().position(|known| *known == name) {
        Some(code) => Ok(code as i64),
        None => {
            let hint = suggest(name, NAMES)
                .map_or(String::new(), |nearest| format!("; did you mean \"{nearest}\"?"));
            Err(format!("`fold` is a function (accumulator, value) or one of {}{hint}", NAMES.join(", ")))
        }
    }
}

/// Pushes the first accumulator.
pub(super) fn push_initial(frame: &mut Frame<'_>, parts: i32) -> Result<(), Raise> {
    match frame.raw_geti(parts, INITIAL) {
        Kind::Function => frame.call(0, 1),
        Kind::String => {
            let value = frame.copy_bytes(-1).unwrap_or_default();
            frame.pop(1);
            let nulls = frame.host().nulls;
            frame.push_value(&value, nulls)
        }
        _ => Ok(()),
    }
}

/// Replaces the accumulator on top by one that holds the value of `add` as well.
pub(super) fn apply(frame: &mut Frame<'_>, parts: i32) -> Result<(), Raise> {
    let code = match frame.raw_geti(parts, FOLD) {
        Kind::Function => {
            frame.push_copy(-2);
            push_arg(frame, VALUE_ARG);
            push_arg(frame, KEY_ARG);
            finish_call(frame, 3)?;
            return check_kept(frame);
        }
        Kind::Nil if frame.kind(VALUE_ARG) == Kind::Function => {
            frame.pop(1);
            frame.push_copy(VALUE_ARG);
            frame.push_copy(-2);
            finish_call(frame, 1)?;
            return check_kept(frame);
        }
        _ => frame.int_at(-1).unwrap_or(LIST),
    };
    frame.pop(1);
    if code == COUNT {
        frame.push_int(1);
        return add(frame);
    }
    if frame.is_absent(VALUE_ARG as usize) {
        return Err(Raise::argument(VALUE_ARG as usize, "value expected"));
    }
    if code == LIST {
        if frame.kind(-1) == Kind::Nil {
            frame.pop(1);
            frame.push_table(1, 0);
        }
        check_list(frame, -1)?;
        let len = frame.raw_len(-1) as i64;
        frame.push_copy(VALUE_ARG);
        frame.raw_seti(-2, len + 1);
        return Ok(());
    }
    frame.push_copy(VALUE_ARG);
    combine(frame, code)
}

/// Replaces two accumulators on top, the later one above, by one.
pub(super) fn merge(frame: &mut Frame<'_>, parts: i32) -> Result<(), Raise> {
    if frame.raw_geti(parts, MERGE) == Kind::Function {
        // earlier, later, merge -> earlier, merge, earlier, later
        frame.insert(2);
        frame.push_copy(-3);
        frame.insert(2);
        return finish_call(frame, 2);
    }
    frame.pop(1);
    let code = match frame.raw_geti(parts, FOLD) {
        Kind::Function => None,
        _ => Some(frame.int_at(-1).unwrap_or(LIST)),
    };
    frame.pop(1);
    match code {
        None => Err(Raise::message("two sessions became one, and the window has no `merge`")),
        Some(LIST) => {
            check_list(frame, -1)?;
            check_list(frame, -2)?;
            let (earlier, later) = (frame.raw_len(-2) as i64, frame.raw_len(-1) as i64);
            frame.charge(later as u64)?;
            for at in 1..=later {
                frame.raw_geti(-1, at);
                frame.raw_seti(-3, earlier + at);
            }
            frame.pop(1);
            Ok(())
        }
        Some(COUNT) => add(frame),
        Some(code) => combine(frame, code),
    }
}

/// Replaces accumulator and value on top.
fn combine(frame: &mut Frame<'_>, code: i64) -> Result<(), Raise> {
    if frame.kind(-2) == Kind::Nil {
        frame.drop_below_top();
        if code <= MAX && frame.number_at(-1).is_none() {
            return Err(not_a_number(frame));
        }
        return Ok(());
    }
    let keep_old = match code {
        SUM => return add(frame),
        MIN | MAX => {
            let (Some(old), Some(new)) = (frame.number_at(-2), frame.number_at(-1)) else {
                return Err(not_a_number(frame));
            };
            if code == MIN { new >= old || new.is_nan() } else { new <= old || new.is_nan() }
        }
        code => code == FIRST,
    };
    if keep_old {
        frame.pop(1);
    } else {
        frame.drop_below_top();
    }
    Ok(())
}

/// Replaces two numbers on top by their sum: of integers an integer, unless it does not fit.
fn add(frame: &mut Frame<'_>) -> Result<(), Raise> {
    if frame.kind(-2) == Kind::Nil {
        frame.drop_below_top();
        return if frame.number_at(-1).is_some() { Ok(()) } else { Err(not_a_number(frame)) };
    }
    let exact = frame.int_at(-2).zip(frame.int_at(-1)).and_then(|(left, right)| left.checked_add(right));
    let (Some(left), Some(right)) = (frame.number_at(-2), frame.number_at(-1)) else {
        return Err(not_a_number(frame));
    };
    frame.pop(2);
    match exact {
        Some(sum) => frame.push_int(sum),
        None => frame.push_float(left + right),
    }
    Ok(())
}

fn not_a_number(frame: &Frame<'_>) -> Raise {
    let found = if frame.number_at(-1).is_none() { frame.type_name(-1) } else { frame.type_name(-2) };
    Raise::message(format!("the window's fold takes numbers, not {found}"))
}

fn check_list(frame: &Frame<'_>, index: i32) -> Result<(), Raise> {
    if frame.kind(index) == Kind::Table {
        return Ok(());
    }
    Err(Raise::message(format!(
        "the window's fold is \"list\", but its accumulator is {}",
        frame.type_name(index)
    )))
}

/// A fold may return nothing only where it got a table to change.
fn check_kept(frame: &Frame<'_>) -> Result<(), Raise> {
    if frame.kind(-1) == Kind::Nil {
        let text =
            "the window's fold returned nothing to keep; return the new accumulator, or state `initial`";
        return Err(Raise::message(text));
    }
    Ok(())
}

/// Pushes an argument, nil where there is none.
fn push_arg(frame: &mut Frame<'_>, index: i32) {
    if frame.is_none(index as usize) { frame.push_nil() } else { frame.push_copy(index) }
}

/// Calls the function that lies, with its arguments, above the old accumulator, which stays where it returns nil.
fn finish_call(frame: &mut Frame<'_>, args: usize) -> Result<(), Raise> {
    frame.call(args, 1)?;
    if frame.kind(-1) == Kind::Nil {
        frame.pop(1);
    } else {
        frame.drop_below_top();
    }
    Ok(())
}
