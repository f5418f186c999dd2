//! Which content the log refers to: what collection keeps, and what a backup takes along.
//!
//! An energy names content in its envelope, and spells may carry a digest wherever text goes: in data, in tags, in their
//! state. So every 64 hexadecimal digits in a row count, whatever they were meant for: to keep too much does no harm. A digest in
//! another form, raw or cut in two, is not seen.

use blake3::Hash;

use super::FileLog;
use crate::event::{EventRef, Events};
use crate::log::{Direction, Error, Log, Query, Table};

/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;

impl FileLog {
    /// Tells every digest that energies which are still there, or tables, refer to; each maybe more than once.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the log is; failed reads.
    pub fn references(&self, found: &mut dyn FnMut(Hash)) -> Result<(), Error> {
        let (mut at, mut events) = (0, Events::default());
        while at < self.visible() {
            events.clear();
            at = self.scan(at, Direction::Forward, &Query::default(), usize::MAX, &mut events)?;
            events.iter().for_each(|event| of_event(event, found));
        }
        for table in Table::ALL {
            for (key, value) in self.values(table, &[])? {
                of_bytes(&key, found);
                of_bytes(&value, found);
            }
        }
        Ok(())
    }
}

fn of_event(event: EventRef<'_>, found: &mut dyn FnMut(Hash)) {
    of_bytes(event.data(), found);
    if let Some(extra) = event.extra() {
        of_bytes(extra.content.as_deref().unwrap_or_default().as_bytes(), found);
        extra.tags.values().for_each(|value| of_bytes(value.as_bytes(), found));
    }
}

/// Digests in bytes. In a longer row of digits each stretch of that length may be one.
fn of_bytes(bytes: &[u8], found: &mut dyn FnMut(Hash)) {
    for row in bytes.split(|byte| !byte.is_ascii_hexdigit()) {
        for digits in row.windows(DIGITS) {
            if let Ok(hash) = Hash::from_hex(digits) {
                found(hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_found_wherever_it_stands() {
        let hash = blake3::hash(b"x");
        let hex = hash.to_hex();
        let found = |text: String| {
            let mut hashes = Vec::new();
            of_bytes(text.as_bytes(), &mut |hash| hashes.push(hash));
            hashes
        };
        assert_eq!(found(format!("see {hex}.")), [hash]);
        assert!(found(format!("a{hex}")).contains(&hash) && found(format!("{hex}{hex}")).contains(&hash));
        assert!(found(hex[1..].to_owned()).is_empty());
    }
}
