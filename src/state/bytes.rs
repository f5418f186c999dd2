//! Short byte strings without an allocation: most keys and many values are short.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;

/// Bytes that fit in place. With the two bytes before them they take no more room than a boxed slice and its tag.
const INLINE_MAX: usize = 22;

/// See the module. Ordered as the bytes are.
#[derive(Clone)]
pub(super) enum Bytes {
    Inline(u8, [u8; INLINE_MAX]),
    Heap(Box<[u8]>),
}

impl Bytes {
    #[inline]
    pub fn new(bytes: &[u8]) -> Self {
        if bytes.len() > INLINE_MAX {
            return Self::Heap(bytes.into());
        }
        let mut inline = [0; INLINE_MAX];
        inline[..bytes.len()].copy_from_slice(bytes);
        Self::Inline(bytes.len() as u8, inline)
    }

    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline(len, bytes) => &bytes[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Inline(len, _) => usize::from(*len),
            Self::Heap(bytes) => bytes.len(),
        }
    }
}

impl Borrow<[u8]> for Bytes {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Bytes {}

impl PartialOrd for Bytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bytes {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl std::hash::Hash for Bytes {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_slice(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_no_more_than_a_boxed_slice_and_a_tag() {
        assert_eq!(size_of::<Bytes>(), 24);
    }

    #[test]
    fn keeps_bytes_at_every_length() {
        for len in 0..64_u8 {
            let bytes: Vec<u8> = (0..len).collect();
            assert_eq!(Bytes::new(&bytes).as_slice(), bytes);
            assert_eq!(Bytes::new(&bytes).len(), bytes.len());
        }
    }
}
