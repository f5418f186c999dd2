//! Turns energies into tasks: routes, filters, lanes, batches, timers.
//!
//! Everything here is decided on the ordering thread, from the log alone: positions and the energies'
//! times. So batches are cut, and timers fire, at the same places in every run.
//!
//! A spell's clock is the latest time among the energies of its topics, its filter aside: it stands
//! still while nothing comes, and never goes back. A live run has the server's clock in its log, as energies of
//! [`TICK_TOPIC`]: they move the clocks of all spells that have one. Ticks lie on multiples of `every`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};

use super::resume::Standing;
use crate::event::envelope::spell_key;
use crate::event::{EventRef, Events};
use crate::log::{Error, Log};
use crate::router::{Router, Subscriptions};
use crate::spell::{Spell, Task, lane_key};

/// The topic of the energies by which the clock of a live run reaches spells.
pub const TICK_TOPIC: &str = "sanctum.tick";
/// Ticks that one energy makes due at most; of a longer gap the last ones are given.
const TICKS_MAX: i64 = 1_000;

/// One task in the order of commit.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// The energy's index in the round, `u32::MAX` at the end of a run.
    pub event: u32,
    /// The spell, in spell order.
    pub spell: u32,
    /// The lane that runs it.
    pub lane: u32,
    /// What it is.
    pub kind: Kind,
}

/// What a task calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `cast` with a batch of so many energies that time made due.
    DueBatch(u32),
    /// `tick`, the so-many-th that one energy makes due.
    Tick(u32),
    /// `cast` with one energy.
    Cast,
    /// `cast` with a batch of so many energies, now complete.
    FullBatch(u32),
    /// The energy joined a batch: nothing runs yet.
    Joined,
}

/// An energy of a batch.
pub type Member = (Arc<Events>, u32);

impl Kind {
    /// Tells apart the tasks that one energy brings to one spell, in what is derived from them.
    pub fn salt(self) -> u32 {
        match self {
            Self::Cast | Self::Joined => 0,
            Self::DueBatch(_) | Self::FullBatch(_) => 1,
            Self::Tick(ordinal) => 2 + ordinal,
        }
    }
}

/// A batch that is not complete.
struct Pending {
    key: Box<[u8]>,
    members: Vec<Member>,
    due_ms: i64,
}

/// Where a spell's lanes and waiting energies are.
struct Target {
    id: u32,
    spell: Arc<Spell>,
    first_lane: u32,
    /// Energies before this position it has had, or does not want.
    from: u64,
    /// How often the spell was rewound.
    epoch: u64,
    /// Whether anything of this spell depends on time.
    is_timed: bool,
    now_ms: i64,
    /// The least time at which a batch or tick is due.
    due_ms: i64,
    next_tick_ms: Option<i64>,
    pending: BTreeMap<u64, Pending>,
    pending_index: FxHashMap<Box<[u8]>, u64>,
    batches: u64,
}

/// See the module.
pub struct Deliveries {
    router: Router,
    targets: Vec<Target>,
}

/// The tasks of one round.
#[derive(Default)]
pub struct Plan {
    /// In the order of commit.
    pub deliveries: Vec<Delivery>,
    /// By lane, in the same order.
    pub tasks: Vec<Vec<Task>>,
    /// Energies that a table filter rejected, by spell.
    pub filtered: Vec<u64>,
}

impl Plan {
    /// Empties the plan for another round.
    pub fn reset(&mut self, lanes: usize, spells: usize) {
        self.deliveries.clear();
        self.tasks.resize_with(lanes, Vec::new);
        self.filtered.clear();
        self.filtered.resize(spells, 0);
    }

    /// The members of each batch task, in the order of commit.
    #[must_use]
    pub fn batch_members(&self) -> Vec<Vec<Member>> {
        let mut next = vec![0; self.tasks.len()];
        let mut members = Vec::new();
        for delivery in &self.deliveries {
            if delivery.kind == Kind::Joined {
                continue;
            }
            let lane = delivery.lane as usize;
            if let Some(Task::Batch(batch)) = self.tasks[lane].get(next[lane]) {
                members.push(batch.clone());
            }
            next[lane] += 1;
        }
        members
    }

