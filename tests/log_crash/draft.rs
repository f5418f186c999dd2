//! What a run appends, by chance.

use sanctum::event::{Events, Expect, Extra, Uuid};
use sanctum::log::{Change, Commit, Query, Table};

use super::model::{ChangeOf, Event};
use super::run::{Run, now_ms};

/// A commit before it is appended: to be given to the log and to the model's memory.
pub struct Draft {
    pub events: Vec<(Event, Expect)>,
    pub changes: Vec<ChangeOf>,
    checked: bool,
    pub atomic: bool,
    unless: Option<(Query, Option<u64>)>,
}

impl Draft {
    /// The commit.
    pub fn commit(&self) -> Commit {
        let mut events = Events::default();
        for (event, expect) in &self.events {
            event.push(&mut events, Extra { expect: *expect, ..Extra::default() });
        }
        if self.checked {
            events.require_check();
        }
        let mut commit = Commit { atomic: self.atomic, ..Commit::of(events) };
        for (table, key, value) in &self.changes {
            commit.changes.push(Change { table: *table, key, value: value.as_deref() });
        }
        match &self.unless {
            Some((query, after)) => commit.unless(query.clone(), *after),
            None => commit,
        }
    }
}

impl Run {
    /// Something to append: new, or what there is already, with conditions and changes.
    pub fn draft(&mut self) -> Draft {
        let mut draft =
            Draft { events: Vec::new(), changes: Vec::new(), checked: false, atomic: false, unless: None };
        draft.atomic = self.random.percent(50);
        let kind = self.random.below(20);
        if kind < 3 && !self.model.commits.is_empty() {
            // Something once more, as it was or otherwise.
            let at = self.random.below(self.model.commits.len() as u64) as usize;
            let edited = self.random.percent(30);
            for event in &self.model.commits[at].events {
                let mut event = event.clone();
                if edited {
                    event.data.push(1);
                }
                draft.events.push((event, Expect::None));
            }
            draft.checked = true;
        } else if kind > 3 {
            let count = if self.random.percent(50) { 1 } else { 1 + self.random.below(20) };
            for _ in 0..count {
                let event = self.event();
                draft.events.push((event, Expect::Any));
            }
            draft.checked = self.random.percent(40);
            if draft.checked {
                let version = self.random.below(8);
                let expect = self.random.pick(&[Expect::None, Expect::Any, Expect::Version(version)]);
                let at = self.random.below(draft.events.len() as u64) as usize;
                draft.events[at].1 = expect;
            }
        }
        if draft.events.is_empty() || self.random.percent(40) {
            for _ in 0..1 + self.random.below(3) {
                let table = self.random.pick(&Table::ALL);
                let key = vec![b'k', self.random.below(6) as u8];
                let value = match self.random.below(4) {
                    0 => None,
                    _ => Some(self.random.next().to_le_bytes()[..self.random.below(9) as usize].to_vec()),
                };
                draft.changes.push((table, key, value));
            }
        }
        if self.random.percent(10) {
            let stream = Some(format!("stream-{}", self.random.below(6)));
            let after = self.random.percent(70).then(|| self.random.below(200));
            draft.unless = Some((Query { stream, ..Query::default() }, after));
        }
        draft
    }

    fn event(&mut self) -> Event {
        self.ids += 1;
        let random = &mut self.random;
        let topic = match random.below(8) {
            0 => Vec::new(),
            number => format!("topic.{number}").into_bytes(),
        };
        let stream = match random.below(3) {
            0 => topic.clone(),
            _ => format!("stream-{}", random.below(6)).into_bytes(),
        };
        let len = match random.below(40) {
            0 => random.below(3000),
            1..4 => 0,
            _ => random.below(80),
        };
        let data = (0..len).map(|_| random.next() as u8).collect();
        let caused = random.percent(20);
        Event {
            position: 0,
            version: 0,
            time_ms: now_ms() + random.below(100_000) as i64 - 50_000,
            id: Uuid::from_u128(self.ids << 64 | u128::from(random.next())),
            correlation: if caused { Uuid::from_u128(7) } else { Uuid::nil() },
            causation: if caused { Uuid::from_u128(u128::from(random.next())) } else { Uuid::nil() },
            hops: u32::from(caused),
            topic,
            stream,
            data,
            tags: if random.percent(15) {
                [("kind".to_owned(), random.pick(&["odd", "even"]).to_owned())].into()
            } else {
                Default::default()
            },
        }
    }
}
