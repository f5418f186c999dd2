//! Which energies a reader means, and sending them at its own pace: what `sanctum cat` does, over HTTP.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Sleep, sleep};

use super::call::{Call, invalid};
use super::media::{Media, Writer};
use super::problem::{Code, Problem};
use super::stream::{self, Piece};
use super::{Plane, Server};
use crate::engine::Clock;
use crate::event::Events;
use crate::log::place::Place;
use crate::log::words::{parse_id, parse_pattern, parse_tag, parse_time};
use crate::log::{self, Capacity, FileLog, Follower, Heard, Log, Pages, Query, Received, Subscription};

/// Bytes of energies in a page: of each reader at most two are in memory.
const PAGE_BYTES: usize = 256 << 10;
/// How many energies that are never stored wait for a follower; beyond that the oldest are dropped.
const PASSING: Capacity = Capacity { events: 1_024, bytes: 1 << 20 };
/// Positions that are looked through at once, without a thread for blocking work: they are in memory.
const NEAR: u64 = 128;

/// What a reader asks for.
#[derive(Debug)]
pub struct Reading {
    query: Query,
    from: u64,
    to: u64,
    limit: u64,
    is_backward: bool,
    follow: bool,
    pulse: Option<Duration>,
    media: Media,
}

/// The parameters of which energies.
pub const FILTERS: &[&str] = &["topic", "stream", "tag", "since", "until", "causation", "correlation"];

/// The filters of a call.
///
/// # Errors
/// [`Code::InvalidParameter`].
pub fn filters(call: &Call) -> Result<Query, Problem> {
    let time = |text: &str| parse_time(text, Clock::System.now_ms());
    Ok(Query {
        topics: call.all("topic", parse_pattern)?,
        stream: call.one("stream", |text| Ok(text.to_owned()))?,
        tags: call.all("tag", parse_tag)?,
        since_ms: call.one("since", time)?,
        until_ms: call.one("until", time)?,
        causation: call.one("causation", parse_id)?,
        correlation: call.one("correlation", parse_id)?,
    })
}

impl Reading {
    /// What a call asks for. May look into the log for the place of an id.
    ///
    /// # Errors
    /// Parameters that make no sense, and places that are none.
    pub fn of(call: &Call, log: &FileLog) -> Result<Self, Problem> {
        Self::of_query(call, log, filters(call)?)
    }

    /// As [`Reading::of`], of energies that are known.
    ///
    /// # Errors
    /// As [`Reading::of`].
    pub fn of_query(call: &Call, log: &FileLog, query: Query) -> Result<Self, Problem> {
        let follow = call.flag("follow")?;
        let offered = [Media::Ndjson, Media::Msgpack, Media::Events, Media::Json];
        let media =
            Media::choose(call.first("format"), &call.headers, &offered[..if follow { 3 } else { 4 }])?;
        let pulse = call.number("pulse")?;
        if pulse == Some(0) {
            return Err(invalid("pulse", "it is at least 1, in milliseconds"));
        }
        let is_backward = call.flag("reverse")?;
        let before: Option<Place> = call.one("before", str::parse)?;
        if follow && (is_backward || before.is_some()) {
            return Err(invalid("follow", "it goes with neither `reverse` nor `before`"));
        }
        let head = log.visible();
        let from = match after(call)? {
            Some(place) => place.position(log)? + 1,
            None => 0,
        };
        let to = match before {
            Some(Place::Position(position)) => position.min(head),
            Some(place) => place.position(log)?,
            None => head,
        };
        let (mut limit, last) = (call.number("limit")?.unwrap_or(u64::MAX), call.number("last")?);
        if is_backward {
            limit = limit.min(last.unwrap_or(u64::MAX));
        }
        let mut reading = Self {
            query,
            from,
            to: to.max(from),
            limit,
            is_backward,
            follow,
            pulse: pulse.map(Duration::from_millis),
            media,
        };
        if let Some(last) = last.filter(|_| !is_backward) {
            reading.from = reading.tail(log, last)?;
        }
        Ok(reading)
    }

    /// Where the last N that match begin.
    fn tail(&self, log: &FileLog, last: u64) -> Result<u64, log::Error> {
        let mut pages = Pages::backward(self.to, self.from).limit(last);
        let (mut page, mut first) = (Events::default(), self.to);
        while pages.next(log, &self.query, &mut page)? {
            first = page.iter().last().map_or(first, |event| event.head().position);
        }
        Ok(first)
    }

