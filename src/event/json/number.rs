//! Numbers in a JSON text.

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Without point and exponent.
    Int(i64),
    /// With one.
    Float(f64),
    /// Without, but outside of the range of an `i64`.
    BigInt(f64),
}

/// Powers of ten that a float holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Up to that many digits cannot overflow.
const DIGITS_MAX: usize = 18;

/// Integers up to here are exact as floats.
const EXACT_MAX: u64 = 1 << 53;

/// Reads the number at `start`; gives back it and the place after it. `None` if it is none, or larger than
/// any float.
#[inline]
pub(super) fn read(text: &[u8], start: usize) -> Option<(Number, usize)> {
    let negative = text[start] == b'-';
    let first = start + usize::from(negative);
    let mut mantissa = 0;
    let mut at = digits(text, first, &mut mantissa)?;
    let mut count = at - first;
    if text[first] == b'0' && count > 1 {
        return None;
    }
    let after = text.get(at).copied().unwrap_or(0);
    if !matches!(after, b'.' | b'e' | b'E') {
        if count <= DIGITS_MAX {
            let value = mantissa as i64;
            return Some((Number::Int(if negative { -value } else { value }), at));
        }
        return long_int(&text[start..at]).map(|number| (number, at));
    }
    let mut exponent: i64 = 0;
    if after == b'.' {
        let end = digits(text, at + 1, &mut mantissa)?;
        exponent = -((end - at - 1) as i64);
        count += end - at - 1;
        at = end;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        let sign = text.get(at).copied();
        at += usize::from(matches!(sign, Some(b'+' | b'-')));
        let mut power = 0;
        let end = digits(text, at, &mut power)?;
        // More digits than that are left to the standard library.
        let power = if end - at <= 4 { power as i64 } else { 10_000 };
        exponent += if sign == Some(b'-') { -power } else { power };
        at = end;
    }
    let value = if count <= DIGITS_MAX && mantissa <= EXACT_MAX && exponent.unsigned_abs() <= 22 {
        // Both are exact, so the one rounding is correct.
        let power = POWERS[exponent.unsigned_abs() as usize];
        let value = if exponent < 0 { mantissa as f64 / power } else { mantissa as f64 * power };
        if negative { -value } else { value }
    } else {
        float(&text[start..at])?
    };
    Some((Number::Float(value), at))
}

/// Reads one or more digits into `value`, which wraps where there are too many; gives back their end.
#[inline]
fn digits(text: &[u8], start: usize, value: &mut u64) -> Option<usize> {
    let mut at = start;
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        *value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (at > start).then_some(at)
}

#[cold]
fn long_int(text: &[u8]) -> Option<Number> {
    match std::str::from_utf8(text).ok()?.parse() {
        Ok(value) => Some(Number::Int(value)),
        Err(_) => float(text).map(Number::BigInt),
    }
}

#[cold]
fn float(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}
