//! Commands that read a log: `cat`, `tac`, `get`, `first`, `last`, `next`, `prev`, `topics`, `streams`, `stat`, `trace`.

use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStdout, Stdio};
use std::time::{Duration, Instant};

use crate::append::{Appending, id, json};
use crate::{Place, ran};

/// Twelve energies: topics `orders.eu`, `orders.us`, `refunds` in turn, streams `user-0` and `user-1`, a second apart.
fn grown() -> Place {
    let place = Place::new(&[]);
    let line = |n: u32| {
        let topic = ["orders.eu", "orders.us", "refunds"][n as usize % 3];
        let (stream, time, even, id) = (n % 2, 1_000 * n, n.is_multiple_of(4), id(n));
        format!(
            "{{\"$topic\":\"{topic}\",\"$stream\":\"user-{stream}\",\"$time\":{time},\"$id\":\"{id}\",\
             \"$tags\":{{\"even\":\"{even}\"}},\"n\":{n}}}\n"
        )
    };
    let lines: String = (0..12).map(line).collect();
    let ran = place.run_with("append other -", &lines);
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 12), "{}", ran.stderr);
    place
}

/// The positions that a command prints.
fn positions(place: &Place, arguments: &str) -> Vec<u64> {
    let ran = place.run(arguments);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments}");
    ran.stdout.lines().map(|line| json(line)["position"].as_u64().unwrap()).collect()
}

#[test]
fn filters_and_bounds() {
    let place = grown();
    let all: Vec<u64> = (0..12).collect();
    assert_eq!(positions(&place, "cat"), all);
    assert_eq!(positions(&place, "tac"), all.iter().rev().copied().collect::<Vec<_>>());
    for (arguments, expected) in [
        ("--topic orders.*", &[0, 1, 3, 4, 6, 7, 9, 10][..]),
        ("--topic orders.eu --topic refunds", &[0, 2, 3, 5, 6, 8, 9, 11]),
        ("--topic orders.us --stream user-1", &[1, 7]),
        ("--tag even=true", &[0, 4, 8]),
        ("--tag even=true --tag other=x", &[]),
        ("--since 9000", &[9, 10, 11]),
        ("--since 1970-01-01T00:00:02Z --until 4000", &[2, 3]),
        ("--since 1h", &[]),
        ("--until 1h --stream user-0 --limit 2", &[0, 2]),
        ("--after 9", &[10, 11]),
        ("--after 11", &[]),
        ("--before 2", &[0, 1]),
        ("--before 999 --after 10", &[11]),
        ("--after 7 --before 3", &[]),
        ("--limit 3", &[0, 1, 2]),
        ("--limit 0", &[]),
        ("--last 3", &[9, 10, 11]),
        ("--last 3 --limit 2", &[9, 10]),
        ("--last 2 --topic refunds", &[8, 11]),
        ("--last 2 --topic refunds --before 11", &[5, 8]),
        ("--last 99 --after 9", &[10, 11]),
        ("--last 0", &[]),
    ] {
        assert_eq!(positions(&place, &format!("cat {arguments}")), expected, "cat {arguments}");
    }
    for (arguments, expected) in [
        ("--limit 3", &[11, 10, 9][..]),
        ("--last 3 --limit 2", &[11, 10]),
        ("--topic refunds --after 2 --before 11", &[8, 5]),
    ] {
        assert_eq!(positions(&place, &format!("tac {arguments}")), expected, "tac {arguments}");
    }
    let after = format!("cat --after {} --before {}", id(3), id(6));
    assert_eq!(positions(&place, &after), [4, 5]);
    for (arguments, expected) in [
        ("first", 0),
        ("last", 11),
        ("first --stream user-1 --topic refunds", 5),
        ("last --tag even=true", 8),
        ("next 3", 4),
        ("next 3 --tag even=true", 4),
        ("next 4 --tag even=true", 8),
        ("prev 4 --tag even=true", 0),
        ("prev 4", 3),
        ("get 7", 7),
    ] {
        assert_eq!(positions(&place, arguments), [expected], "{arguments}");
    }
    assert_eq!(positions(&place, &format!("get {}", id(5))), [5]);
    assert_eq!(positions(&place, &format!("next {} --stream user-0", id(5))), [6]);
}