    /// How it is written.
    #[must_use]
    pub fn media(&self) -> Media {
        self.media
    }

    /// Whether it goes on with what is appended.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.follow
    }

    /// The body: made by a task that ends with it.
    pub fn body(self, server: Arc<Server>, plane: Arc<Plane>) -> Body {
        let (sender, body) = stream::body();
        let visible = plane.visible();
        let pulse = self.pulse.map(Pulse::new);
        let bell = Arc::new(Notify::new());
        let passing = self.follow.then(|| {
            let bell = bell.clone();
            plane.log().bus().subscribe_with(self.query.clone(), PASSING, move || bell.notify_one())
        });
        let reader = Some(Reader::new(self, plane.log().clone(), passing));
        let sending = Sending { reader, sender, visible, bell, pulse };
        tokio::spawn(sending.run(server));
        body
    }
}

/// After which place: the parameter, or what an event source that comes back says it saw last.
fn after(call: &Call) -> Result<Option<Place>, Problem> {
    if let Some(place) = call.one("after", str::parse)? {
        return Ok(Some(place));
    }
    let Some(text) = call.header("last-event-id")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let place =
        text.parse().map_err(|why| Problem::new(Code::InvalidHeader, format!("`Last-Event-ID`: {why}")))?;
    Ok(Some(place))
}

/// Where a reader is.
#[derive(Debug)]
enum Source {
    Pages(Pages, Query, Arc<FileLog>),
    Follower(Box<Follower<Arc<FileLog>>>),
}

/// Reads pages and writes them.
#[derive(Debug)]
struct Reader {
    source: Source,
    writer: Writer,
    page: Events,
    /// Energies that are never stored, for who follows.
    passing: Option<Subscription>,
    out: Vec<u8>,
}

impl Reader {
    fn new(reading: Reading, log: Arc<FileLog>, passing: Option<Subscription>) -> Self {
        let writer = Writer::new(reading.media);
        let source = if reading.follow {
            let follower = Follower::new(log, reading.query, reading.from).limit(reading.limit);
            Source::Follower(Box::new(follower.page_bytes(PAGE_BYTES)))
        } else {
            let (from, to) = (reading.from, reading.to);
            let pages =
                if reading.is_backward { Pages::backward(to, from) } else { Pages::forward(from, to) };
            Source::Pages(pages.limit(reading.limit).page_bytes(PAGE_BYTES), reading.query, log)
        };
        Self { source, writer, page: Events::default(), passing, out: Vec::new() }
    }

    /// The next page, written to `out`.
    fn next(&mut self) -> Result<Heard, log::Error> {
        let heard = match &mut self.source {
            Source::Pages(pages, query, log) => match pages.next(&**log, query, &mut self.page)? {
                true => Heard::Events,
                false => Heard::End,
            },
            Source::Follower(follower) => follower.next(&mut self.page, Duration::ZERO)?,
        };
        match heard {
            Heard::Events => self.page.iter().for_each(|event| self.writer.energy(event, &mut self.out)),
            Heard::Threshold(position) => {
                self.writer.mark("threshold", i64::try_from(position).unwrap_or(i64::MAX), &mut self.out);
            }
            Heard::End => self.writer.end(&mut self.out),
            Heard::Pulse | Heard::Nothing => {}
        }
        let has_passed = self.pass_on();
        Ok(if has_passed && matches!(heard, Heard::Pulse | Heard::Nothing) { Heard::Events } else { heard })
    }

    /// Adds energies that are never stored, once live; true where there were any.
    fn pass_on(&mut self) -> bool {
        let (Source::Follower(follower), Some(passing)) = (&mut self.source, &self.passing) else {
            return false;
        };
        let before = self.out.len();
        while follower.is_live() && self.out.len() < PAGE_BYTES && follower.spend(0) {
            match passing.try_next() {
                None => break,
                Some(Received::Dropped(count)) => {
                    self.writer.mark("dropped", i64::try_from(count).unwrap_or(i64::MAX), &mut self.out);
                }
                Some(Received::Live(live)) => {
                    self.writer.energy(live.event(), &mut self.out);
                    follower.spend(1);
                }
            }
        }
        self.out.len() > before
    }

