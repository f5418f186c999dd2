//! `sanctum cast`.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::{DOUBLE, NUMBERS, Place, ran};

#[test]
fn spells_come_in_order() {
    let say = |name: &str| format!("return {{ cast = function(event) print(\"{name}\", event.n) end }}");
    let place = Place::new(&[
        ("spells/b.lua", &say("b")),
        ("spells/a.lua", &say("a")),
        ("spells/lib/no.lua", "not lua"),
        ("last.lua", &say("last")),
        ("first.lua", &say("first")),
        ("runeset.yaml", "spells:\n  - path: first.lua\nseeds: [ one.ndjson ]\n"),
        ("one.ndjson", "{\"n\":1}\n"),
        ("two.json", "[{\"n\":2}]"),
    ]);
    let ran = place.run("cast last.lua spells --runeset runeset.yaml --seed two.json --workers 2");
    let expected = "first\t1\nlast\t1\na\t1\nb\t1\nfirst\t2\nlast\t2\na\t2\nb\t2\n";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, expected, ""));
    assert_eq!(place.run("cast runeset.yaml").stdout, "first\t1\n");
    assert_eq!(place.run("cast spells/[ab].lua --seed *.json").stdout, "a\t2\nb\t2\n");
}

#[test]
fn modules_and_runes() {
    let place = Place::new(&[
        (
            "spells/a.lua",
            "local tax = require(\"lib.tax\")\nreturn { cast = function(e) print(tax(e.n), runes.name) end }",
        ),
        ("spells/lib/tax.lua", "return function(n) return n * 2 end"),
        ("runeset.yaml", "spells:\n  - path: spells\n    runes: { name: \"${NAME:-nobody}\" }\n"),
    ]);
    let ran = place.run_with("cast --runeset runeset.yaml --seed -", "{\"n\":4}\n");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("8\tnobody\n", ""));
}

#[test]
fn a_run_that_stops_writes_what_it_produced() {
    let place = Place::new(&[
        (
            "first.lua",
            r#"return { topic = "in", cast = function(event)
          if event.n == 3 then error("three") end
          return { ["$topic"] = "out", n = event.n }, { ["$topic"] = "taken", n = event.n }
        end }"#,
        ),
        ("second.lua", r#"return { topic = "taken", cast = function() end }"#),
        ("seed.ndjson", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n"),
    ]);
    for flags in ["", "--log none", "--workers 2"] {
        let ran =
            place.run(&format!("cast first.lua second.lua --seed seed.ndjson --topic in --output - {flags}"));
        assert_eq!(ran.code, 1);
        assert_eq!(ran.stdout, "{\"$topic\":\"out\",\"n\":1}\n{\"$topic\":\"out\",\"n\":2}\n", "{flags}");
    }
    let ran = place.run("cast first.lua --seed seed.ndjson --time n..x");
    assert!(ran.stderr.contains("the path has an empty part"), "{}", ran.stderr);
}

#[test]
fn what_nobody_consumed_is_the_output() {
    let place = Place::new(&[
        ("double.lua", DOUBLE),
        (
            "tag.lua",
            r#"return { topic = "letters", cast = function(event)
          event["$tags"] = { kind = "letter" }
          event["$topic"] = "numbers"
          return event, { n = event.n / 2 }
        end }"#,
        ),
        ("seed.ndjson", NUMBERS),
    ]);
    let run = |flags: &str| place.run(&format!("cast double.lua tag.lua --seed seed.ndjson {flags}"));
    let printed = "double\t1\ndouble\t2\ndouble\t3\n";
    let ndjson = "{\"$topic\":\"doubled\",\"n\":2}\n{\"$topic\":\"doubled\",\"n\":4}\n{\"n\":1.5}\n{\"$topic\":\"doubled\",\"n\":6}\n";
    let ran = run("--output out.ndjson");
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, printed, ""));
    assert_eq!(place.read("out.ndjson"), ndjson);
    assert_eq!(run("--output - --output-topic doubled").stdout.matches("$topic").count(), 3);
    // What is consumed is written too when its topic is asked for.
    run("--output out.ndjson --output-topic numbers");
    assert_eq!(
        place.read("out.ndjson"),
        "{\"$topic\":\"numbers\",\"$tags\":{\"kind\":\"letter\"},\"n\":3}\n"
    );
    run("--output out.json --format json");
    let array: serde_json::Value = serde_json::from_str(&place.read("out.json")).unwrap();
    assert_eq!((array.as_array().unwrap().len(), &array[2]["n"]), (4, &1.5.into()));
    run("--output out.json --format json --output-topic none");
    assert_eq!(place.read("out.json"), "[]\n");
    run("--output out.ndjson --envelope --output-topic numbers");
    let line: serde_json::Value = serde_json::from_str(&place.read("out.ndjson")).unwrap();
    assert_eq!(
        (&line["position"], &line["tags"]["kind"], &line["data"]["n"]),
        (&5.into(), &"letter".into(), &3.into())
    );
}

