//! Runesets: what they say, every refusal as text, and that the documentation says the same as the code.
//!
//! `SANCTUM_BLESS=1 cargo test --test runeset` writes the generated parts of `docunomicon/` anew.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use sanctum::runeset::diagnostic::render_all;
use sanctum::runeset::{
    Batch, Durability, Error, Fault, Limits, Restart, Runeset, Start, StatedLimits, Style,
};
use sanctum::runeset::{load, parse, reference};

fn environment(name: &str) -> Option<String> {
    match name {
        "REGION" => Some("eu".into()),
        "THRESHOLD" => Some("50".into()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Runeset, Error> {
    parse(Path::new("app/runeset.yaml"), text, &environment)
}

fn good(text: &str) -> Runeset {
    read(text).unwrap_or_else(|error| panic!("{error}"))
}

fn json(data: &[u8]) -> String {
    rmpv::decode::read_value(&mut &data[..]).unwrap().to_string()
}

#[test]
fn a_full_runeset_is_read() {
    let runeset = good(
        r#"
data: ./sanctum-data
durability: interval:250
limits: { memory: 64MiB, instructions: 10_000_000, time: 1.5s }
fault: skip
topic: orders
time: meta.time
workers: 2
max_casts: 5000
spells:
  - path: spells/*.lua
  - path: spells/alerts.lua
    name: alerts-eu
    topic: orders.eu.>
    filter: { amount: { gt: 50 }, "user.country": DE }
    lane: user.id
    lanes: 4
    batch: { size: 10, within: 1s }
    every: 10s
    start: 2026-01-31T12:00:00Z
    fault: stop
    limits: { outputs: 10 }
    runes: { zone: [1, 2.5, "x"], threshold: 50 }
seeds: [ seeds/*.ndjson, more.json ]
"#,
    );
    assert_eq!(runeset.data.as_deref(), Some(Path::new("app/sanctum-data")));
    assert_eq!(runeset.durability, Durability::IntervalMs(250));
    assert_eq!((runeset.fault, runeset.workers, runeset.max_casts), (Some(Fault::Skip), Some(2), 5000));
    assert_eq!((runeset.topic.as_deref(), runeset.time.as_deref()), (Some("orders"), Some("meta.time")));
    assert_eq!(runeset.seeds[1].path, "more.json");
    let [all, alerts] = &runeset.spells[..] else { panic!("two spells") };
    assert_eq!((all.path.as_str(), json(&all.runes).as_str()), ("spells/*.lua", "{}"));
    let options = &alerts.options;
    assert_eq!(options.name.as_deref(), Some("alerts-eu"));
    assert_eq!(options.topic.as_deref(), Some(&["orders.eu.>".to_string()][..]));
    assert_eq!((options.lanes, options.every_ms), (Some(4), Some(10_000)));
    assert_eq!(options.batch, Some(Batch { size: 10, within_ms: Some(1000) }));
    assert_eq!(options.start, Some(Start::TimeMs(1_769_860_800_000)));
    assert_eq!(json(options.filter.as_deref().unwrap()), r#"{"amount": {"gt": 50}, "user.country": "DE"}"#);
    assert_eq!(json(&alerts.runes), r#"{"threshold": 50, "zone": [1, 2.5, "x"]}"#);
    let limits = Limits::resolve(&runeset.limits, &StatedLimits::default(), &options.limits);
    assert_eq!((limits.memory_bytes, limits.time_ms, limits.outputs), (64 << 20, 1500, 10));
}

#[test]
fn what_a_server_does_besides_is_read() {
    let runeset = good(
        r#"
http: { listen: "127.0.0.1:8080", plane: web, public: true, timeout: 5s, body: 64KiB, files: public }
exec:
  - { name: both, command: [cat, -u], input: [a.>, b], output: c, restart: on-failure, backoff: 2s, backoff_max: 1h, stop: 0 }
  - { name: plain, command: ./run, plane: other, auto: false, restart: never }
file: [ { path: app.log, topic: logged } ]
stdout: d.*
telemetry: { otlp: "http://[::1]:4318/" }
"#,
    );
    let http = runeset.http.unwrap();
    assert_eq!((http.listen.unwrap().port(), http.plane.as_str(), http.public), (8080, "web", true));
    assert_eq!((http.timeout_ms, http.body_bytes, http.files.as_deref()), (5_000, 64 << 10, Some("public")));
    let [both, plain] = &runeset.exec[..] else { panic!("two programs") };
    assert_eq!(
        (&both.command[..], &both.input[..]),
        (&["cat".to_owned(), "-u".into()][..], &["a.>".to_owned(), "b".into()][..])
    );
    assert_eq!((both.output.as_deref(), both.restart, both.auto), (Some("c"), Restart::OnFailure, true));
    assert_eq!((both.backoff_ms, both.backoff_max_ms, both.stop_ms), (2_000, 3_600_000, 0));
    assert_eq!(
        (plain.command.len(), plain.plane.as_str(), plain.auto, plain.restart),
        (1, "other", false, Restart::Never)
    );
    assert_eq!((plain.backoff_ms, plain.backoff_max_ms, plain.stop_ms), (1_000, 60_000, 5_000));
    assert_eq!((runeset.tails[0].path.as_str(), runeset.tails[0].plane.as_str()), ("app.log", "main"));
    assert_eq!(runeset.stdout, ["d.*"]);
    let telemetry = runeset.telemetry.unwrap();
    assert_eq!((telemetry.otlp.as_str(), telemetry.name.as_str()), ("http://[::1]:4318", "sanctum"));
}

#[test]
fn the_environment_expands_in_values() {
    let runeset = good(
        r#"
data: /var/${REGION}
workers: ${WORKERS:-3}
limits: { memory: "${MEMORY:-8MiB}" }
spells:
  - path: spells/$${REGION}.lua
    topic: ["orders.${REGION}.>", "${OTHER:-x}"]
    runes:
      threshold: ${THRESHOLD}
      text: "${THRESHOLD}"
      flag: ${FLAG:-true}
      mixed: r-${REGION}
"#,
    );
    assert_eq!(runeset.data.as_deref(), Some(Path::new("/var/eu")));
    assert_eq!((runeset.workers, runeset.limits.get("memory")), (Some(3), Some(8 << 20)));
    let spell = &runeset.spells[0];
    assert_eq!(spell.path, "spells/${REGION}.lua");
    assert_eq!(spell.options.topic.as_deref(), Some(&["orders.eu.>".to_string(), "x".to_string()][..]));
    let expected = r#"{"flag": true, "mixed": "r-eu", "text": "50", "threshold": 50}"#;
    assert_eq!(json(&spell.runes), expected);
}

#[test]
fn nothing_is_a_runeset() {
    for text in ["", "# only a comment\n", "---\n", "{}"] {
        assert!(good(text).spells.is_empty());
    }
    assert_eq!(Runeset::empty().max_casts, 1_000_000);
}

/// Each refusal, as a user sees it.
#[test]
fn refusals() {
    for (name, text) in [
        ("unknown_key", "data: ./d\nspels:\n  - path: a.lua\n"),
        ("unknown_key_of_a_spell", "spells:\n  - path: spells/*.lua\n    topik: orders.>\n"),
        ("unknown_key_far_from_all", "zzzzzzzz: 1\n"),
        ("unknown_limit", "limits: { memroy: 32MiB }\n"),
        ("unknown_key_of_batch", "spells:\n  - path: a.lua\n    batch: { sice: 10 }\n"),
        ("wrong_type", "data: [a, b]\n"),
        ("wrong_type_map_for_text", "data:\n  path: x\n"),
        ("wrong_type_number", "workers: many\n"),
        ("wrong_type_null", "data:\ntopic: orders\n"),
        ("wrong_type_spells", "spells: spells/*.lua\n"),
        ("wrong_type_spell", "spells:\n  - spells/*.lua\n"),
        ("wrong_type_limits", "limits: 32MiB\n"),
        ("wrong_type_runes", "spells:\n  - path: a.lua\n    runes: [1, 2]\n"),
        ("wrong_type_in_a_list", "seeds:\n  - a.json\n  - 7\n"),
        ("empty_topic_list", "spells:\n  - path: a.lua\n    topic: []\n"),
        ("empty_text", "data: ''\n"),
        ("bad_unit", "limits:\n  memory: 32mb   # too little\n"),
        ("bad_duration", "spells:\n  - path: a.lua\n    every: 10 sec\n"),
        ("bad_duration_fraction", "spells:\n  - path: a.lua\n    every: 0.5ms\n"),
        ("out_of_range", "workers: 0\n"),
        ("negative", "max_casts: -1\n"),
        ("not_whole", "limits: { instructions: 1.5 }\n"),
        ("too_large", "limits: { memory: 99999999999TiB }\n"),
        ("bad_fault", "fault: stopp\n"),
        ("bad_durability", "durability: interval\n"),
        ("bad_interval", "durability: interval:1minute\n"),
        ("bad_start", "spells:\n  - path: a.lua\n    start: yesterday\n"),
        ("bad_topic", "topic: a b\n"),
        ("reserved_topic", "topic: sanctum.tick\n"),
        ("big_integer_rune", "spells:\n  - path: a.lua\n    runes: { id: 18446744073709551615 }\n"),
        (
            "deep_rune",
            &format!("spells:\n  - path: a.lua\n    runes: {{ a: {}{} }}\n", "[".repeat(70), "]".repeat(70)),
        ),
        ("map_as_key_of_a_rune", "spells:\n  - path: a.lua\n    runes:\n      ? [a]\n      : b\n"),
        ("missing_path", "spells:\n  - name: x\n    lanes: 2\n"),
        ("duplicate_key", "data: a\ntopic: x\ndata: b\n"),
        ("duplicate_rune", "spells:\n  - path: a.lua\n    runes: { a: 1, b: 2, a: 3 }\n"),
        ("environment_missing", "spells:\n  - path: a.lua\n    runes:\n      url: http://${HOST}/x\n"),
        ("environment_open", "data: ./${REGION\n"),
        ("environment_bad_name", "data: ./${REGION:default}\n"),
        ("environment_bad_value", "workers: ${REGION}\n"),
        ("not_a_map", "- path: a.lua\n"),
        ("syntax_open_list", "seeds: [a, b\ntopic: x\n"),
        ("syntax_tab", "limits:\n\tmemory: 32MiB\n"),
        ("syntax_glob_as_alias", "spells:\n  - path: *.lua\n"),
        ("syntax_indent", "spells:\n  - path: a.lua\n   name: x\n"),
        ("syntax_tag", "data: !folder x\n"),
        ("two_documents", "data: a\n---\ndata: b\n"),
        ("integer_of_100_bits", "workers: 1267650600228229401496703205376\n"),
        ("unknown_key_of_http", "http:\n  listen: 127.0.0.1:80\n  timout: 1s\n"),
        ("bad_address", "http: { listen: localhost }\n"),
        ("http_without_listen", "http: { files: public }\n"),
        ("wrong_type_http", "http: 127.0.0.1:80\n"),
        ("unknown_key_of_exec", "exec:\n  - name: a\n    comand: cat\n"),
        ("wrong_type_exec", "exec: cat\n"),
        (
            "exec_with_nothing_right",
            "exec:\n  - { name: a b, command: [], restart: often, auto: maybe, output: sanctum.x }\n",
        ),
        ("exec_twice", "exec:\n  - { name: a, command: cat }\n  - { name: a, command: tee }\n"),
        ("file_without_topic", "file:\n  - path: app.log\n"),
        ("file_twice", "file:\n  - { path: app.log, topic: a }\n  - { path: app.log, topic: b }\n"),
        ("wrong_type_stdout", "stdout: [a, 7]\n"),
        ("bad_collector", "telemetry: { otlp: 127.0.0.1:4318, nam: shop }\n"),
        ("collector_with_tls", "telemetry: { otlp: 'https://collector:4318' }\n"),
        ("collector_with_a_secret", "telemetry: { otlp: 'http://me:secret@collector', name: '' }\n"),
        ("telemetry_without_collector", "telemetry: { name: shop }\n"),
        (
            "all_at_once",
            "data: 7\nlimits:\n  memory: 3MIB\n  hop: 5\nspells:\n  - path: a.lua\n    lanes: '0'\n    filter: x\n  - nam: b\n",
        ),
    ] {
        let Err(error) = read(text) else { panic!("{name} was read") };
        insta::assert_snapshot!(name, render_all(&error.diagnostics(), Style::Plain));
    }
}

#[test]
fn a_page_of_problems_is_enough() {
    let text: String = (0..2000).map(|number| format!("key{number}: 1\n")).collect();
    let diagnostics = read(&text).unwrap_err().diagnostics();
    assert_eq!(diagnostics.len(), 50);
    assert_eq!(diagnostics[49].notes.last().unwrap().1, "and 1950 more problems");
}

#[test]
fn files_are_found_from_the_runeset() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["spells/b.lua", "spells/a.lua", "spells/_lib.lua", "seeds/x.ndjson", "seeds/y.txt"] {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "").unwrap();
    }
    let file = folder.path().join("runeset.yaml");
    std::fs::write(&file, "spells:\n  - path: spells\n  - path: spells/b.lua\n    name: c\nseeds: seeds\n")
        .unwrap();
    let runeset = load(folder.path(), &environment).unwrap();
    let names: Vec<_> =
        runeset.spells.iter().flat_map(|spell| &spell.files).map(|file| file.file_name()).collect();
    assert_eq!(names, ["a.lua", "b.lua", "b.lua"].map(|name| Some(name.as_ref())));
    assert_eq!(runeset.seeds[0].files, [folder.path().join("seeds/x.ndjson")]);

    let text = "spells:\n  - path: spells/aa.lua\n  - path: magic/*.lua\n  - path: spells\n    name: x\nseeds: [seeds/z.json]\n";
    std::fs::write(&file, text).unwrap();
    let text = render_all(&load(&file, &environment).unwrap_err().diagnostics(), Style::Plain);
    insta::assert_snapshot!("files_not_found", text.replace(&*folder.path().to_string_lossy(), "APP"));

    std::fs::write(&file, b"data: a\ntopic: \xff\n").unwrap();
    let text = render_all(&load(&file, &environment).unwrap_err().diagnostics(), Style::Plain);
    insta::assert_snapshot!("not_utf8", text.replace(&*folder.path().to_string_lossy(), "APP"));
    let error = load(&folder.path().join("none.yaml"), &environment).unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }));
}

#[test]
fn others_can_point_into_it() {
    let runeset =
        good("spells:\n  - path: a.lua\n    filter:\n      user.name: x\n      amount: { gte: 5 }\n");
    let spell = &runeset.spells[0];
    let diagnostic = runeset
        .spell_diagnostic(spell, &["filter", "amount", "gte"], true, "unknown operator `gte`")
        .suggest(Some("ge"));
    insta::assert_snapshot!("pointing_at_a_filter", diagnostic.render(Style::Plain));
    let place = runeset.diagnostic(&["spells", "0", "nothing", "here"], "odd").place.unwrap();
    assert_eq!((place.line, place.column), (2, 5));
}

#[test]
fn colours_are_for_terminals() {
    let error = read("data: 7\n").unwrap_err();
    insta::assert_snapshot!(
        "coloured",
        error.diagnostics()[0].render(Style::Colour).escape_debug().to_string()
    );
    insta::assert_snapshot!("as_json", format!("{:#}", error.diagnostics()[0].to_json()));
}

#[test]
fn odd_texts_never_panic() {
    let text =
        "a: &x [1, {b: *x}]\nspells:\n  - path: \"ä${A}\"\n    runes: {1: ~, [2]: !!str 3}\nlimits: |\n  x\n";
    for start in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
        for end in (start..text.len()).filter(|at| text.is_char_boundary(*at)) {
            if let Err(error) = read(&text[start..end]) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
    let bomb = format!("a: &a [{}]\n", "x,".repeat(50));
    let bomb = (0..8).fold(bomb, |bomb, n| format!("{bomb}k{n}: &k{n} [{}]\n", "*a,".repeat(50)));
    assert!(read(&bomb).is_err());
    assert!(read(&"[".repeat(10_000)).is_err());
    assert!(read(&format!("data: {}", "x".repeat(5 << 20))).is_err());
}

fn document(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docunomicon").join(name)
}

fn hold(name: &str, expected: &str) {
    let file = document(name);
    if std::env::var_os("SANCTUM_BLESS").is_some() {
        std::fs::write(&file, expected).unwrap();
    }
    let actual = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(actual == expected, "docunomicon/{name} is not what src/runeset says; run with SANCTUM_BLESS=1");
}

#[test]
fn the_documentation_is_made_from_the_options() {
    let text = std::fs::read_to_string(document("runesets.md")).unwrap();
    let (before, rest) = text.split_once(reference::BEGIN).expect("the begin marker");
    let (_, after) = rest.split_once(reference::END).expect("the end marker");
    let expected =
        format!("{before}{}\n\n{}\n{}{after}", reference::BEGIN, reference::markdown(), reference::END);
    hold("runesets.md", &expected);
}

#[test]
fn the_schema_is_made_from_the_options() {
    hold("runeset.schema.json", &reference::schema());
    let schema: serde_json::Value = serde_json::from_str(&reference::schema()).unwrap();
    assert_eq!(schema["properties"]["spells"]["items"]["required"][0], "path");
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn the_examples_of_the_documentation_are_runesets() {
    let text = std::fs::read_to_string(document("runesets.md")).unwrap();
    let blocks: Vec<&str> =
        text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        good(block);
    }
}
