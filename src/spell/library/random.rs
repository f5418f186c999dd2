//! Random numbers that are the same in every run.
//!
//! The generator (xoshiro256**) is seeded anew for each cast, from the input's id, the kind of cast and
//! the spell's name; outside a cast from the name alone. `random()` and `math.random` share it.
//!
//! Different from stock Lua: `math.randomseed` changes nothing and returns nothing, since a sequence
//! that went on from cast to cast would depend on which casts a VM happened to run. `uuid()` gives
//! version 8 ("custom") identities, derived like those of outputs.

use crate::event::Uuid;
use crate::spell::host::Host;
use crate::spell::raw::{Entry, Frame, Raise};

/// Globals.
pub(crate) static FUNCTIONS: &[Entry] = &[("random", random), ("uuid", uuid)];
/// Replacements in `math`.
pub(crate) static MATH: &[Entry] = &[("random", random), ("randomseed", randomseed)];

/// The generator of one cast.
#[derive(Clone, Debug)]
pub struct Random([u64; 4]);

impl Random {
    /// A generator that the 32 bytes determine.
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Self {
        let mut state = [0; 4];
        for (word, bytes) in state.iter_mut().zip(seed.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        // The one state that never leaves itself; no digest is expected to be it.
        if state == [0; 4] {
            state[0] = 1;
        }
        Self(state)
    }

    /// 64 random bits.
    #[must_use = "the bits are gone otherwise"]
    pub fn bits(&mut self) -> u64 {
        let [s0, s1, s2, s3] = &mut self.0;
        let result = s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = *s1 << 17;
        *s2 ^= *s0;
        *s3 ^= *s1;
        *s1 ^= *s2;
        *s0 ^= *s3;
        *s2 ^= t;
        *s3 = s3.rotate_left(45);
        result
    }

    /// A float in `[0, 1)`.
    pub fn float(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (0.5 / (1_u64 << 52) as f64)
    }

    /// An integer in `0..=max`, each equally likely.
    pub fn below(&mut self, max: u64) -> u64 {
        let mask = u64::MAX.checked_shr(max.leading_zeros()).unwrap_or(0);
        loop {
            let value = self.bits() & mask;
            if value <= max {
                return value;
            }
        }
    }
}

/// A digest that the input, the kind of cast, the spell, the purpose and a counter determine.
fn digest(host: &Host, purpose: &[u8], counter: u32) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&host.key);
    if let Some(event) = host.input.cause() {
        hasher.update(event.head().id.as_bytes());
        hasher.update(&host.input.salt.to_le_bytes());
    }
    hasher.update(&counter.to_le_bytes());
    hasher.update(purpose);
    hasher.finalize()
}

/// The generator of the running cast.
fn generator(host: &mut Host) -> &mut Random {
    let seed = match &host.random {
        None => digest(host, b"random", 0),
        Some(_) => blake3::Hash::from_bytes([0; 32]),
    };
    host.random.get_or_insert_with(|| Random::new(seed.as_bytes()))
}

/// `random([m [, n]])`, as `math.random`.
fn random(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (low, high) = match frame.args() {
        0 => {
            let value = generator(frame.host()).float();
            frame.push_float(value);
            return Ok(1);
        }
        1 => {
            let high = frame.int(1)?;
            if high == 0 {
                let bits = generator(frame.host()).bits();
                frame.push_int(bits as i64);
                return Ok(1);
            }
            (1, high)
        }
        2 => (frame.int(1)?, frame.int(2)?),
        _ => return Err(Raise::message("wrong number of arguments")),
    };
    if low > high {
        return Err(Raise::argument(frame.args(), "interval is empty"));
    }
    let offset = generator(frame.host()).below(high.wrapping_sub(low) as u64);
    frame.push_int(low.wrapping_add(offset as i64));
    Ok(1)
}

/// `math.randomseed(...)`
fn randomseed(_: &mut Frame<'_>) -> Result<usize, Raise> {
    Ok(0)
}

/// `uuid()`
fn uuid(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    frame.charge(32)?;
    let host = frame.host();
    let digest = digest(host, b"uuid", host.uuids);
    host.uuids = host.uuids.wrapping_add(1);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    let id = uuid::Builder::from_custom_bytes(bytes).into_uuid();
    frame.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))?;
    Ok(1)
}