    /// The tasks of the lanes that have any.
    #[must_use]
    pub fn take_tasks(&mut self) -> Vec<(usize, Vec<Task>)> {
        let lanes = self.tasks.iter_mut().enumerate();
        lanes
            .filter(|(_, tasks)| !tasks.is_empty())
            .map(|(lane, tasks)| (lane, std::mem::take(tasks)))
            .collect()
    }

    fn add(&mut self, event: u32, spell: u32, lane: u32, kind: Kind, task: Task) {
        self.deliveries.push(Delivery { event, spell, lane, kind });
        self.tasks[lane as usize].push(task);
    }
}

impl Deliveries {
    /// `spells` in spell order; lanes are numbered in the same order.
    #[must_use]
    pub fn new(spells: &[Arc<Spell>]) -> Self {
        let mut subscriptions = Subscriptions::new();
        let mut first_lane = 0;
        let mut targets = Vec::new();
        for (index, spell) in spells.iter().enumerate() {
            subscriptions.insert(&spell.topics, index as u32);
            targets.push(Target {
                id: index as u32,
                spell: spell.clone(),
                first_lane,
                from: 0,
                epoch: 0,
                is_timed: spell.every_ms.is_some()
                    || spell.batch.is_some_and(|batch| batch.within_ms.is_some()),
                now_ms: i64::MIN,
                due_ms: i64::MIN,
                next_tick_ms: None,
                pending: BTreeMap::new(),
                pending_index: FxHashMap::default(),
                batches: 0,
            });
            first_lane += spell.lanes as u32;
        }
        Self { router: Router::new(subscriptions), targets }
    }

    /// Adds the tasks for the energy at `index` of the round: for each spell what its time makes due, then
    /// its cast.
    pub fn deliver(&mut self, events: &Arc<Events>, index: u32, plan: &mut Plan) {
        self.deliver_to(events, index, plan, |_| true);
    }

    /// As [`deliver`](Deliveries::deliver), to some spells only.
    pub fn deliver_to(
        &mut self,
        events: &Arc<Events>,
        index: u32,
        plan: &mut Plan,
        is_wanted: impl Fn(u32) -> bool,
    ) {
        let event = events.get(index as usize);
        if event.topic_bytes() == TICK_TOPIC.as_bytes() {
            return self.deliver_time(events, index, plan, is_wanted);
        }
        for &id in self.router.route(event.topic_bytes()) {
            let target = &mut self.targets[id as usize];
            if event.head().position < target.from || !is_wanted(id) {
                continue;
            }
            target.advance(event.head().time_ms, index, plan);
            if target.spell.filter.as_ref().is_some_and(|filter| !filter.matches(event)) {
                plan.filtered[id as usize] += 1;
                continue;
            }
            target.deliver(events, index, event, plan);
        }
    }

    /// Delivers an energy of the server's clock: it moves the clock of every spell that has one, and is cast by those
    /// alone that draw on it.
    fn deliver_time(
        &mut self,
        events: &Arc<Events>,
        index: u32,
        plan: &mut Plan,
        is_wanted: impl Fn(u32) -> bool,
    ) {
        let event = events.get(index as usize);
        let drawing = self.router.route(event.topic_bytes());
        for target in &mut self.targets {
            if event.head().position < target.from || !is_wanted(target.id) {
                continue;
            }
            target.advance(event.head().time_ms, index, plan);
            if !drawing.contains(&target.id) {
                continue;
            }
            if target.spell.filter.as_ref().is_some_and(|filter| !filter.matches(event)) {
                plan.filtered[target.id as usize] += 1;
                continue;
            }
            target.deliver(events, index, event, plan);
        }
    }

    /// The earliest time at which a batch or a tick of any spell is due; the least number for a timer that time
    /// itself has to start. `None` where nothing waits for time.
    #[must_use]
    pub fn due_ms(&self) -> Option<i64> {
        self.targets.iter().filter(|target| target.is_timed).filter_map(Target::earliest_ms).min()
    }

    /// Delivers one energy to one spell once more, whatever its topic, its filter and its place.
    pub fn deliver_again(&mut self, events: &Arc<Events>, index: u32, spell: usize, plan: &mut Plan) {
        self.targets[spell].deliver(events, index, events.get(index as usize), plan);
    }

