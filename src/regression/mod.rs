//! Golden cases: what a run prints, reports and logs, held against files.
//!
//! A case is a folder with spells, seeds and assertion files ([`case`]). It runs hermetically ([`run`]): a
//! fixed clock, no environment, paths relative to the case, every instruction counted; and twice, on one
//! worker and on three with rounds of another size, which has to give the same. [`compare`] says what
//! differs from the files, [`amnesia`] whether spells remember where they should not, [`freeze`] writes them anew, [`report`] is for people and for CI.
//!
//! Limits: an assertion file is read whole; a diff is cut after [`compare::DIFF_LINES_MAX`] lines.

pub mod amnesia;
pub mod case;
pub mod compare;
pub mod freeze;
pub mod report;
pub mod run;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub use case::{Case, find};
pub use compare::Difference;

use crate::engine::clock::steady_ns;

/// Stack of a thread that runs cases: a run on one worker casts on it.
const STACK_BYTES: usize = 16 << 20;

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As its files say.
    Passed,
    /// Not as they say.
    Failed(Vec<Difference>),
    /// It cannot be run.
    Broken(String),
}

/// A case that was run.
#[derive(Clone, Debug)]
pub struct Tested {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub verdict: Verdict,
    /// How long it took.
    pub nanos: u64,
}

/// What is tested beside what the files say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checks {
    /// Whether spells remember in Lua variables what belongs in `state`.
    pub amnesia: bool,
}

/// Runs a case and holds it against its files.
#[must_use]
pub fn test(case: &Case, checks: Checks) -> Tested {
    let start = steady_ns();
    let verdict = match differences(case, checks) {
        Err(broken) => Verdict::Broken(broken),
        Ok(differences) if differences.is_empty() => Verdict::Passed,
        Ok(differences) => Verdict::Failed(differences),
    };
    Tested { name: case.name.clone(), verdict, nanos: steady_ns().saturating_sub(start) }
}

/// What is not as it should be; the error is why the case cannot be run.
fn differences(case: &Case, checks: Checks) -> Result<Vec<Difference>, String> {
    let (actual, unsteady) =
        run::run_checked(case, case.has(case::COST)).map_err(|broken| broken.to_string())?;
    let mut differences = compare::compare(case, &actual).map_err(|error| error.to_string())?;
    differences.extend(unsteady);
    if checks.amnesia {
        differences.extend(amnesia::look(case, &actual).map_err(|broken| broken.to_string())?);
    }
    Ok(differences)
}

/// Does `work` for `0..count` on `jobs` threads and hands the results over in order, each as soon as it and
/// all before it are there. A job that panics gives `None`.
pub fn in_order<T: Send>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> T + Sync,
    mut done: impl FnMut(usize, Option<T>),
) {
    let (sender, results) = crossbeam_channel::unbounded();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..jobs.clamp(1, count.max(1)) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            let body = move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(index))).ok();
                    if sender.send((index, result)).is_err() {
                        return;
                    }
                }
            };
            let builder = thread::Builder::new().name("case".into()).stack_size(STACK_BYTES);
            started += usize::from(builder.spawn_scoped(scope, body).is_ok());
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut wanted = 0;
        while started > 0
            && let Ok((index, result)) = results.recv()
        {
            waiting.insert(index, result);
            while let Some(result) = waiting.remove(&wanted) {
                done(wanted, result);
                wanted += 1;
            }
        }
        // Without a single thread nothing was done: say so for each.
        (wanted..count).for_each(|index| done(index, None));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let mut seen = Vec::new();
        let work = |index: usize| {
            assert!(index != 7, "a job that panics");
            index * 2
        };
        in_order(40, 4, work, |index, result| seen.push((index, result)));
        let expected: Vec<_> = (0..40).map(|index| (index, (index != 7).then_some(index * 2))).collect();
        assert_eq!(seen, expected);
    }
}
