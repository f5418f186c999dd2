//! The care of a log: verify, compact, backup, export, import.

use crate::Place;
use crate::append::Appending;

const LINES: &str = r#"{"$id":"00000000-0000-4000-8000-000000000001","$time":1000,"n":1}
{"$id":"00000000-0000-4000-8000-000000000002","$time":2000,"$ttl":"time:5","n":2}
{"$id":"00000000-0000-4000-8000-000000000003","$time":3000,"$stream":"b","$tags":{"k":"v"},"n":3}
"#;

fn filled() -> Place {
    let place = Place::new(&[]);
    assert_eq!(place.run_with("append numbers -", LINES).code, 0);
    place
}

/// What commands say, one after the other.
fn said(place: &Place, commands: &[&str]) -> String {
    let mut text = String::new();
    for command in commands {
        text.push_str(&format!("$ sanctum {command}\n{}\n", place.run(command).text()));
    }
    text.replace(&place.path().display().to_string(), "PLACE")
}

#[test]
fn help_texts() {
    let place = Place::new(&[]);
    let commands = ["verify", "repair", "compact", "backup", "export", "import"];
    let commands: Vec<String> = commands.iter().map(|command| format!("{command} --help")).collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    insta::assert_snapshot!(said(&place, &commands));
}

#[test]
fn without_a_log() {
    let place = Place::new(&[("file.ndjson", ""), ("data/planes/other/MANIFEST", "")]);
    insta::assert_snapshot!(said(
        &place,
        &[
            "verify",
            "verify --data data",
            "compact",
            "repair",
            "backup copy",
            "export",
            "export --resume",
            "import missing.ndjson",
            "compact --rate 0",
            "compact --rate fast",
        ]
    ));
    assert!(!place.has("copy") && !place.has("sanctum-data"));
}

#[test]
fn a_log_goes_out_and_in() {
    let place = filled();
    let text = said(
        &place,
        &[
            "verify",
            "verify --human",
            "export",
            "export all.ndjson",
            "export all.ndjson",
            "import all.ndjson --data new",
            "import all.ndjson --data new",
            "cat --data new",
            "export all.ndjson --resume",
            "export all.ndjson --resume --data new",
            "export some.msgpack --format msgpack --tag k=v",
            "import some.msgpack --data third",
            "backup copy",
            "backup copy",
            "verify --data copy",
            "backup ./sanctum-data",
            "compact --dry-run",
            "compact --all",
        ],
    );
    insta::assert_snapshot!(text);
    let copied = place.run("cat --data copy").stdout;
    assert_eq!(copied, place.run("cat").stdout);
}

#[test]
fn an_import_of_what_is_no_export() {
    let place = filled();
    let mut text = String::new();
    for input in [LINES, "{\"id\":\n", "[1]\n", "\u{1}"] {
        text.push_str(&place.run_with("import -", input).text());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn content_goes_with_a_copy_and_goes_when_nothing_refers_to_it() {
    let place = filled();
    let kept = place.run_with("blob put", "kept").stdout.trim().to_owned();
    let lost = place.run_with("blob put", "lost").stdout.trim().to_owned();
    assert_eq!(place.run(&format!("append numbers {{}} --content {kept}")).code, 0);
    assert!(place.run("backup copy").stdout.contains("\"contents\":1"));
    assert_eq!(place.run(&format!("blob get {kept} --data copy")).stdout, "kept");
    assert_eq!(place.run(&format!("blob get {lost}")).stdout, "lost");
    assert!(place.run("compact --keep-contents").stdout.contains("\"dropped\":0"));
    // A pack is written anew when more than half of it is dead.
    let more = place.run_with("blob put", "lost, and longer than what is kept").stdout.trim().to_owned();
    let compacted = place.run("compact").stdout;
    assert!(compacted.contains("\"contents_removed\":2"), "{compacted}");
    for lost in [lost, more] {
        assert_eq!(place.run(&format!("blob get {lost}")).code, 1);
    }
    assert_eq!(place.run(&format!("blob get {kept}")).stdout, "kept");
    assert_eq!(place.run("verify").code, 0);
}

#[test]
fn damage_is_found() {
    let place = filled();
    let path = place.path().join("sanctum-data/planes/main/00000000000000000000-0.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[200] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    insta::assert_snapshot!(said(
        &place,
        &[
            "verify",
            "verify --human",
            "cat",
            "compact",
            "backup copy",
            "repair",
            "repair --apply",
            "verify",
            "cat"
        ]
    ));
}

#[test]
fn what_a_repair_gave_up_is_not_said_to_have_ended() {
    let place = filled();
    let path = place.path().join("sanctum-data/planes/main/00000000000000000000-0.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[200] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(place.run("repair --apply").code, 0);
    let ran = place.run("get 0");
    assert_eq!(
        ran.stderr,
        "error: the energy at position 0 is lost: the log was damaged there and repaired\n"
    );
    assert_eq!(ran.code, 1);
}

#[test]
fn a_copy_is_not_made_among_the_files_of_the_log() {
    let place = filled();
    for to in [
        "sanctum-data",
        "./sanctum-data/../sanctum-data",
        "sanctum-data/planes",
        "sanctum-data/planes/main/x",
    ] {
        let ran = place.run(&format!("backup {to}"));
        assert_eq!(ran.code, 2, "{to}: {}", ran.text());
    }
    assert_eq!(place.run("backup copy").code, 0);
    assert!(!place.has("sanctum-data/planes/planes"));
}

#[test]
fn a_dry_run_needs_no_lock() {
    let place = filled();
    let mut appending = Appending::new(&place, "append numbers -");
    appending.write("{}\n");
    appending.receipt();
    let ran = place.run("compact --dry-run --all");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.starts_with("{\"segments\":"), "{}", ran.stdout);
    assert_eq!(appending.end(), (0, String::new()));
}

#[test]
fn content_named_in_data_in_a_tag_or_in_state_is_kept_and_copied() {
    const KEEP: &str =
        "return { topic = \"photo\", cast = function() state.kept = blob.put(\"of state\") end }";
    let place = Place::new(&[("keep.lua", KEEP), ("photo.ndjson", "{\"$topic\":\"photo\"}\n")]);
    assert_eq!(place.run("cast keep.lua --seed photo.ndjson --data ./sanctum-data").code, 0);
    let put = |text: &str| place.run_with("blob put", text).stdout.trim().to_owned();
    let (data, tag, nobody) = (put("of data"), put("of a tag"), put(&"of nobody ".repeat(9_000)));
    let energy = format!("{{\"see\":[\"{data}\"],\"$tags\":{{\"see\":\"{tag}\"}}}}\n");
    assert_eq!(place.run_with("append numbers -", &energy).code, 0);
    assert!(place.run("backup copy").stdout.contains("\"contents\":3"));
    assert!(place.run("compact").stdout.contains("\"contents_removed\":1"));
    let state = place.run("state get keep kept").stdout.trim().trim_matches('"').to_owned();
    for folder in ["sanctum-data", "copy"] {
        for (digest, text) in [(&data, "of data"), (&tag, "of a tag"), (&state, "of state")] {
            assert_eq!(place.run(&format!("blob get {digest} --data {folder}")).stdout, text);
        }
        assert_eq!(place.run(&format!("blob get {nobody} --data {folder}")).code, 1);
    }
}
