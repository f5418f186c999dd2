//! MessagePack, the one form that data has on the log, on the wire and between threads.
//!
//! Data is *canonical*: equal data has equal bytes.
//!
//! - Integers take the shortest form. Those above `i64::MAX` become floats, which is counted in [`Notes`].
//! - Floats are 64 bit and keep their bits.
//! - A string that is valid UTF-8 is `str`, any other is `bin`; both are the same type, a string of bytes.
//! - Lengths take the shortest form.
//! - Map keys are sorted: integers by value, floats by value, booleans, then strings bytewise. A key that
//!   occurs twice keeps its last value. A float key that is a whole number in the range of an integer is
//!   that integer, as in Lua. NaN, nil, a collection or an extension as a key is an error.
//! - Extension types pass through as they are.
//! - Containers nest at most [`DEPTH_MAX`] deep.
//!
//! Nothing here trusts its input: every length is checked against the buffer before it is used, and no
//! length decides how much is allocated.

mod canonical;
mod path;
mod reader;
mod writer;

pub use canonical::{canonicalize, canonicalize_prefix};
pub use path::{PathPart, field, has_empty_part, parse_path, path};
pub use reader::{Reader, Token, token_at};
pub use writer::{
    write_array_len, write_bin, write_bool, write_bytes, write_ext, write_float, write_int, write_map_len,
    write_nil, write_str, write_str_bytes,
};

/// How deep containers nest at most; a flat map has depth 1.
pub const DEPTH_MAX: usize = 64;

/// What was changed while data was made canonical and may surprise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Integers outside of the range of an `i64`, which became floats.
    pub big_uints: u32,
}

impl Notes {
    /// Adds up two counts.
    pub fn add(&mut self, other: Notes) {
        self.big_uints = self.big_uints.saturating_add(other.big_uints);
    }
}

/// Why bytes are not one MessagePack value that data may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end within a value.
    #[error("the MessagePack value that begins at byte {at} is cut off")]
    Truncated {
        /// Where the value begins.
        at: usize,
    },
    /// Something follows the value.
    #[error("trailing bytes after the MessagePack value, from byte {at}")]
    Trailing {
        /// Where it begins.
        at: usize,
    },
    /// A length that exceeds what is there.
    #[error("the MessagePack length at byte {at} says {len}, but only {left} bytes are left")]
    Length {
        /// Where the value begins.
        at: usize,
        /// Its length in bytes, or in elements.
        len: u64,
        /// Bytes that are left.
        left: usize,
    },
    /// The one byte that means nothing.
    #[error("0xc1 at byte {at} is not MessagePack")]
    Reserved {
        /// Where it is.
        at: usize,
    },
    /// Containers within containers.
    #[error("data nests deeper than {DEPTH_MAX} levels at byte {at}")]
    TooDeep {
        /// Where the first container that is too deep begins.
        at: usize,
    },
    /// NaN is not equal to itself, so it cannot be found again.
    #[error("NaN is a map key at byte {at}")]
    NanKey {
        /// Where the key begins.
        at: usize,
    },
    /// Keys are integers, floats, booleans and strings.
    #[error("{kind} is a map key at byte {at}; a key is a string, a number or a boolean")]
    Key {
        /// Where the key begins.
        at: usize,
        /// What it is, with its article.
        kind: &'static str,
    },
}

impl Error {
    /// The byte that the error is about.
    #[must_use]
    pub fn at(&self) -> usize {
        match *self {
            Error::Truncated { at }
            | Error::Trailing { at }
            | Error::Length { at, .. }
            | Error::Reserved { at }
            | Error::TooDeep { at }
            | Error::NanKey { at }
            | Error::Key { at, .. } => at,
        }
    }
}
