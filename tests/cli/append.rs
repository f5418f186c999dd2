//! `sanctum append`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::Value;

use crate::Place;

/// Ids that read well in snapshots.
pub fn id(number: u32) -> String {
    format!("00000000-0000-7000-8000-{number:012}")
}

pub fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// An `append` that reads lines and stays open.
pub struct Appending {
    child: Child,
    stdin: ChildStdin,
    receipts: BufReader<ChildStdout>,
}

impl Appending {
    pub fn new(place: &Place, arguments: &str) -> Self {
        let mut child = place.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let receipts = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, receipts }
    }

    pub fn write(&mut self, text: &str) {
        self.stdin.write_all(text.as_bytes()).unwrap();
    }

    pub fn receipt(&mut self) -> Value {
        let mut line = String::new();
        self.receipts.read_line(&mut line).unwrap();
        json(&line)
    }

    /// Ends its input; exit code and standard error.
    pub fn end(mut self) -> (i32, String) {
        drop(self.stdin);
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), stderr)
    }
}

#[test]
fn an_energy_is_acknowledged_by_a_receipt() {
    let place = Place::new(&[]);
    let mut text = String::new();
    let id1 = id(1);
    for arguments in [
        format!("append orders {{\"n\":1}} --id {id1} --time 1500"),
        format!(
            "append orders.eu {{\"n\":2.5}} --id {} --time 1970-01-01T00:00:02Z --stream user-1 --tag a=b --tag c=d=e --ttl last:3 --content blake3:ab",
            id(2)
        ),
        // What the data says goes before the flags.
        format!(
            "append other {{\"$topic\":\"orders\",\"$stream\":\"user-1\",\"$id\":\"{}\",\"$time\":3,\"$tags\":{{\"a\":\"own\"}},\"$ttl\":\"time:5000000000000\",\"$expect\":0}} --stream no --tag a=no --tag x=y --ttl last:9 --id {id1} --time 4 --expect none",
            id(3)
        ),
        format!("append orders {{}} --causation {id1} --id {} --time 5", id(4)),
        format!("append orders {{}} --causation {} --id {} --time 6", id(4), id(5)),
        // Live readers only, of which there is none: no position, no version.
        format!("append orders {{}} --id {} --ttl ephemeral", id(6)),
        "cat".to_owned(),
    ] {
        let ran = place.run(&arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments}");
        text.push_str(&format!("$ sanctum {arguments}\n{}", ran.stdout));
    }
    insta::assert_snapshot!(text);
    // An id of its own is of version 7, and the time is now.
    let receipt = json(&place.run("append orders {}").stdout);
    assert_eq!(receipt["id"].as_str().unwrap().as_bytes()[14], b'7');
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let time = json(&place.run("last").stdout)["time"].as_u64().unwrap();
    assert!(u128::from(time) <= now && u128::from(time) + 600_000 > now);
}

