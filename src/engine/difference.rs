//! Texts of what two runs of a spell did differently.

use serde_json::Value;

use crate::event::{EventRef, json, msgpack};
use crate::state::{Address, key};

/// The longest text of one side, in bytes.
const TEXT_BYTES_MAX: usize = 160;

/// MessagePack as JSON.
pub fn value_of(data: &[u8]) -> Value {
    let mut text = Vec::new();
    json::write_value(data, &mut text);
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Where an entry of a spell's state is.
pub fn address_text(address: &[u8]) -> String {
    let Some(at) = Address::read(address) else { return "state".to_owned() };
    let mut data = Vec::new();
    if key::decode(at.key, &mut data).is_err() {
        msgpack::write_bytes(&mut data, at.key);
    }
    let mut text = format!("state key {}", value_of(&data));
    if !at.bucket.is_empty() {
        text += &format!(" of bucket `{}`", String::from_utf8_lossy(at.bucket));
    }
    if !at.scope.is_empty() {
        text += &format!(" of lane {}", value_of(at.scope));
    }
    text
}

/// An energy that a spell produced, in a line.
pub fn output_text(event: EventRef<'_>) -> String {
    let mut text = Vec::new();
    json::write_output(event, &mut text);
    short(&String::from_utf8_lossy(&text))
}

/// A value of a spell's state, in a line; nothing where it was deleted.
pub fn state_text(value: Option<&[u8]>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| short(&value_of(value).to_string()))
}

/// A text, cut where it is long.
pub fn short(text: &str) -> String {
    let text = text.trim_end();
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{} ...", &text[..end])
}
