//! Seeds: what every kind of source gives, that a source of any size is a stream, and every refusal as text.

#![allow(clippy::unwrap_used)]

use std::io::Write;

use proptest::prelude::*;
use sanctum::engine::seed::{Input, Kind, SeedOptions, Seeds, Source};
use sanctum::engine::{Clock, INTAKE_EVENTS, Intake};
use sanctum::event::{Events, json};
use sanctum::runeset::diagnostic::render_all;
use sanctum::runeset::{Diagnostic, Style};
use sanctum::spell::Modules;

const NOW_MS: i64 = 1_700_000_000_000;

fn options() -> SeedOptions {
    SeedOptions { clock: Clock::FixedMs(NOW_MS), ..SeedOptions::default() }
}

fn bytes(name: &str, text: impl AsRef<[u8]>) -> Source {
    Source::bytes(name, text.as_ref()).unwrap()
}

/// All events of a run, as chunks, and what ended it.
fn chunks(sources: Vec<Source>, options: SeedOptions) -> (Vec<Events>, Option<Box<Diagnostic>>) {
    let mut seeds = Seeds::new(sources, options);
    let mut chunks = Vec::new();
    loop {
        let mut batch = Events::default();
        seeds.set_settled(chunks.iter().map(Events::len).sum::<usize>() as u64);
        let result = seeds.fill(&mut batch);
        chunks.push(batch);
        match result {
            Ok(true) => {}
            Ok(false) => return (chunks, None),
            Err(diagnostic) => {
                assert!(!seeds.fill(&mut Events::default()).unwrap(), "nothing follows an error");
                return (chunks, Some(diagnostic));
            }
        }
    }
}

fn lines(chunks: &[Events]) -> Vec<String> {
    let line = |event| {
        let mut out = Vec::new();
        json::write_event(event, &mut out);
        String::from_utf8(out).unwrap()
    };
    chunks.iter().flat_map(|chunk| chunk.iter().map(line)).collect()
}

fn data(chunks: &[Events]) -> Vec<String> {
    let line = |event: sanctum::event::EventRef<'_>| {
        let mut out = Vec::new();
        json::write_value(event.data(), &mut out);
        String::from_utf8(out).unwrap()
    };
    chunks.iter().flat_map(|chunk| chunk.iter().map(line)).collect()
}

fn good(sources: Vec<Source>, options: SeedOptions) -> Vec<Events> {
    let (chunks, error) = chunks(sources, options);
    assert!(error.is_none(), "{}", error.unwrap().render(Style::Plain));
    chunks
}

fn seeds_of(name: &str, text: impl AsRef<[u8]>) -> Vec<String> {
    data(&good(vec![bytes(name, text)], options()))
}

fn error_with(name: &str, text: impl AsRef<[u8]>, options: SeedOptions) -> String {
    let (_, error) = chunks(vec![bytes(name, text)], options);
    error.unwrap_or_else(|| panic!("{name} was taken")).render(Style::Plain)
}

fn errors(name: &str, texts: &[&[u8]]) -> String {
    let shown = |text: &&[u8]| format!("# {}\n{}", text.escape_ascii(), error_with(name, text, options()));
    texts.iter().map(shown).collect::<Vec<_>>().join("\n")
}

fn pack(values: &[serde_json::Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        json::Parser::new().to_msgpack(value.to_string().as_bytes(), &mut out).unwrap();
    }
    out
}

