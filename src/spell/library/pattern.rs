//! Lua's patterns: the matcher of Lua 5.5's `lstrlib.c` in safe Rust, with every step counted.
//!
//! It finds what stock Lua finds and complains in the same words, at the same time: a pattern is
//! interpreted, not compiled, so a fault in a part that is never reached stays unnoticed. Differences:
//! the caller is asked for work units as matching goes on, so a pattern that backtracks for ever is
//! stopped; sets are turned into bit sets once; and a subject is skimmed for a byte that can start a match.
//!
//! Limits, as in stock Lua: 32 captures, 200 nested steps.

mod set;

use set::{ByteSet, Single};

/// Captures in one pattern, at most.
pub const CAPTURES_MAX: usize = 32;
/// Nested steps, at most; stock Lua's `MAXCCALLS`.
const DEPTH_MAX: u32 = 200;
/// Work is reported in portions of this many units.
const PORTION: u64 = 256;
/// Sets that are kept as bit sets; others are read anew each time.
const SETS_MAX: usize = 4;
/// Bytes that mean more than themselves.
const SPECIALS: &[u8] = b"^$*+?.([%-";

/// Why matching ended without an answer. The texts are stock Lua's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A `%` is the last byte.
    #[error("malformed pattern (ends with '%')")]
    EndsWithEscape,
    /// A set is not closed.
    #[error("malformed pattern (missing ']')")]
    MissingBracket,
    /// `%b` without its two bytes.
    #[error("malformed pattern (missing arguments to '%b')")]
    MissingBalance,
    /// `%f` without a set.
    #[error("missing '[' after '%f' in pattern")]
    MissingFrontierSet,
    /// A `)` without a `(`.
    #[error("invalid pattern capture")]
    InvalidCapture,
    /// A reference to a capture that is not there or not closed.
    #[error("invalid capture index %{0}")]
    CaptureIndex(i32),
    /// A `(` without a `)`.
    #[error("unfinished capture")]
    UnfinishedCapture,
    /// More than [`CAPTURES_MAX`].
    #[error("too many captures")]
    TooManyCaptures,
    /// Nested too deep.
    #[error("pattern too complex")]
    TooComplex,
    /// The caller refused more work.
    #[error("out of work units")]
    Limit,
}

/// Grants work: given units done since it was last asked, says whether to go on.
pub type Charge<'c> = dyn FnMut(u64) -> bool + 'c;

/// What a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// Bytes of the subject, from, to.
    Range(usize, usize),
    /// `()`: a position, from 1.
    Position(usize),
}

/// A capture while matching: where it starts, and where it ends or one of the marks below.
#[derive(Clone, Copy)]
struct Slot {
    start: usize,
    end: usize,
}

impl Slot {
    /// End of a capture that is not closed.
    const OPEN: usize = usize::MAX;
    /// End of a position capture.
    const POSITION: usize = usize::MAX - 1;
}

/// Whether a pattern is just a text to look for.
#[must_use]
pub fn is_plain(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| SPECIALS.contains(byte))
}

/// A pattern (without its anchor) and the subject it is matched against.
pub struct Matcher<'a> {
    subject: &'a [u8],
    pattern: &'a [u8],
    depth: u32,
    level: usize,
    captures: [Slot; CAPTURES_MAX],
    /// Sets met so far: where they start and end.
    sets: [(usize, usize, ByteSet); SETS_MAX],
    set_count: usize,
    /// What a match starts with, once known: `None` where that can be anything.
    first: Option<Option<Single>>,
    work: u64,
}

type Step = Result<Option<usize>, PatternError>;

impl<'a> Matcher<'a> {
    /// Reads nothing yet.
    #[must_use]
    pub fn new(subject: &'a [u8], pattern: &'a [u8]) -> Self {
        Self {
            subject,
            pattern,
            depth: DEPTH_MAX,
            level: 0,
            captures: [Slot { start: 0, end: 0 }; CAPTURES_MAX],
            sets: [(0, 0, ByteSet::EMPTY); SETS_MAX],
            set_count: 0,
            first: None,
            work: 0,
        }
    }