#[test]
fn an_energy_is_printed_with_its_envelope() {
    let place = grown();
    let mut text = String::new();
    for arguments in [
        "get 4",
        "get 4 --format json",
        "cat --last 2 --format json",
        "cat --last 0 --format json",
        "topics",
        "topics --topic orders.* --format json",
        "streams",
        "streams --prefix user-1",
    ] {
        text.push_str(&format!("$ sanctum {arguments}\n{}", place.run(arguments).stdout));
    }
    insta::assert_snapshot!(text);
    for (arguments, count) in [("cat --format msgpack", 12), ("get 3 --format msgpack", 1)] {
        let bytes = place.run(arguments).bytes;
        let mut rest = bytes.as_slice();
        let mut positions = Vec::new();
        while !rest.is_empty() {
            positions.push(rmpv::decode::read_value(&mut rest).unwrap()["position"].as_u64().unwrap());
        }
        assert_eq!(positions.len(), count);
    }
    let stat = json(&place.run("stat").stdout);
    assert_eq!((&stat["plane"], &stat["events"], &stat["head"]), (&"main".into(), &12.into(), &12.into()));
    assert_eq!(stat["newest"], serde_json::json!({ "position": 11, "time": 11_000 }));
    assert_eq!(stat["topics"], serde_json::json!({ "orders.eu": 4, "orders.us": 4, "refunds": 4 }));
    assert!(stat["bytes"].as_u64().unwrap() > 0 && stat["segments"] == 1);
    let human = place.run("stat --human").stdout;
    assert!(human.contains("newest    position 11, 1970-01-01T00:00:11.000Z\n"), "{human}");
}

