//! Results of cases: text for people, JSON and JUnit for CI.

use super::freeze::{Change, Frozen};
use super::{Difference, Tested, Verdict};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A line per case, diffs below those that failed.
    #[default]
    Text,
    /// One object.
    Json,
    /// XML as JUnit's.
    Junit,
}

/// Escape sequences, or nothing.
#[derive(Clone, Copy)]
struct Paint {
    good: &'static str,
    bad: &'static str,
    faint: &'static str,
    reset: &'static str,
}

impl Paint {
    fn new(colour: bool) -> Self {
        if colour {
            Self { good: "\x1b[32m", bad: "\x1b[31m", faint: "\x1b[36m", reset: "\x1b[0m" }
        } else {
            Self { good: "", bad: "", faint: "", reset: "" }
        }
    }

    /// A diff with its lines in colours.
    fn diff(self, diff: &str) -> String {
        let mut text = String::new();
        for line in diff.lines() {
            let colour = match line.as_bytes().first() {
                Some(b'+') => self.good,
                Some(b'-') => self.bad,
                Some(b'@') => self.faint,
                _ => "",
            };
            let reset = if colour.is_empty() { "" } else { self.reset };
            text.push_str(&format!("    {colour}{line}{reset}\n"));
        }
        text
    }
}

/// One case, as text.
#[must_use]
pub fn text(tested: &Tested, colour: bool) -> String {
    let paint = Paint::new(colour);
    let name = &tested.name;
    match &tested.verdict {
        Verdict::Passed => format!("{}ok{}    {name}\n", paint.good, paint.reset),
        Verdict::Broken(why) => format!("{}FAIL{}  {name}\n  broken: {why}\n", paint.bad, paint.reset),
        Verdict::Failed(differences) => {
            let mut text = format!("{}FAIL{}  {name}\n", paint.bad, paint.reset);
            for Difference { message, diff, .. } in differences {
                text.push_str(&format!("  {message}\n{}", paint.diff(diff)));
            }
            text
        }
    }
}

/// The last line.
#[must_use]
pub fn total(tested: &[Tested]) -> String {
    let passed = tested.iter().filter(|case| case.verdict == Verdict::Passed).count();
    format!("{passed} passed, {} failed\n", tested.len() - passed)
}

/// One case that was frozen, as text.
#[must_use]
pub fn frozen(frozen: &Frozen, colour: bool) -> String {
    let paint = Paint::new(colour);
    let name = &frozen.name;
    let changes = match &frozen.result {
        Err(why) => return format!("{}FAIL{}       {name}\n  {why}\n", paint.bad, paint.reset),
        Ok(changes) if changes.is_empty() => return format!("unchanged  {name}\n"),
        Ok(changes) => changes,
    };
    let mut text = format!("{}frozen{}     {name}\n", paint.good, paint.reset);
    for change in changes {
        match change {
            Change::Added(file) => text.push_str(&format!("  added    {file}\n")),
            Change::Removed(file) => text.push_str(&format!("  removed  {file}\n")),
            Change::Changed(file, diff) => {
                text.push_str(&format!("  changed  {file}\n{}", paint.diff(diff)));
            }
        }
    }
    text
}

/// All cases as one JSON object.
#[must_use]
pub fn json(tested: &[Tested]) -> String {
    let case = |case: &Tested| {
        let (status, problems) = match &case.verdict {
            Verdict::Passed => ("passed", Vec::new()),
            Verdict::Broken(why) => ("broken", vec![serde_json::json!({ "message": why })]),
            Verdict::Failed(differences) => ("failed", differences.iter().map(difference_json).collect()),
        };
        let seconds = seconds(case.nanos);
        serde_json::json!({ "name": case.name, "status": status, "seconds": seconds, "problems": problems })
    };
    let passed = tested.iter().filter(|case| case.verdict == Verdict::Passed).count();
    let report = serde_json::json!({
        "passed": passed,
        "failed": tested.len() - passed,
        "cases": tested.iter().map(case).collect::<Vec<_>>(),
    });
    format!("{report:#}\n")
}

fn difference_json(difference: &Difference) -> serde_json::Value {
    let Difference { file, message, diff } = difference;
    serde_json::json!({ "file": file, "message": message, "diff": diff })
}

fn seconds(nanos: u64) -> f64 {
    (nanos / 1_000_000) as f64 / 1_000.0
}

/// All cases as JUnit's XML.
#[must_use]
pub fn junit(tested: &[Tested]) -> String {
    let broken = tested.iter().filter(|case| matches!(case.verdict, Verdict::Broken(_))).count();
    let failed = tested.iter().filter(|case| matches!(case.verdict, Verdict::Failed(_))).count();
    let total = seconds(tested.iter().map(|case| case.nanos).sum());
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"sanctum\" tests=\"{}\" \
         failures=\"{failed}\" errors=\"{broken}\" time=\"{total:.3}\">\n",
        tested.len()
    );
    for case in tested {
        let head = format!(
            "    <testcase classname=\"regression\" name=\"{}\" time=\"{:.3}\"",
            escape(&case.name),
            seconds(case.nanos)
        );
        xml.push_str(&head);
        match &case.verdict {
            Verdict::Passed => xml.push_str("/>\n"),
            Verdict::Broken(why) => {
                xml.push_str(&format!(">\n      <error message=\"{}\"/>\n    </testcase>\n", escape(why)));
            }
            Verdict::Failed(differences) => {
                xml.push_str(">\n");
                // JUnit has one failure for a case: the first names it, the text has them all.
                let message = differences.first().map_or("", |difference| &difference.message);
                let text: String =
                    differences.iter().map(|it| format!("{}\n{}", it.message, it.diff)).collect();
                let (message, text) = (escape(message), escape(&text));
                xml.push_str(&format!(
                    "      <failure message=\"{message}\">{text}</failure>\n    </testcase>\n"
                ));
            }
        }
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Text in XML; what XML cannot hold becomes `?`.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(char),
            char if char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') => escaped.push('?'),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Vec<Tested> {
        let difference = Difference {
            file: "stdout.assert".into(),
            message: "stdout.assert differs".into(),
            diff: "--- stdout.assert\n+++ this run\n@@ -1 +1 @@\n-a < b\n+a & b\n".into(),
        };
        let tested = |name: &str, verdict, nanos| Tested { name: name.into(), verdict, nanos };
        vec![
            tested("a", Verdict::Passed, 1_500_000),
            tested("b/\"c\"", Verdict::Failed(vec![difference]), 2_000_000_000),
            tested("d", Verdict::Broken("no spell".into()), 0),
        ]
    }

    #[test]
    fn every_format_says_the_same() {
        let text: String = cases().iter().map(|case| text(case, false)).collect();
        assert_eq!(
            text,
            "ok    a\nFAIL  b/\"c\"\n  stdout.assert differs\n    --- stdout.assert\n    +++ this run\n    \
             @@ -1 +1 @@\n    -a < b\n    +a & b\nFAIL  d\n  broken: no spell\n"
        );
        assert_eq!(total(&cases()), "1 passed, 2 failed\n");
        let xml = junit(&cases());
        assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"1\" time=\"2.001\""), "{xml}");
        assert!(xml.contains("name=\"b/&quot;c&quot;\"") && xml.contains("-a &lt; b"), "{xml}");
        let json: serde_json::Value = serde_json::from_str(&json(&cases())).unwrap();
        assert_eq!((&json["failed"], &json["cases"][2]["status"]), (&2.into(), &"broken".into()));
    }
}