#[test]
fn lines_are_acknowledged_as_they_come() {
    let place = Place::new(&[]);
    let mut appending = Appending::new(&place, "append orders -");
    for n in 0..5 {
        // The beginning of a line does not keep back what came before it.
        appending.write(&format!("{{\"n\":{n}}}\n\n{{\"half"));
        assert_eq!(appending.receipt()["position"], 2 * n);
        assert_eq!(json(&place.run("last").stdout)["data"]["n"], n, "what is acknowledged can be read");
        appending.write("\":true}\n");
        assert_eq!(appending.receipt()["position"], 2 * n + 1);
    }
    appending.write("{\"last\":\"without a newline\"}");
    assert_eq!(appending.end(), (0, String::new()));
    assert_eq!(place.run("cat").stdout.lines().count(), 11);
    // Any number of lines, in as many commits as it takes; without an argument lines are read too.
    let lines: String = (0..5_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let ran = place.run_with("append many", &lines);
    let versions: Vec<Value> = ran.stdout.lines().map(|line| json(line)["version"].clone()).collect();
    assert!(ran.code == 0 && versions.iter().map(|version| version.as_u64().unwrap()).eq(0..5_000));
    assert_eq!(place.run("append many").text(), "exit 0\n-- stdout\n-- stderr\n");
}

#[test]
fn input_ends_at_the_first_line_that_is_refused() {
    let place = Place::new(&[]);
    let mut text = String::new();
    for (arguments, lines) in [
        ("append a -", "{\"n\":1}\n{\"n\":2}\n{\"n\":}\n{\"n\":4}\n"),
        ("append a -", "{\"n\":1}\n{\"$expect\":\"none\"}\n{\"n\":3}\n"),
        ("append a -", "{\"n\":1}\n[1]\n"),
        ("append a -", "{\"n\":1,\n\"m\":2}\n"),
        ("append a -", "\n\n{\"$topic\":\"sanctum.fault\"}\n"),
        ("append a -", "{\"$positon\":1}\n"),
        ("append a - --atomic", "{\"n\":1}\n{\"$stream\":\"a\",\"$expect\":99}\n{\"n\":3}\n"),
        ("append a - --atomic", "{\"n\":1}\nnull\n"),
    ] {
        let before = place.run("cat").stdout.lines().count();
        let ran = place.run_with(arguments, lines);
        let stored = place.run("cat").stdout.lines().count() - before;
        assert_eq!((ran.code, ran.stdout.lines().count()), (1, stored), "{lines}");
        text.push_str(&format!("$ sanctum {arguments}\n{lines}-- {stored} stored\n{}\n", ran.stderr));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn atomic_is_all_or_none() {
    let place = Place::new(&[]);
    let lines: String = (0..3_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let ran = place.run_with("append a - --atomic --expect none", &lines);
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 3_000), "{}", ran.stderr);
    let ran = place.run_with("append a - --atomic --expect none", &lines);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("stream `a` is at version 2999, not empty"), "{}", ran.stderr);
    let ran = place.run_with("append a - --expect 2999", "{}\n{}\n");
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 2), "the condition is the first one's");
    assert_eq!(place.run("cat --format json").stdout.lines().count(), 3_004);
}

#[test]
fn conditions_hold_or_say_why_not() {
    let place = Place::new(&[]);
    let mut text = String::new();
    let (id1, id2) = (id(1), id(2));
    for arguments in [
        format!("append seats {{\"seat\":1}} --stream seat-1 --tag seat=1 --expect none --id {id1} --time 1"),
        // A retry after a lost answer: the first receipt, whatever the conditions.
        format!("append seats {{\"seat\":1}} --stream seat-1 --tag seat=1 --expect none --id {id1} --time 1"),
        format!("append seats {{\"seat\":1}} --stream seat-1 --tag seat=1 --unless-tag seat=1 --id {id1}"),
        format!("append seats {{\"seat\":2}} --stream seat-1 --id {id1}"),
        format!("append seats {{\"seat\":1}} --stream seat-1 --expect none --id {id2}"),
        format!("append seats {{\"seat\":1}} --stream seat-1 --expect 7 --id {id2}"),
        format!("append seats {{\"seat\":1}} --stream seat-9 --expect 7 --id {id2}"),
        format!("append seats {{\"seat\":1}} --unless-topic seats --unless-tag seat=1 --id {id2}"),
        format!("append seats {{\"seat\":1}} --unless-stream seat-1 --id {id2}"),
        format!("append seats {{\"seat\":1}} --unless-topic seats --after 5 --id {id2}"),
        format!(
            "append seats {{\"seat\":2}} --unless-topic seats --unless-tag seat=2 --tag seat=2 --id {id2} --time 2"
        ),
        format!("append seats {{\"seat\":3}} --unless-topic seats --unless-after 0 --id {}", id(3)),
        format!("append seats {{\"seat\":3}} --unless-topic seats --after 1 --expect any --id {}", id(3)),
        format!("append seats {{\"seat\":3}} --causation {}", id(9)),
    ] {
        text.push_str(&format!("$ sanctum {arguments}\n{}\n", place.run(&arguments).text()));
    }
    insta::assert_snapshot!(text);
    assert_eq!(place.run("cat").stdout.lines().count(), 3);
}

