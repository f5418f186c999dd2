//! `base64.encode(bytes [, "url"])` and `base64.decode(text [, "url"])`.
//!
//! The standard alphabet with padding, or with `"url"` the one for addresses and file names, without.
//! Decoding takes padding or its absence in both; anything else that is not base64 is an error.

use ::base64::alphabet;
use ::base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};

use crate::spell::raw::{Entry, Frame, Raise};

/// The table `base64`.
pub(crate) static FUNCTIONS: &[Entry] = &[("encode", encode), ("decode", decode)];

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT.with_encode_padding(false));

fn engine(frame: &mut Frame<'_>) -> Result<&'static GeneralPurpose, Raise> {
    match frame.opt_bytes(2)? {
        None | Some(b"standard") => Ok(&STANDARD),
        Some(b"url") => Ok(&URL),
        Some(_) => Err(Raise::argument(2, "\"standard\" or \"url\" expected")),
    }
}

/// `base64.encode(bytes)`
fn encode(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (bytes, engine) = (frame.bytes(1)?, engine(frame)?);
    frame.charge(4 + bytes.len() as u64 / 8)?;
    frame.check_memory(bytes.len() / 3 * 4)?;
    frame.push_str(&engine.encode(bytes))?;
    Ok(1)
}

/// `base64.decode(text)`
fn decode(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (text, engine) = (frame.bytes(1)?, engine(frame)?);
    frame.charge(4 + text.len() as u64 / 8)?;
    let bytes = engine.decode(text).map_err(|error| Raise::message(format!("base64.decode: {error}")))?;
    frame.push_bytes(&bytes)?;
    Ok(1)
}
