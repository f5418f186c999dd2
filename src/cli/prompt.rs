//! `sanctum replay --repl`: lines of Lua, evaluated before a cast.

use std::io::{self, BufRead, IsTerminal, Write};

use super::DONE;
use crate::event::json;
use crate::spell::{Answer, Prompt};

/// The longest statement, in bytes.
const STATEMENT_BYTES_MAX: usize = 1 << 20;

/// Reads lines until there are no more. A statement may go on over several.
pub fn run(mut prompt: Prompt<'_>) -> anyhow::Result<u8> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let is_terminal = input.is_terminal();
    let (mut statement, mut line) = (String::new(), String::new());
    if is_terminal {
        writeln!(output, "event, envelope, state and cast are there; end with Ctrl-D")?;
    }
    loop {
        if is_terminal {
            output.write_all(if statement.is_empty() { b"> " } else { b">> " })?;
            output.flush()?;
        }
        line.clear();
        let is_end = input.read_line(&mut line)? == 0;
        statement.push_str(&line);
        if !statement.trim().is_empty() {
            let answer = prompt.evaluate(&statement);
            if answer.is_incomplete() && !is_end && statement.len() < STATEMENT_BYTES_MAX {
                continue;
            }
            print(&answer, &mut output)?;
        }
        statement.clear();
        if is_end {
            return Ok(DONE);
        }
    }
}

/// What was printed, then what was emitted, then the results or why there are none.
fn print(answer: &Answer, output: &mut impl Write) -> io::Result<()> {
    output.write_all(&answer.round.prints)?;
    output.write_all(&answer.round.notes)?;
    for event in answer.round.outputs.iter() {
        let mut text = Vec::new();
        json::write_output(event, &mut text);
        output.write_all(b"emit ")?;
        output.write_all(&text)?;
        output.write_all(b"\n")?;
    }
    if let Some(fault) = &answer.fault {
        writeln!(output, "{}: {}", fault.kind.name(), fault.message)?;
    }
    if !answer.results.is_empty() {
        writeln!(output, "{}", answer.results.join("\t"))?;
    }
    output.flush()
}
