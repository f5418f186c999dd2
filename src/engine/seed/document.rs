//! `.json`: one object, or an array of objects, which are read one by one: an array may be far larger than
//! memory.
//!
//! A scanner finds where an element ends, by strings and brackets alone; whether the element is JSON is for
//! the parser to say.

use super::Diagnostic;
use super::admission::{Admission, Record};
use super::feed::Feed;
use super::lines::MARK;
use super::place::{Cursor, point, refused};
use super::source::unreadable;
use crate::event::Events;

/// What may come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// An object or an array.
    #[default]
    Start,
    /// The first element, or the end of the array.
    First,
    /// An element.
    Element,
    /// A comma, or the end of the array.
    Comma,
    /// Nothing.
    End,
}

/// See the module.
#[derive(Default)]
pub(super) struct Document {
    state: State,
    cursor: Cursor,
    /// Elements that are done.
    done: usize,
}

/// Finds the end of an object, over any number of reads.
#[derive(Default)]
struct Scan {
    at: usize,
    depth: usize,
    quoted: bool,
}

/// Bytes that mean something outside of strings.
const MARKS: [bool; 256] = {
    let mut marks = [false; 256];
    let mut index = 0;
    while index < 5 {
        marks[b"\"{}[]"[index] as usize] = true;
        index += 1;
    }
    marks
};

/// Most strings are shorter; for longer ones a vector search pays.
const STRING_BYTES: usize = 24;

impl Scan {
    /// The object's length, once its end is in `text`, of which more and more is given.
    fn run(&mut self, text: &[u8]) -> Option<usize> {
        while self.at < text.len() {
            let rest = &text[self.at..];
            if self.quoted {
                let near = rest[..rest.len().min(STRING_BYTES)].iter();
                let found = near.copied().position(|byte| byte == b'"' || byte == b'\\');
                match found.or_else(|| memchr::memchr2(b'"', b'\\', rest)) {
                    None => self.at = text.len(),
                    // Passes over what is escaped too, be it read yet or not.
                    Some(found) if rest[found] == b'\\' => self.at += found + 2,
                    Some(found) => {
                        self.at += found + 1;
                        self.quoted = false;
                    }
                }
                continue;
            }
            let Some(found) = rest.iter().position(|byte| MARKS[usize::from(*byte)]) else {
                self.at = text.len();
                return None;
            };
            self.at += found + 1;
            match rest[found] {
                b'"' => self.quoted = true,
                b'{' | b'[' => self.depth += 1,
                _ => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(self.at);
                    }
                }
            }
        }
        None
    }
}

impl Document {
    /// Reads until the batch is full (true) or the source is at its end (false).
    pub fn read(
        &mut self,
        shown: &str,
        feed: &mut Feed,
        admission: &mut Admission,
        batch: &mut Events,
    ) -> Result<bool, Box<Diagnostic>> {
        while !admission.is_full(batch) {
            let Some(next) = self.next_byte(shown, feed)? else { return self.end(shown, feed) };
            let number = self.done + 1;
            self.state = match (self.state, next) {
                (State::Start, b'{') => {
                    self.element(shown, feed, admission, batch)?;
                    State::End
                }
                (State::First | State::Element, b'{') => {
                    self.element(shown, feed, admission, batch)?;
                    State::Comma
                }
                (State::Start, b'[') => self.step(feed, State::First),
                (State::First | State::Comma, b']') => self.step(feed, State::End),
                (State::Comma, b',') => self.step(feed, State::Element),
                (State::Start, 0xff | 0xfe) if feed.offset() == 0 => {
                    return Err(Box::new(
                        Diagnostic::error("the seed is UTF-16; seeds are UTF-8").in_file(shown),
                    ));
                }
                (State::Start, _) => {
                    return Err(self.fault("a .json seed is an object or an array of objects", shown, feed));
                }
                (State::Element, b']') => {
                    return Err(self.fault("a comma with no element after it", shown, feed));
                }
                (State::First | State::Element, byte) => {
                    let text = format!("element {number} is {}; an energy is an object", kind(byte));
                    return Err(self.fault(&text, shown, feed));
                }
                (State::Comma, _) => {
                    let text = format!("expected `,` or `]` after element {}", self.done);
                    return Err(self.fault(&text, shown, feed));
                }
                (State::End, _) => {
                    let diagnostic = *self.fault("something follows the end of the document", shown, feed);
                    return Err(Box::new(diagnostic.help("several objects, one a line, are a .ndjson file")));
                }
            };
        }
        Ok(true)
    }

