//! BLAKE3 of many short inputs at once, several to a vector register.
//!
//! The hash of an input of up to 16 whole blocks is one chain of compressions, which leaves most of a processor idle.
//! Inputs of as many blocks are hashed side by side here, with the same results as one by one (a test holds it), in a
//! fraction of the time: appending hashes every energy. `blake3` has this for its own chunks, in a module that it does
//! not promise to keep; should it go, [`Digests::flush`] can call `blake3::hash` for each input instead.

use blake3::IncrementCounter;
use blake3::platform::Platform;

/// Bytes of a block.
pub const BLOCK: usize = 64;

/// The most blocks of an input that is hashed beside others.
const BLOCKS_MAX: usize = 16;

/// Inputs that are laid out before they are hashed: few enough to stay near the processor.
const INPUTS_MAX: usize = 128;

/// Inputs hashed by one call.
const WIDTH: usize = 16;

/// What BLAKE3 starts from, as SHA-256 does: section 2.2 of its specification.
const START: [u32; 8] =
    [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19];

// Flags of a compression: section 2.1.
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 2;
const ROOT: u8 = 8;

/// A digest of all 32 bytes.
pub type Digest = [u8; 32];

/// Hashes inputs in their order; keeps its memory.
#[derive(Debug)]
pub struct Digests {
    platform: Platform,
    bytes: Vec<u8>,
    /// Where each input ends.
    ends: Vec<usize>,
    digests: Vec<Digest>,
}

impl Default for Digests {
    fn default() -> Self {
        Self { platform: Platform::detect(), bytes: Vec::new(), ends: Vec::new(), digests: Vec::new() }
    }
}

impl Digests {
    /// Begins anew.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.digests.clear();
    }

    /// Adds an input, which `write` appends; zeros fill its last block.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.ends.len() == INPUTS_MAX {
            self.flush();
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        let len = (self.bytes.len() - start).next_multiple_of(BLOCK);
        self.bytes.resize(start + len, 0);
        self.ends.push(start + len);
    }

    /// Takes the digests of all that was added.
    pub fn finish(&mut self) {
        self.flush();
    }

    /// The digest of the input that was added as the `index`-th, once all are taken.
    #[must_use]
    pub fn get(&self, index: usize) -> &Digest {
        &self.digests[index]
    }

    fn flush(&mut self) {
        let base = self.digests.len();
        self.digests.resize(base + self.ends.len(), [0; 32]);
        let digests = &mut self.digests[base..];
        let mut lanes: [Vec<usize>; BLOCKS_MAX + 1] = Default::default();
        let mut start = 0;
        for (at, end) in self.ends.iter().copied().enumerate() {
            let input = &self.bytes[start..end];
            start = end;
            let blocks = input.len() / BLOCK;
            if blocks == 0 || blocks > BLOCKS_MAX {
                digests[at] = *blake3::hash(input).as_bytes();
                continue;
            }
            lanes[blocks].push(at);
        }
        let starts = |at: usize| if at == 0 { 0 } else { self.ends[at - 1] };
        for (blocks, lane) in lanes.iter().enumerate() {
            for some in lane.chunks(WIDTH) {
                let inputs = some.iter().map(|at| &self.bytes[starts(*at)..self.ends[*at]]);
                let mut out = [0; 32 * WIDTH];
                side_by_side(self.platform, blocks, inputs, &mut out);
                for (at, digest) in some.iter().zip(out.as_chunks::<32>().0) {
                    digests[*at] = *digest;
                }
            }
        }
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Hashes up to [`WIDTH`] inputs of so many blocks each.
fn side_by_side<'a>(
    platform: Platform,
    blocks: usize,
    inputs: impl Iterator<Item = &'a [u8]>,
    out: &mut [u8; 32 * WIDTH],
) {
    macro_rules! of_blocks {
        ($($n:literal)*) => {
            match blocks {
                $($n => {
                    let mut filled = [&[0_u8; $n * BLOCK]; WIDTH];
                    let inputs = inputs.filter_map(|input| input.first_chunk());
                    let count = filled.iter_mut().zip(inputs).map(|(place, input)| *place = input).count();
                    let (first, last) = (CHUNK_START, CHUNK_END | ROOT);
                    let inputs = &filled[..count];
                    platform.hash_many(inputs, &START, 0, IncrementCounter::No, 0, first, last, out);
                })*
                _ => {}
            }
        };
    }
    of_blocks!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_blake3_one_by_one() {
        let mut digests = Digests::default();
        let inputs: Vec<Vec<u8>> =
            (0..600_usize).map(|n| (0..(n * 7919) % 1_300).map(|at| (n + at * 31) as u8).collect()).collect();
        for input in &inputs {
            digests.add(|bytes| bytes.extend_from_slice(input));
        }
        let expected = inputs.iter().map(|input| {
            let mut padded = input.clone();
            padded.resize(input.len().next_multiple_of(BLOCK), 0);
            *blake3::hash(&padded).as_bytes()
        });
        digests.finish();
        assert_eq!(digests.digests, expected.collect::<Vec<_>>());
    }
}