    /// Delivers an energy that is not in the log to the spells that draw on it one by one. It moves no clock and waits in
    /// no batch, since nothing of it would be there after a restart.
    pub fn deliver_passing(&mut self, events: &Arc<Events>, index: u32, plan: &mut Plan) {
        let event = events.get(index as usize);
        for &id in self.router.route(event.topic_bytes()) {
            let target = &mut self.targets[id as usize];
            if target.spell.batch.is_some() {
                continue;
            }
            if target.spell.filter.as_ref().is_some_and(|filter| !filter.matches(event)) {
                plan.filtered[id as usize] += 1;
                continue;
            }
            target.deliver(events, index, event, plan);
        }
    }

    /// What stands for a spell in the ids of what it produces.
    #[must_use]
    pub fn key_of(&self, spell: usize) -> [u8; 16] {
        let target = &self.targets[spell];
        spell_key(&target.spell.name, target.epoch)
    }

    /// How often a spell was rewound.
    #[must_use]
    pub fn epoch_of(&self, spell: usize) -> u64 {
        self.targets[spell].epoch
    }

    /// Where a spell stands, `next` being the position it wants next.
    #[must_use]
    pub fn standing(&self, spell: usize, next: u64) -> Standing {
        let target = &self.targets[spell];
        let members = target.pending.values().flat_map(|pending| &pending.members);
        let mut waiting: Vec<u64> =
            members.map(|(events, index)| events.get(*index as usize).head().position).collect();
        waiting.sort_unstable();
        Standing {
            next: next.max(target.from),
            now_ms: Some(target.now_ms).filter(|now| *now != i64::MIN),
            next_tick_ms: target.next_tick_ms,
            epoch: target.epoch,
            waiting,
        }
    }

    /// Has a spell go on where it stood. What waited is read from the log.
    pub fn resume(&mut self, spell: usize, standing: &Standing, log: &dyn Log) -> Result<(), Error> {
        let target = &mut self.targets[spell];
        target.from = standing.next;
        target.epoch = standing.epoch;
        target.now_ms = standing.now_ms.unwrap_or(i64::MIN);
        target.next_tick_ms = standing.next_tick_ms;
        target.due_ms = standing.next_tick_ms.unwrap_or(i64::MIN);
        for &position in &standing.waiting {
            if let Some((events, index)) = log.read(position)?
                && events.get(index).head().position == position
            {
                target.join(&events, index as u32);
            }
        }
        Ok(())
    }

    /// The lane, of those of a spell, that casts a lane key.
    #[must_use]
    pub fn lane_of(&self, spell: usize, key: &[u8]) -> usize {
        let target = &self.targets[spell];
        (target.lane_of(key) - target.first_lane) as usize
    }

    /// Whether a spell draws on an energy, as far as topics and table filters say.
    #[must_use]
    pub fn is_drawn_on(&mut self, event: EventRef<'_>) -> bool {
        self.router.route(event.topic_bytes()).iter().any(|&id| {
            self.targets[id as usize].spell.filter.as_ref().is_none_or(|filter| filter.matches(event))
        })
    }

    /// Adds all batches that are not complete, for the end of a run.
    pub fn flush(&mut self, plan: &mut Plan) {
        for target in &mut self.targets {
            while let Some((&number, _)) = target.pending.first_key_value() {
                target.release(number, u32::MAX, plan, Kind::DueBatch);
            }
        }
    }
}

impl Target {
    /// Moves the spell's clock, the latest time among the energies of its topics, and fires what is due.
    fn advance(&mut self, time_ms: i64, index: u32, plan: &mut Plan) {
        if self.is_timed && time_ms > self.now_ms {
            self.now_ms = time_ms;
            if time_ms >= self.due_ms {
                self.fire(index, plan);
            }
        }
    }

    /// When its next batch or tick is due.
    fn earliest_ms(&self) -> Option<i64> {
        let batches = self.pending.values().map(|pending| pending.due_ms);
        let tick = self.spell.every_ms.map(|_| self.next_tick_ms.unwrap_or(i64::MIN));
        batches.chain(tick).min()
    }