    /// Whether what comes next is little, and in memory.
    fn is_near(&self, visible: u64) -> bool {
        match &self.source {
            Source::Pages(..) => false,
            Source::Follower(follower) => {
                follower.is_live() && visible.saturating_sub(follower.position()) <= NEAR
            }
        }
    }

    /// Lets go of memory while nothing is to be sent.
    fn rest(&mut self) {
        self.page = Events::default();
    }
}

/// Sends pages to a body.
struct Sending {
    /// `None` while it is on a thread for blocking work.
    reader: Option<Reader>,
    sender: mpsc::Sender<Piece>,
    visible: watch::Receiver<u64>,
    /// Rung when an energy comes that is never stored.
    bell: Arc<Notify>,
    pulse: Option<Pulse>,
}

impl Sending {
    async fn run(mut self, server: Arc<Server>) {
        server.metrics.reader(1);
        if let Err(error) = self.send(&server).await {
            tracing::error!(%error, "a reader's answer breaks off");
            // Who does not read any more needs no error.
            let _ = self.sender.send(Err(std::io::Error::other("the log could not be read"))).await;
        }
        server.metrics.reader(-1);
    }

    async fn send(&mut self, server: &Server) -> Result<(), log::Error> {
        loop {
            let sender = self.sender.clone();
            // Nothing is read before there is room for it.
            let Ok(room) = sender.reserve().await else { return Ok(()) };
            self.visible.mark_unchanged();
            let (heard, bytes) = self.next().await?;
            match heard {
                Heard::Events => room.send(Ok(bytes)),
                Heard::Threshold(_) => {
                    room.send(Ok(bytes));
                    self.pulse.iter_mut().for_each(Pulse::restart);
                }
                Heard::End => {
                    if !bytes.is_empty() {
                        room.send(Ok(bytes));
                    }
                    return Ok(());
                }
                Heard::Pulse | Heard::Nothing => {
                    drop(room);
                    if !self.wait(server).await {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn next(&mut self) -> Result<(Heard, Bytes), log::Error> {
        let Some(mut reader) = self.reader.take() else { return Ok((Heard::End, Bytes::new())) };
        let visible = *self.visible.borrow();
        let (reader, heard) = if reader.is_near(visible) {
            let heard = reader.next();
            (reader, heard)
        } else {
            let read = spawn_blocking(move || {
                let heard = reader.next();
                (reader, heard)
            });
            match read.await {
                Ok(read) => read,
                // The runtime ends, or a panic was reported.
                Err(_) => return Ok((Heard::End, Bytes::new())),
            }
        };
        let reader = self.reader.insert(reader);
        let bytes = Bytes::from(std::mem::take(&mut reader.out));
        Ok((heard?, bytes))
    }

    /// Waits for more; false where there is nothing to wait for any more.
    async fn wait(&mut self, server: &Server) -> bool {
        if let Some(reader) = &mut self.reader {
            reader.rest();
        }
        tokio::select! {
            changed = self.visible.changed() => changed.is_ok(),
            () = self.bell.notified() => true,
            () = self.sender.closed() => false,
            () = server.stopped() => false,
            () = tick(&mut self.pulse) => self.beat().await,
        }
    }

    /// Says that nothing was missed.
    async fn beat(&mut self) -> bool {
        self.pulse.iter_mut().for_each(Pulse::restart);
        let Some(reader) = &mut self.reader else { return false };
        let mut out = Vec::new();
        reader.writer.mark("pulse", Clock::System.now_ms(), &mut out);
        self.sender.send(Ok(out.into())).await.is_ok()
    }
}

/// A sign of life at an interval.
struct Pulse {
    every: Duration,
    next: Pin<Box<Sleep>>,
}

impl Pulse {
    fn new(every: Duration) -> Self {
        Self { every, next: Box::pin(sleep(every)) }
    }

    fn restart(&mut self) {
        self.next = Box::pin(sleep(self.every));
    }
}

/// Completes at the next pulse, or never.
async fn tick(pulse: &mut Option<Pulse>) {
    match pulse {
        Some(pulse) => pulse.next.as_mut().await,
        None => std::future::pending().await,
    }
}
