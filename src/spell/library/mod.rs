//! What spells get beside the language: one file per global, or per family of them.
//!
//! All of it is deterministic: it knows the input, the spell's own state and nothing else. Whatever
//! takes long charges the cast's budget of instructions, whatever is large is checked against the VM's
//! memory first. Each file says where it differs from stock Lua, and why.

mod base;
mod base64;
mod blob;
mod buffer;
mod dedupe;
pub mod envelope;
mod format;
mod hash;
mod join;
mod json;
mod kept;
mod log;
mod marks;
mod msgpack;
mod os;
mod pattern;
pub mod random;
pub mod require;
mod score;
mod settings;
mod sort;
mod state;
mod stats;
mod string;
mod table;
mod time;
mod top;
mod window;

use crate::spell::raw::{Entry, Frame, Kind, Raise};
pub(crate) use state::is_method as is_state_method;

/// Functions that are fields of a global table, stock or new.
static TABLES: [(&str, &[Entry]); 13] = [
    ("math", random::MATH),
    ("string", string::FUNCTIONS),
    ("table", table::FUNCTIONS),
    ("table", sort::FUNCTIONS),
    ("log", log::FUNCTIONS),
    ("json", json::FUNCTIONS),
    ("msgpack", msgpack::FUNCTIONS),
    ("time", time::FUNCTIONS),
    ("os", os::FUNCTIONS),
    ("hash", hash::FUNCTIONS),
    ("base64", base64::FUNCTIONS),
    ("blob", blob::FUNCTIONS),
    ("sanctum", &[join::MAKER, dedupe::MAKER, top::MAKER]),
];

/// Adds the library to the globals of a fresh VM.
pub(crate) fn install(frame: &mut Frame<'_>) {
    envelope::install(frame);
    state::install(frame);
    stats::install(frame);
    settings::install(frame);
    for install in [window::install, join::install, dedupe::install, top::install] {
        install(frame);
    }
    frame.push_globals();
    for functions in [base::FUNCTIONS, random::FUNCTIONS, require::FUNCTIONS] {
        define(frame, functions);
    }
    for (name, functions) in TABLES {
        extend(frame, name, functions);
    }
    push_runes(frame);
    frame.set_field(-2, "runes");
    frame.pop(1);
}

/// Sets functions in the table on top.
pub(crate) fn define(frame: &mut Frame<'_>, functions: &'static [Entry]) {
    for entry in functions {
        frame.push_native(entry, 0);
        frame.set_field(-2, entry.0);
    }
}

/// Sets functions in the table `name` of the table on top; makes it where there is none.
pub(crate) fn extend(frame: &mut Frame<'_>, name: &str, functions: &'static [Entry]) {
    if frame.get_field(-1, name) == Kind::Nil {
        frame.pop(1);
        frame.push_table(0, functions.len());
        frame.push_copy(-1);
        frame.set_field(-3, name);
    }
    define(frame, functions);
    frame.pop(1);
}

/// Makes the metatable of a class whose objects have these methods.
fn install_class(frame: &mut Frame<'_>, class: &'static str, methods: &'static [Entry]) {
    frame.push_class(class);
    frame.push_table(0, methods.len());
    define(frame, methods);
    frame.set_field(-2, "__index");
    frame.pop(1);
}

/// The payload of the object that a method was called on; `letter` stands for it in the message.
fn own_payload<'l>(
    frame: &mut Frame<'l>,
    class: &'static str,
    letter: &str,
    method: &str,
) -> Result<&'l [u8], Raise> {
    frame.object(1, class).map_err(|_| {
        let found = frame.type_name(1);
        Raise::argument(1, format!("{class} expected, got {found}; write `{letter}:{method}(...)`"))
    })
}

/// Pushes the spell's options as a table; an empty one where there are none, or no room for them.
fn push_runes(frame: &mut Frame<'_>) {
    let runes = std::mem::take(&mut frame.host().runes);
    let top = frame.top();
    let pushed = if runes.is_empty() { Ok(()) } else { msgpack::push_data(frame, &runes) };
    if pushed.is_err() || frame.kind(-1) != Kind::Table || frame.top() == top {
        frame.pop((frame.top() - top) as usize);
        frame.push_table(0, 0);
    }
    frame.host().runes = runes;
}
