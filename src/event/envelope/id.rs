//! Ids that follow from what an energy is, so that a replay has the same ones. They are UUIDs of version 8
//! ("custom"): 122 bits of BLAKE3. What is appended from outside gets version 7 instead, by the log.

use uuid::{Builder, Uuid};

/// The id of the seed at `ordinal` (from 0) in its file, given the chain over all that came before it.
///
/// The chain alone tells seeds apart already; the ordinal is mixed in so that even a file without content
/// of its own (records of no bytes) has distinct ids.
#[inline]
#[must_use]
pub fn seed_id(chain: &[u8; 32], ordinal: u64) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&chain[..16]);
    for (byte, mixed) in bytes[8..].iter_mut().zip(ordinal.to_be_bytes()) {
        *byte ^= mixed;
    }
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// Derives the ids of the seeds of one file, in order. It can be kept and taken up again, to go on with a
/// file that has grown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedChain {
    /// BLAKE3 over the file's name and every record before the next one.
    pub chain: [u8; 32],
    /// Records so far.
    pub ordinal: u64,
}

impl SeedChain {
    /// At the start of a file. The name stands for the file: the same content under another name has
    /// other ids.
    #[must_use]
    pub fn new(file: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("sanctum 2026 seed file");
        hasher.update(file.as_bytes());
        Self { chain: *hasher.finalize().as_bytes(), ordinal: 0 }
    }

    /// The next record's id; `raw` is its bytes, which every later id depends on.
    #[inline]
    pub fn next(&mut self, raw: &[u8]) -> Uuid {
        let id = seed_id(&self.chain, self.ordinal);
        // The chain is the key, so a record of up to 64 bytes costs one compression.
        self.chain = *blake3::keyed_hash(&self.chain, raw).as_bytes();
        self.ordinal += 1;
        id
    }
}

/// What stands for a spell in [`output_id`]: a digest of its name.
#[must_use]
pub fn spell_key(name: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("sanctum 2026 spell name");
    hasher.update(name.as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    key
}

/// The id of a cast's output at `index` (from 0). One compression.
#[inline]
#[must_use]
pub fn output_id(input: Uuid, spell: &[u8; 16], index: u32) -> Uuid {
    let mut block = [0; 36];
    block[..16].copy_from_slice(input.as_bytes());
    block[16..32].copy_from_slice(spell);
    block[32..].copy_from_slice(&index.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(&block).as_bytes()[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}
