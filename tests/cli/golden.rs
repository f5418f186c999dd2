//! `sanctum test` and `sanctum freeze`.

use crate::{DOUBLE, NUMBERS, Place};

fn place() -> Place {
    Place::new(&[
        ("regression/double/spell.lua", DOUBLE),
        ("regression/double/seed.ndjson", NUMBERS),
        (
            "regression/group/fault/spell.lua",
            "return { cast = function(e)\n  print(e.n)\n  error(\"no\")\nend }",
        ),
        ("regression/group/fault/seed.lua", "return { n = 1 }"),
    ])
}

#[test]
fn freeze_then_test() {
    let place = place();
    // Nothing is asserted yet, but that a run ends well.
    let ran = place.run("test");
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.contains("ok    double\n") && ran.stdout.ends_with("1 passed, 1 failed\n"),
        "{}",
        ran.stdout
    );
    insta::assert_snapshot!(place.run("freeze").text());
    assert_eq!(place.read("regression/double/stdout.assert"), "double\t1\ndouble\t2\n");
    assert_eq!(place.read("regression/double/stderr.assert"), "");
    assert_eq!(place.read("regression/group/fault/exitcode.assert"), "1\n");
    assert!(!place.has("regression/double/exitcode.assert") && !place.has("regression/double/cost.assert"));
    insta::assert_snapshot!(place.read("regression/double/events.assert"));
    insta::assert_snapshot!(place.read("regression/group/fault/stderr.assert"));
    assert_eq!(
        place.run("test").text(),
        "exit 0\n-- stdout\nok    double\nok    group/fault\n2 passed, 0 failed\n-- stderr\n"
    );
    assert_eq!(
        place.run("freeze").stdout,
        "unchanged  double\nunchanged  group/fault\n0 frozen, 2 unchanged, 0 failed\n"
    );
}

#[test]
fn a_case_runs_the_same_anywhere() {
    let place = place();
    place.run("freeze");
    let elsewhere = Place::new(&[]);
    let ran = elsewhere.run(&format!("test {}", place.path().join("regression").display()));
    assert_eq!(ran.stdout, "ok    double\nok    group/fault\n2 passed, 0 failed\n");
    assert_eq!(elsewhere.run(&format!("test {}/regression/double", place.path().display())).code, 0);
    assert_eq!(place.run("test ./regression/").code, 0);
    assert_eq!(place.run("test .").code, 0);
}

#[test]
fn differences_are_shown() {
    let place = place();
    place.run("freeze");
    place.write(
        "regression/double/spell.lua",
        &DOUBLE.replace("* 2", "* 3").replace("\"double\"", "\"twice\""),
    );
    place.write("regression/group/fault/spell.lua", "return { cast = function(e)\n  print(e.n)\nend }");
    insta::assert_snapshot!(place.run("test").text());
    insta::assert_snapshot!(place.run("freeze").text());
    assert!(!place.has("regression/group/fault/exitcode.assert"));
    assert_eq!(place.run("test").code, 0);
}

#[test]
fn cases_are_chosen() {
    let place = place();
    place.run("freeze");
    let names = |arguments: &str| place.run(arguments).stdout;
    assert_eq!(names("test doub"), "ok    double\n1 passed, 0 failed\n");
    assert_eq!(names("test group/*"), "ok    group/fault\n1 passed, 0 failed\n");
    assert_eq!(
        names("test regression doub fault --jobs 1"),
        "ok    double\nok    group/fault\n2 passed, 0 failed\n"
    );
    assert_eq!(names("test regression/group"), "ok    fault\n1 passed, 0 failed\n");
    let none = place.run("test nothing");
    assert_eq!(
        (none.code, none.stderr.as_str()),
        (1, "error: none of the 2 cases in `regression` matches `nothing`\n")
    );
    let empty = Place::new(&[("regression/readme.md", "")]);
    assert_eq!(empty.run("test").stderr, "error: no case in `regression`\n");
    assert_eq!(Place::new(&[]).run("test").code, 1);
}

