//! The items of `string.format`: numbers and strings as C's `printf` writes them, without C.
//!
//! The results are those of stock Lua 5.5 over glibc, exact to the last digit (Rust's own conversion
//! is exact, and rounds halves to even as glibc does); nothing depends on a locale. Width and
//! precision have at most two digits, so that no item of a number is longer than some 420 bytes.

use std::io::Write as _;

/// A complaint about an item. The texts are stock Lua's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// More flags and digits than an item can have.
    #[error("invalid format (too long)")]
    TooLong,
    /// Flags, width or precision that do not go with the conversion.
    #[error("invalid conversion specification: '{0}'")]
    Specification(String),
    /// No such conversion.
    #[error("invalid conversion '{0}' to 'format'")]
    Conversion(String),
    /// `%5q`
    #[error("specifier '%q' cannot have modifiers")]
    QuotedModifiers,
}

/// Flags that conversions to float accept.
pub const FLAGS_FLOAT: &[u8] = b"-+#0 ";
/// Flags of `%o`, `%x` and `%X`.
pub const FLAGS_HEX: &[u8] = b"-#0";
/// Flags of `%d` and `%i`.
pub const FLAGS_INT: &[u8] = b"-+0 ";
/// Flags of `%u`.
pub const FLAGS_UNSIGNED: &[u8] = b"-0";
/// Flags of `%c`, `%p` and `%s`.
pub const FLAGS_TEXT: &[u8] = b"-";

/// An item of a format as it is written, without its `%`: flags, width, precision, conversion.
#[derive(Clone, Copy, Debug)]
pub struct Item<'f>(&'f [u8]);

impl<'f> Item<'f> {
    /// Takes an item from the start of `format`, which follows a `%`.
    pub fn take(format: &'f [u8]) -> Result<Self, FormatError> {
        let spanned = format.iter().take_while(|byte| b"-+#0 123456789.".contains(byte)).count();
        if spanned + 1 >= 22 {
            return Err(FormatError::TooLong);
        }
        Ok(Self(&format[..(spanned + 1).min(format.len())]))
    }

    /// How many bytes of the format it takes.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether it is the conversion alone.
    #[must_use]
    pub fn is_bare(self) -> bool {
        self.0.len() <= 1
    }

    /// Whether it has a point.
    #[must_use]
    pub fn has_point(self) -> bool {
        self.0.contains(&b'.')
    }

    /// The letter of the conversion; 0 at the format's end.
    #[must_use]
    pub fn conversion(self) -> u8 {
        match self.0.last() {
            Some(byte) if !b"-+#0 123456789.".contains(byte) => *byte,
            _ => 0,
        }
    }

    /// As C would print it: up to a NUL.
    fn text(self) -> String {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        format!("%{}", String::from_utf8_lossy(&self.0[..end]))
    }

    /// The complaint that there is no such conversion.
    #[must_use]
    pub fn unknown(self) -> FormatError {
        FormatError::Conversion(self.text())
    }

    /// Reads flags, width and precision, where the conversion accepts them.
    pub fn spec(self, flags: &[u8], precise: bool) -> Result<Spec, FormatError> {
        let mut spec = Spec { conversion: self.conversion(), ..Spec::default() };
        let mut rest = self.0;
        while let Some((flag, after)) = rest.split_first().filter(|(flag, _)| flags.contains(flag)) {
            match flag {
                b'-' => spec.left = true,
                b'+' => spec.plus = true,
                b'#' => spec.alternative = true,
                b'0' => spec.zero = true,
                _ => spec.space = true,
            }
            rest = after;
        }
        if rest.first() != Some(&b'0') {
            spec.width = two_digits(&mut rest);
            if precise && rest.first() == Some(&b'.') {
                rest = &rest[1..];
                spec.precision = Some(two_digits(&mut rest));
            }
        }
        if rest.first().is_some_and(u8::is_ascii_alphabetic) {
            Ok(spec)
        } else {
            Err(FormatError::Specification(self.text()))
        }
    }
}

fn two_digits(rest: &mut &[u8]) -> usize {
    let count = rest.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, after) = rest.split_at(count);
    *rest = after;
    digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}

/// Flags, width, precision and letter of a conversion.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternative: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    conversion: u8,
}

impl Spec {
    /// `%s`, `%c`, `%p`: cut to the precision and padded.
    pub fn text(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let bytes = &bytes[..bytes.len().min(self.precision.unwrap_or(usize::MAX))];
        let padding = self.width.saturating_sub(bytes.len());
        if !self.left {
            out.resize(out.len() + padding, b' ');
        }
        out.extend_from_slice(bytes);
        if self.left {
            out.resize(out.len() + padding, b' ');
        }
    }

