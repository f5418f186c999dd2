//! The time that a field of a seed says.

use crate::event::msgpack::{Token, token_at};

/// What such a field may hold.
pub(super) const WANTED: &str =
    "milliseconds since the epoch, or an RFC 3339 time such as \"2026-01-31T12:00:00Z\"";

/// Milliseconds since the epoch; `None` for nil. The error is what was found instead.
pub(super) fn time_of(value: &[u8]) -> Result<Option<i64>, String> {
    let found = match token_at(value) {
        Ok(Token::Nil) => return Ok(None),
        Ok(Token::Int(ms)) => return Ok(Some(ms)),
        // The bounds of an `i64`, which casting would silently keep.
        Ok(Token::Float(ms)) if ms.abs() < 9.2e18 => return Ok(Some(ms.floor() as i64)),
        Ok(Token::Float(ms)) => format!("{ms:?}"),
        Ok(Token::Str(bytes)) => {
            let text = String::from_utf8_lossy(bytes);
            match text.parse::<jiff::Timestamp>() {
                Ok(time) => return Ok(Some(time.as_millisecond())),
                Err(_) => quoted(&text),
            }
        }
        Ok(Token::Bin(bytes)) => quoted(&String::from_utf8_lossy(bytes)),
        Ok(Token::Bool(_)) => "a boolean".into(),
        Ok(Token::Array(_)) => "an array".into(),
        Ok(Token::Map(_)) => "a map".into(),
        Ok(Token::Ext(..)) => "an extension value".into(),
        Ok(Token::BigUint(value)) => value.to_string(),
        Err(error) => error.to_string(),
    };
    Err(found)
}

fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}
