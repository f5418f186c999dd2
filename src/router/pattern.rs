//! A topic pattern: tokens split by dots, as in a NATS subject.
//!
//! `*` stands for exactly one token, `>` for one or more and only at the end; every other token is
//! compared byte by byte. A pattern is 1 to 255 bytes, its literal tokens are made of
//! `A-Z a-z 0-9 _ - $`. Engine topics (`sanctum.fault`, `$...`) may be subscribed to, and wildcards
//! match them like any other.
//!
//! [`Pattern::matches`] takes one topic and is what readers of a log use; many patterns at once are
//! the business of [`Subscriptions`](super::Subscriptions).

use std::fmt;
use std::str::FromStr;

/// The longest pattern, in bytes; no topic is longer.
pub const PATTERN_BYTES_MAX: usize = 255;

/// A checked topic pattern. Equal patterns have equal text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    text: Box<str>,
}

/// One token of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// Matches the token that has the same bytes.
    Literal(&'a str),
    /// `*`: matches any one token.
    One,
    /// `>`: matches one or more tokens; always the last.
    Rest,
}

/// Why a text is not a pattern. Columns count bytes from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No bytes at all.
    #[error("a topic pattern may not be empty; leave `topic` out to receive every energy")]
    Empty,
    /// Longer than any topic.
    #[error("topic pattern of {bytes} bytes is too long, {PATTERN_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Two dots in a row, or a dot at either end.
    #[error("topic pattern `{pattern}` has an empty token at column {column}")]
    EmptyToken {
        /// The whole pattern.
        pattern: String,
        /// Where the token should be.
        column: usize,
    },
    /// `>` before the end.
    #[error(
        "topic pattern `{pattern}`: `>` at column {column} must be the last token; `*` stands for one token"
    )]
    RestNotLast {
        /// The whole pattern.
        pattern: String,
        /// Where the `>` is.
        column: usize,
    },
    /// `*` or `>` with something beside it, as in `order*`.
    #[error(
        "topic pattern `{pattern}`: `{wildcard}` at column {column} must be a token of its own, between dots"
    )]
    PartialWildcard {
        /// The whole pattern.
        pattern: String,
        /// `*` or `>`.
        wildcard: char,
        /// Where it is.
        column: usize,
    },
    /// A byte that no topic can contain.
    #[error(
        "topic pattern `{pattern}`: {character:?} at column {column} is not allowed; tokens are made of A-Z a-z 0-9 _ - $, or are `*` or `>`"
    )]
    BadCharacter {
        /// The whole pattern.
        pattern: String,
        /// The character.
        character: char,
        /// Where it is.
        column: usize,
    },
}

impl Pattern {
    /// Checks and keeps a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong { bytes: text.len() });
        }
        let mut start = 0;
        for token in text.split('.') {
            let end = start + token.len();
            check_token(text, token, start + 1, end == text.len())?;
            start = end + 1;
        }
        Ok(Self { text: text.into() })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The tokens, in order.
    pub fn tokens(&self) -> impl Iterator<Item = Token<'_>> {
        self.text.split('.').map(|token| match token {
            "*" => Token::One,
            ">" => Token::Rest,
            literal => Token::Literal(literal),
        })
    }

    /// Whether the pattern has no wildcard, so that it matches one topic only.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.text.contains(['*', '>'])
    }

    /// Whether a topic matches.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        if is_engine_topic(topic.as_bytes()) && self.text.starts_with(['*', '>']) {
            return false;
        }
        let mut parts = topic.split('.');
        for token in self.tokens() {
            let Some(part) = parts.next() else { return false };
            match token {
                Token::Rest => return true,
                Token::One => {}
                Token::Literal(literal) if literal == part => {}
                Token::Literal(_) => return false,
            }
        }
        parts.next().is_none()
    }
}

/// Whether a topic belongs to the engine. A spell that takes everything does not take these, lest it is
/// fed the record of its own fault: a pattern has to name their first token.
#[must_use]
pub fn is_engine_topic(topic: &[u8]) -> bool {
    topic.starts_with(b"sanctum.") || topic.starts_with(b"$")
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

fn check_token(pattern: &str, token: &str, column: usize, is_last: bool) -> Result<(), PatternError> {
    let whole = || pattern.to_owned();
    match token {
        "" => return Err(PatternError::EmptyToken { pattern: whole(), column }),
        "*" => return Ok(()),
        ">" if is_last => return Ok(()),
        ">" => return Err(PatternError::RestNotLast { pattern: whole(), column }),
        _ => {}
    }
    for (offset, character) in token.char_indices() {
        let column = column + offset;
        match character {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-' | '$' => {}
            '*' | '>' => {
                return Err(PatternError::PartialWildcard { pattern: whole(), wildcard: character, column });
            }
            _ => return Err(PatternError::BadCharacter { pattern: whole(), character, column }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, topic: &str) -> bool {
        Pattern::parse(pattern).is_ok_and(|pattern| pattern.matches(topic))
    }

    #[test]
    fn literal_tokens_match_themselves_only() {
        assert!(matches("orders.eu", "orders.eu"));
        assert!(!matches("orders.eu", "orders"));
        assert!(!matches("orders.eu", "orders.eu.x"));
        assert!(!matches("orders.eu", "orders.EU"));
    }

    #[test]
    fn star_is_one_token() {
        assert!(matches("*", "orders"));
        assert!(!matches("*", "orders.eu"));
        assert!(matches("orders.*.placed", "orders.eu.placed"));
        assert!(!matches("orders.*.placed", "orders.placed"));
        assert!(!matches("orders.*", "orders"));
    }

    #[test]
    fn rest_is_one_or_more_tokens() {
        assert!(matches(">", "orders"));
        assert!(matches(">", "orders.eu.placed"));
        assert!(matches("orders.>", "orders.eu.placed"));
        assert!(!matches("orders.>", "orders"));
        assert!(matches("*.>", "a.b"));
        assert!(matches("sanctum.>", "sanctum.fault"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_column() {
        let column = |text: &str| match Pattern::parse(text) {
            Err(
                PatternError::EmptyToken { column, .. }
                | PatternError::RestNotLast { column, .. }
                | PatternError::PartialWildcard { column, .. }
                | PatternError::BadCharacter { column, .. },
            ) => column,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(column("a..b"), 3);
        assert_eq!(column(".a"), 1);
        assert_eq!(column("a."), 3);
        assert_eq!(column("a.>.b"), 3);
        assert_eq!(column("ab*"), 3);
        assert_eq!(column("a.>>"), 3);
        assert_eq!(column("a.b c"), 4);
        assert_eq!(column("a.é"), 3);
        assert_eq!(Pattern::parse(""), Err(PatternError::Empty));
        assert_eq!(Pattern::parse(&"a".repeat(256)), Err(PatternError::TooLong { bytes: 256 }));
        assert!(Pattern::parse(&"a".repeat(255)).is_ok());
    }
}
