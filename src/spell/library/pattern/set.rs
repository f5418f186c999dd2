//! What a pattern asks of a single byte: classes and sets as bit sets.

use memchr::memchr;

/// A set of bytes.
#[derive(Clone, Copy)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub const EMPTY: Self = Self([0; 4]);

    /// Whether a byte is in it.
    #[inline]
    pub fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }

    /// Adds a byte.
    pub const fn add(&mut self, byte: u8) {
        self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
    }

    /// Adds all bytes of another set.
    pub fn add_all(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    /// All other bytes.
    pub fn complement(&self) -> Self {
        Self(self.0.map(|word| !word))
    }

    /// The class of a lower-case letter, in the C locale.
    const fn of_class(letter: u8) -> Self {
        let mut set = Self::EMPTY;
        let mut byte = 0u8;
        loop {
            let member = match letter {
                b'a' => byte.is_ascii_alphabetic(),
                b'c' => byte.is_ascii_control(),
                b'd' => byte.is_ascii_digit(),
                b'g' => byte.is_ascii_graphic(),
                b'l' => byte.is_ascii_lowercase(),
                b'p' => byte.is_ascii_punctuation(),
                b's' => matches!(byte, b' ' | 9..=13),
                b'u' => byte.is_ascii_uppercase(),
                b'w' => byte.is_ascii_alphanumeric(),
                b'x' => byte.is_ascii_hexdigit(),
                _ => byte == 0,
            };
            if member {
                set.add(byte);
            }
            if byte == u8::MAX {
                return set;
            }
            byte += 1;
        }
    }
}

const LETTERS: [u8; 11] = *b"acdglpsuwxz";
static CLASSES: [ByteSet; 11] = {
    let mut sets = [ByteSet::EMPTY; 11];
    let mut i = 0;
    while i < sets.len() {
        sets[i] = ByteSet::of_class(LETTERS[i]);
        i += 1;
    }
    sets
};

/// What one byte of the subject must be.
#[derive(Clone, Copy)]
pub enum Single {
    /// `.`
    Any,
    /// The byte itself.
    Byte(u8),
    /// A class or set.
    Set(ByteSet),
}

impl Single {
    /// The byte after a `%`.
    pub fn escaped(byte: u8) -> Self {
        match LETTERS.iter().position(|&letter| letter == byte.to_ascii_lowercase()) {
            Some(i) if byte.is_ascii_uppercase() => Self::Set(CLASSES[i].complement()),
            Some(i) => Self::Set(CLASSES[i]),
            None => Self::Byte(byte),
        }
    }

    /// Whether a byte will do.
    #[inline]
    pub fn fits(&self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Byte(wanted) => byte == *wanted,
            Self::Set(set) => set.has(byte),
        }
    }

    /// How many bytes from the start fit.
    pub fn run(&self, bytes: &[u8]) -> usize {
        let end = match self {
            Self::Any => None,
            Self::Byte(wanted) => bytes.iter().position(|byte| byte != wanted),
            Self::Set(set) => bytes.iter().position(|&byte| !set.has(byte)),
        };
        end.unwrap_or(bytes.len())
    }

    /// The first byte that fits.
    pub fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Any => (!bytes.is_empty()).then_some(0),
            Self::Byte(wanted) => memchr(*wanted, bytes),
            Self::Set(set) => bytes.iter().position(|&byte| set.has(byte)),
        }
    }
}
