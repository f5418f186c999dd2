//! What went wrong in a spell: data only; `report.rs` draws it.

use crate::spell::raw::Stop;

/// One level of a Lua traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceFrame {
    /// The chunk's name: the spell's path as it was given.
    pub source: String,
    /// Line in the chunk, from 1.
    pub line: u32,
    /// The function's name, empty where Lua knows none.
    pub function: String,
}

/// The class of a fault; decides the advice that a report gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The chunk is not Lua.
    Syntax,
    /// An error that the spell, or Lua in it, raised.
    Error,
    /// A limit on work, time, output, print or state.
    Limit(Stop),
    /// `limits.memory`
    Memory,
    /// What it returned or emitted is no energy.
    Output,
}

impl FaultKind {
    /// The stable name, as in JSON reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Error => "error",
            Self::Limit(Stop::Instructions) => "instructions",
            Self::Limit(Stop::Time) => "time",
            Self::Limit(Stop::Prints) => "print_bytes",
            Self::Limit(Stop::Outputs) => "outputs",
            Self::Limit(Stop::State) => "state_bytes",
            Self::Limit(Stop::Unread) => "state",
            Self::Memory => "memory",
            Self::Output => "output",
        }
    }
}

/// A fault, without the energy that caused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its class.
    pub kind: FaultKind,
    /// What happened, without position.
    pub message: String,
    /// Where, innermost first; empty where Lua could not tell.
    pub trace: Vec<TraceFrame>,
    /// The level of the trace that the message named: not the innermost for `error("...", 2)`.
    pub named: usize,
    /// Whether it happened in the filter function, before the cast.
    pub in_filter: bool,
}

impl Fault {
    /// A fault, its message freed from the `source:line: ` that Lua puts before it. Where the trace does not
    /// have that position (a syntax error, an error that was caught and raised again, one in a module
    /// or a callback) it becomes the innermost of the trace.
    #[must_use]
    pub fn new(kind: FaultKind, message: &str, mut trace: Vec<TraceFrame>) -> Self {
        let mut place = None;
        let text = match split_position(message) {
            Some((source, line, rest)) => {
                let here = |frame: &TraceFrame| same_source(&frame.source, source);
                let is_place = trace.is_empty() || source.ends_with(".lua") || trace.iter().any(here);
                if is_place && !trace.iter().any(|frame| here(frame) && frame.line == line) {
                    trace.insert(0, TraceFrame { source: source.to_owned(), line, function: String::new() });
                }
                place = is_place.then_some((source, line));
                if is_place { rest } else { message }
            }
            None => message,
        };
        // A place that is named twice in a row, once without its function, is one place.
        trace.dedup_by(|next, first| {
            let same = (&next.source, next.line) == (&first.source, first.line) && first.function.is_empty();
            if same {
                first.function = std::mem::take(&mut next.function);
            }
            same
        });
        let is_named = |frame: &TraceFrame| {
            place.is_some_and(|(source, line)| frame.line == line && same_source(&frame.source, source))
        };
        let named = trace.iter().position(is_named).unwrap_or(0);
        Self { kind, message: text.to_owned(), trace, named, in_filter: false }
    }
}

/// Whether `shown` names the chunk `source`: Lua shortens long names to `...` and their end.
fn same_source(source: &str, shown: &str) -> bool {
    source == shown || shown.strip_prefix("...").is_some_and(|end| source.ends_with(end))
}

/// Splits `source:12: text`.
fn split_position(message: &str) -> Option<(&str, u32, &str)> {
    message.match_indices(": ").find_map(|(at, _)| {
        let (source, line) = message[..at].rsplit_once(':')?;
        let line = line.parse().ok()?;
        (!source.contains('\n')).then_some((source, line, &message[at + 2..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(source: &str, line: u32) -> TraceFrame {
        TraceFrame { source: source.to_owned(), line, function: String::new() }
    }

    #[test]
    fn a_position_is_kept_once() {
        let fault = |message: &str, trace| {
            let Fault { message, trace, .. } = Fault::new(FaultKind::Error, message, trace);
            (message, trace)
        };
        let at = |line| vec![frame("a/spell.lua", line)];
        assert_eq!(fault("a/spell.lua:3: no", at(3)), ("no".to_owned(), at(3)));
        assert_eq!(fault("...spell.lua:3: no", at(3)), ("no".to_owned(), at(3)));
        assert_eq!(fault("a/spell.lua:3: no", Vec::new()), ("no".to_owned(), at(3)));
        let (message, trace) = fault("m.lua:7: a: b", at(3));
        assert_eq!((message.as_str(), trace), ("a: b", vec![frame("m.lua", 7), frame("a/spell.lua", 3)]));
        assert_eq!(fault("localhost:80: refused", at(3)), ("localhost:80: refused".to_owned(), at(3)));
        assert_eq!(fault("no", at(3)), ("no".to_owned(), at(3)));
    }

    #[test]
    fn the_level_that_the_message_names_is_known() {
        let named = |message| {
            let trace = vec![frame("a/spell.lua", 3), frame("a/spell.lua", 9)];
            Fault::new(FaultKind::Error, message, trace).named
        };
        assert_eq!(named("a/spell.lua:9: no"), 1);
        assert_eq!(named("...spell.lua:3: no"), 0);
        assert_eq!(named("a/spell.lua:5: caught before"), 0);
        assert_eq!(named("no"), 0);
    }
}
