//! What any log keeps to, in memory or in files, however durable: one suite over all of them, and the log in files
//! beside its model under random calls.

#![allow(missing_docs)]

#[path = "log_contract/energy.rs"]
mod energy;
#[path = "log_contract/model.rs"]
mod model;
#[path = "log_contract/races.rs"]
mod races;
#[path = "log_contract/rules.rs"]
mod rules;

use sanctum::log::file::{Durability, Options};
use sanctum::log::{FileLog, Log, MemoryLog};
use tempfile::TempDir;

fn now_ms() -> i64 {
    1_000_000_000_000
}

/// A log, and the folder that it is in. The log goes first.
struct World {
    log: Box<dyn Log>,
    _folder: Option<TempDir>,
}

impl World {
    fn in_memory() -> Self {
        Self { log: Box::new(MemoryLog::new()), _folder: None }
    }

    fn in_files(durability: Durability, segment_bytes: u32, background: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options { durability, segment_bytes, background, ..Options::new(now_ms) };
        let log = FileLog::open(&folder.path().join("planes/main"), options).expect("it opens");
        Self { log: Box::new(log), _folder: Some(folder) }
    }
}

/// The suite as tests of one log.
macro_rules! suite {
    ($($log:ident: $world:expr;)*) => {
        $(mod $log {
            use super::*;
            suite!(tests $world;
                rules::positions_and_versions_have_no_gap,
                rules::a_retry_returns_the_first_receipt,
                rules::an_id_with_other_content_is_a_conflict,
                rules::what_is_known_and_what_is_new_can_come_together,
                rules::versions_are_those_of_the_batch_so_far,
                rules::an_atomic_batch_is_stored_as_a_whole_or_not,
                rules::a_condition_on_a_query_keeps_out_everything,
                rules::a_check_appends_nothing,
                rules::reactions_have_their_cause,
                rules::ephemeral_energies_are_never_stored,
                rules::changes_go_with_their_commit,
                rules::queries_find_what_they_say,
                rules::names_are_bytes_to_a_log,
                rules::ids_are_made_where_there_are_none,
                rules::reading_begins_anywhere,
                rules::who_waits_is_told,
                races::one_of_many_conditional_appends_wins,
                races::a_loser_that_looks_again_gets_through,
                races::one_of_many_retries_is_stored,
                races::one_of_many_bookings_wins,
                races::readers_see_whole_batches,
            );
        })*
    };
    (tests $world:expr; $($module:ident::$name:ident,)*) => {
        $(#[test]
        fn $name() {
            super::$module::$name(&*$world.log);
        })*
    };
}

suite! {
    memory: World::in_memory();
    files_synced: World::in_files(Durability::Commit, 64 << 20, true);
    files_synced_at_intervals: World::in_files(Durability::IntervalMs(5), 1 << 20, true);
    files_left_to_the_system: World::in_files(Durability::Os, 1 << 20, true);
    files_of_tiny_segments: World::in_files(Durability::Commit, 1 << 10, false);
}