    /// Adds the task for an energy that is for this spell, or puts it into its batch.
    fn deliver(&mut self, events: &Arc<Events>, index: u32, event: EventRef<'_>, plan: &mut Plan) {
        let Some(batch) = self.spell.batch else {
            let key = self.key_of(event);
            return plan.add(index, self.id, self.lane_of(&key), Kind::Cast, Task::Cast(index));
        };
        let number = self.join(events, index);
        let members = self.pending.get(&number).map_or(0, |pending| pending.members.len());
        if members as u64 >= batch.size {
            self.release(number, index, plan, Kind::FullBatch);
        } else {
            plan.deliveries.push(Delivery { event: index, spell: self.id, lane: 0, kind: Kind::Joined });
        }
    }

    fn key_of<'e>(&self, event: EventRef<'e>) -> Cow<'e, [u8]> {
        match &self.spell.lane {
            Some(path) => lane_key(event.data(), path),
            None => Cow::Borrowed(&[][..]),
        }
    }

    /// Adds an energy to its batch, and returns the batch's number.
    fn join(&mut self, events: &Arc<Events>, index: u32) -> u64 {
        let event = events.get(index as usize);
        let key = self.key_of(event);
        let key = &*key;
        let number = match self.pending_index.get(key) {
            Some(&number) => number,
            None => {
                self.batches += 1;
                let within = self.spell.batch.and_then(|batch| batch.within_ms).unwrap_or(u64::MAX);
                let due_ms = event.head().time_ms.saturating_add_unsigned(within);
                self.pending.insert(self.batches, Pending { key: key.into(), members: Vec::new(), due_ms });
                self.pending_index.insert(key.into(), self.batches);
                self.due_ms = self.due_ms.min(due_ms);
                self.batches
            }
        };
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.members.push((events.clone(), index));
        }
        number
    }

    /// Casts a batch that is complete or due.
    fn release(&mut self, number: u64, index: u32, plan: &mut Plan, kind: fn(u32) -> Kind) {
        if let Some(pending) = self.pending.remove(&number) {
            self.pending_index.remove(&pending.key);
            let count = pending.members.len() as u32;
            let lane = self.lane_of(&pending.key);
            plan.add(index, self.id, lane, kind(count), Task::Batch(pending.members));
        }
    }

    /// Adds the batches and ticks that are due.
    #[cold]
    fn fire(&mut self, index: u32, plan: &mut Plan) {
        let now_ms = self.now_ms;
        let due = |(&number, pending): (&u64, &Pending)| (pending.due_ms <= now_ms).then_some(number);
        for number in self.pending.iter().filter_map(due).collect::<Vec<_>>() {
            self.release(number, index, plan, Kind::DueBatch);
        }
        if let Some(every) = self.spell.every_ms.and_then(|every| i64::try_from(every).ok()) {
            self.tick(every, index, plan);
        }
        let batches = self.pending.values().map(|pending| pending.due_ms).min();
        self.due_ms = batches.unwrap_or(i64::MAX).min(self.next_tick_ms.unwrap_or(i64::MAX));
    }

    /// Adds the ticks between the last one and now. The first energy only starts the timer.
    fn tick(&mut self, every: i64, index: u32, plan: &mut Plan) {
        let last = self.now_ms.div_euclid(every).saturating_mul(every);
        if let Some(next) = self.next_tick_ms {
            let mut now_ms = next.max(last.saturating_sub(every.saturating_mul(TICKS_MAX - 1)));
            let mut ordinal = 0;
            while now_ms <= last {
                let task = Task::Tick { now_ms, event: index, ordinal };
                plan.add(index, self.id, self.first_lane, Kind::Tick(ordinal), task);
                ordinal += 1;
                now_ms = now_ms.saturating_add(every);
            }
        }
        self.next_tick_ms = Some(last.saturating_add(every));
    }

    /// The lane that casts a key; which one never shows in the results.
    fn lane_of(&self, key: &[u8]) -> u32 {
        if self.spell.lanes == 1 {
            return self.first_lane;
        }
        let mut hasher = FxHasher::default();
        hasher.write(key);
        self.first_lane + ((hasher.finish() >> 32) % self.spell.lanes as u64) as u32
    }
}
