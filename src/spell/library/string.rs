//! `string`: the functions that C could run for ever, or fill memory with, counted and bounded.
//!
//! `find`, `match`, `gmatch`, `gsub`, `rep` and `format` do what those of Lua 5.5 do, errors included.
//! Different from stock Lua: matching, copying and searching charge the cast's budget; a plain `find` is
//! linear in the strings; `%p` gives the low half of an address, which is the same in every run.
//! The other functions are stock Lua's own: they do one pass over memory that was paid for.

use memchr::{memchr, memmem};

use crate::spell::library::buffer::{self, Buffer};
use crate::spell::library::format::{self, FormatError, Item};
use crate::spell::library::pattern::{self, Capture, Matcher, PatternError};
use crate::spell::raw::{Entry, Frame, Kind, Raise};

/// Replacements in `string`.
pub(crate) static FUNCTIONS: &[Entry] = &[
    ("find", find),
    ("match", find_match),
    ("gmatch", gmatch),
    ("gsub", gsub),
    ("rep", rep),
    ("format", string_format),
];

/// What `gmatch` returns. Upvalues: subject, pattern, where to go on, where the last match ended.
static ITERATOR: Entry = ("for iterator", gmatch_next);

/// No string is longer than a block of a VM's memory.
const STRING_BYTES_MAX: u64 = 1 << 31;

/// `t[k]` where a metatable has a say.
const INDEX: &[u8] = b"local t, k = ... return t[k]";

impl From<PatternError> for Raise {
    fn from(error: PatternError) -> Self {
        match error {
            PatternError::Limit => Self::Limit,
            _ => Self::message(error.to_string()),
        }
    }
}

impl From<FormatError> for Raise {
    fn from(error: FormatError) -> Self {
        Self::message(error.to_string())
    }
}

/// A start position as an offset: negative ones count from the end. May lie beyond the end.
fn offset(position: i64, len: usize) -> usize {
    match position {
        1.. => usize::try_from(position - 1).unwrap_or(usize::MAX),
        0 => 0,
        _ => usize::try_from(position.unsigned_abs()).map_or(0, |back| len.saturating_sub(back)),
    }
}

fn find(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    search(frame, true)
}

fn find_match(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    search(frame, false)
}

fn search(frame: &mut Frame<'_>, find: bool) -> Result<usize, Raise> {
    let (subject, pattern) = (frame.bytes(1)?, frame.bytes(2)?);
    let start = offset(frame.opt_int(3)?.unwrap_or(1), subject.len());
    if start > subject.len() {
        frame.push_nil();
        return Ok(1);
    }
    if find {
        frame.charge(pattern.len() as u64 / 8)?;
        if frame.boolean(4) || pattern::is_plain(pattern) {
            frame.charge((subject.len() - start) as u64 / 16)?;
            return Ok(match memmem::find(&subject[start..], pattern) {
                Some(at) => {
                    frame.push_int((start + at + 1) as i64);
                    frame.push_int((start + at + pattern.len()) as i64);
                    2
                }
                None => {
                    frame.push_nil();
                    1
                }
            });
        }
    }
    let anchored = pattern.first() == Some(&b'^');
    let mut matcher = Matcher::new(subject, &pattern[usize::from(anchored)..]);
    let charge = &mut |units| frame.charge(units).is_ok();
    let found = if anchored {
        matcher.match_at(start, charge)?.map(|end| (start, end))
    } else {
        matcher.find(start, None, charge)?
    };
    let Some((from, to)) = found else {
        frame.push_nil();
        return Ok(1);
    };
    if find {
        frame.push_int(from as i64 + 1);
        frame.push_int(to as i64);
        for i in 0..matcher.level() {
            push_capture(frame, subject, matcher.capture(i, from, to)?)?;
        }
        return Ok(2 + matcher.level());
    }
    push_captures(frame, subject, &matcher, from, to)
}

fn push_capture(frame: &mut Frame<'_>, subject: &[u8], capture: Capture) -> Result<(), Raise> {
    match capture {
        Capture::Position(at) => frame.push_int(at as i64),
        Capture::Range(from, to) => {
            if to - from >= 64 {
                frame.charge((to - from) as u64 / 16)?;
            }
            frame.push_bytes(&subject[from..to])?;
        }
    }
    Ok(())
}

