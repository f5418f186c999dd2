//! Where an entry of a spell's state is in the log's table: spell, lane key and bucket, each with its length
//! before it, then the key as it is. So the entries of a bucket lie together, in the order of their keys.

/// An entry's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// The spell's name.
    pub spell: &'a [u8],
    /// The lane key; empty for none.
    pub scope: &'a [u8],
    /// The bucket; empty for `state` itself.
    pub bucket: &'a [u8],
    /// The key.
    pub key: &'a [u8],
}

impl<'a> Address<'a> {
    /// Writes the address.
    pub fn write(&self, out: &mut Vec<u8>) {
        for part in [self.spell, self.scope, self.bucket] {
            write_part(out, part);
        }
        out.extend_from_slice(self.key);
    }

    /// Reads an address; `None` for what is none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (spell, rest) = read_part(bytes)?;
        let (scope, rest) = read_part(rest)?;
        let (bucket, key) = read_part(rest)?;
        Some(Self { spell, scope, bucket, key })
    }

    /// What the addresses of all entries of a spell begin with.
    #[must_use]
    pub fn prefix_of(spell: &str) -> Vec<u8> {
        let mut prefix = Vec::with_capacity(spell.len() + 4);
        write_part(&mut prefix, spell.as_bytes());
        prefix
    }
}

/// Lengths are four bytes, the highest first, so that a shorter part lies before a longer one.
fn write_part(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(&(part.len() as u32).to_be_bytes());
    out.extend_from_slice(part);
}

fn read_part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*len) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_and_a_cut_one_is_none() {
        let address = Address { spell: b"count", scope: b"\xa1a", bucket: b"", key: b"k" };
        let mut bytes = Vec::new();
        address.write(&mut bytes);
        assert_eq!(Address::read(&bytes), Some(address));
        assert!(bytes.starts_with(&Address::prefix_of("count")));
        assert_eq!(Address::read(&bytes[..bytes.len() - 3]), None);
    }
}
