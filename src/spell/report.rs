//! Draws a fault: what, where, the source around it with the line marked, the traceback, the energy.

use super::fault::{Fault, FaultKind, TraceFrame};
use super::library::is_state_method;
use super::raw::Stop;
use super::{Fold, Spell};
use crate::event::{EventRef, Head, json};
use crate::runeset::Diagnostic;

/// Bytes of an energy's data that a report shows.
const DATA_BYTES_MAX: usize = 400;
/// Positions of a batch that a report lists.
const POSITIONS_MAX: usize = 16;

/// A fault while the chunk of a spell or seed ran.
#[must_use]
pub fn load_fault(path: &str, source: &str, fault: &Fault) -> Diagnostic {
    let message = match fault.kind {
        FaultKind::Syntax => format!("syntax error: {}", fault.message),
        FaultKind::Limit(_) | FaultKind::Memory => format!("`{path}` {} while it was loaded", fault.message),
        FaultKind::Output => fault.message.clone(),
        FaultKind::Error => format!("`{path}` failed while it was loaded: {}", fault.message),
    };
    let diagnostic = Diagnostic::error(message).field("kind", fault.kind.name());
    let place = "spell or the runeset";
    advise(traced(placed(diagnostic, path, source, fault), fault), path, source, fault, place)
}

/// A fault in a hook other than `cast` and `tick`.
#[must_use]
pub fn hook_fault(spell: &Spell, hook: &str, fault: &Fault) -> Diagnostic {
    cast_fault(spell, hook, fault, None)
}

/// A fault in `cast` or `tick`, with the energy that caused it.
#[must_use]
pub fn cast_fault(spell: &Spell, hook: &str, fault: &Fault, event: Option<EventRef<'_>>) -> Diagnostic {
    draw("spell", &spell.name, hook, (&spell.path, &spell.source), fault, event)
}

/// A fault of a projection, with the energy that caused it.
#[must_use]
pub fn fold_fault(fold: &Fold, fault: &Fault, event: Option<EventRef<'_>>) -> Diagnostic {
    draw("projection", &fold.name, "fold", (&fold.path, &fold.source), fault, event)
}

/// A fault in a hook of a spell or a projection; `what` says which of them.
fn draw(
    what: &str,
    name: &str,
    hook: &str,
    (path, source): (&str, &[u8]),
    fault: &Fault,
    event: Option<EventRef<'_>>,
) -> Diagnostic {
    let source = String::from_utf8_lossy(source);
    let mut diagnostic = Diagnostic::error(headline(what, name, hook, fault))
        .field("kind", fault.kind.name())
        .field(what, name);
    diagnostic = traced(placed(diagnostic, path, &source, fault), fault);
    if let Some(event) = event {
        diagnostic = with_energy(diagnostic, event);
    }
    let place = if what == "spell" { "spell or the runeset" } else { what };
    advise(diagnostic, path, &source, fault, place)
}

fn headline(what: &str, name: &str, hook: &str, fault: &Fault) -> String {
    match fault.kind {
        FaultKind::Limit(_) | FaultKind::Memory => format!("{what} `{name}`: `{hook}` {}", fault.message),
        FaultKind::Output => format!("{what} `{name}`: `{hook}`: {}", fault.message),
        _ => format!("{what} `{name}` faulted in `{hook}`: {}", fault.message),
    }
}

/// Points at the line of the spell's own file that the message named, or else at the innermost.
fn placed(diagnostic: Diagnostic, path: &str, source: &str, fault: &Fault) -> Diagnostic {
    let named = fault.trace.get(fault.named).into_iter();
    match named.chain(&fault.trace).find(|frame| same_file(&frame.source, path)) {
        Some(frame) => diagnostic.at(path, source, frame.line as usize, 0, 0).context(2, 2),
        None => match fault.trace.first() {
            Some(frame) => diagnostic.in_file(format!("{}:{}", frame.source, frame.line)),
            None => diagnostic.in_file(path),
        },
    }
}

/// Lua shortens long names to `...` and their end.
fn same_file(source: &str, path: &str) -> bool {
    source == path || source.strip_prefix("...").is_some_and(|end| path.ends_with(end))
}