/// Pushes the captures, or the whole match where there are none.
fn push_captures(
    frame: &mut Frame<'_>,
    subject: &[u8],
    matcher: &Matcher<'_>,
    from: usize,
    to: usize,
) -> Result<usize, Raise> {
    let count = matcher.level().max(1);
    for i in 0..count {
        push_capture(frame, subject, matcher.capture(i, from, to)?)?;
    }
    Ok(count)
}

fn gmatch(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (subject, _) = (frame.bytes(1)?, frame.bytes(2)?);
    let start = offset(frame.opt_int(3)?.unwrap_or(1), subject.len()).min(subject.len() + 1);
    frame.push_copy(1);
    frame.push_copy(2);
    frame.push_int(start as i64);
    frame.push_int(-1);
    frame.push_native(&ITERATOR, 4);
    Ok(1)
}

/// An upvalue that is a string and is never replaced.
fn upvalue_bytes<'l>(frame: &mut Frame<'l>, n: usize) -> Result<&'l [u8], Raise> {
    frame.push_upvalue(n);
    let top = frame.top() as usize;
    frame.bytes(top)
}

fn upvalue_int(frame: &mut Frame<'_>, n: usize) -> i64 {
    frame.push_upvalue(n);
    let value = frame.int_at(-1).unwrap_or(-1);
    frame.pop(1);
    value
}

fn gmatch_next(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    // Both stay on the stack, below the results, for as long as they are read.
    let (subject, pattern) = (upvalue_bytes(frame, 1)?, upvalue_bytes(frame, 2)?);
    let start = usize::try_from(upvalue_int(frame, 3)).unwrap_or(usize::MAX);
    let last = usize::try_from(upvalue_int(frame, 4)).ok();
    let mut matcher = Matcher::new(subject, pattern);
    let Some((from, to)) = matcher.find(start, last, &mut |units| frame.charge(units).is_ok())? else {
        return Ok(0);
    };
    frame.push_int(to as i64);
    frame.push_copy(-1);
    frame.set_upvalue(3);
    frame.set_upvalue(4);
    push_captures(frame, subject, &matcher, from, to)
}

enum Replacement<'l> {
    Text(&'l [u8]),
    Table,
    Function,
}

fn gsub(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (subject, pattern) = (frame.bytes(1)?, frame.bytes(2)?);
    let count_max = frame.opt_int(4)?.unwrap_or(subject.len() as i64 + 1);
    let replacement = match frame.kind(3) {
        Kind::String | Kind::Integer | Kind::Float => Replacement::Text(frame.bytes(3)?),
        Kind::Table => Replacement::Table,
        Kind::Function => Replacement::Function,
        _ => {
            let got = frame.type_name(3);
            return Err(Raise::argument(3, format!("string/function/table expected, got {got}")));
        }
    };
    let anchored = pattern.first() == Some(&b'^');
    let mut matcher = Matcher::new(subject, &pattern[usize::from(anchored)..]);
    let mut out = Buffer::default();
    let (mut at, mut last, mut count, mut changed) = (0, None, 0, false);
    while count < count_max {
        let charge = &mut |units| frame.charge(units).is_ok();
        let found = if anchored {
            matcher.match_at(0, charge)?.map(|end| (0, end))
        } else {
            matcher.find(at, last, charge)?
        };
        let Some((from, to)) = found else { break };
        count += 1;
        out.add(frame, &subject[at..from])?;
        changed |= replace(frame, subject, &matcher, (from, to), &replacement, &mut out)?;
        (at, last) = (to, Some(to));
        if anchored {
            break;
        }
    }
    if changed {
        out.add(frame, &subject[at..])?;
        out.finish(frame)?;
    } else {
        frame.push_copy(1);
    }
    frame.push_int(count);
    Ok(2)
}

