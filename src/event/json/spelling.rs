//! What JSON has no literal for: `{"$bin":…}`, `{"$float":…}` and `{"$ext":…}`.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::event::msgpack::{Reader, Token, write_bytes, write_ext, write_float};

/// Padding may be there or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a map of one member spells.
enum Spelled {
    Nothing,
    Bytes,
    Float(f64),
    Ext(i8),
}

/// Puts the value that the map of one member at `header` spells in its place, if it spells one. The error
/// says what is wrong with the spelling.
pub(super) fn apply(out: &mut Vec<u8>, header: usize, scratch: &mut Vec<u8>) -> Result<(), String> {
    let spelled = read(&out[header..], scratch)?;
    if !matches!(spelled, Spelled::Nothing) {
        out.truncate(header);
    }
    match spelled {
        Spelled::Nothing => {}
        Spelled::Bytes => write_bytes(out, scratch),
        Spelled::Float(value) => write_float(out, value),
        Spelled::Ext(kind) => write_ext(out, kind, scratch),
    }
    Ok(())
}

fn read(map: &[u8], scratch: &mut Vec<u8>) -> Result<Spelled, String> {
    let mut reader = Reader::new(map);
    let mut token = || reader.token().unwrap_or(Token::Nil);
    let (_map, key, value) = (token(), token(), token());
    match (key, value) {
        (Token::Str(b"$bin"), Token::Str(text)) => {
            decode("$bin", text, scratch)?;
            Ok(Spelled::Bytes)
        }
        (Token::Str(b"$bin"), _) => Err("`$bin` must be a string of base64".to_owned()),
        (Token::Str(b"$float"), Token::Str(b"nan")) => Ok(Spelled::Float(f64::NAN)),
        (Token::Str(b"$float"), Token::Str(b"inf")) => Ok(Spelled::Float(f64::INFINITY)),
        (Token::Str(b"$float"), Token::Str(b"-inf")) => Ok(Spelled::Float(f64::NEG_INFINITY)),
        (Token::Str(b"$float"), _) => Err("`$float` must be \"nan\", \"inf\" or \"-inf\"".to_owned()),
        (Token::Str(b"$ext"), value) => match (value, token(), token()) {
            (Token::Array(2), Token::Int(kind @ -128..=127), Token::Str(text)) => {
                decode("$ext", text, scratch)?;
                Ok(Spelled::Ext(kind as i8))
            }
            _ => Err("`$ext` must be [type, \"<base64>\"], the type from -128 to 127".to_owned()),
        },
        _ => Ok(Spelled::Nothing),
    }
}

fn decode(key: &str, text: &[u8], scratch: &mut Vec<u8>) -> Result<(), String> {
    scratch.clear();
    BASE64.decode_vec(text, scratch).map_err(|error| format!("`{key}` must hold base64: {error}"))
}