    /// Matches at exactly `start`; the end of the match.
    pub fn match_at(&mut self, start: usize, charge: &mut Charge<'_>) -> Step {
        let end = self.attempt(start, charge)?;
        self.settle(charge)?;
        Ok(end)
    }

    /// The first match at or after `start` whose end is not `not_end`: where it starts and ends.
    pub fn find(
        &mut self,
        start: usize,
        not_end: Option<usize>,
        charge: &mut Charge<'_>,
    ) -> Result<Option<(usize, usize)>, PatternError> {
        let mut from = start;
        while from <= self.subject.len() {
            if let Some(first) = self.first()? {
                let rest = &self.subject[from..];
                let skip = first.find(rest);
                self.work += skip.unwrap_or(rest.len()) as u64 / 16;
                match skip {
                    Some(skip) => from += skip,
                    None => break,
                }
            }
            match self.attempt(from, charge)? {
                Some(end) if Some(end) != not_end => {
                    self.settle(charge)?;
                    return Ok(Some((from, end)));
                }
                _ => from += 1,
            }
        }
        self.settle(charge)?;
        Ok(None)
    }

    /// How many captures the last match made.
    #[must_use]
    pub fn level(&self) -> usize {
        self.level
    }

    /// Capture `i` of the last match, from 0; the whole match where the pattern has none.
    pub fn capture(&self, i: usize, start: usize, end: usize) -> Result<Capture, PatternError> {
        if i >= self.level {
            return match i {
                0 => Ok(Capture::Range(start, end)),
                _ => Err(PatternError::CaptureIndex(i as i32 + 1)),
            };
        }
        match self.captures[i] {
            Slot { end: Slot::OPEN, .. } => Err(PatternError::UnfinishedCapture),
            Slot { start, end: Slot::POSITION } => Ok(Capture::Position(start + 1)),
            Slot { start, end } => Ok(Capture::Range(start, end)),
        }
    }

    fn settle(&mut self, charge: &mut Charge<'_>) -> Result<(), PatternError> {
        let work = std::mem::take(&mut self.work);
        if charge(work) { Ok(()) } else { Err(PatternError::Limit) }
    }

    #[inline]
    fn spend(&mut self, units: usize, charge: &mut Charge<'_>) -> Result<(), PatternError> {
        self.work += units as u64;
        if self.work < PORTION { Ok(()) } else { self.settle(charge) }
    }

    /// A byte of the pattern; 0 at its end, as in C.
    #[inline]
    fn at(&self, p: usize) -> u8 {
        self.pattern.get(p).copied().unwrap_or(0)
    }

    /// What the first byte of a match must be, where the pattern starts with a byte or class that
    /// is not optional. Faults are those that the first attempt would raise.
    fn first(&mut self) -> Result<Option<Single>, PatternError> {
        if let Some(first) = self.first {
            return Ok(first);
        }
        let mut p = 0;
        while self.at(p) == b'(' && self.at(p + 1) != b')' && p < CAPTURES_MAX {
            p += 1;
        }
        let first = match (self.pattern.get(p), self.at(p + 1)) {
            (None | Some(b'(' | b')' | b'$'), _) | (Some(b'%'), b'b' | b'f' | b'0'..=b'9') => None,
            _ => {
                let (single, end) = self.single(p)?;
                (!matches!(self.at(end), b'*' | b'?' | b'-')).then_some(single)
            }
        };
        self.first = Some(first);
        Ok(first)
    }

    /// The single-byte item at `p`, and where it ends.
    #[inline]
    fn single(&mut self, p: usize) -> Result<(Single, usize), PatternError> {
        match self.at(p) {
            b'%' if p + 1 >= self.pattern.len() => Err(PatternError::EndsWithEscape),
            b'%' => Ok((Single::escaped(self.at(p + 1)), p + 2)),
            b'[' => self.set(p).map(|(set, end)| (Single::Set(set), end)),
            b'.' => Ok((Single::Any, p + 1)),
            byte => Ok((Single::Byte(byte), p + 1)),
        }
    }