/// Appends what stands for one match; whether that is anything but the match itself.
fn replace(
    frame: &mut Frame<'_>,
    subject: &[u8],
    matcher: &Matcher<'_>,
    (from, to): (usize, usize),
    replacement: &Replacement<'_>,
    out: &mut Buffer,
) -> Result<bool, Raise> {
    match replacement {
        Replacement::Text(text) => {
            expand(frame, subject, matcher, (from, to), text, out)?;
            return Ok(true);
        }
        Replacement::Function => {
            frame.push_copy(3);
            let count = push_captures(frame, subject, matcher, from, to)?;
            frame.call(count, 1)?;
        }
        Replacement::Table => {
            let key = matcher.capture(0, from, to)?;
            push_capture(frame, subject, key)?;
            if frame.raw_get(3) == Kind::Nil && frame.has_metafield(3, "__index") {
                frame.pop(1);
                frame.load("gsub", INDEX)?;
                frame.push_copy(3);
                push_capture(frame, subject, key)?;
                frame.call(2, 1)?;
            }
        }
    }
    if !frame.truthy(-1) {
        frame.pop(1);
        out.add(frame, &subject[from..to])?;
        return Ok(false);
    }
    if out.add_top(frame)? {
        return Ok(true);
    }
    Err(Raise::message(format!("invalid replacement value (a {})", frame.kind(-1).name())))
}

/// Appends a replacement text, `%0` to `%9` filled in.
fn expand(
    frame: &mut Frame<'_>,
    subject: &[u8],
    matcher: &Matcher<'_>,
    (from, to): (usize, usize),
    mut text: &[u8],
    out: &mut Buffer,
) -> Result<(), Raise> {
    while let Some(at) = memchr(b'%', text) {
        out.add(frame, &text[..at])?;
        let byte = text.get(at + 1).copied().unwrap_or(0);
        let capture = match byte {
            b'%' => {
                out.bytes.push(b'%');
                text = &text[at + 2..];
                continue;
            }
            b'0' => Capture::Range(from, to),
            b'1'..=b'9' => matcher.capture(usize::from(byte - b'1'), from, to)?,
            _ => return Err(Raise::message("invalid use of '%' in replacement string")),
        };
        match capture {
            Capture::Range(from, to) => out.add(frame, &subject[from..to])?,
            Capture::Position(at) => format::write_int(at as i64, &mut out.bytes),
        }
        text = &text[at + 2..];
    }
    out.add(frame, text)
}

fn rep(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (text, count) = (frame.bytes(1)?, frame.int(2)?);
    let separator = frame.opt_bytes(3)?.unwrap_or(b"");
    let each = (text.len() + separator.len()) as u64;
    if count <= 0 || each == 0 {
        frame.push_str("")?;
        return Ok(1);
    }
    let count = count.unsigned_abs();
    if each > i64::MAX as u64 / count {
        return Err(Raise::message("resulting string too large"));
    }
    let total = each * count - separator.len() as u64;
    if total > STRING_BYTES_MAX {
        frame.charge(1)?;
        return Err(Raise::Memory);
    }
    // Where memory is short it is collected: that is paid for before, success or not.
    let units = total / 16;
    let advance = units.min(buffer::COLLECTION_UNITS);
    frame.charge(advance)?;
    let len = total as usize;
    frame.check_memory(len)?;
    frame.charge(units - advance)?;
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(text);
    if count > 1 {
        bytes.extend_from_slice(separator);
        bytes.extend_from_slice(text);
        // From here on what is there is doubled, and begins with a whole period.
        while bytes.len() < len {
            let period = bytes.len() - text.len();
            let more = (len - bytes.len()).min(period);
            bytes.extend_from_within(text.len()..text.len() + more);
        }
    }
    frame.push_bytes(&bytes)?;
    Ok(1)
}

fn string_format(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let mut rest = frame.bytes(1)?;
    let mut out = Buffer::default();
    let mut arg = 1;
    while let Some(at) = memchr(b'%', rest) {
        out.add(frame, &rest[..at])?;
        rest = &rest[at + 1..];
        if rest.first() == Some(&b'%') {
            out.bytes.push(b'%');
            rest = &rest[1..];
            continue;
        }
        arg += 1;
        if arg > frame.args() {
            return Err(Raise::argument(arg, "no value"));
        }
        let item = Item::take(rest)?;
        rest = &rest[item.len()..];
        write_item(frame, item, arg, &mut out)?;
        out.settle(frame)?;
    }
    out.add(frame, rest)?;
    out.finish(frame)?;
    Ok(1)
}