#[test]
fn what_is_not_there_is_said() {
    let place = grown();
    place.write("file", "");
    std::fs::create_dir(place.path().join("empty")).unwrap();
    place.write("foreign/planes/main/holiday.jpg", "");
    place.run("append a {} --plane shop --data ./several");
    let mut text = String::new();
    for arguments in [
        "get 12",
        "get 00000000-0000-7000-8000-000000000099",
        "first --topic none",
        "last --stream none",
        "next 11",
        "next 3 --topic none",
        "prev 0",
        "prev 12",
        "trace 12",
        "cat --after 12",
        "cat --follow --after 999",
        "cat --after 00000000-0000-7000-8000-000000000099",
        "cat --data missing",
        "cat --data empty",
        "cat --data file",
        "cat --data foreign",
        "append a {} --data file",
        "append a {} --data foreign",
        "cat --data several",
        "stat --data missing",
        "topics --data missing",
        "trace 0 --data missing",
        "cat --cursor a --data missing",
        "cat --follow --data missing",
    ] {
        let ran = place.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{arguments}");
        text.push_str(&format!("$ sanctum {arguments}\n{}", ran.stderr));
    }
    for name in ["missing", "empty/planes"] {
        assert!(!place.has(name), "to read makes nothing");
    }
    place.run_with("append a - --plane new", "");
    for arguments in
        ["cat", "tac", "cat --last 3", "topics", "streams", "first", "get 0", "cat --after 0", "stat"]
    {
        let ran = place.run(&format!("{arguments} --plane new"));
        text.push_str(&format!("$ sanctum {arguments} --plane new\n{}", ran.text()));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn planes_are_apart() {
    let place = Place::new(&[]);
    for (plane, count) in [("main", 1), ("eu-1", 2)] {
        for n in 0..count {
            let receipt = json(&place.run(&format!("append a {{}} --plane {plane} --data d")).stdout);
            assert_eq!((&receipt["position"], &receipt["version"]), (&n.into(), &n.into()));
        }
    }
    assert_eq!(place.run("cat --data d").stdout.lines().count(), 1);
    assert_eq!(place.run("cat --data d --plane eu-1").stdout.lines().count(), 2);
    assert!(place.has("d/planes/main") && place.has("d/planes/eu-1"));
}

#[test]
fn one_writes_and_any_number_read() {
    let place = grown();
    let mut appending = Appending::new(&place, "append a -");
    appending.write("{}\n");
    assert_eq!(appending.receipt()["position"], 12);
    // Read meanwhile.
    assert_eq!(positions(&place, "cat --after 11"), [12]);
    let mut text = String::new();
    for arguments in ["append a {}", "cat --cursor mailer"] {
        let start = Instant::now();
        let ran = place.run(arguments);
        assert!(start.elapsed() >= Duration::from_secs(2), "a writer may be about to end");
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        let holder: String =
            ran.stderr.chars().map(|char| if char.is_ascii_digit() { '#' } else { char }).collect();
        text.push_str(&format!(
            "$ sanctum {arguments}\n{}",
            holder.replace("##", "#").replace("##", "#").replace("##", "#")
        ));
    }
    insta::assert_snapshot!(text);
    // One that ends in time is waited for.
    let waiting = place.command("append a {}").spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(appending.end(), (0, String::new()));
    assert_eq!(ran(waiting.wait_with_output().unwrap()).code, 0);
    assert_eq!(positions(&place, "cat --after 11"), [12, 13]);
}

/// Lines of a command that goes on.
struct Following {
    child: std::process::Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    fn new(place: &Place, arguments: &str) -> Self {
        let mut child = place.command(arguments).stdin(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // One that has ended is fine as well.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
fn followers_read_history_then_the_threshold_then_what_comes() {
    let place = grown();
    let mut appending = Appending::new(&place, "append many -");
    appending.write("{}\n");
    appending.receipt();
    let mut followers: Vec<Following> =
        (0..3).map(|_| Following::new(&place, "cat --follow --limit 2013")).collect();
    for n in 0..2_000 {
        appending.write(&format!("{{\"n\":{n}}}\n"));
        if n % 10 == 9 {
            // As fast as they are acknowledged.
            (0..10).for_each(|_| drop(appending.receipt()));
        }
    }
    for follower in &mut followers {
        let mut text = String::new();
        follower.lines.read_to_string(&mut text).unwrap();
        assert!(follower.child.wait().unwrap().success());
        let (mut next, mut thresholds) = (0, 0);
        for line in text.lines().map(json) {
            if let Some(threshold) = line["threshold"].as_u64() {
                assert!(threshold == next && threshold >= 13, "{threshold} after {next}");
                thresholds += 1;
            } else {
                assert_eq!(line["position"], next);
                next += 1;
            }
        }
        assert_eq!((next, thresholds), (2_013, 1));
    }
    assert_eq!(appending.end().0, 0);
    // As much as there is: nothing to wait for, and no threshold.
    assert_eq!(place.run("cat --follow --limit 12 --before 99").code, 2);
    assert_eq!(place.run("cat --follow --limit 12").stdout.lines().count(), 12);
    let mut follower = Following::new(&place, "cat --follow --last 1 --topic refunds");
    assert_eq!(json(&follower.line())["position"], 11);
    assert_eq!(json(&follower.line())["threshold"], 2_013);
    place.run("append other {}");
    place.run("append refunds {}");
    assert_eq!(json(&follower.line())["position"], 2_014);
}

#[test]
fn pulses_say_that_nothing_was_missed() {
    let place = grown();
    let mut follower = Following::new(&place, "cat --follow --after 11 --pulse 20");
    assert_eq!(follower.line(), "{\"threshold\":12}\n");
    let pulses: Vec<i64> = (0..3).map(|_| json(&follower.line())["pulse"].as_i64().unwrap()).collect();
    assert!(pulses.is_sorted() && pulses[0] > 1_600_000_000_000);
    let mut packed = Following::new(&place, "cat --follow --after 11 --format msgpack");
    let mut mark = [0; 12];
    packed.lines.read_exact(&mut mark).unwrap();
    assert_eq!(&mark, b"\x81\xa9threshold\x0c");
}

#[test]
fn a_follower_ends_with_its_reader() {
    let place = grown();
    for arguments in ["cat --follow", "cat --follow --pulse 50"] {
        let mut child = place.command(arguments).stdin(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut String::new()).unwrap();
        // Nobody reads any more, and nothing is appended that would tell.
        drop(lines);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn cursors_survive_restarts() {
    let place = grown();
    assert_eq!(positions(&place, "cat --cursor mailer --limit 5"), [0, 1, 2, 3, 4]);
    assert_eq!(positions(&place, "cat --cursor mailer --topic refunds"), [5, 8, 11]);
    assert!(positions(&place, "cat --cursor mailer").is_empty(), "what did not match is passed");
    assert_eq!(positions(&place, "cat --cursor other --limit 1"), [0]);
    // While others append: a follower holds the log for moments only.
    let mut follower = Following::new(&place, "cat --follow --cursor mailer");
    assert_eq!(follower.line(), "{\"threshold\":12}\n");
    for position in 12..15 {
        assert_eq!(place.run("append refunds {}").code, 0);
        assert_eq!(json(&follower.line())["position"], position);
    }
    drop(follower);
    // It may have been killed between printing and remembering, which gives the last one again.
    let rest = positions(&place, "cat --cursor mailer");
    assert!(rest.is_empty() || rest == [14], "{rest:?}");
    let ran = place.run("cat --follow --cursor other --limit 3");
    assert_eq!(ran.stdout.lines().count(), 3, "{}", ran.stderr);
    assert_eq!(positions(&place, "cat --cursor other --limit 1"), [4]);
}

#[test]
fn causes_are_drawn() {
    let place = Place::new(&[]);
    let (id0, id1, id3) = (id(10), id(11), id(13));
    for arguments in [
        format!("append orders {{\"n\":1}} --id {id0} --time 0"),
        format!("append billed {{\"n\":2}} --id {id1} --time 1 --causation {id0}"),
        format!("append other {{}} --id {} --time 2", id(12)),
        format!("append shipped {{}} --id {id3} --time 3 --causation {id1}"),
        format!("append mailed {{}} --id {} --time 4 --causation {id1}", id(14)),
        format!("append arrived {{}} --id {} --time 5 --causation {id3}", id(15)),
    ] {
        assert_eq!(place.run(&arguments).code, 0);
    }
    let mut text = String::new();
    for arguments in [
        "trace 1",
        &format!("trace {}", id(15)),
        "trace 0 --limit 1",
        "trace 1 --format dot",
        "trace 3 --format json",
    ] {
        text.push_str(&format!("$ sanctum {arguments}\n{}", place.run(arguments).stdout));
    }
    insta::assert_snapshot!(text);
    let lines: String = (0..100).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    place.run_with("append chain -", &lines);
    assert_eq!(positions(&place, &format!("cat --causation {id1}")), [3, 4]);
    assert_eq!(positions(&place, &format!("cat --correlation {id0}")), [1, 3, 4, 5]);
}
