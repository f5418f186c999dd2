//! The log in files under crashes: nothing that was acknowledged is lost, nothing else half appears.
//!
//! Runs on a simulated disk, each from one seed: random appends, then the power goes, or the process is killed, or a
//! write or sync fails; then the log is opened again and compared with a model, and goes on; at least two crashes a
//! run. `SANCTUM_CRASH_SEEDS` sets how many seeds, `SANCTUM_CRASH_SEED` the first. A failure prints its seed.

mod draft;
mod flips;
mod model;
mod random;
mod run;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use run::{Run, Tally, Trouble};

/// Seeds of each test, unless the environment says otherwise.
const SEEDS: u64 = 1000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn runs(trouble: Trouble) -> Tally {
    let first = number("SANCTUM_CRASH_SEED", 0);
    let count = number("SANCTUM_CRASH_SEEDS", if first == 0 { SEEDS } else { 1 });
    let next = AtomicU64::new(first);
    let total = Mutex::new(Tally::default());
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let mut run = Run::new(seed, trouble);
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run.go())) {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                        eprintln!("{trouble:?}: seed {seed}; SANCTUM_CRASH_SEED={seed} runs it again");
                        resume_unwind(panic);
                    }
                    total.lock().unwrap_or_else(PoisonError::into_inner).add(&run.tally);
                }
            });
        }
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    eprintln!("{trouble:?}: {count} seeds, {total:?}");
    total
}

#[test]
fn what_was_acknowledged_survives_crashes_and_failures() {
    let tally = runs(Trouble::Failing);
    assert!(tally.crashes > 0 && tally.detected == 0, "{tally:?}");
}

#[test]
fn a_full_disk_loses_nothing_and_the_log_goes_on_when_there_is_room() {
    let tally = runs(Trouble::Full);
    assert!(tally.crashes > 0 && tally.detected == 0, "{tally:?}");
}

#[test]
fn a_disk_that_lies_loses_the_end_or_is_found_out() {
    let tally = runs(Trouble::Lying);
    assert!(tally.crashes > 0, "{tally:?}");
}

#[test]
fn a_bit_that_flips_loses_the_end_or_is_found_out() {
    let tally = runs(Trouble::Flipping);
    assert!(tally.flips > 0 && tally.crashes > 0, "{tally:?}");
}