fn write_item(frame: &mut Frame<'_>, item: Item<'_>, arg: usize, out: &mut Buffer) -> Result<(), Raise> {
    match item.conversion() {
        b'c' => {
            let spec = item.spec(format::FLAGS_TEXT, false)?;
            spec.text(&[frame.int(arg)? as u8], &mut out.bytes);
        }
        letter @ (b'd' | b'i' | b'u' | b'o' | b'x' | b'X') => {
            let value = frame.int(arg)?;
            let flags = match letter {
                b'd' | b'i' => format::FLAGS_INT,
                b'u' => format::FLAGS_UNSIGNED,
                _ => format::FLAGS_HEX,
            };
            item.spec(flags, true)?.int(value, &mut out.bytes);
        }
        b'a' | b'A' => {
            let spec = item.spec(format::FLAGS_FLOAT, true)?;
            spec.float(frame.number(arg)?, &mut out.bytes);
        }
        b'e' | b'E' | b'f' | b'g' | b'G' => {
            let value = frame.number(arg)?;
            let spec = item.spec(format::FLAGS_FLOAT, true)?;
            frame.charge(spec.float_units(value))?;
            spec.float(value, &mut out.bytes);
        }
        b'p' => {
            let spec = item.spec(format::FLAGS_TEXT, false)?;
            let text = frame.address(arg as i32).map_or("(null)".to_owned(), |at| format!("0x{at:08x}"));
            spec.text(text.as_bytes(), &mut out.bytes);
        }
        b'q' if !item.is_bare() => return Err(FormatError::QuotedModifiers.into()),
        b'q' => write_literal(frame, arg, out)?,
        b's' => write_text(frame, item, arg, out)?,
        _ => return Err(item.unknown().into()),
    }
    Ok(())
}

/// `%q`
fn write_literal(frame: &mut Frame<'_>, arg: usize, out: &mut Buffer) -> Result<(), Raise> {
    match frame.kind(arg as i32) {
        Kind::String => {
            let bytes = frame.bytes(arg)?;
            frame.charge(bytes.len() as u64 / 8)?;
            frame.check_memory(out.bytes.len() + bytes.len())?;
            format::write_quoted(bytes, &mut out.bytes);
        }
        Kind::Integer => format::write_quoted_int(frame.int(arg)?, &mut out.bytes),
        Kind::Float => format::write_quoted_float(frame.number(arg)?, &mut out.bytes),
        Kind::Nil => out.bytes.extend_from_slice(b"nil"),
        Kind::Boolean => out.bytes.extend_from_slice(if frame.boolean(arg) { b"true" } else { b"false" }),
        _ => return Err(Raise::argument(arg, "value has no literal form")),
    }
    Ok(())
}

/// `%s`
fn write_text(frame: &mut Frame<'_>, item: Item<'_>, arg: usize, out: &mut Buffer) -> Result<(), Raise> {
    let mut number = Vec::new();
    let bytes = match frame.kind(arg as i32) {
        Kind::String => frame.bytes(arg)?,
        Kind::Integer => {
            format::write_int(frame.int(arg)?, &mut number);
            &number
        }
        Kind::Float => {
            format::write_float(frame.number(arg)?, &mut number);
            &number
        }
        _ => {
            frame.tostring(arg as i32)?;
            number = frame.copy_bytes(-1).unwrap_or_default();
            frame.pop(1);
            &number
        }
    };
    if item.is_bare() {
        return out.add(frame, bytes);
    }
    frame.charge(bytes.len() as u64 / 32)?;
    if memchr(0, bytes).is_some() {
        return Err(Raise::argument(arg, "string contains zeros"));
    }
    let spec = item.spec(format::FLAGS_TEXT, true)?;
    if bytes.len() >= 100 && !item.has_point() {
        return out.add(frame, bytes);
    }
    spec.text(bytes, &mut out.bytes);
    Ok(())
}