#[test]
fn msgpack_reads_back() {
    let place = Place::new(&[("double.lua", DOUBLE), ("seed.ndjson", NUMBERS)]);
    let ran = place.run("cast double.lua --seed seed.ndjson --output out.msgpack --format msgpack");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let bytes = std::fs::read(place.path().join("out.msgpack")).unwrap();
    assert_eq!(bytes, b"\x82\xa6$topic\xa7doubled\xa1n\x02\x82\xa6$topic\xa7doubled\xa1n\x04");
    place.write("say.lua", "return { topic = \"doubled\", cast = function(e) print(e.n) end }");
    assert_eq!(place.run("cast say.lua --seed out.msgpack").stdout, "2\n4\n");
    place.run("cast double.lua --seed seed.ndjson --output all.msgpack --format msgpack --envelope");
    let bytes = std::fs::read(place.path().join("all.msgpack")).unwrap();
    let value = rmpv::decode::read_value(&mut bytes.as_slice()).unwrap();
    assert_eq!((value["topic"].as_str(), value["data"]["n"].as_i64()), (Some("doubled"), Some(2)));
}

#[test]
fn energies_are_dumped() {
    let place = Place::new(&[
        ("double.lua", DOUBLE),
        ("all.lua", "return { cast = function() end }"),
        ("seed.lua", "return { n = 1 }"),
    ]);
    let ran = place.run("cast double.lua all.lua --seed seed.lua --topic numbers --dump-events");
    assert_eq!(ran.stderr, "0 numbers 81a16e01 {\"n\":1}\n1 doubled 81a16e02 {\"n\":2}\n");
    assert_eq!(place.run("cast all.lua --seed seed.lua --dump-events").stderr, "0 - 81a16e01 {\"n\":1}\n");
}

#[test]
fn time_and_log() {
    let place = Place::new(&[
        ("a.lua", "return { cast = function(e, envelope) print(envelope.time) end }"),
        ("seed.lua", "return { at = { ms = 1500 } }"),
    ]);
    for flags in ["", "--log none", "--log memory --workers 3"] {
        assert_eq!(place.run(&format!("cast a.lua --seed seed.lua --time at.ms {flags}")).stdout, "1500\n");
    }
}

#[test]
fn a_seed_whose_id_is_known_is_not_added_twice() {
    let place = Place::new(&[
        (
            "count.lua",
            "return { cast = function(e) state.n = (state.n or 0) + 1 print(state.n, e.order) end }",
        ),
        ("seed.ndjson", "{\"order\":1}\n{\"order\":\"b\"}\n{\"order\":1}\n"),
    ]);
    let command = "cast count.lua --data log --seed-id order --seed";
    assert_eq!(place.run(&format!("{command} seed.ndjson")).stdout, "1\t1\n2\tb\n");
    for flags in ["seed.ndjson", "seed.ndjson --again", "- --again"] {
        let ran = place.run_with(&format!("{command} {flags}"), "{\"order\":\"b\"}\n{\"order\":1}\n");
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""), "{flags}");
    }
    assert_eq!(
        place.run_with(&format!("{command} -"), "{\"order\":\"b\"}\n{\"order\":\"c\"}").stdout,
        "3\tc\n"
    );
    place.write("other.ndjson", "{\"order\":\"d\"}\n{\"order\":1,\"paid\":true}\n");
    let other = place.run(&format!("{command} other.ndjson"));
    place.write("none.ndjson", "{\"order\":\"e\"}\n{\"ordre\":1}\n");
    let none = place.run(&format!("{command} none.ndjson"));
    insta::assert_snapshot!(format!("{}\n{}", other.text(), none.text()));
    // Without a log that lasts it holds for one run.
    assert_eq!(place.run("cast count.lua --seed-id order --seed seed.ndjson").stdout, "1\t1\n2\tb\n");
    assert_eq!(place.run("cast count.lua --seed-id order..x --seed seed.ndjson").code, 2);
}