#[test]
fn lines_are_energies() {
    assert_eq!(
        seeds_of("a.ndjson", "{\"a\":1}\n{\"b\":[2.0,null]}\n"),
        [r#"{"a":1}"#, r#"{"b":[2.0,null]}"#]
    );
    assert_eq!(seeds_of("a.jsonl", "\u{feff}{\"a\":1}\r\n\r\n  \n\t {\"a\":2} \r\n\n{\"a\":3}").len(), 3);
    for empty in ["", "\n", "\u{feff}", "  \r\n \n", "\r"] {
        assert!(seeds_of("a.ndjson", empty).is_empty(), "{empty:?}");
    }
}

#[test]
fn documents_are_energies() {
    assert_eq!(seeds_of("a.json", "\u{feff} \n{ \"a\": {\"b\": \"}\\\"{\"} }\n"), [r#"{"a":{"b":"}\"{"}}"#]);
    let text = "[\n  {\"a\": 1},\r\n  {\"b\": \"]\\\\\"} , {}\n]\n";
    assert_eq!(seeds_of("a.json", text), [r#"{"a":1}"#, r#"{"b":"]\\"}"#, "{}"]);
    for empty in ["", " \n", "\u{feff}", "[]", " [ ] \n"] {
        assert!(seeds_of("a.json", empty).is_empty(), "{empty:?}");
    }
}

#[test]
fn messages_are_energies() {
    let text = pack(&[serde_json::json!({"a": 1}), serde_json::json!({"b": {"c": "x"}, "$topic": "t"})]);
    let chunks = good(vec![bytes("a.msgpack", &text)], options());
    assert_eq!(data(&chunks), [r#"{"a":1}"#, r#"{"b":{"c":"x"}}"#]);
    assert_eq!(chunks[0].get(1).topic(), Some("t"));
    // Unsorted keys, a long integer and a 32-bit float become canonical.
    let odd = b"\x82\xa1b\xd3\0\0\0\0\0\0\0\x01\xa1a\xca\x3f\x80\0\0";
    assert_eq!(seeds_of("a.msgpack", odd), [r#"{"a":1.0,"b":1}"#]);
    assert!(seeds_of("a.msgpack", "").is_empty());
}

#[test]
fn scripts_return_energies() {
    assert_eq!(seeds_of("a.lua", "return { a = 1 }"), [r#"{"a":1}"#]);
    assert_eq!(seeds_of("a.lua", "return { { a = 1 }, { b = { 1, 2 } } }"), [r#"{"a":1}"#, r#"{"b":[1,2]}"#]);
    assert_eq!(seeds_of("a.lua", "return {}"), ["{}"]);
    let many = "local all = {} for i = 1, 10000 do all[i] = { i = i } end return all";
    let chunks = good(vec![bytes("a.lua", many)], options());
    assert_eq!(data(&chunks).len(), 10_000);
    assert_eq!(chunks[0].len(), INTAKE_EVENTS);
    for empty in ["", "\n", "return array{}"] {
        assert!(seeds_of("a.lua", empty).is_empty(), "{empty:?}");
    }
    let mut source = bytes("a.lua", "return require('shop.tax')");
    source.modules = Modules::memory([("shop.tax".to_owned(), b"return { rate = 19 }".as_slice().into())]);
    assert_eq!(data(&good(vec![source], options())), [r#"{"rate":19}"#]);
}

#[test]
fn the_envelope_is_what_a_seed_says() {
    let full = r#"{"$topic":"orders.eu","$stream":"user-1","$id":"01890a5d-ac96-774b-bcce-b302099a8057",
        "$time":"2026-01-31T12:00:00Z","$tags":{"k":"v"},"$ttl":"last:3","$expect":"none","$content":"blake3:ab","a":1}"#
        .replace('\n', " ");
    let text = format!("{full}\n{{\"a\":2}}\n{{\"$topic\":\"other\"}}\n{{\"a\":3,\"$time\":5}}\n");
    let chunks =
        good(vec![bytes("a.ndjson", text)], SeedOptions { topic: Some("seeds".into()), ..options() });
    insta::assert_snapshot!(lines(&chunks).join("\n"));
    assert!(chunks[0].is_checked());
    assert_eq!(chunks[0].get(0).extra().unwrap().expect.to_string(), "none");
    assert!(!good(vec![bytes("a.ndjson", "{\"$tags\":{\"a\":\"b\"}}")], options())[0].is_checked());
    let bare = good(vec![bytes("a.ndjson", "{\"a\":1}")], options());
    assert_eq!((bare[0].get(0).topic(), bare[0].get(0).stream()), (None, None));
}

#[test]
fn a_field_may_say_the_time() {
    let text = r#"{"m":{"t":1000}}
{"m":{"t":1500.9}}
{"m":{"t":"2026-01-31T12:00:00.250+01:00"}}
{"m":{"t":null}}
{"m":7}
{"m":{"t":1},"$time":2}"#;
    let options = SeedOptions { time: Some("m.t".into()), ..options() };
    let chunks = good(vec![bytes("a.ndjson", text)], options);
    let times: Vec<i64> = chunks[0].iter().map(|event| event.head().time_ms).collect();
    assert_eq!(times, [1000, 1500, 1_769_857_200_250, NOW_MS, NOW_MS, 2]);
}

#[test]
fn ids_follow_from_file_and_content() {
    let ids = |sources: Vec<Source>| -> Vec<String> {
        let chunks = good(sources, options());
        chunks.iter().flat_map(|chunk| chunk.iter().map(|event| event.head().id.to_string())).collect()
    };
    let text = "{\"a\":1}\n{\"a\":1}\n";
    let one = ids(vec![bytes("a.ndjson", text)]);
    assert_eq!(one, ids(vec![bytes("a.ndjson", text)]));
    assert_eq!(
        one,
        ids(vec![bytes("a.ndjson", "\u{feff}{\"a\":1}\r\n\n {\"a\":1}")]),
        "line ends do not count"
    );
    let all = ids(vec![
        bytes("a.ndjson", text),
        bytes("b.ndjson", text),
        bytes("a.ndjson", text),
        bytes("a.ndjson", text),
        bytes("a.json", "[{\"a\":1},{\"a\":1}]"),
    ]);
    assert_eq!(all[..2], one);
    let mut unique = all.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), all.len());
    // Stable from release to release.
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn chunks_have_a_fixed_size_and_know_what_is_settled() {
    let text = "{\"a\":1}\n".repeat(INTAKE_EVENTS);
    let chunks = good(
        vec![bytes("a.ndjson", &text), bytes("b.json", "[{},{}]"), bytes("c.lua", "return {}")],
        options(),
    );
    let sizes: Vec<usize> = chunks.iter().map(Events::len).collect();
    assert_eq!(sizes, [INTAKE_EVENTS, 3]);
    assert_eq!(chunks[0].get(9).head().settled, 0);
    assert_eq!(chunks[1].get(0).head().settled, INTAKE_EVENTS as u64);
    // Large records close a chunk by bytes.
    let large = format!("{{\"a\":\"{}\"}}\n", "x".repeat(900_000)).repeat(20);
    let sizes: Vec<usize> = good(vec![bytes("a.ndjson", large)], options()).iter().map(Events::len).collect();
    assert_eq!(sizes, [5, 5, 5, 5, 0]);
}

#[test]
fn large_integers_are_counted() {
    let mut seeds = Seeds::new(vec![bytes("a.ndjson", "{\"a\":18446744073709551615}\n{\"a\":1}")], options());
    seeds.fill(&mut Events::default()).unwrap();
    assert_eq!(seeds.big_uints(), 1);
    let mut seeds =
        Seeds::new(vec![bytes("a.msgpack", b"\x81\xa1a\xcf\xff\xff\xff\xff\xff\xff\xff\xff")], options());
    seeds.fill(&mut Events::default()).unwrap();
    assert_eq!(seeds.big_uints(), 1);
}

#[test]
fn progress_is_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ndjson");
    std::fs::write(&path, "{\"a\":1}\n".repeat(5_000)).unwrap();
    let sources =
        vec![Source::file("a.ndjson", &path).unwrap(), bytes("b.json", "[{}]"), bytes("c.lua", "return {}")];
    let mut seeds = Seeds::new(sources, options());
    assert_eq!(seeds.progress(), Some((0, 40_013)));
    assert!(seeds.fill(&mut Events::default()).unwrap());
    assert_eq!(seeds.progress(), Some((8 * INTAKE_EVENTS as u64, 40_013)));
    assert!(!seeds.fill(&mut Events::default()).unwrap());
    assert_eq!(seeds.progress(), Some((40_013, 40_013)));
    assert_eq!(Seeds::new(vec![Source::stdin()], options()).progress(), None);
}

#[test]
fn a_pipe_is_read_to_its_end() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let writing = std::thread::spawn(move || {
        for piece in ["{\"a\"", ":1}\n{", "\"a\":2", "}", "\n\n"] {
            writer.write_all(piece.as_bytes()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    });
    let source = pipe(&reader, Kind::Ndjson);
    let seeds = Seeds::new(vec![source.clone()], options());
    assert!(seeds.problems().is_empty() && seeds.progress().is_none());
    assert_eq!(data(&good(vec![source], options())), [r#"{"a":1}"#, r#"{"a":2}"#]);
    writing.join().unwrap();
}

#[test]
fn what_came_before_an_error_is_kept() {
    for (name, text) in [
        ("a.ndjson", b"{\"a\":1}\n{\"a\":2}\n{\"a\":\n".as_slice()),
        ("a.json", b"[{\"a\":1},{\"a\":2},3]"),
        ("a.msgpack", b"\x81\xa1a\x01\x81\xa1a\x02\xc1"),
        ("a.lua", b"return { { a = 1 }, { a = 2 }, { ['$topc'] = 1 } }"),
    ] {
        let (chunks, error) = chunks(vec![bytes(name, text), bytes("z.ndjson", "{}")], options());
        assert!(error.is_some(), "{name}");
        assert_eq!(data(&chunks), [r#"{"a":1}"#, r#"{"a":2}"#], "{name}");
        assert_eq!(chunks[0].byte_len(), 8, "{name}: nothing of the bad record is left");
    }
}

#[test]
fn lines_are_refused() {
    insta::assert_snapshot!(errors(
        "seeds/a.ndjson",
        &[
            b"{\"a\":1}\n{\"a\":}\n{\"a\":2}\n",
            b"{\"a\":1}\n  {\"a\":1\n",
            b"{\n  \"a\": 1\n}\n",
            b"[{\"a\":1}]",
            b"{\"a\":1}{\"a\":2}",
            b"42",
            b"{\"a\":1}\n{\"name\":\"\xc3\xa4\xc3\xb6 \xff\"}",
            b"{\"a\":1}\n{\"a\":\"\0\"}",
            b"\0\0",
            b"\xff\xfe{\0}\0",
            b"{\"a\":1, \"$topci\":\"x\"}",
            b"{\"a\":1, \"$position\":7}",
            b"{\"$topic\":\"a..b\"}",
            b"{\"$topic\":\"sanctum.tick\"}",
            b"{\"a\":1,\"$time\":true}",
            b"{\"a\":{\"$bin\":7}}",
            b"{\"a\":\"x\ty\"}",
            b"\"$topic\"",
            b"{'a':1}",
            b"\xef\xbb\xbf{'a':1}",
        ]
    ));
}

#[test]
fn documents_are_refused() {
    insta::assert_snapshot!(errors(
        "a.json",
        &[
            b"42",
            b"[\n  {\"a\": 1},\n  {\"a\": }\n]",
            b"[\n  {\"a\": 1}\n  {\"a\": 2}\n]",
            b"[{\"a\": 1},]",
            b"[{\"a\": 1}, 7]",
            b"[,]",
            b"[{\"a\": 1}",
            b"[{\"a\": 1",
            b"[{\"a\": \"x}, {\"b\": 1}]",
            b"[{\"a\": 1]]",
            b"{\"a\": 1}\n{\"a\": 2}\n",
            b"[{}] x",
            b"{\n  \"a\": 1,\n  \"$topci\": \"x\"\n}",
            b"[{\"\xc3\xa4\": 1}, {\"b\": \"\xff\"}]",
            b"\xff\xfe[\0]\0",
        ]
    ));
}

#[test]
fn messages_are_refused() {
    insta::assert_snapshot!(errors(
        "a.msgpack",
        &[
            b"\x81\xa1a\x01\x93\x01\x02\x03",
            b"\x81\xa1a\x01\xc1",
            b"\x81\xa1a\x01\x81\xa1a",
            b"\x81\xa1a\xdb\xff\xff\xff\xff",
            b"\x81\xa1a\x01\x81\xa1a\xc1",
            b"\x81\xcb\x7f\xf8\0\0\0\0\0\0\x01",
            b"\x81\xc0\x01",
            b"\x81\xa6$topci\x01",
            b"{\"a\":1}",
        ]
    ));
}

#[test]
fn scripts_are_refused() {
    insta::assert_snapshot!(errors(
        "seeds/a.lua",
        &[
            b"return",
            b"return 7",
            b"return { 1, 2 }",
            b"return { { a = 1 }, { { a = 2 } } }",
            b"return { { a = 1 }, { ['$topci'] = 'x' } }",
            b"return { ['$time'] = {} }",
            b"local t =\nreturn t",
            b"local function make()\n  error('no luck')\nend\nreturn make() or {}",
            b"local t = {} t.t = t return t",
            b"while true do end",
            b"return { io = io.open('x') }",
        ]
    ));
}

#[test]
fn limits_are_kept() {
    let mut small = options();
    small.limits.event_bytes = 64;
    let record = format!("{{\"a\":\"{}\"}}", "x".repeat(80));
    let mut text = vec![error_with("a.ndjson", format!("{{}}\n{record}"), small.clone())];
    text.push(error_with("a.json", format!("[{{}},\n{record}]"), small.clone()));
    let value: serde_json::Value = serde_json::from_str(&record).unwrap();
    text.push(error_with("a.msgpack", pack(&[value]), small.clone()));
    text.push(error_with("a.lua", "return { { a = ('x'):rep(80) } }", small.clone()));
    let long = "x".repeat(1 << 20);
    text.push(error_with("a.ndjson", format!("{{}}\n{{\"a\":\"{long}\"}}"), small.clone()));
    text.push(error_with("a.json", format!("[{{\"a\":\"{long}\"}}]"), small.clone()));
    text.push(error_with("a.msgpack", pack(&[serde_json::json!({ "a": long })]), small.clone()));
    text.push(error_with("a.json", format!("[{{\"a\":x, \"b\":\"{long}\"}}]"), small.clone()));
    insta::assert_snapshot!(text.join("\n"));
    // Blanks and escapes do not count.
    let blank = format!("{{}}\n{}{{\"a\":\"{}\"}}", " ".repeat(60_000), "\\u0041".repeat(50));
    assert_eq!(data(&good(vec![bytes("a.ndjson", blank)], small)).len(), 2);
}

#[test]
fn times_are_refused() {
    let options = SeedOptions { time: Some("meta.when".into()), ..options() };
    let mut text = Vec::new();
    for value in ["true", "\"yesterday\"", "[1]", "1e300"] {
        let line = format!("{{\"a\":1}}\n{{\"meta\":{{\"when\":{value}}}}}");
        text.push(error_with("a.ndjson", line, options.clone()));
    }
    text.push(error_with("a.lua", "return { meta = { when = {} } }", options));
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn a_field_may_say_the_id() {
    let text = r#"{"o":{"id":"0190d8a4-6a52-7c3e-8f1a-3b2c4d5e6f70"}}
{"o":{"id":"0190D8A46A527C3E8F1A3B2C4D5E6F70"}}
{"o":{"id":"order-7"}}
{"o":{"id":"7"}}
{"o":{"id":7}}
{"o":{"id":-7}}
{"o":{"id":"00000000-0000-0000-0000-000000000000"}}
{"o":{"id":"order-7"},"$id":"0190d8a4-6a52-7c3e-8f1a-000000000000"}
{"$id":"0190d8a4-6a52-7c3e-8f1a-000000000001"}"#;
    let ids = |name: &str, text: &str| -> Vec<String> {
        let options = SeedOptions { id: Some("o.id".into()), ..options() };
        let chunks = good(vec![bytes(name, text)], options);
        assert!(chunks[0].is_checked(), "the log looks whether it knows them");
        chunks[0].iter().map(|event| event.head().id.to_string()).collect()
    };
    let all = ids("a.ndjson", text);
    assert_eq!(all[0], all[1], "however a UUID is written");
    let last = text.lines().nth(3).unwrap();
    assert_eq!(ids("b.ndjson", last), all[3..4], "neither the file nor what came before counts");
    // Stable from release to release.
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn ids_are_refused() {
    let options = SeedOptions { id: Some("meta.id".into()), ..options() };
    let mut text = Vec::new();
    for value in ["true", "null", "\"\"", "[1]", "1.5", "18446744073709551615"] {
        let line = format!("{{\"meta\":{{\"id\":1}}}}\n{{\"meta\":{{\"id\":{value}}}}}");
        text.push(error_with("a.ndjson", line, options.clone()));
    }
    text.push(error_with("a.ndjson", "{\"meta\":{\"id\":1}}\n  {\"a\":1}", options.clone()));
    text.push(error_with("a.json", "[{\"meta\":{\"id\":1}},\n {\"meta\":7}]", options.clone()));
    text.push(error_with("a.msgpack", pack(&[serde_json::json!({ "a": 1 })]), options.clone()));
    text.push(error_with("a.lua", "return { { meta = { id = 1 } }, { meta = {} } }", options));
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| Source::file(name, folder.path().join(name)).unwrap();
    std::fs::create_dir(folder.path().join("dir.json")).unwrap();
    std::fs::write(folder.path().join("good.json"), "{}").unwrap();
    let sources = vec![file("missing.ndjson"), file("good.json"), file("dir.json"), file("gone.lua")];
    let options = SeedOptions { topic: Some("a..b".into()), ..options() };
    let mut text = vec![render_all(&Seeds::new(sources.clone(), options.clone()).problems(), Style::Plain)];
    for source in sources {
        text.extend(chunks(vec![source], options.clone()).1.map(|error| error.render(Style::Plain)));
    }
    for name in ["a.csv", "a.JSON", "a.ndjsn", "data", "a.msgpack"] {
        let kind = Kind::of_path(name.as_ref());
        text.push(kind.map_or_else(|error| error.render(Style::Plain), |kind| format!("{kind:?}")));
    }
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn a_stream_of_any_length_takes_little_memory() {
    // Through a pipe, so that nothing but the reader could hold it: 256 MiB, as lines and as one document.
    for (kind, first, between, last) in [(Kind::Ndjson, "", "\n", ""), (Kind::Json, "[", ",", "{}]")] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let writing = std::thread::spawn(move || {
            let piece = format!("{{\"text\":\"{}\"}}{between}", "x".repeat(2000)).repeat(128);
            writer.write_all(first.as_bytes()).unwrap();
            for _ in 0..1024 {
                writer.write_all(piece.as_bytes()).unwrap();
            }
            writer.write_all(last.as_bytes()).unwrap();
        });
        let mut seeds = Seeds::new(vec![pipe(&reader, kind)], options());
        let (mut count, mut batch) = (0, Events::default());
        let mut reader = Some(reader);
        while seeds.fill(&mut batch).unwrap() {
            // The first fill opened the pipe anew.
            reader.take();
            count += batch.len();
            batch.clear();
        }
        writing.join().unwrap();
        assert!(count + batch.len() >= 128 * 1024);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib < 200 << 10, "{peak_kib} KiB");
}

fn pipe(reader: &std::io::PipeReader, kind: Kind) -> Source {
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(reader));
    Source { shown: "p".into(), input: Input::Path(path.into()), kind, modules: Modules::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn all_kinds_agree(values in prop::collection::vec(
        prop::collection::btree_map("[a-z\\PC\"\\\\{}\\[\\]]{0,6}", prop_oneof![
            any::<i64>().prop_map(serde_json::Value::from),
            "\\PC{0,40}".prop_map(serde_json::Value::from),
            prop::collection::vec("[\"\\\\\\]}]{0,3}", 0..3).prop_map(serde_json::Value::from),
        ], 0..4), 0..40))
    {
        let values: Vec<serde_json::Value> = values.into_iter()
            .map(|map| map.into_iter().filter(|(key, _)| !key.starts_with('$')).collect())
            .map(serde_json::Value::Object)
            .collect();
        let ndjson: String = values.iter().map(|value| format!("{value}\n")).collect();
        let json = serde_json::to_string_pretty(&values).unwrap();
        let expected = seeds_of("a.ndjson", ndjson);
        prop_assert_eq!(expected.len(), values.len());
        prop_assert_eq!(&seeds_of("a.json", json), &expected);
        prop_assert_eq!(&seeds_of("a.msgpack", pack(&values)), &expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "[\\[\\]{},:\"a1\\\\ \n]{0,40}") {
        for kind in [Kind::Ndjson, Kind::Json, Kind::Msgpack] {
            for content in [bytes.as_slice(), text.as_bytes()] {
                let input = Input::Bytes(content.into());
                let source = Source { shown: "any".into(), input, kind, modules: Modules::default() };
                let (_, error) = chunks(vec![source], options());
                if let Some(error) = error {
                    prop_assert!(error.render(Style::Plain).ends_with('\n'));
                }
            }
        }
    }
}

#[test]
fn an_energy_is_traced_to_its_record() {
    let sources = vec![
        bytes("a.ndjson", "\n{\"n\":1}\n\n  {\"n\":2}\n"),
        bytes("none.ndjson", ""),
        bytes("b.json", "[\n  {\"n\":3}, {\"n\":4}\n]"),
        bytes("c.msgpack", b"\x81\xa1n\x05\x81\xa1n\x06"),
        bytes("d.lua", "return { { n = 7 }, { n = 8 } }"),
        bytes("e.lua", "return { n = 9 }"),
        bytes("f.ndjson", "{\"n\":0}\n".repeat(INTAKE_EVENTS)),
    ];
    let mut seeds = Seeds::new(sources, options());
    let mut places = Vec::new();
    for _ in 0..2 {
        let mut batch = Events::default();
        seeds.fill(&mut batch).unwrap();
        for index in (0..10).filter(|index| *index < batch.len()) {
            let text = seeds.locate(index, Diagnostic::error("odd")).render(Style::Plain);
            places.push(text.lines().skip(1).map(str::trim).collect::<Vec<_>>().join(" "));
        }
    }
    let expected = [
        "--> a.ndjson:2:1",
        "--> a.ndjson:4:3",
        "--> b.json:2:3",
        "--> b.json:2:12",
        "--> c.msgpack = note: it is map 1 of the file",
        "--> c.msgpack = note: it is map 2 of the file",
        "--> d.lua = note: it is element 1 of the list",
        "--> d.lua = note: it is element 2 of the list",
        "--> e.lua",
        "--> f.ndjson:1:1",
    ];
    assert_eq!(places[..10], expected);
    let line = INTAKE_EVENTS - 9 + 1;
    assert_eq!(places[10], format!("--> f.ndjson:{line}:1"));
    let beyond = seeds.locate(INTAKE_EVENTS, Diagnostic::error("odd"));
    assert_eq!(beyond.place, None);
}
