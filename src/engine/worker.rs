//! Who runs the casts: this thread, or several that own their VMs.
//!
//! A lane's VM lives on one worker for good. Workers share nothing: a round goes to them over a
//! bounded channel as a closed enum, what its casts did comes back the same way. With one worker
//! everything runs on the ordering thread; for a simulator it does so in the order of [`Turns`].

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::turns::Turns;
use crate::event::Events;
use crate::spell::{Clocks, Fault, Lane, Memory, OpenError, Round, Spell, Task};

/// Stack of a worker: Lua's C calls nest at most 200 deep, each with a native's frame.
const STACK_BYTES: usize = 16 << 20;

/// What lanes did, by lane.
type Rounds = Vec<(usize, Round)>;

/// What came of opening lanes, by lane.
#[derive(Default)]
pub struct Opened {
    /// What those printed that are open.
    pub rounds: Rounds,
    /// Those that could not be opened.
    pub failed: Vec<(usize, OpenError)>,
}

impl Opened {
    /// What threads answer that were asked to open lanes.
    fn of<'a>(threads: impl Iterator<Item = &'a Thread>) -> Self {
        let mut opened = Self::default();
        for thread in threads {
            if let Ok(Answer::Opened(share)) = thread.answers.recv() {
                opened.rounds.extend(share.rounds);
                opened.failed.extend(share.failed);
            }
        }
        opened.rounds.sort_by_key(|(lane, _)| *lane);
        opened.failed.sort_by_key(|(lane, _)| *lane);
        opened
    }
}

enum Order {
    Round { events: Arc<Events>, tasks: Vec<(usize, Vec<Task>)>, used: Vec<(usize, Round)> },
    GoOn { lane: usize, round: Box<Round>, stands: bool },
    Renew(Vec<Shut>),
    Close,
}

enum Answer {
    Opened(Opened),
    Round(Vec<(usize, Round)>),
    Closed(Vec<Closed>),
}

/// A lane at its end.
pub struct Closed {
    /// Which lane.
    pub lane: usize,
    /// What `unprepare` printed.
    pub round: Round,
    /// Whether it failed.
    pub fault: Option<Fault>,
}

/// All workers.
pub enum Crew {
    /// One worker: the ordering thread itself.
    Inline(Hands),
    /// The ordering thread, in the place of several.
    Taking(Turns, Hands),
    /// Threads, by number; lane `n` is at worker `n % threads.len()`.
    Threads(Vec<Thread>),
}

/// A worker's thread and the channels to it.
pub struct Thread {
    orders: Sender<Order>,
    answers: Receiver<Answer>,
    handle: Option<JoinHandle<()>>,
}

/// A lane that is to be opened.
pub struct Shut {
    /// Which lane.
    pub index: usize,
    /// Its spell.
    pub spell: Arc<Spell>,
    /// What it remembers.
    pub memory: Memory,
}

/// The lanes of one worker.
pub struct Hands {
    lanes: Vec<(usize, Lane)>,
    clocks: Clocks,
}

impl Hands {
    /// Opens the lanes, and returns what `prepare` did in each.
    fn open(lanes: Vec<Shut>, clocks: Clocks) -> (Self, Opened) {
        let mut hands = Self { lanes: Vec::new(), clocks };
        let opened = hands.renew(lanes);
        (hands, opened)
    }

    /// Opens lanes, in the place of those that were there.
    fn renew(&mut self, lanes: Vec<Shut>) -> Opened {
        let mut opened = Opened::default();
        for Shut { index, spell, memory } in lanes {
            // Before the new one is made: two of them would take twice the room.
            self.lanes.retain(|(at, _)| *at != index);
            match spell.open_with(self.clocks, &memory) {
                Ok(mut lane) => {
                    opened.rounds.push((index, lane.take_round()));
                    self.lanes.push((index, lane));
                }
                Err(error) => opened.failed.push((index, error)),
            }
        }
        opened
    }

