//! Help, usage, and what is said about problems.

use crate::{NUMBERS, Place};

#[test]
fn help_texts() {
    let place = Place::new(&[]);
    let mut text = String::new();
    for command in [
        "",
        "cast",
        "test",
        "freeze",
        "check",
        "new",
        "new spell",
        "new app",
        "bundle",
        "append",
        "cat",
        "tac",
        "get",
        "first",
        "last",
        "next",
        "prev",
        "topics",
        "streams",
        "stat",
        "project",
        "trace",
        "blob",
        "blob put",
        "blob get",
        "completions",
    ] {
        let ran = place.run(&format!("{command} --help"));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{command}");
        text.push_str(&format!("$ sanctum {command} --help\n{}\n", ran.stdout));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn commands_of_later_versions_do_not_exist() {
    let place = Place::new(&[]);
    for command in ["bind", "unbind"] {
        assert_eq!(place.run(command).code, 2, "{command}");
    }
}

#[test]
fn usage() {
    let place = Place::new(&[
        ("spell.lua", "return { cast = function() end }"),
        ("empty.yaml", "spells: []\n"),
        ("app/runeset.yaml", "spells: []\n"),
        ("seed.ndjson", NUMBERS),
    ]);
    let mut text = String::new();
    for arguments in [
        "",
        "spel",
        "cast",
        "cast --runeset empty.yaml --seed seed.ndjson",
        "cast spell.lua",
        "cast spell.lua --seed seed.ndjson --data log --log none",
        "cast spell.lua --seed seed.ndjson --data log --plane a/b",
        "cast spell.lua --seed seed.ndjson --data log --durability never",
        "cast spell.lua --seed seed.ndjson --again",
        "cast spell.lua --seed seed.ndjson --plane shop",
        "cast spell.lua --seed seed.ndjson --durability os",
        "cast spell.lua --seed seed.ndjson --wokers 2",
        "cast spell.lua --seed seed.ndjson --workers 0",
        "cast spell.lua --seed seed.ndjson --max-casts 0",
        "cast spell.lua --seed seed.ndjson --topic a..b",
        "cast spell.lua --seed seed.ndjson --topic sanctum.x",
        "cast spell.lua --seed seed.ndjson --output - --output-topic a*",
        "cast spell.lua --seed seed.ndjson --envelope",
        "cast spell.lua --seed seed.ndjson --format xml",
        "cast spell.lua --seed - --seed -",
        "cast spell.lua --seed - --watch",
        "cast app --runeset empty.yaml --seed seed.ndjson",
        "new spell a/b",
        "check",
        "test --jobs none",
        "completions csh",
    ] {
        let ran = place.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments}");
        text.push_str(&format!("$ sanctum {arguments}\n{}\n", ran.stderr));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn all_problems_are_listed_at_once() {
    let place = Place::new(&[
        ("spells/bad.lua", "return { topik = \"x\", cast = 1, lanes = 2 }"),
        ("spells/syntax.lua", "return {\n  cast = function( end\n}"),
        ("spells/none.lua", "return 1"),
        ("twin/a.lua", "return { name = \"same\", cast = function() end }"),
        ("twin/b.lua", "return { name = \"same\", cast = function() end }"),
        ("seed.ndjson", NUMBERS),
    ]);
    let ran =
        place.run("cast seed.ndjson spells twin missing.lua none/*.lua --seed sed.ndjson --seed seed.ndjson");
    insta::assert_snapshot!(ran.text());
}

#[test]
fn a_bad_runeset() {
    let place = Place::new(&[("run/runeset.yaml", "spels: []\nseeds: [ nothing.ndjson ]\n")]);
    insta::assert_snapshot!(place.run("cast --runeset run/runeset.yaml").text());
    // An app's paths are its own.
    insta::assert_snapshot!(place.run("cast run").text());
}

#[test]
fn faults() {
    let place = Place::new(&[
        (
            "spell.lua",
            "local function half(n)\n  if n == 2 then\n    error(\"no half of two\")\n  end\n  return n / 2\nend\n\n\
             return {\n  cast = function(event)\n    print(\"before\", event.n)\n    return { n = half(event.n) }\n  \
             end,\n}\n",
        ),
        ("skip.lua", "return { fault = \"skip\", cast = function(event) error(\"number \" .. event.n) end }"),
        ("seed.ndjson", NUMBERS),
        ("bad.ndjson", "{\"n\":1}\n{\"n\":}\n"),
        ("loop.lua", "return { topic = \"ping\", cast = function(event) return event end }"),
        ("ping.lua", "return { [\"$topic\"] = \"ping\" }"),
    ]);
    let mut text = String::new();
    for arguments in [
        "cast spell.lua --seed seed.ndjson",
        "cast spell.lua --seed seed.ndjson --format json",
        "cast skip.lua --seed seed.ndjson",
        "cast skip.lua --seed bad.ndjson",
        "cast loop.lua --seed ping.lua --max-casts 50",
    ] {
        text.push_str(&format!("$ sanctum {arguments}\n{}\n", place.run(arguments).text()));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn tracing_is_off_until_asked_for() {
    let place = Place::new(&[("a.lua", "return { cast = function() end }"), ("seed.ndjson", NUMBERS)]);
    assert_eq!(place.run("cast a.lua --seed seed.ndjson").stderr, "");
    let traced = place.command("cast a.lua --seed seed.ndjson").env("SANCTUM_LOG", "debug").output().unwrap();
    assert!(String::from_utf8_lossy(&traced.stderr).contains("the run is over"));
}

#[test]
fn completions() {
    let place = Place::new(&[]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = place.run(&format!("completions {shell}"));
        assert!(ran.code == 0 && ran.stdout.contains("dump-events"), "{shell}");
    }
}
