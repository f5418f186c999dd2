//! Exactly once: whatever disturbs a run, and however it is made, its log and its tables end up the same, byte for byte.
//!
//! Runs on a simulated disk, each from one seed ([`run`]), and a process that is killed ([`kill`]).
//! `SANCTUM_ONCE_SEEDS` sets how many runs, `SANCTUM_ONCE_SEED` the first; `SANCTUM_ONCE_KILLS` how many kills. A failure
//! prints its seed, which runs it again.

#![allow(missing_docs)]

mod kill;
mod outcome;
#[path = "../log_crash/random.rs"]
mod random;
mod run;
mod scenario;
mod silence;
mod spells;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use run::{Run, Tally};

/// Runs, unless the environment says otherwise.
const SEEDS: u64 = 1_000;

/// Runs with a thread that seals, syncs and writes tables meanwhile.
const BACKGROUND_SEEDS: u64 = 100;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn runs(seeds: u64, may_background: bool) -> Tally {
    let first = number("SANCTUM_ONCE_SEED", 0);
    let count = number("SANCTUM_ONCE_SEEDS", if first == 0 { seeds } else { 1 });
    let next = AtomicU64::new(first);
    let total = Mutex::new(Tally::default());
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let threads = number("SANCTUM_ONCE_THREADS", threads as u64);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let mut run = Run::new(seed, may_background);
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run.go())) {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                        eprintln!("seed {seed}; SANCTUM_ONCE_SEED={seed} runs it again");
                        resume_unwind(panic);
                    }
                    total.lock().unwrap_or_else(PoisonError::into_inner).add(&run.tally);
                }
            });
        }
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    eprintln!("{total:?}");
    total
}

#[test]
fn a_run_that_is_disturbed_leaves_what_an_undisturbed_one_leaves() {
    let tally = runs(SEEDS, false);
    assert!(tally.cuts + tally.kills + tally.faults + tally.deaf >= tally.runs, "{tally:?}");
}

#[test]
fn so_does_one_with_a_thread_in_the_background() {
    runs(BACKGROUND_SEEDS, true);
}

/// Between the outputs of a cast, between two casts, between two energies: of what was done nothing counts twice, and
/// nothing is lost.
#[test]
fn whoever_listens_may_go_away_at_any_time() {
    let calls = (0..).step_by(7).find(|calls| !Run::deafened(*calls)).expect("a run has an end");
    assert!(calls > 400, "{calls}");
}

/// What was found can be looked at again.
#[test]
fn the_same_seed_is_the_same_story() {
    for seed in 0..20 {
        let mut stories = (0..2).map(|_| {
            let mut run = Run::new(seed, false);
            run.go();
            run.story
        });
        assert_eq!(stories.next(), stories.next(), "seed {seed}");
    }
}