    /// `%d %i %u %o %x %X`
    pub fn int(&self, value: i64, out: &mut Vec<u8>) {
        let mut buffer = [0; 24];
        let (digits, sign, prefix): (&[u8], &[u8], &[u8]) = match self.conversion {
            b'd' | b'i' => {
                let digits = decimal(value.unsigned_abs(), &mut buffer);
                (digits, self.sign(value < 0), b"")
            }
            b'u' => (decimal(value as u64, &mut buffer), b"", b""),
            b'o' => (radix(value as u64, 3, false, &mut buffer), b"", b""),
            letter => {
                let upper = letter == b'X';
                let prefix: &[u8] = match self.alternative && value != 0 {
                    true if upper => b"0X",
                    true => b"0x",
                    false => b"",
                };
                (radix(value as u64, 4, upper, &mut buffer), b"", prefix)
            }
        };
        let digits = if value == 0 && self.precision == Some(0) { &b""[..] } else { digits };
        let mut zeros = self.precision.unwrap_or(1).saturating_sub(digits.len());
        if self.conversion == b'o' && self.alternative && zeros == 0 && digits.first() != Some(&b'0') {
            zeros = 1;
        }
        let len = sign.len() + prefix.len() + zeros + digits.len();
        let padding = self.width.saturating_sub(len);
        if self.zero && !self.left && self.precision.is_none() {
            zeros += padding;
        } else if !self.left {
            out.resize(out.len() + padding, b' ');
        }
        out.extend_from_slice(sign);
        out.extend_from_slice(prefix);
        out.resize(out.len() + zeros, b'0');
        out.extend_from_slice(digits);
        if self.left {
            out.resize(out.len() + padding, b' ');
        }
    }

    /// Work units of [`Spec::float`]: beyond 17 digits the exact value is worked out digit by digit.
    #[must_use]
    pub fn float_units(&self, value: f64) -> u64 {
        let precision = self.precision.unwrap_or(6) as u64;
        let digits = match self.conversion.to_ascii_lowercase() {
            b'a' => 0,
            b'f' if value.is_finite() && value.abs() >= 1.0 => precision + value.abs().log10() as u64,
            _ => precision,
        };
        if digits < 17 { 4 } else { digits * 12 }
    }

    /// `%e %E %f %g %G %a %A`
    pub fn float(&self, value: f64, out: &mut Vec<u8>) {
        let sign = self.sign(value.is_sign_negative());
        let size = value.abs();
        let mut body = Vec::with_capacity(32);
        let mut prefix: &[u8] = b"";
        if size.is_nan() {
            body.extend_from_slice(b"nan");
        } else if size.is_infinite() {
            body.extend_from_slice(b"inf");
        } else {
            match self.conversion.to_ascii_lowercase() {
                b'a' => {
                    prefix = b"0x";
                    hexadecimal(size, self.precision, self.alternative, &mut body);
                }
                b'e' => exponential(size, self.precision.unwrap_or(6), self.alternative, &mut body),
                b'f' => fixed(size, self.precision.unwrap_or(6), self.alternative, &mut body),
                _ => general(size, self.precision.unwrap_or(6), self.alternative, &mut body),
            }
        }
        let start = out.len();
        let padding = self.width.saturating_sub(sign.len() + prefix.len() + body.len());
        let zeros = self.zero && !self.left && size.is_finite();
        if !self.left && !zeros {
            out.resize(out.len() + padding, b' ');
        }
        out.extend_from_slice(sign);
        out.extend_from_slice(prefix);
        if zeros {
            out.resize(out.len() + padding, b'0');
        }
        out.extend_from_slice(&body);
        if self.left {
            out.resize(out.len() + padding, b' ');
        }
        if self.conversion.is_ascii_uppercase() {
            out[start..].make_ascii_uppercase();
        }
    }

    fn sign(&self, negative: bool) -> &'static [u8] {
        match negative {
            true => b"-",
            false if self.plus => b"+",
            false if self.space => b" ",
            false => b"",
        }
    }
}

/// An integer in decimal.
pub fn write_int(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(decimal(value.unsigned_abs(), &mut [0; 24]));
}

/// A float as `tostring` gives it: `%.15g`, or `%.17g` where that does not read back, and always
/// recognisable as a float.
pub fn write_float(value: f64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut spec = Spec { conversion: b'g', precision: Some(15), ..Spec::default() };
    spec.float(value, out);
    let reads_back = std::str::from_utf8(&out[start..]).ok().and_then(|text| text.parse::<f64>().ok());
    if reads_back != Some(value) {
        out.truncate(start);
        spec.precision = Some(17);
        spec.float(value, out);
    }
    if out[start..].iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
        out.extend_from_slice(b".0");
    }
}

