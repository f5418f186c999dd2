//! A long string in the making: charged by its length, checked against the VM's memory as it grows.

use crate::spell::raw::{Frame, Raise};

/// Growth that is settled at once.
const STEP: usize = 1024;

/// What an attempt that failed for lack of memory costs, since memory was collected first. More than
/// 4,096, so that the clock is looked at.
pub(crate) const COLLECTION_UNITS: u64 = 5_000;

/// See the module.
#[derive(Default)]
pub(crate) struct Buffer {
    /// What is there; whoever appends here calls [`Buffer::settle`] after.
    pub bytes: Vec<u8>,
    settled: usize,
}

impl Buffer {
    /// Appends.
    #[inline]
    pub fn add(&mut self, frame: &mut Frame<'_>, bytes: &[u8]) -> Result<(), Raise> {
        if bytes.len() >= STEP {
            check(frame, self.bytes.len() + bytes.len())?;
        }
        self.bytes.extend_from_slice(bytes);
        self.settle(frame)
    }

    /// Appends the string or number on top of the stack and pops it; false, and nothing is done, for
    /// any other value.
    pub fn add_top(&mut self, frame: &mut Frame<'_>) -> Result<bool, Raise> {
        let top = frame.top() as usize;
        let Ok(bytes) = frame.bytes(top) else { return Ok(false) };
        self.add(frame, bytes)?;
        frame.pop(1);
        Ok(true)
    }

    /// Accounts for what was appended.
    #[inline]
    pub fn settle(&mut self, frame: &mut Frame<'_>) -> Result<(), Raise> {
        let grown = self.bytes.len() - self.settled;
        if grown < STEP {
            return Ok(());
        }
        self.settled = self.bytes.len();
        frame.charge(grown as u64 / 16)?;
        check(frame, self.bytes.len())
    }

    /// Pushes the result.
    pub fn finish(mut self, frame: &mut Frame<'_>) -> Result<(), Raise> {
        let grown = self.bytes.len() - std::mem::replace(&mut self.settled, self.bytes.len());
        frame.charge(1 + grown as u64 / 16)?;
        frame.push_bytes(&self.bytes)
    }
}

fn check(frame: &mut Frame<'_>, bytes: usize) -> Result<(), Raise> {
    frame.check_memory(bytes).or_else(|error| {
        frame.charge(COLLECTION_UNITS)?;
        Err(error)
    })
}
