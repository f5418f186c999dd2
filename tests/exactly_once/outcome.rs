//! What a run leaves: its log and its tables, as lines that can be compared.

use sanctum::event::{EventRef, Events, Ttl, json};
use sanctum::log::{Direction, Log, Query, Table};
use sanctum::state::Address;
use sanctum::state::store::size;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Position, whether it stays for good, and the energy as JSON with what had settled before.
    pub energies: Vec<(u64, bool, String)>,
    /// Every entry of every table.
    pub tables: Vec<String>,
}

impl Outcome {
    /// Reads it.
    pub fn of(log: &dyn Log) -> Self {
        let mut outcome = Self::default();
        let (mut at, mut page) = (0, Events::default());
        while at < log.head() {
            page.clear();
            at = log.scan(at, Direction::Forward, &Query::default(), 1_000, &mut page).expect("it reads");
            outcome.energies.extend(page.iter().map(line));
        }
        check_sizes(log);
        // What is known of sizes depends on who made the last change.
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Size) {
            for (key, value) in log.values(table, &[]).expect("it reads") {
                let text = format!("{table:?} {} = {}", key.escape_ascii(), value.escape_ascii());
                outcome.tables.push(text);
            }
        }
        outcome
    }

    /// What stays for good of the energies below a position.
    fn lasting(&self, below: u64) -> impl Iterator<Item = &(u64, bool, String)> {
        self.energies.iter().filter(move |(position, lasts, _)| *lasts && *position < below)
    }

    /// Panics unless this is what a run comes by that ends with `whole`; `head` is where it stands.
    pub fn assert_begins(&self, whole: &Self, head: u64, story: &str) {
        let (mut ours, mut theirs) = (self.lasting(head), whole.lasting(head));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return,
                (ours, theirs) => assert_eq!(ours, theirs, "{story}: of a log of {head} energies"),
            }
        }
    }

    /// Panics unless both are the same.
    pub fn assert_same(&self, whole: &Self, story: &str) {
        for (ours, theirs) in self.energies.iter().zip(&whole.energies) {
            assert_eq!(ours, theirs, "{story}: the energy");
        }
        assert_eq!(self.energies.len(), whole.energies.len(), "{story}: how many energies");
        for (ours, theirs) in self.tables.iter().zip(&whole.tables) {
            assert_eq!(ours, theirs, "{story}: the entry");
        }
        assert_eq!(self.tables.len(), whole.tables.len(), "{story}: how many entries");
    }
}

/// Panics where the log says of a spell with one lane that it has more or less state than it has.
fn check_sizes(log: &dyn Log) {
    for (spell, sizes) in log.values(Table::Size, &[]).expect("it reads") {
        let Ok(known) = sizes.try_into().map(u64::from_le_bytes) else { continue };
        let name = str::from_utf8(&spell).expect("a name");
        let entries = log.values(Table::State, &Address::prefix_of(name)).expect("it reads");
        let bytes = entries
            .iter()
            .map(|(address, value)| size(Address::read(address).expect("an address").key.len(), value.len()));
        assert_eq!(bytes.sum::<u64>(), known, "the state of {name}");
    }
}

fn line(event: EventRef<'_>) -> (u64, bool, String) {
    let mut line = Vec::new();
    json::write_event(event, &mut line);
    let lasts = event.extra().is_none_or(|extra| extra.ttl == Ttl::Forever);
    let text = String::from_utf8(line).expect("JSON is UTF-8");
    (event.head().position, lasts, format!("{text} settled {}", event.head().settled))
}