#[test]
fn bad_data_is_pointed_at() {
    let place = Place::new(&[]);
    let mut text = String::new();
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(1 << 20));
    let deep = "[".repeat(500);
    for data in [
        "",
        " \n ",
        "{\"n\":1",
        "{\"n\":1}}",
        "{\n  \"n\": 1,\n  \"m\": tru\n}",
        "[{\"n\":1}]",
        "\"text\"",
        "17",
        "null",
        "{'n':1}",
        "{\"$topic\":\"a..b\"}",
        "{\"$topic\":\"$x\"}",
        "{\"$stream\":\"\"}",
        "{\"$id\":\"7\"}",
        "{\"$time\":\"yesterday\"}",
        "{\"$tags\":{\"a\":1}}",
        "{\"$ttl\":\"last:0\"}",
        "{\"$expect\":-1}",
        "{\"$position\":1}",
        "{\"$tpoic\":\"a\"}",
        deep.as_str(),
    ] {
        let output = place.command("append orders").arg(data).output().unwrap();
        let ran = crate::ran(output);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{data}");
        let shown: String = data.chars().take(30).collect();
        text.push_str(&format!("$ sanctum append orders '{shown}'\n{}\n", ran.stderr));
    }
    insta::assert_snapshot!(text);
    assert!(!place.has("sanctum-data"), "nothing is made for what is wrong");
    // An argument has at most 128 KiB.
    let ran = place.run_with("append orders -", &large);
    insta::assert_snapshot!(ran.stderr.replace(&"y".repeat(100), "…"));
    assert_eq!(place.run("cat").text(), "exit 0\n-- stdout\n-- stderr\n", "a log without energies is a log");
}

#[test]
fn wrong_command_lines() {
    let place = Place::new(&[]);
    let mut text = String::new();
    for arguments in [
        "append",
        "append a..b {}",
        "append sanctum.fault {}",
        "append $x {}",
        "append a {} --stream=",
        "append a {} --id 7",
        "append a {} --expect -1",
        "append a {} --expect some",
        "append a {} --ttl last:0",
        "append a {} --ttl soon",
        "append a {} --time yesterday",
        "append a {} --tag a",
        "append a {} --durability never",
        "append a {} --plane ../x",
        "append a {} --unless-after 7",
        "append a {} --unless-topic a..b",
        "append a - --id 00000000-0000-7000-8000-000000000001",
        "append a - --unless-topic a",
        "cat --topic a*",
        "cat --limit some",
        "cat --after x",
        "cat --since soon",
        "cat --causation 7",
        "cat --format xml",
        "cat --pulse 5",
        "cat --follow --pulse 0",
        "cat --follow --format json",
        "cat --follow --before 7",
        "cat --cursor a --after 7",
        "cat --cursor=",
        "tac --follow",
        "get",
        "get x",
        "get 99999999999999999999",
        "next",
        "trace --format svg 1",
    ] {
        let ran = place.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments}");
        // What follows is the same for all: usage, and where to find more.
        let message = ran.stderr.split("\n\n").next().unwrap();
        text.push_str(&format!("$ sanctum {arguments}\n{}\n\n", message.trim_end()));
    }
    insta::assert_snapshot!(text);
    assert!(!place.has("sanctum-data"));
}

#[test]
fn energies_are_appended_although_nobody_reads_the_receipts() {
    let place = Place::new(&[]);
    let mut child = place.command("append orders -").stdin(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    for n in 0..100 {
        writeln!(stdin, "{{\"n\":{n}}}").unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(place.run("cat").stdout.lines().count(), 100);
}

#[test]
fn durabilities() {
    let place = Place::new(&[]);
    for durability in ["commit", "interval:50", "os"] {
        let ran = place.run(&format!("append orders {{}} --durability {durability}"));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{durability}");
    }
    assert_eq!(place.run("cat").stdout.lines().count(), 3);
}
