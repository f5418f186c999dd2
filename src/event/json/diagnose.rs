//! The slow path: says where and why a text was refused.

use super::JsonError;

/// An error at a byte of the text.
pub(super) fn error_at(text: &[u8], offset: usize, message: String) -> JsonError {
    let before = &text[..offset.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    JsonError { message, line, column: before.len() - start + 1 }
}

/// Why a text is not JSON; reading it stopped at `at`. The text is read again by `serde_json`, whose messages
/// are well known.
#[cold]
pub(super) fn diagnose(text: &[u8], at: usize) -> JsonError {
    match serde_json::from_slice::<serde_json::Value>(text) {
        Err(error) => {
            let (line, column) = (error.line().max(1), error.column().max(1));
            let full = error.to_string();
            let message = full.rfind(" at line ").map_or(full.as_str(), |end| &full[..end]).to_owned();
            JsonError { message, line, column }
        }
        Ok(_) => error_at(text, at, "invalid JSON".to_owned()),
    }
}
