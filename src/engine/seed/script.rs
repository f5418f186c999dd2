//! `.lua`: the chunk returns an energy, or a list of them. It runs in a VM of its own, in the sandbox and
//! under the limits that spells have.

use std::io::Read;

use super::admission::{Admission, Record};
use super::place::advised;
use super::source::unreadable;
use super::{Diagnostic, SeedOptions, Source};
use crate::event::Events;
use crate::event::msgpack::{Notes, Reader, Token, token_at};
use crate::spell::{FaultKind, OpenError, evaluate_seed, report};

/// The longest chunk.
const SOURCE_BYTES_MAX: u64 = 64 << 20;
/// The most that a chunk may return, as MessagePack.
const RESULT_BYTES_MAX: usize = 1 << 30;
/// What a chunk is to do.
const RETURNS: &str = "return an energy (a table) or a list of energies";

/// See the module.
pub(super) struct Script {
    /// The energies, one after the other.
    data: Vec<u8>,
    at: usize,
    left: u32,
    /// Elements that are done; `None` for an energy that is not in a list.
    done: Option<usize>,
    bytes: u64,
}

impl Script {
    /// Runs the chunk.
    pub fn run(source: &Source, options: &SeedOptions) -> Result<Self, Box<Diagnostic>> {
        let shown = &source.shown;
        let mut text = Vec::new();
        source
            .open()?
            .take(SOURCE_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .map_err(|error| unreadable(shown, &error))?;
        let fault = |message: String| Box::new(Diagnostic::error(message).in_file(shown));
        if text.len() as u64 > SOURCE_BYTES_MAX {
            return Err(fault(format!("a .lua seed is at most {} MiB", SOURCE_BYTES_MAX >> 20)));
        }
        let bytes = text.len() as u64;
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { data: Vec::new(), at: 0, left: 0, done: None, bytes });
        }
        let modules = source.modules.clone();
        let data = evaluate_seed(shown, &text, modules, &options.limits, options.clocks, RESULT_BYTES_MAX)
            .map_err(|error| match error {
                OpenError::Vm(error) => fault(error.to_string()),
                OpenError::Fault(returned, _) if returned.kind == FaultKind::Output => {
                    Box::new(fault(returned.message).help(RETURNS))
                }
                OpenError::Fault(fault, _) | OpenError::Migrate(fault, _) => {
                    Box::new(report::load_fault(shown, &String::from_utf8_lossy(&text), &fault))
                }
            })?;
        let mut reader = Reader::new(&data);
        let (left, done) = match reader.token() {
            Ok(Token::Map(_)) => (1, None),
            Ok(Token::Array(len)) => (len, Some(0)),
            token => {
                let kind = token.map_or("nothing", kind);
                let problem = fault(format!("the seed returns {kind}"));
                return Err(Box::new(problem.help(RETURNS)));
            }
        };
        let at = done.map_or(0, |_| reader.position());
        Ok(Self { data, at, left, done, bytes })
    }

    /// Bytes of the chunk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes what fits into the batch; false when there is no more.
    pub fn read(
        &mut self,
        shown: &str,
        admission: &mut Admission,
        batch: &mut Events,
    ) -> Result<bool, Box<Diagnostic>> {
        while !admission.is_full(batch) {
            if self.left == 0 {
                return Ok(false);
            }
            let mut reader = Reader::new(&self.data[self.at..]);
            let Ok(raw) = reader.raw() else { return Ok(false) };
            let element = self.done.map(|done| done + 1);
            match token_at(raw) {
                Ok(Token::Map(_)) => {}
                token => {
                    let kind = token.map_or("nothing", kind);
                    let message = format!("element {} is {kind}; an energy is a table", element.unwrap_or(1));
                    return Err(Box::new(Diagnostic::error(message).in_file(shown)));
                }
            }
            admission.at = Record { number: element.unwrap_or(0), column: 0 };
            if let Err(refusal) = admission.data(raw, Notes::default(), raw, 0, batch) {
                let message = match element {
                    Some(element) => format!("element {element}: {refusal}"),
                    None => refusal.to_string(),
                };
                return Err(Box::new(advised(Diagnostic::error(message).in_file(shown), &refusal)));
            }
            self.at += raw.len();
            self.left -= 1;
            self.done = element;
        }
        Ok(true)
    }
}

/// A Lua value, with its article.
fn kind(token: Token<'_>) -> &'static str {
    match token {
        Token::Nil => "nil",
        Token::Bool(_) => "a boolean",
        Token::Int(_) | Token::BigUint(_) | Token::Float(_) => "a number",
        Token::Str(_) | Token::Bin(_) => "a string",
        Token::Array(_) => "a list",
        Token::Map(_) => "a table",
        Token::Ext(..) => "an extension value",
    }
}