    /// The set whose `[` is at `p`, and where it ends.
    fn set(&mut self, p: usize) -> Result<(ByteSet, usize), PatternError> {
        if let Some(&(_, end, set)) = self.sets[..self.set_count].iter().find(|(start, ..)| *start == p) {
            return Ok((set, end));
        }
        let negated = self.at(p + 1) == b'^';
        let mut end = p + 1 + usize::from(negated);
        loop {
            if end >= self.pattern.len() {
                return Err(PatternError::MissingBracket);
            }
            end += 1;
            if self.at(end - 1) == b'%' && end < self.pattern.len() {
                end += 1;
            }
            if end < self.pattern.len() && self.pattern[end] == b']' {
                break;
            }
        }
        self.work += (end - p) as u64 / 4;
        let mut set = ByteSet::EMPTY;
        let mut i = p + 1 + usize::from(negated);
        while i < end {
            let byte = self.at(i);
            if byte == b'%' {
                i += 1;
                match Single::escaped(self.at(i)) {
                    Single::Set(class) => set.add_all(&class),
                    _ => set.add(self.at(i)),
                }
            } else if self.at(i + 1) == b'-' && i + 2 < end {
                i += 2;
                (byte..=self.at(i)).for_each(|byte| set.add(byte));
            } else {
                set.add(byte);
            }
            i += 1;
        }
        if negated {
            set = set.complement();
        }
        if self.set_count < SETS_MAX {
            self.sets[self.set_count] = (p, end + 1, set);
            self.set_count += 1;
        }
        Ok((set, end + 1))
    }

    fn attempt(&mut self, start: usize, charge: &mut Charge<'_>) -> Step {
        self.depth = DEPTH_MAX;
        self.level = 0;
        self.nested(start, 0, charge)
    }

    /// The rest of the pattern from `p` at `s`, one level down.
    fn nested(&mut self, s: usize, p: usize, charge: &mut Charge<'_>) -> Step {
        if self.depth == 0 {
            return Err(PatternError::TooComplex);
        }
        self.depth -= 1;
        let end = self.advance(s, p, charge)?;
        self.depth += 1;
        Ok(end)
    }

    fn advance(&mut self, mut s: usize, mut p: usize, charge: &mut Charge<'_>) -> Step {
        loop {
            self.spend(1, charge)?;
            let Some(&byte) = self.pattern.get(p) else { return Ok(Some(s)) };
            match byte {
                b'(' if self.at(p + 1) == b')' => return self.open(Slot::POSITION, s, p + 2, charge),
                b'(' => return self.open(Slot::OPEN, s, p + 1, charge),
                b')' => return self.close(s, p + 1, charge),
                b'$' if p + 1 == self.pattern.len() => return Ok((s == self.subject.len()).then_some(s)),
                b'%' => match self.at(p + 1) {
                    b'b' => match self.balance(s, p + 2)? {
                        Some(end) => {
                            (s, p) = (end, p + 4);
                            continue;
                        }
                        None => return Ok(None),
                    },
                    b'f' => match self.frontier(s, p + 2)? {
                        Some(end) => {
                            p = end;
                            continue;
                        }
                        None => return Ok(None),
                    },
                    digit @ b'0'..=b'9' => match self.again(s, digit)? {
                        Some(end) => {
                            (s, p) = (end, p + 2);
                            continue;
                        }
                        None => return Ok(None),
                    },
                    _ => {}
                },
                _ => {}
            }
            let (single, end) = self.single(p)?;
            let suffix = self.at(end);
            if !self.subject.get(s).is_some_and(|&byte| single.fits(byte)) {
                if !matches!(suffix, b'*' | b'?' | b'-') {
                    return Ok(None);
                }
                p = end + 1;
                continue;
            }
            match suffix {
                b'?' => {
                    if let Some(end) = self.nested(s + 1, end + 1, charge)? {
                        return Ok(Some(end));
                    }
                    p = end + 1;
                }
                b'+' => return self.most(single, s, 1, end + 1, charge),
                b'*' => return self.most(single, s, 0, end + 1, charge),
                b'-' => return self.least(single, s, end + 1, charge),
                _ => (s, p) = (s + 1, end),
            }
        }
    }

