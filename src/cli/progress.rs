//! A progress bar on a terminal, for a run that takes over a second.

use std::cell::Cell;
use std::io::{self, IsTerminal};
use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::engine::Intake;
use crate::engine::clock::steady_ms;
use crate::event::Events;
use crate::log::Changes;
use crate::runeset::Diagnostic;

/// A run shorter than this has no bar.
const AFTER_MS: u64 = 1_000;
/// Milliseconds between two looks at the clock's result on the screen.
const EVERY_MS: u64 = 100;

/// Bytes of the seeds that were read, and of all.
type Share = Rc<Cell<Option<(u64, u64)>>>;

/// See the module.
pub struct Progress {
    enabled: bool,
    /// Whether spells print to the same terminal, which a bar would spoil.
    shares_terminal: bool,
    begin_ms: u64,
    next_ms: u64,
    share: Share,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A bar, hidden where standard error is no terminal.
    #[must_use]
    pub fn new() -> Self {
        let begin_ms = steady_ms();
        Self {
            enabled: io::stderr().is_terminal(),
            shares_terminal: io::stdout().is_terminal(),
            begin_ms,
            next_ms: begin_ms + AFTER_MS,
            share: Rc::default(),
            bar: None,
        }
    }

    /// The seeds, watched for how far they are read.
    pub fn watch<'a>(&self, intake: &'a mut dyn Intake) -> Watched<'a> {
        Watched { intake, share: self.share.clone() }
    }

    /// Shows how far the run is.
    pub fn update(&mut self, events: u64, casts: u64) {
        if !self.enabled {
            return;
        }
        let now = steady_ms();
        if now < self.next_ms {
            return;
        }
        self.next_ms = now + EVERY_MS;
        let bar = self.bar.get_or_insert_with(|| bar(self.share.get()));
        let seconds = (now - self.begin_ms).max(1) as f64 / 1_000.0;
        bar.set_message(format!("{events} seeds, {casts} casts, {:.0} casts/s", casts as f64 / seconds));
        match self.share.get() {
            Some((done, total)) => {
                bar.set_length(total);
                bar.set_position(done);
            }
            None => bar.tick(),
        }
    }

    /// A spell printed: no bar any more where that goes to the same terminal.
    pub fn printed(&mut self) {
        if self.enabled && self.shares_terminal {
            self.end();
        }
    }

    /// Makes room for a line on standard error; the bar comes back with the next update.
    pub fn hide(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// No bar from now on.
    pub fn end(&mut self) {
        self.hide();
        self.enabled = false;
    }
}

fn bar(share: Option<(u64, u64)>) -> ProgressBar {
    let (bar, template) = match share {
        Some((_, total)) => (ProgressBar::new(total), "{elapsed_precise} {wide_bar} {percent}% {msg}"),
        None => (ProgressBar::new_spinner(), "{elapsed_precise} {spinner} {msg}"),
    };
    bar.enable_steady_tick(Duration::from_millis(EVERY_MS));
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Seeds that tell the bar how far they are read.
pub struct Watched<'a> {
    intake: &'a mut dyn Intake,
    share: Share,
}

impl Intake for Watched<'_> {
    fn fill(&mut self, batch: &mut Events) -> Result<bool, Box<Diagnostic>> {
        let filled = self.intake.fill(batch);
        self.share.set(self.intake.progress());
        filled
    }

    fn set_settled(&mut self, position: u64) {
        self.intake.set_settled(position);
    }

    fn record(&mut self, changes: &mut Changes) {
        self.intake.record(changes);
    }

    fn locate(&self, index: usize, diagnostic: Diagnostic) -> Diagnostic {
        self.intake.locate(index, diagnostic)
    }

    fn big_uints(&self) -> u64 {
        self.intake.big_uints()
    }

    fn progress(&self) -> Option<(u64, u64)> {
        self.intake.progress()
    }
}

/// How many bytes were done, on a terminal, for what takes over a second.
pub struct Gauge {
    what: &'static str,
    enabled: bool,
    next_ms: u64,
    bar: Option<ProgressBar>,
}

impl Gauge {
    /// Hidden where standard error is no terminal. `what` was done: "copied".
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self { what, enabled: io::stderr().is_terminal(), next_ms: steady_ms() + AFTER_MS, bar: None }
    }

    /// Shows how far it is.
    pub fn update(&mut self, bytes: u64, total: Option<u64>) {
        if !self.enabled || steady_ms() < self.next_ms {
            return;
        }
        self.next_ms = steady_ms() + EVERY_MS;
        let bar = self.bar.get_or_insert_with(|| bar(total.map(|total| (bytes, total))));
        bar.set_message(format!("{} MiB {}", bytes >> 20, self.what));
        match total {
            Some(total) => {
                bar.set_length(total.max(bytes));
                bar.set_position(bytes);
            }
            None => bar.tick(),
        }
    }

    /// No bar from now on.
    pub fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.enabled = false;
    }
}
