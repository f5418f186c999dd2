//! Whether spells remember in their VMs what belongs in `state`.
//!
//! A run in which each VM is made anew after every energy that it had gives the same, unless something was kept
//! in Lua variables that shows. Where it does not, each spell is looked at alone, all others with a memory: so those
//! are named that need one.

use super::case::{Broken, Case};
use super::compare::{Difference, diff};
use super::run::{Actual, run};
use crate::engine::{Forgets, Options};

/// What differs, by spell. `actual` is what the case does with its memory.
pub fn look(case: &Case, actual: &Actual) -> Result<Vec<Difference>, Broken> {
    let everybody = forgetful(case, Forgets::Everybody)?;
    let Some(shown) = difference(actual, &everybody) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (index, cost) in actual.costs.iter().enumerate() {
        if let Some((what, diff)) = difference(actual, &forgetful(case, Forgets::Spell(index))?) {
            found.push(Difference {
                file: "amnesia".to_owned(),
                message: format!(
                    "spell `{}` remembers in Lua variables what belongs in `state`: with a fresh VM for every energy, {what}",
                    cost.spell
                ),
                diff,
            });
        }
    }
    if found.is_empty() {
        let (what, diff) = shown;
        let message = format!(
            "spells together remember in Lua variables what belongs in `state`: with a fresh VM for every energy, {what}"
        );
        found.push(Difference { file: "amnesia".to_owned(), message, diff });
    }
    Ok(found)
}

/// The case, with spells that forget after every energy.
fn forgetful(case: &Case, forgets: Forgets) -> Result<Actual, Broken> {
    run(case, &|options: &mut Options| {
        options.workers = 1;
        options.round_events = 1;
        options.resume = true;
        options.forgets = forgets;
    })
}

/// The first of what a run gives that is another, in words and as a diff. What casts cost may differ.
fn difference(one: &Actual, other: &Actual) -> Option<(&'static str, String)> {
    let exits = [one, other].map(|actual| format!("{}\n", actual.exit).into_bytes());
    let parts = [
        ("it prints something else", &one.stdout, &other.stdout),
        ("its log is another one", &one.events, &other.events),
        ("its faults and log lines are others", &one.stderr, &other.stderr),
        ("it ends with another exit code", &exits[0], &exits[1]),
    ];
    let (what, one, other) = parts.into_iter().find(|(_, one, other)| one != other)?;
    Some((what, diff(one, other, "with a memory", "with a fresh VM for every energy")))
}