    fn lane(&mut self, index: usize) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|(at, _)| *at == index).map(|(_, lane)| lane)
    }

    fn run(&mut self, events: &Arc<Events>, tasks: Vec<(usize, Vec<Task>)>) -> Vec<(usize, Round)> {
        let mut rounds = Vec::with_capacity(tasks.len());
        for (index, tasks) in tasks {
            if let Some(lane) = self.lane(index) {
                lane.run(events, tasks);
                rounds.push((index, lane.take_round()));
            }
        }
        rounds
    }

    /// As [`run`](Self::run), with the lanes in turns.
    fn take_turns(
        &mut self,
        turns: &mut Turns,
        events: &Arc<Events>,
        tasks: Vec<(usize, Vec<Task>)>,
    ) -> Rounds {
        let lanes: Vec<usize> = tasks.iter().map(|(lane, _)| *lane).collect();
        let mut waiting: Vec<_> =
            tasks.into_iter().map(|(lane, tasks)| (lane, tasks.into_iter().peekable())).collect();
        while !waiting.is_empty() {
            let (at, count) = turns.next(waiting.len());
            let (index, tasks) = &mut waiting[at];
            let turn: Vec<Task> = tasks.by_ref().take(count).collect();
            let goes_on = self.lane(*index).is_some_and(|lane| {
                lane.run(events, turn);
                !lane.wait(tasks.by_ref()) && !lane.has_stopped()
            });
            if !goes_on || tasks.peek().is_none() {
                drop(waiting.remove(at));
            }
        }
        lanes.into_iter().filter_map(|index| Some((index, self.lane(index)?.take_round()))).collect()
    }

    fn go_on(&mut self, index: usize, round: Round, stands: bool) -> Round {
        match self.lane(index) {
            Some(lane) => {
                lane.go_on(round, stands);
                lane.take_round()
            }
            None => round,
        }
    }

    fn recycle(&mut self, used: Vec<(usize, Round)>) {
        for (index, round) in used {
            if let Some(lane) = self.lane(index) {
                lane.recycle(round);
            }
        }
    }

    fn close(&mut self) -> Vec<Closed> {
        let close = |(lane, mut live): (usize, Lane)| {
            let fault = live.close().err();
            Closed { lane, fault, round: live.take_round() }
        };
        self.lanes.drain(..).map(close).collect()
    }
}

impl Crew {
    /// Opens all lanes on `workers` workers. What `prepare` did comes back in the order of lanes; where one
    /// failed, the crew is not to be used.
    pub fn open(
        lanes: Vec<(Arc<Spell>, Memory)>,
        workers: usize,
        turns: Option<Turns>,
        clocks: Clocks,
    ) -> (Self, Opened) {
        let shut = |(index, (spell, memory))| Shut { index, spell, memory };
        let lanes: Vec<Shut> = lanes.into_iter().enumerate().map(shut).collect();
        let workers = workers.clamp(1, lanes.len().max(1));
        if let Some(turns) = turns {
            let (hands, opened) = Hands::open(lanes, clocks);
            return (Self::Taking(turns, hands), opened);
        }
        if workers == 1 {
            let (hands, opened) = Hands::open(lanes, clocks);
            return (Self::Inline(hands), opened);
        }
        let mut shares: Vec<Vec<Shut>> = (0..workers).map(|_| Vec::new()).collect();
        for lane in lanes {
            shares[lane.index % workers].push(lane);
        }
        let threads: Vec<Thread> = shares.into_iter().map(|share| Thread::start(share, clocks)).collect();
        let opened = Opened::of(threads.iter());
        (Self::Threads(threads), opened)
    }

    /// Opens lanes anew, in the place of those that are there and are forgotten, with all that is in their VMs.
    pub fn renew(&mut self, lanes: Vec<Shut>) -> Opened {
        match self {
            Self::Inline(hands) | Self::Taking(_, hands) => hands.renew(lanes),
            Self::Threads(threads) => {
                let mut shares: Vec<Vec<Shut>> = threads.iter().map(|_| Vec::new()).collect();
                for lane in lanes {
                    shares[lane.index % threads.len()].push(lane);
                }
                let asked = threads.iter().zip(shares).filter(|(_, share)| !share.is_empty());
                let asked: Vec<&Thread> = asked
                    .filter_map(|(thread, share)| {
                        thread.orders.send(Order::Renew(share)).is_ok().then_some(thread)
                    })
                    .collect();
                Opened::of(asked.into_iter())
            }
        }
    }

