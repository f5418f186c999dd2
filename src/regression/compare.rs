//! What a run did, against what its files say.

use std::time::Duration;

use similar::TextDiff;

use super::case::{Broken, COST, Case, EVENTS, EXITCODE, STDERR, STDOUT};
use super::run::{Actual, Cost};

/// Lines of a diff that are shown.
pub const DIFF_LINES_MAX: usize = 200;
/// Lines around a change.
const CONTEXT: usize = 3;
/// After this long a diff is coarse.
const EFFORT: Duration = Duration::from_secs(2);
/// How much a cost may rise, in percent.
const RISE_PERCENT: u64 = 2;

/// One file that a run does not agree with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The file.
    pub file: String,
    /// What is wrong, in one line.
    pub message: String,
    /// A unified diff; empty where the message says it all.
    pub diff: String,
}

/// Everything that differs. A file that is absent is not checked, but for the exit code, which then is 0.
pub fn compare(case: &Case, actual: &Actual) -> Result<Vec<Difference>, Broken> {
    let mut differences = Vec::new();
    for (file, bytes) in [(STDOUT, &actual.stdout), (STDERR, &actual.stderr), (EVENTS, &actual.events)] {
        if let Some(expected) = case.read(file)?
            && expected != *bytes
        {
            differences.push(Difference {
                file: file.to_owned(),
                message: format!("{file} differs"),
                diff: diff(&expected, bytes, file, "this run"),
            });
        }
    }
    let expected = expected_exit(case)?;
    if expected != actual.exit {
        let mut message = format!("exit code {}, expected {expected}", actual.exit);
        if actual.exit != 0 && !case.has(STDERR) {
            message.push_str("; standard error:");
        }
        let text = if message.ends_with(':') { visible(&actual.stderr) } else { String::new() };
        differences.push(Difference { file: EXITCODE.to_owned(), message, diff: text });
    }
    if let Some(expected) = expected_costs(case)? {
        let problems = costs(&expected, &actual.costs);
        if !problems.is_empty() {
            let message = format!("{COST}: {}", problems.join("; "));
            differences.push(Difference { file: COST.to_owned(), message, diff: String::new() });
        }
    }
    Ok(differences)
}

/// The exit code that a case expects.
pub fn expected_exit(case: &Case) -> Result<u8, Broken> {
    let Some(bytes) = case.read(EXITCODE)? else { return Ok(0) };
    let text = String::from_utf8_lossy(&bytes);
    text.trim().parse().map_err(|_| Broken::Malformed {
        file: EXITCODE.to_owned(),
        message: format!("`{}` is not an exit code", text.trim()),
    })
}

/// The costs that a case expects.
pub fn expected_costs(case: &Case) -> Result<Option<Vec<Cost>>, Broken> {
    let Some(bytes) = case.read(COST)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let parse = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| Broken::Malformed {
            file: COST.to_owned(),
            message: format!("line {}: {error}", index + 1),
        })
    };
    text.lines().enumerate().map(parse).collect::<Result<_, _>>().map(Some)
}

/// What rose too much: a lower cost is good.
#[must_use]
pub fn costs(expected: &[Cost], actual: &[Cost]) -> Vec<String> {
    let mut problems = Vec::new();
    for cost in actual {
        let Some(before) = expected.iter().find(|before| before.spell == cost.spell) else {
            problems.push(format!("spell `{}` is not in it", cost.spell));
            continue;
        };
        for (what, was, is) in
            [("instructions", before.instructions, cost.instructions), ("bytes", before.bytes, cost.bytes)]
        {
            // is / casts > was / casts_before * 1.02, without a division.
            let now = u128::from(is) * u128::from(before.casts.max(1)) * 100;
            let bound = u128::from(was) * u128::from(cost.casts.max(1)) * u128::from(100 + RISE_PERCENT);
            if now > bound {
                let per = |total: u64, casts: u64| total as f64 / casts.max(1) as f64;
                let (was, is) = (per(was, before.casts), per(is, cost.casts));
                problems
                    .push(format!("spell `{}`: {what} per cast rose from {was:.1} to {is:.1}", cost.spell));
            }
        }
    }
    for before in expected.iter().filter(|before| actual.iter().all(|cost| cost.spell != before.spell)) {
        problems.push(format!("spell `{}` did not run", before.spell));
    }
    problems
}

/// A unified diff. Bytes that are not UTF-8 are shown as `\x..`.
#[must_use]
pub fn diff(old: &[u8], new: &[u8], old_name: &str, new_name: &str) -> String {
    let (old, new) = (visible(old), visible(new));
    let diff = TextDiff::configure().timeout(EFFORT).diff_lines(&old, &new);
    let text = diff.unified_diff().context_radius(CONTEXT).header(old_name, new_name).to_string();
    let count = text.lines().count();
    if count <= DIFF_LINES_MAX {
        return text;
    }
    let mut cut: String = text.lines().take(DIFF_LINES_MAX).map(|line| format!("{line}\n")).collect();
    cut.push_str(&format!("... {} more lines\n", count - DIFF_LINES_MAX));
    cut
}

/// Text without what could move a terminal's cursor.
fn visible(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            if char.is_control() && char != '\n' && char != '\t' {
                text.extend(char.escape_default());
            } else {
                text.push(char);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(spell: &str, casts: u64, instructions: u64, bytes: u64) -> Cost {
        Cost { spell: spell.into(), casts, instructions, bytes }
    }

    #[test]
    fn costs_may_rise_by_two_percent() {
        let before = [cost("a", 10, 1_000, 100)];
        assert_eq!(costs(&before, &[cost("a", 10, 1_020, 102)]), [""; 0]);
        assert_eq!(costs(&before, &[cost("a", 20, 2_000, 10)]), [""; 0]);
        let risen = costs(&before, &[cost("a", 10, 1_021, 100)]);
        assert_eq!(risen, ["spell `a`: instructions per cast rose from 100.0 to 102.1"]);
        assert_eq!(costs(&before, &[cost("b", 1, 1, 1)]).len(), 2);
    }

    #[test]
    fn diffs_show_what_is_hidden() {
        let text = diff(b"a\nb\n", b"a\nb\x1b[2J\xff\n", "old", "new");
        assert_eq!(text, "--- old\n+++ new\n@@ -1,2 +1,2 @@\n a\n-b\n+b\\u{1b}[2J\\xff\n");
    }
}