#[test]
fn a_summary_is_a_table() {
    let place = Place::new(&[("double.lua", DOUBLE), ("seed.ndjson", NUMBERS)]);
    let ran = place.run("cast double.lua --seed seed.ndjson --summary");
    let lines: Vec<Vec<&str>> = ran.stderr.lines().map(|line| line.split_whitespace().collect()).collect();
    let columns = "spell casts in out filtered faults retries casts/s p50 p99 max memory state lag";
    assert_eq!(lines[0], columns.split(' ').collect::<Vec<_>>());
    assert_eq!(lines[1][..7], ["double", "2", "2", "2", "0", "0", "0"]);
    assert!(ran.stderr.contains("3 seeds, 2 produced, 2 casts in "), "{}", ran.stderr);
    assert_eq!(ran.stdout, "double\t1\ndouble\t2\n");
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    let place = Place::new(&[
        ("loud.lua", "return { cast = function() for i = 1, 1000 do print((\"x\"):rep(100)) end end }"),
        ("seed.lua", "local list = {} for i = 1, 50 do list[i] = { n = i } end return list"),
    ]);
    let mut child = place.command("cast loud.lua --seed seed.lua").spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ran = ran(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn output_that_cannot_be_written() {
    let place = Place::new(&[("double.lua", DOUBLE), ("seed.ndjson", NUMBERS)]);
    let ran = place.run("cast double.lua --seed seed.ndjson --output no/such/file");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("error: cannot write `no/such/file`"), "{}", ran.stderr);
    if std::path::Path::new("/dev/full").exists() {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = place.command("cast double.lua --seed seed.ndjson").stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the output"));
    }
}

#[test]
fn a_change_runs_again() {
    let place = Place::new(&[
        ("spells/a.lua", "return { cast = function(e) print(require(\"m\"), e.n) end }"),
        ("spells/m.lua", "return \"one\""),
        ("seed.ndjson", "{\"n\":1}\n"),
    ]);
    let mut child = place.command("cast spells/a.lua --seed seed.ndjson --watch").spawn().unwrap();
    let (sender, lines) = channel();
    for output in [
        Box::new(child.stdout.take().unwrap()) as Box<dyn Read + Send>,
        Box::new(child.stderr.take().unwrap()),
    ] {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
    }
    let mut seen = Vec::new();
    let mut wait = |wanted: &str| loop {
        match lines.recv_timeout(Duration::from_secs(30)) {
            Ok(line) if line.starts_with(wanted) => return true,
            Ok(line) => seen.push(line),
            Err(_) => {
                eprintln!("waited for {wanted}: {seen:?}");
                return false;
            }
        }
    };
    let steps: [(&str, &str, &[&str]); 5] = [
        ("", "", &["one\t1", "watching"]),
        ("spells/m.lua", "return \"two\"", &["two\t1", "watching"]),
        ("seed.ndjson", "{\"n\":2}\n", &["two\t2", "watching"]),
        ("spells/a.lua", "return { cast = ", &["error: syntax error", "watching"]),
        ("spells/a.lua", "return { cast = function(e) print(\"three\") end }", &["three", "watching"]),
    ];
    // The two outputs are read side by side, so lines of one step may come in any order.
    let mut fine = true;
    for (path, text, wanted) in steps {
        if !path.is_empty() {
            place.write(path, text);
        }
        fine = fine && wait(wanted[0]);
        std::thread::sleep(Duration::from_millis(200));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(fine);
}