    /// As many as there are, at least `min`, then the rest from `p`.
    fn most(&mut self, single: Single, s: usize, min: usize, p: usize, charge: &mut Charge<'_>) -> Step {
        let mut count = single.run(&self.subject[s..]);
        self.spend(count / 8, charge)?;
        loop {
            if let Some(end) = self.nested(s + count, p, charge)? {
                return Ok(Some(end));
            }
            if count == min {
                return Ok(None);
            }
            count -= 1;
        }
    }

    /// As few as will do, then the rest from `p`.
    fn least(&mut self, single: Single, mut s: usize, p: usize, charge: &mut Charge<'_>) -> Step {
        loop {
            if let Some(end) = self.nested(s, p, charge)? {
                return Ok(Some(end));
            }
            if !self.subject.get(s).is_some_and(|&byte| single.fits(byte)) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open(&mut self, mark: usize, s: usize, p: usize, charge: &mut Charge<'_>) -> Step {
        let level = self.level;
        if level >= CAPTURES_MAX {
            return Err(PatternError::TooManyCaptures);
        }
        self.captures[level] = Slot { start: s, end: mark };
        self.level = level + 1;
        let end = self.nested(s, p, charge)?;
        if end.is_none() {
            self.level -= 1;
        }
        Ok(end)
    }

    fn close(&mut self, s: usize, p: usize, charge: &mut Charge<'_>) -> Step {
        let open = self.captures[..self.level].iter().rposition(|slot| slot.end == Slot::OPEN);
        let Some(i) = open else { return Err(PatternError::InvalidCapture) };
        self.captures[i].end = s;
        let end = self.nested(s, p, charge)?;
        if end.is_none() {
            self.captures[i].end = Slot::OPEN;
        }
        Ok(end)
    }

    /// `%bxy`, its two bytes at `p`.
    fn balance(&mut self, s: usize, p: usize) -> Step {
        if p + 1 >= self.pattern.len() {
            return Err(PatternError::MissingBalance);
        }
        let (open, close) = (self.at(p), self.at(p + 1));
        if self.subject.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut nesting = 1;
        for (i, &byte) in self.subject[s + 1..].iter().enumerate() {
            if byte == close {
                nesting -= 1;
                if nesting == 0 {
                    self.work += i as u64 / 8;
                    return Ok(Some(s + i + 2));
                }
            } else if byte == open {
                nesting += 1;
            }
        }
        self.work += (self.subject.len() - s) as u64 / 8;
        Ok(None)
    }

    /// `%f[set]`, its set at `p`; where the set ends.
    fn frontier(&mut self, s: usize, p: usize) -> Step {
        if self.at(p) != b'[' {
            return Err(PatternError::MissingFrontierSet);
        }
        let (set, end) = self.set(p)?;
        let before = if s == 0 { 0 } else { self.subject[s - 1] };
        let after = self.subject.get(s).copied().unwrap_or(0);
        Ok((!set.has(before) && set.has(after)).then_some(end))
    }

    /// `%1`: what a capture holds, once more.
    fn again(&mut self, s: usize, digit: u8) -> Step {
        let i = usize::from(digit).wrapping_sub(usize::from(b'1'));
        match self.captures[..self.level].get(i) {
            None | Some(Slot { end: Slot::OPEN, .. }) => {
                Err(PatternError::CaptureIndex(i32::from(digit) - i32::from(b'0')))
            }
            Some(Slot { end: Slot::POSITION, .. }) => Ok(None),
            Some(&Slot { start: from, end: to }) => {
                self.work += (to - from) as u64 / 16;
                let same = self.subject[s..].starts_with(&self.subject[from..to]);
                Ok(same.then_some(s + to - from))
            }
        }
    }
}

#[cfg(test)]
mod tests;
