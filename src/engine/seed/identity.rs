//! The id that a field of a seed says.
//!
//! A text that is a UUID is the id. What else tells energies apart, an order's number or a key, is hashed: BLAKE3 in
//! a domain of its own, over the text's bytes or the integer's digits with a word before them that says which, cut
//! to 128 bits, as a UUID of version 8. So `7` and `"7"` are two ids, and a seed's id depends on nothing but this field:
//! not on its file, nor on what came before it there.

use uuid::Builder;

use crate::event::Uuid;
use crate::event::msgpack::{Token, token_at};

/// What such a field may hold.
pub(super) const WANTED: &str = "a text that is not empty (a UUID, or what is hashed to one) or an integer";

/// The id that a value stands for. The error is what was found instead.
pub(super) fn id_of(value: Option<&[u8]>) -> Result<Uuid, String> {
    let found = match value.map(token_at) {
        None => "missing",
        Some(Ok(Token::Str(b""))) => "empty",
        Some(Ok(Token::Str(text))) => return Ok(of_text(text)),
        Some(Ok(Token::Int(number))) => return Ok(hashed("integer", number.to_string().as_bytes())),
        Some(Ok(Token::Nil)) => "null",
        Some(Ok(Token::Float(number))) => return Err(format!("{number:?}")),
        Some(Ok(Token::BigUint(number))) => return Err(number.to_string()),
        Some(Ok(Token::Bin(_))) => "no UTF-8",
        Some(Ok(Token::Bool(_))) => "a boolean",
        Some(Ok(Token::Array(_))) => "an array",
        Some(Ok(Token::Map(_))) => "a map",
        Some(Ok(Token::Ext(..))) => "an extension value",
        Some(Err(error)) => return Err(error.to_string()),
    };
    Err(found.to_owned())
}

fn of_text(text: &[u8]) -> Uuid {
    match Uuid::try_parse_ascii(text) {
        // The nil id stands for none.
        Ok(id) if !id.is_nil() => id,
        _ => hashed("text", text),
    }
}

fn hashed(kind: &str, bytes: &[u8]) -> Uuid {
    let mut hasher = blake3::Hasher::new_derive_key("sanctum 2026 seed id");
    hasher.update(kind.as_bytes()).update(b"\0").update(bytes);
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Builder::from_custom_bytes(digest).into_uuid()
}
