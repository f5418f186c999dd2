//! Ascending numbers, packed (Elias-Fano): two to three bits each, and the bits of their mean distance.
//!
//! A number is cut in two. The low bits lie side by side. The high parts are a row of bits: as many zeros as the
//! part has grown, then a one. So number i is found at the (i + 1)-th one, and the first number with a given high
//! part after that many zeros: any number by its place, and any place by a number, in a few words, from either
//! end. For long lists every 256th number's one is noted.
//!
//! Bytes of a list of `count` numbers up to `bound`, neither of which it stores: the bit that is the one of number
//! 256, 512 …, each 4 bytes little endian; the low bits, number after number from the lowest bit of each byte
//! on; the high parts, likewise; both filled up to whole bytes with zeros. How many bits are low follows from
//! `count` and `bound`. Limits: numbers below 2^32, which need not differ.
//!
//! Bytes of which nothing is known do no harm: what they say may be wrong, but reading stays inside and ends.

/// Numbers from one that is noted to the next.
const SKIP: u32 = 256;

/// Low bits of each number in such a list.
fn low_bits(count: u32, bound: u32) -> u32 {
    match bound.checked_div(count) {
        None | Some(0) => 0,
        Some(mean) => mean.ilog2(),
    }
}

fn high_len_bits(count: u32, bound: u32) -> u64 {
    u64::from(count) + u64::from(bound >> low_bits(count, bound)) + 1
}

fn skips(count: u32) -> u32 {
    count.saturating_sub(1) / SKIP
}

fn low_len(count: u32, bound: u32) -> u64 {
    (u64::from(count) * u64::from(low_bits(count, bound))).div_ceil(8)
}

/// Bytes that a list takes.
pub(super) fn packed_len(count: u32, bound: u32) -> u64 {
    if count == 0 {
        return 0;
    }
    u64::from(skips(count)) * 4 + low_len(count, bound) + high_len_bits(count, bound).div_ceil(8)
}

/// Appends a list: ascending numbers, none over `bound`. One that is not so is taken for the nearest that is.
pub(super) fn pack(bytes: &mut Vec<u8>, numbers: &[u32], bound: u32) {
    let count = numbers.len() as u32;
    let start = bytes.len();
    bytes.resize(start + packed_len(count, bound) as usize, 0);
    let (skips, rest) = bytes[start..].split_at_mut(skips(count) as usize * 4);
    let (low, high) = rest.split_at_mut(low_len(count, bound) as usize);
    let width = low_bits(count, bound);
    let mask = (1_u64 << width) - 1;
    let (mut pending, mut pending_len, mut low_at) = (0_u64, 0, 0);
    let mut least = 0;
    for (&number, i) in numbers.iter().zip(0_u32..) {
        let number = number.clamp(least, bound);
        least = number;
        pending |= (u64::from(number) & mask) << pending_len;
        pending_len += width;
        while pending_len >= 8 {
            low[low_at] = pending as u8;
            (pending, pending_len, low_at) = (pending >> 8, pending_len - 8, low_at + 1);
        }
        let one = u64::from(number >> width) + u64::from(i);
        high[(one / 8) as usize] |= 1 << (one % 8);
        if i > 0 && i % SKIP == 0 {
            let at = (i / SKIP - 1) as usize * 4;
            skips[at..at + 4].copy_from_slice(&(one as u32).to_le_bytes());
        }
    }
    if pending_len > 0 {
        low[low_at] = pending as u8;
    }
}

/// Eight bytes from `at` on, as far as there are any.
#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    let Some(rest) = bytes.get(at..) else { return 0 };
    match rest.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// A list, read where it lies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ascending<'a> {
    count: u32,
    width: u32,
    skips: &'a [u8],
    low: &'a [u8],
    high: &'a [u8],
}

impl<'a> Ascending<'a> {
    /// The list at the start of `bytes`; `None` where they are too few.
    pub(super) fn at_start(bytes: &'a [u8], count: u32, bound: u32) -> Option<Self> {
        if count == 0 {
            return Some(Self::default());
        }
        let len = usize::try_from(packed_len(count, bound)).ok()?;
        let (skips, rest) = bytes.get(..len)?.split_at_checked(skips(count) as usize * 4)?;
        let (low, high) = rest.split_at_checked(low_len(count, bound) as usize)?;
        Some(Self { count, width: low_bits(count, bound), skips, low, high })
    }

    pub(super) fn len(&self) -> u32 {
        self.count
    }

    /// The number at a place.
    pub(super) fn get(&self, i: u32) -> Option<u32> {
        self.from(i).next()
    }