#[test]
fn broken_cases_are_reported() {
    let place = Place::new(&[
        ("regression/no-seed/spell.lua", DOUBLE),
        ("regression/no-spell/seed.ndjson", NUMBERS),
        ("regression/nothing/readme.md", ""),
        ("regression/code/spell.lua", DOUBLE),
        ("regression/code/seed.ndjson", NUMBERS),
        ("regression/code/exitcode.assert", "one\n"),
    ]);
    insta::assert_snapshot!(place.run("test").text());
    assert_eq!(place.run("freeze").code, 1);
}

#[test]
fn reports_for_machines() {
    let place = place();
    let ran = place.run("test --format json");
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &json["passed"], &json["failed"]), (1, &1.into(), &1.into()));
    assert_eq!(
        (&json["cases"][1]["name"], &json["cases"][1]["status"]),
        (&"group/fault".into(), &"failed".into())
    );
    let ran = place.run("test --format junit --output report.xml");
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (1, "", "1 passed, 1 failed\n"));
    let xml = place.read("report.xml");
    assert!(xml.contains("tests=\"2\" failures=\"1\" errors=\"0\"") && xml.contains("<failure"), "{xml}");
}

#[test]
fn what_spells_remember_in_variables_is_found_out() {
    let count = "local n = 0 return { topic = \"a\", cast = function(e) n = n + 1 return { [\"$topic\"] = \"b\", n = n } end }";
    let good = "local seen = {} return { topic = \"b\", lane = \"n\", lanes = 2, batch = { size = 2 },
      prepare = function() state.ready = true print(\"ready\") end,
      cast = function(es) state.n = (state.n or 0) + #es seen[1] = seen[1] or 1 print(#es, state.n, state.ready) end }";
    let keeps = "return { topic = \"b\", cast = function(e) last, before = e.n, last if before then error(\"again\") end end }";
    let runeset = "spells:\n  - path: count.lua\n  - path: good.lua\n  - path: keeps.lua\n    fault: skip\n";
    let seed = "{\"$topic\":\"a\"}\n{\"$topic\":\"a\"}\n{\"$topic\":\"a\"}\n";
    let place = Place::new(&[
        ("regression/two/count.lua", count),
        ("regression/two/good.lua", good),
        ("regression/two/keeps.lua", keeps),
        ("regression/two/runeset.yaml", runeset),
        ("regression/two/seed.ndjson", seed),
        ("regression/fine/spell.lua", &good.replace("\"b\"", "\"a\"")),
        ("regression/fine/seed.ndjson", seed),
    ]);
    place.run("freeze");
    assert_eq!(place.run("test").code, 0);
    insta::assert_snapshot!(place.run("test --amnesia").text());
}

#[test]
fn a_cost_may_not_rise() {
    let place = place();
    place.run("freeze double --cost");
    let cost = place.read("regression/double/cost.assert");
    assert!(cost.starts_with("{\"spell\":\"spell\",\"casts\":2,\"instructions\":"), "{cost}");
    assert_eq!(place.run("test double").code, 0);
    place.write("regression/double/spell.lua", &DOUBLE.replace("print(", "for i = 1, 1000 do end print("));
    let ran = place.run("test double");
    assert!(ran.code == 1 && ran.stdout.contains("instructions per cast rose from"), "{}", ran.stdout);
    assert!(place.run("freeze double").stdout.contains("changed  cost.assert"));
    place.write("regression/double/spell.lua", DOUBLE);
    assert_eq!(place.run("test double").code, 0, "a lower cost is good");
}

#[test]
fn runesets_and_modules_in_cases() {
    let place = Place::new(&[
        (
            "spells/a.lua",
            "local m = require(\"lib.m\")\nreturn { cast = function(e) print(pcall(m.fail)) m.fail() end }",
        ),
        ("spells/lib/m.lua", "local m = {}\nfunction m.fail()\n  error(\"from the module\")\nend\nreturn m"),
        ("regression/one/runeset.yaml", "spells:\n  - path: ../../spells/*.lua\n"),
        ("regression/one/seed.json", "{}"),
    ]);
    place.run("freeze");
    assert_eq!(
        place.read("regression/one/stdout.assert"),
        "false\t../../spells/lib/m.lua:3: from the module\n"
    );
    insta::assert_snapshot!(place.read("regression/one/stderr.assert"));
    let elsewhere = Place::new(&[]);
    assert_eq!(elsewhere.run(&format!("test {}", place.path().display())).code, 0);
}