    /// The next byte that is no blank; `None` at the end.
    fn next_byte(&mut self, shown: &str, feed: &mut Feed) -> Result<Option<u8>, Box<Diagnostic>> {
        loop {
            let rest = feed.rest();
            if feed.offset() == 0 && self.state == State::Start {
                // The mark may come in pieces.
                if rest.len() < MARK.len() && MARK.starts_with(rest) && more(shown, feed)? {
                    continue;
                }
                if feed.rest().starts_with(MARK) {
                    feed.consume(MARK.len());
                    continue;
                }
            }
            let rest = feed.rest();
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            let blanks = rest.iter().take_while(|byte| blank(byte)).count();
            let next = rest.get(blanks).copied();
            self.cursor.pass(&rest[..blanks]);
            feed.consume(blanks);
            if next.is_some() || !more(shown, feed)? {
                return Ok(next);
            }
        }
    }

    fn step(&mut self, feed: &mut Feed, state: State) -> State {
        self.cursor.column += 1;
        feed.consume(1);
        state
    }

    /// The object with which the rest begins.
    fn element(
        &mut self,
        shown: &str,
        feed: &mut Feed,
        admission: &mut Admission,
        batch: &mut Events,
    ) -> Result<(), Box<Diagnostic>> {
        let mut scan = Scan::default();
        let len = loop {
            if let Some(len) = scan.run(feed.rest()) {
                break len;
            }
            let overlong = feed.is_overlong();
            if overlong || !more(shown, feed)? {
                return Err(self.unfinished(shown, feed, overlong, admission));
            }
        };
        admission.at = Record { number: self.cursor.line, column: self.cursor.column + 1 };
        if let Err(refusal) = admission.json(&feed.rest()[..len], feed.reads(), batch) {
            return Err(Box::new(refused(&refusal, shown, feed, self.cursor, 0..len)));
        }
        self.cursor.pass(&feed.rest()[..len]);
        feed.consume(len);
        self.done += 1;
        Ok(())
    }

    /// An object whose end was not found: because of what is in it, as a rule.
    #[cold]
    fn unfinished(
        &self,
        shown: &str,
        feed: &Feed,
        overlong: bool,
        admission: &mut Admission,
    ) -> Box<Diagnostic> {
        let parsed = admission.json(feed.rest(), feed.reads(), &mut Events::default());
        let refusal = parsed.err().filter(|refusal| !overlong || !refusal.to_string().starts_with("EOF"));
        Box::new(match refusal {
            Some(refusal) => refused(&refusal, shown, feed, self.cursor, 0..feed.rest().len()),
            None => {
                let message = format!("the element is longer than {} bytes", feed.record_bytes_max());
                point(message, shown, feed, self.cursor, 0, 1)
                    .help("an element may be 8 times as long as `limits.event_bytes`, and 64 KiB more")
            }
        })
    }

    fn end(&self, shown: &str, feed: &Feed) -> Result<bool, Box<Diagnostic>> {
        match self.state {
            State::Start | State::End => Ok(false),
            _ => Err(self.fault("the file ends within the array", shown, feed)),
        }
    }

    #[cold]
    fn fault(&self, message: &str, shown: &str, feed: &Feed) -> Box<Diagnostic> {
        Box::new(point(message, shown, feed, self.cursor, 0, 1))
    }
}

fn more(shown: &str, feed: &mut Feed) -> Result<bool, Box<Diagnostic>> {
    feed.more().map_err(|error| Box::new(unreadable(shown, &error)))
}

/// What a value is, by its first byte.
fn kind(byte: u8) -> String {
    match byte {
        b'[' => "an array".into(),
        b'"' => "a string".into(),
        b'0'..=b'9' | b'-' => "a number".into(),
        b't' | b'f' => "a boolean".into(),
        b'n' => "null".into(),
        0x20..=0x7e => format!("`{}`", char::from(byte)),
        _ => "no JSON".into(),
    }
}
