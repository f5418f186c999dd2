//! Topics: what happened, as dot-separated tokens, such as `orders.eu.placed`.
//!
//! A topic is 1 to [`LENGTH_MAX`] bytes; a token is one or more of `A-Z a-z 0-9 _ - $`. Topics that begin
//! with `sanctum.` or `$` belong to the engine: spells may subscribe to them, but not produce them.

/// The longest topic, in bytes.
pub const LENGTH_MAX: usize = 255;

/// Why a text is not a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Nothing at all.
    #[error("a topic is empty; it is tokens of A-Z a-z 0-9 _ - $ split by dots")]
    Empty,
    /// Too long.
    #[error("a topic of {len} bytes is longer than {LENGTH_MAX}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Nothing between two dots, or at an end.
    #[error("topic `{topic}` has an empty token at column {column}")]
    EmptyToken {
        /// The topic.
        topic: String,
        /// The column, in characters from 1, at which a token should begin.
        column: usize,
    },
    /// A character that a token may not have.
    #[error("topic `{}` has {found:?} at column {column}; a token is one or more of A-Z a-z 0-9 _ - $", topic.escape_debug())]
    Character {
        /// The topic.
        topic: String,
        /// The character.
        found: char,
        /// Its column, in characters from 1.
        column: usize,
    },
}

impl TopicError {
    /// The column that the error is about, in characters from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        match *self {
            TopicError::Empty => 1,
            TopicError::TooLong { .. } => LENGTH_MAX + 1,
            TopicError::EmptyToken { column, .. } | TopicError::Character { column, .. } => column,
        }
    }
}

/// Which bytes a token has; the dot is marked too.
const ALLOWED: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let char = byte as u8;
        allowed[byte] = char.is_ascii_alphanumeric() || matches!(char, b'_' | b'-' | b'$' | b'.');
        byte += 1;
    }
    allowed
};

/// Checks that `topic` is one.
#[inline]
pub fn validate(topic: &str) -> Result<(), TopicError> {
    let mut before = b'.';
    let mut valid = !topic.is_empty() && topic.len() <= LENGTH_MAX;
    for &byte in topic.as_bytes().iter().take(LENGTH_MAX) {
        valid &= ALLOWED[usize::from(byte)] & !(byte == b'.' && before == b'.');
        before = byte;
    }
    if valid && before != b'.' { Ok(()) } else { Err(explain(topic)) }
}

/// Whether only the engine may produce the topic.
#[inline]
#[must_use]
pub fn is_reserved(topic: &str) -> bool {
    topic.starts_with('$') || topic.starts_with("sanctum.")
}

/// What is wrong with a topic that is not valid.
#[cold]
fn explain(topic: &str) -> TopicError {
    if topic.is_empty() {
        return TopicError::Empty;
    }
    if topic.len() > LENGTH_MAX {
        return TopicError::TooLong { len: topic.len() };
    }
    let mut before = '.';
    for (column, found) in (1..).zip(topic.chars()) {
        if found == '.' && before == '.' {
            return TopicError::EmptyToken { topic: topic.into(), column };
        }
        if !found.is_ascii() || !ALLOWED[found as usize] {
            return TopicError::Character { topic: topic.into(), found, column };
        }
        before = found;
    }
    TopicError::EmptyToken { topic: topic.into(), column: topic.len() + 1 }
}