/// `%q` of a string: Lua source that reads back as it.
pub fn write_quoted(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for (i, &byte) in bytes.iter().enumerate() {
        match byte {
            b'"' | b'\\' | b'\n' => out.extend_from_slice(&[b'\\', byte]),
            _ if byte.is_ascii_control() => {
                out.push(b'\\');
                if bytes.get(i + 1).is_some_and(u8::is_ascii_digit) {
                    out.resize(out.len() + usize::from(byte < 10) + usize::from(byte < 100), b'0');
                }
                write_int(i64::from(byte), out);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// `%q` of an integer.
pub fn write_quoted_int(value: i64, out: &mut Vec<u8>) {
    if value == i64::MIN { out.extend_from_slice(b"0x8000000000000000") } else { write_int(value, out) }
}

/// `%q` of a float: exact, in hexadecimal.
pub fn write_quoted_float(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"(0/0)");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"1e9999" } else { b"-1e9999" });
    } else {
        Spec { conversion: b'a', ..Spec::default() }.float(value, out);
    }
}

fn decimal(mut value: u64, buffer: &mut [u8; 24]) -> &[u8] {
    let mut start = buffer.len();
    loop {
        start -= 1;
        buffer[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &buffer[start..];
        }
    }
}

fn radix(mut value: u64, bits: u32, upper: bool, buffer: &mut [u8; 24]) -> &[u8] {
    let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let mut start = buffer.len();
    loop {
        start -= 1;
        buffer[start] = digits[(value & ((1 << bits) - 1)) as usize];
        value >>= bits;
        if value == 0 {
            return &buffer[start..];
        }
    }
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

fn fixed(size: f64, precision: usize, point: bool, out: &mut Vec<u8>) {
    append(out, format_args!("{size:.precision$}"));
    if point && precision == 0 {
        out.push(b'.');
    }
}

/// The digits of `size` rounded to `count`, and its decimal exponent.
fn digits(size: f64, count: usize) -> (Vec<u8>, i32) {
    let mut text = Vec::with_capacity(count + 8);
    append(&mut text, format_args!("{size:.*e}", count - 1));
    let at = text.iter().position(|&byte| byte == b'e').unwrap_or(text.len());
    let exponent = std::str::from_utf8(&text[at + 1..]).ok().and_then(|text| text.parse().ok());
    text.truncate(at);
    if text.len() > 1 {
        text.remove(1);
    }
    (text, exponent.unwrap_or(0))
}

fn exponent(value: i32, out: &mut Vec<u8>) {
    append(out, format_args!("e{}{:02}", if value < 0 { '-' } else { '+' }, value.unsigned_abs()));
}

fn exponential(size: f64, precision: usize, point: bool, out: &mut Vec<u8>) {
    let (digits, power) = digits(size, precision + 1);
    out.push(digits[0]);
    if precision > 0 || point {
        out.push(b'.');
    }
    out.extend_from_slice(&digits[1..]);
    exponent(power, out);
}

fn general(size: f64, precision: usize, alternative: bool, out: &mut Vec<u8>) {
    let count = precision.max(1);
    let (mut digits, power) = digits(size, count);
    if !alternative {
        let used = digits.iter().rposition(|&digit| digit != b'0').map_or(1, |last| last + 1);
        digits.truncate(used);
    }
    if power < -4 || power >= count as i32 {
        out.push(digits[0]);
        if digits.len() > 1 || alternative {
            out.push(b'.');
        }
        out.extend_from_slice(&digits[1..]);
        exponent(power, out);
    } else if power < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + power.unsigned_abs() as usize - 1, b'0');
        out.extend_from_slice(&digits);
    } else {
        let whole = power as usize + 1;
        if digits.len() < whole {
            digits.resize(whole, b'0');
        }
        out.extend_from_slice(&digits[..whole]);
        if digits.len() > whole || alternative {
            out.push(b'.');
        }
        out.extend_from_slice(&digits[whole..]);
    }
}

/// `%a` as glibc writes it, without sign and `0x`.
fn hexadecimal(size: f64, precision: Option<usize>, point: bool, out: &mut Vec<u8>) {
    let bits = size.to_bits();
    let (mut lead, mut fraction) = (u64::from(bits >> 52 != 0), bits & ((1 << 52) - 1));
    let power = match bits >> 52 {
        0 if fraction == 0 => 0,
        0 => -1022,
        biased => biased as i32 - 1023,
    };
    let mut count = 13 - (fraction.trailing_zeros().min(52) / 4) as usize;
    if let Some(precision) = precision {
        if precision < 13 {
            let unit = 1 << (4 * (13 - precision));
            let whole = lead << 52 | fraction;
            let (kept, lost) = (whole & !(unit - 1), whole & (unit - 1));
            let up = lost > unit / 2 || lost == unit / 2 && kept & unit != 0;
            let rounded = kept + if up { unit } else { 0 };
            (lead, fraction) = (rounded >> 52, rounded & ((1 << 52) - 1));
        }
        count = precision;
    }
    append(out, format_args!("{lead}"));
    if count > 0 || point {
        out.push(b'.');
    }
    for i in 0..count {
        let nibble = if i < 13 { fraction >> (48 - 4 * i) & 15 } else { 0 };
        out.push(b"0123456789abcdef"[nibble as usize]);
    }
    append(out, format_args!("p{power:+}"));
}

#[cfg(test)]
mod tests;
