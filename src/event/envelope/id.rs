//! Ids that follow from what an energy is, so that a replay has the same ones. They are UUIDs of version 8
//! ("custom"). What is appended from outside gets version 7 instead, by the log.
//!
//! A file's or a spell's name is digested by BLAKE3 to 128 bits; from there on records and ids are mixed in by
//! multiplications, each of which can be undone, so that two chains that differ stay different while the same
//! follows. BLAKE3 all the way took a tenth of a run. An id tells energies apart, it proves nothing: whoever can
//! choose records to make two ids equal can as well write the same `$id` twice.

use uuid::{Builder, Uuid};

/// Derives the ids of the seeds of one file, in order. It can be kept and taken up again, to go on with a
/// file that has grown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedChain {
    /// The file's name and every record before the next one.
    pub chain: u128,
    /// Records so far.
    pub ordinal: u64,
}

impl SeedChain {
    /// At the start of a file. The name stands for the file: the same content under another name has
    /// other ids.
    #[must_use]
    pub fn new(file: &str) -> Self {
        Self { chain: u128::from_le_bytes(digest("sanctum 2026 seed file", file)), ordinal: 0 }
    }

    /// The next record's id; `raw` is its bytes, which every later id depends on.
    #[inline]
    pub fn next(&mut self, raw: &[u8]) -> Uuid {
        let id = seed_id(self.chain, self.ordinal);
        let (blocks, rest) = raw.as_chunks::<16>();
        for block in blocks {
            self.chain = mix(self.chain ^ u128::from_le_bytes(*block), INNER);
        }
        self.chain = mix(self.chain ^ last_block(raw, rest), LAST);
        self.ordinal += 1;
        id
    }
}

/// The id of the seed at `ordinal` (from 0) in its file, given the chain over all that came before it.
#[inline]
#[must_use]
pub fn seed_id(chain: u128, ordinal: u64) -> Uuid {
    finish(chain ^ u128::from(ordinal))
}

/// What stands for a spell in [`output_id`]: a digest of its name and, where it was rewound, of how often.
#[must_use]
pub fn spell_key(name: &str, epoch: u64) -> [u8; 16] {
    match epoch {
        0 => digest("sanctum 2026 spell name", name),
        _ => digest("sanctum 2026 spell name", &format!("{name}\0{epoch}")),
    }
}

/// The id of a cast's output at `index` (from 0).
#[inline]
#[must_use]
pub fn output_id(input: Uuid, spell: &[u8; 16], index: u32) -> Uuid {
    let chain = mix(u128::from_le_bytes(*spell) ^ input.as_u128(), INNER);
    finish(chain ^ u128::from(index))
}

fn digest(context: &str, name: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(name.as_bytes());
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    digest
}

/// Odd, so that multiplying can be undone: the multipliers of two well-known generators of 128 bits. A record's last
/// block has one of its own, so that where records end matters.
const INNER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;
const LAST: u128 = 0x0fc9_4e3b_f4e9_ab32_8664_58cd_56f5_e605;

/// Every bit reaches the bits above it, and the upper half the lower one.
#[inline]
fn mix(value: u128, multiplier: u128) -> u128 {
    let product = value.wrapping_mul(multiplier);
    product ^ (product >> 64)
}

#[inline]
fn finish(value: u128) -> Uuid {
    let mixed = mix(mix(mix(value, INNER), LAST), INNER);
    Builder::from_custom_bytes(mixed.to_be_bytes()).into_uuid()
}

/// The bytes after the last whole block, and how many there are.
#[inline]
fn last_block(raw: &[u8], rest: &[u8]) -> u128 {
    let len = (rest.len() as u128) << 120;
    // Of a longer record the last 16 bytes are at hand; those that were mixed in are shifted out.
    let block = match raw.last_chunk::<16>() {
        Some(_) if rest.is_empty() => 0,
        Some(window) => u128::from_le_bytes(*window) >> (8 * (16 - rest.len())),
        None => rest.iter().rev().fold(0, |block, &byte| block << 8 | u128::from(byte)),
    };
    block | len
}
