//! Names the loop that a run is caught in: the topics from an energy back through its causes.

use crate::event::EventRef;
use crate::log::Log;

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
        let (batch, index) = log.read(head.settled.checked_sub(1)?)?;
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