    /// Runs the tasks of a round, by lane, and returns what they did. `used` are rounds whose memory is
    /// handed back.
    pub fn run(
        &mut self,
        events: &Arc<Events>,
        tasks: Vec<(usize, Vec<Task>)>,
        used: Vec<(usize, Round)>,
    ) -> Vec<(usize, Round)> {
        match self {
            Self::Inline(hands) => {
                hands.recycle(used);
                hands.run(events, tasks)
            }
            Self::Taking(turns, hands) => {
                hands.recycle(used);
                hands.take_turns(turns, events, tasks)
            }
            Self::Threads(threads) => {
                let count = threads.len();
                let mut shares: Vec<_> = (0..count).map(|_| (Vec::new(), Vec::new())).collect();
                for (lane, tasks) in tasks {
                    shares[lane % count].0.push((lane, tasks));
                }
                for (lane, round) in used {
                    shares[lane % count].1.push((lane, round));
                }
                let mut asked = Vec::with_capacity(count);
                for (thread, (tasks, used)) in threads.iter().zip(shares) {
                    if !tasks.is_empty() {
                        let order = Order::Round { events: events.clone(), tasks, used };
                        asked.extend(thread.orders.send(order).is_ok().then_some(thread));
                    }
                }
                let mut rounds = Vec::new();
                for thread in asked {
                    if let Ok(Answer::Round(done)) = thread.answers.recv() {
                        rounds.extend(done);
                    }
                }
                rounds
            }
        }
    }

    /// Has a lane go on after a cast that was held, with what it did in the round so far; returns that and the rest.
    pub fn go_on(&mut self, lane: usize, round: Round, stands: bool) -> Round {
        match self {
            Self::Inline(hands) | Self::Taking(_, hands) => hands.go_on(lane, round, stands),
            Self::Threads(threads) => {
                let thread = &threads[lane % threads.len()];
                let asked = thread.orders.send(Order::GoOn { lane, round: Box::new(round), stands });
                match asked.ok().and_then(|()| thread.answers.recv().ok()) {
                    Some(Answer::Round(mut done)) => {
                        done.pop().map_or_else(Round::default, |(_, round)| round)
                    }
                    // A worker that panicked has told why.
                    _ => Round::default(),
                }
            }
        }
    }

    /// Calls `unprepare` in every lane and ends the workers.
    pub fn close(&mut self) -> Vec<Closed> {
        let mut closed = match self {
            Self::Inline(hands) | Self::Taking(_, hands) => hands.close(),
            Self::Threads(threads) => {
                let mut closed = Vec::new();
                for thread in threads.iter() {
                    if thread.orders.send(Order::Close).is_ok()
                        && let Ok(Answer::Closed(done)) = thread.answers.recv()
                    {
                        closed.extend(done);
                    }
                }
                closed
            }
        };
        closed.sort_by_key(|closed| closed.lane);
        closed
    }
}

impl Thread {
    fn start(lanes: Vec<Shut>, clocks: Clocks) -> Self {
        let (orders, inbox) = bounded(2);
        let (outbox, answers) = bounded(2);
        let work = move || work(lanes, clocks, &inbox, &outbox);
        let handle = Builder::new().name("worker".into()).stack_size(STACK_BYTES).spawn(work).ok();
        Self { orders, answers, handle }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Closing the channel ends the worker's loop.
        let (closed, _) = bounded(0);
        self.orders = closed;
        if let Some(handle) = self.handle.take() {
            // A worker that panicked has been noticed when its answer did not come.
            let _ = handle.join();
        }
    }
}

fn work(lanes: Vec<Shut>, clocks: Clocks, inbox: &Receiver<Order>, outbox: &Sender<Answer>) {
    let (mut hands, opened) = Hands::open(lanes, clocks);
    let failed = !opened.failed.is_empty();
    // Nobody listens any more only when the engine is gone.
    if outbox.send(Answer::Opened(opened)).is_err() || failed {
        return;
    }
    while let Ok(order) = inbox.recv() {
        let answer = match order {
            Order::Round { events, tasks, used } => {
                hands.recycle(used);
                Answer::Round(hands.run(&events, tasks))
            }
            Order::GoOn { lane, round, stands } => {
                Answer::Round(vec![(lane, hands.go_on(lane, *round, stands))])
            }
            Order::Renew(lanes) => Answer::Opened(hands.renew(lanes)),
            Order::Close => Answer::Closed(hands.close()),
        };
        if outbox.send(answer).is_err() {
            return;
        }
    }
}