fn traced(diagnostic: Diagnostic, fault: &Fault) -> Diagnostic {
    if fault.trace.len() < 2 && fault.trace.iter().all(|frame| frame.function.is_empty()) {
        return diagnostic;
    }
    let line = |frame: &TraceFrame| match frame.function.as_str() {
        "" => format!("{}:{}", frame.source, frame.line),
        name => format!("{}:{} in {name}", frame.source, frame.line),
    };
    diagnostic.attach("traceback", fault.trace.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Says which energy it was.
#[must_use]
pub fn with_energy(diagnostic: Diagnostic, event: EventRef<'_>) -> Diagnostic {
    let head = event.head();
    let position = Some(head.position).filter(|position| *position != Head::UNSTORED);
    let place = position.map_or_else(|| "not stored".to_owned(), |position| format!("position {position}"));
    let mut text = format!("{place}, id {}", head.id);
    if let Some(topic) = event.topic() {
        text.push_str(&format!(", topic {topic}"));
    }
    let mut data = Vec::new();
    json::write_value(event.data(), &mut data);
    let mut shown = String::from_utf8_lossy(&data).into_owned();
    if shown.len() > DATA_BYTES_MAX {
        let end = (0..=DATA_BYTES_MAX).rev().find(|&at| shown.is_char_boundary(at)).unwrap_or(0);
        shown.truncate(end);
        shown.push_str(" ...");
    }
    text.push('\n');
    text.push_str(&shown);
    diagnostic
        .attach("energy", text)
        .field("position", position)
        .field("id", head.id.to_string())
        .field("topic", event.topic().map_or(serde_json::Value::Null, Into::into))
}

/// Says which batch it was, by the positions of its energies; nothing where there are none.
#[must_use]
pub fn of_batch(mut diagnostic: Diagnostic, positions: impl Iterator<Item = u64>) -> Diagnostic {
    let positions: Vec<u64> = positions.collect();
    let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return diagnostic };
    let is_gapless = last - first + 1 == positions.len() as u64;
    let text = match positions.len() {
        1 => format!("1 energy, position {first}"),
        count if is_gapless => format!("{count} energies, positions {first} to {last}"),
        count => {
            let shown =
                positions.iter().take(POSITIONS_MAX).map(u64::to_string).collect::<Vec<_>>().join(", ");
            let more = if count > POSITIONS_MAX { format!(" ... {last}") } else { String::new() };
            format!("{count} energies, positions {shown}{more}")
        }
    };
    // Before the energy, which is the last of them.
    let at = diagnostic.notes.iter().position(|(kind, _)| kind == "energy");
    diagnostic.notes.insert(at.unwrap_or(diagnostic.notes.len()), ("batch".to_owned(), text));
    diagnostic.field("positions", positions)
}

/// What to do about it; `place` is where limits are stated.
fn advise(diagnostic: Diagnostic, path: &str, source: &str, fault: &Fault, place: &str) -> Diagnostic {
    let limit = match fault.kind {
        FaultKind::Limit(Stop::Instructions) => "instructions",
        FaultKind::Limit(Stop::Time) => "time",
        FaultKind::Limit(Stop::Prints) => "print_bytes",
        FaultKind::Limit(Stop::Outputs) => "outputs",
        FaultKind::Limit(Stop::State) => "state_bytes",
        FaultKind::Memory => "memory",
        FaultKind::Output if fault.message.starts_with("returned ") => {
            return diagnostic.help("a cast returns nil, an energy (a table) or a list of energies");
        }
        FaultKind::Error => {
            let line = fault.trace.first().filter(|frame| same_file(&frame.source, path));
            let line = line.and_then(|frame| source.lines().nth((frame.line as usize).checked_sub(1)?));
            return match line.and_then(|line| method_taken_for_key(&fault.message, line)) {
                Some(name) => diagnostic.help(format!(
                    "`{name}` is a method of state; for a key of that name write state:get(\"{name}\") and \
                     state:set(\"{name}\", value)"
                )),
                None => diagnostic,
            };
        }
        FaultKind::Syntax | FaultKind::Output | FaultKind::Limit(Stop::Unread) => return diagnostic,
    };
    diagnostic.help(format!("if that is meant, raise `limits.{limit}` in the {place}"))
}

/// The method of state that a line reads as if it were a key, where Lua could do nothing with it:
/// `(state.count or 0) + 1`.
fn method_taken_for_key<'a>(message: &str, line: &'a str) -> Option<&'a str> {
    if !message.starts_with("attempt to ") || !message.contains("function") {
        return None;
    }
    line.match_indices("state.").find_map(|(at, text)| {
        let rest = &line[at + text.len()..];
        let len = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let (name, rest) = rest.split_at(len);
        (is_state_method(name) && !rest.trim_start().starts_with('(')).then_some(name)
    })
}
