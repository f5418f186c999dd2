//! Names the loop that a run is caught in: the topics from an energy back through its causes.

use crate::event::EventRef;
use crate::log::Log;
use crate::runeset::Diagnostic;
use crate::spell::{Spell, report};

/// Ancestors that are looked at.
const ANCESTORS_MAX: usize = 64;

/// The shortest cycle of topics that ends at an energy, as `a -> b -> a`; `None` where its ancestors
/// do not repeat.
#[must_use]
pub fn cycle_of(log: &dyn Log, event: EventRef<'_>) -> Option<String> {
    let name = |event: EventRef<'_>| event.topic().unwrap_or("(no topic)").to_owned();
    let mut topics = vec![name(event)];
    let mut head = *event.head();
    while topics.len() < ANCESTORS_MAX && head.hops > 0 {
        let (batch, index) = log.read(head.settled.checked_sub(1)?).ok()??;
        let cause = batch.get(index);
        topics.push(name(cause));
        head = *cause.head();
    }
    let repeats = |period: usize| topics.iter().zip(&topics[period..]).all(|(topic, before)| topic == before);
    let period = (1..=topics.len() / 2).find(|&period| repeats(period))?;
    let mut cycle: Vec<&str> = topics[..=period].iter().map(String::as_str).collect();
    cycle.reverse();
    Some(cycle.join(" -> "))
}

/// A spell's `limits.hops` was passed.
pub(super) fn too_many_hops(log: &dyn Log, spell: &Spell, cause: Option<EventRef<'_>>) -> Diagnostic {
    let max = spell.limits.hops;
    let text = format!("spell `{}` produced an energy more than {max} hops from its seed", spell.name);
    looping(Diagnostic::error(text).field("kind", "hops"), log, spell, cause)
        .help("end the loop in the spell, or raise `limits.hops` in the spell or the runeset")
}

/// The run's `max_casts` was passed.
pub(super) fn too_many_casts(
    log: &dyn Log,
    spell: &Spell,
    cause: Option<EventRef<'_>>,
    max: u64,
) -> Diagnostic {
    let casts = if max == 1 { "1 cast".to_owned() } else { format!("{max} casts") };
    let text = format!("the run did not settle within {casts}; the last was of spell `{}`", spell.name);
    looping(Diagnostic::error(text).field("kind", "max_casts"), log, spell, cause)
        .help("end the loop in the spell, or raise `--max-casts`")
}

fn looping(diagnostic: Diagnostic, log: &dyn Log, spell: &Spell, cause: Option<EventRef<'_>>) -> Diagnostic {
    let mut diagnostic = diagnostic.in_file(&spell.path).field("spell", &*spell.name);
    if let Some(cause) = cause {
        if let Some(cycle) = cycle_of(log, cause) {
            diagnostic = diagnostic.note(format!("cycle of topics: {cycle}")).field("cycle", cycle);
        }
        diagnostic = report::with_energy(diagnostic, cause);
    }
    diagnostic
}