    /// The numbers from a place on.
    pub(super) fn from(&self, i: u32) -> Numbers<'a> {
        let mut numbers = self.at_skip(i / SKIP);
        if i >= self.count {
            numbers.i = self.count;
            return numbers;
        }
        while numbers.i < i {
            let ones = numbers.word.count_ones();
            if numbers.i + ones <= i {
                numbers.i += ones;
                if !numbers.next_word() {
                    break;
                }
            } else {
                numbers.word &= numbers.word - 1;
                numbers.i += 1;
            }
        }
        numbers
    }

    /// How many numbers are below this one.
    pub(super) fn below(&self, number: u32) -> u32 {
        // The last noted number that is below: the search goes on from there.
        let (mut skip, mut after) = (0, skips(self.count) + 1);
        while after - skip > 1 {
            let middle = skip + (after - skip) / 2;
            match self.at_skip(middle).next() {
                Some(noted) if noted < number => skip = middle,
                _ => after = middle,
            }
        }
        let mut numbers = self.at_skip(skip);
        let high = u64::from(number >> self.width);
        loop {
            let ones = numbers.word.count_ones();
            let zeros_after = (numbers.base + 64).saturating_sub(u64::from(numbers.i + ones));
            if zeros_after >= high {
                break;
            }
            numbers.i += ones;
            if !numbers.next_word() {
                break;
            }
        }
        loop {
            let i = numbers.i.min(self.count);
            match numbers.next() {
                Some(found) if found < number => {}
                _ => return i,
            }
        }
    }

    /// The numbers from the one on that is noted as the n-th, 0 being the first of all.
    fn at_skip(&self, n: u32) -> Numbers<'a> {
        let one = match n.checked_sub(1) {
            Some(before) => word(self.skips, before as usize * 4) & u64::from(u32::MAX),
            None => 0,
        };
        let base = one / 64 * 64;
        let word = word(self.high, (base / 8) as usize) & (u64::MAX << (one % 64));
        Numbers { list: *self, i: n.saturating_mul(SKIP), base, word }
    }

    fn low(&self, i: u32) -> u32 {
        let bit = u64::from(i) * u64::from(self.width);
        let low = word(self.low, (bit / 8) as usize) >> (bit % 8);
        (low & ((1_u64 << self.width) - 1)) as u32
    }
}

/// The numbers of a list from somewhere on.
#[derive(Clone, Debug)]
pub(super) struct Numbers<'a> {
    list: Ascending<'a>,
    /// Place of the number that comes next.
    i: u32,
    /// Bit of the high parts at which the word begins.
    base: u64,
    /// Ones not yet passed, from `base` on.
    word: u64,
}

impl Numbers<'_> {
    /// Goes to the next word; false behind the last.
    fn next_word(&mut self) -> bool {
        self.base += 64;
        let at = (self.base / 8) as usize;
        self.word = word(self.list.high, at);
        at < self.list.high.len()
    }
}

impl Iterator for Numbers<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        if self.i >= self.list.count {
            return None;
        }
        while self.word == 0 {
            if !self.next_word() {
                self.i = self.list.count;
                return None;
            }
        }
        let one = self.base + u64::from(self.word.trailing_zeros());
        self.word &= self.word - 1;
        let high = one.saturating_sub(u64::from(self.i)) as u32;
        let number = high.checked_shl(self.list.width).unwrap_or(0) | self.list.low(self.i);
        self.i += 1;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(numbers: &[u32], bound: u32) {
        let mut bytes = vec![7];
        pack(&mut bytes, numbers, bound);
        let count = numbers.len() as u32;
        assert_eq!(bytes.len() as u64, 1 + packed_len(count, bound));
        bytes.push(9);
        let list = Ascending::at_start(&bytes[1..], count, bound).expect("enough bytes");
        assert_eq!(list.from(0).collect::<Vec<_>>(), numbers);
        for i in (0..=count).step_by(1 + numbers.len() / 50) {
            assert_eq!(list.from(i).collect::<Vec<_>>(), &numbers[i as usize..]);
            assert_eq!(list.get(i), numbers.get(i as usize).copied());
        }
        let around = |&n: &u32| [n.saturating_sub(1), n, n.saturating_add(1)];
        let probes = numbers.iter().step_by(1 + numbers.len() / 100).flat_map(around);
        for probe in probes.chain([0, bound, bound / 2, u32::MAX]) {
            assert_eq!(list.below(probe), numbers.partition_point(|&n| n < probe) as u32, "{probe}");
        }
    }

    #[test]
    fn extremes() {
        check(&[], 0);
        check(&[0], 0);
        check(&[0; 1_000], 0);
        check(&[u32::MAX], u32::MAX);
        check(&[0, u32::MAX], u32::MAX);
        check(&(0..10_000).collect::<Vec<_>>(), 9_999);
        let cluster: Vec<u32> = (0..2_000).chain(4_000_000_000..4_000_003_000).collect();
        check(&cluster, u32::MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn packed_is_what_was_packed(
            mut numbers in prop_oneof![
                prop::collection::vec(any::<u32>(), 0..700),
                prop::collection::vec(0_u32..5_000, 0..3_000),
            ],
            over in 0_u32..1_000,
        ) {
            numbers.sort_unstable();
            check(&numbers, numbers.last().copied().unwrap_or(0).saturating_add(over));
        }

        #[test]
        fn any_bytes_do_no_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..2_000),
            count in 0_u32..3_000,
            bound in any::<u32>(),
            at in any::<u32>(),
        ) {
            if let Some(list) = Ascending::at_start(&bytes, count, bound) {
                prop_assert!(list.from(at % (count + 1)).count() <= count as usize);
                prop_assert!(list.below(at) <= count);
                list.get(at);
            }
        }
    }
}
