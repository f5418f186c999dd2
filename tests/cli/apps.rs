//! Apps, bundles, `new` and `check`.

use crate::{DOUBLE, Place};

#[test]
fn new_things_work_at_once() {
    let place = Place::new(&[]);
    insta::assert_snapshot!(place.run("new spell large").text());
    insta::assert_snapshot!(place.run("new app shop").text());
    assert_eq!(place.run("test").stdout, "ok    large\n1 passed, 0 failed\n");
    assert_eq!(place.run("test shop").stdout, "ok    first\n1 passed, 0 failed\n");
    let printed = place.run("cast shop").stdout;
    assert_eq!(printed, "orders.eu: 70\norders.us: 90\nalert: 70, 70 in all\nalert: 90, 160 in all\n");
    assert!(place.has(".luarc.json") && place.read(".sanctum/sanctum.lua").starts_with("---@meta"));
    // A second spell keeps what editors have.
    place.write(".luarc.json", "{}");
    assert_eq!(place.run("new spell small").code, 0);
    assert_eq!(place.read(".luarc.json"), "{}");
    let ran = place.run("new spell large");
    let message = "error: `spells/large.lua` is there already; nothing was written\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (1, message));
    assert_eq!(place.run("new app shop").code, 1);
    assert_eq!(place.run("new app ../shop").code, 2);
}

#[test]
fn apps_run_from_anywhere() {
    let place = Place::new(&[]);
    place.run("new app shop");
    let here = place.run("cast shop --output - --envelope").stdout;
    let elsewhere = Place::new(&[]);
    let by_name = |arguments: &str| {
        let output = elsewhere.command(arguments).env("SANCTUM_PATH", place.path()).output().unwrap();
        crate::ran(output)
    };
    assert_eq!(without_times(&by_name("cast shop --output - --envelope").stdout), without_times(&here));
    let dotted = place.run("cast ./shop/ --output - --envelope").stdout;
    assert_eq!(without_times(&dotted), without_times(&here));
    assert_eq!(by_name("test shop").stdout, "ok    first\n1 passed, 0 failed\n");
    assert_eq!(elsewhere.run("cast shop").code, 1);
    place.run("new app mine");
    std::fs::create_dir_all(elsewhere.path().join(".local/share/sanctum/apps")).unwrap();
    std::fs::rename(place.path().join("mine"), elsewhere.path().join(".local/share/sanctum/apps/mine"))
        .unwrap();
    assert_eq!(elsewhere.run("cast mine").code, 0);
}

/// Ids do not depend on where an app is; times are the clock's.
fn without_times(text: &str) -> String {
    let line = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
        Ok(mut value) => {
            value.as_object_mut().unwrap().remove("time");
            value.to_string()
        }
        Err(_) => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn bundles_are_checked_and_reproducible() {
    let place = Place::new(&[]);
    place.run("new app shop");
    let ran = place.run("bundle shop");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.ends_with(", 1 golden case passed\n"), "{}", ran.stderr);
    let first = std::fs::read(place.path().join("shop.sanctum")).unwrap();
    assert_eq!(place.run("bundle shop --output again.sanctum").code, 0);
    assert_eq!(std::fs::read(place.path().join("again.sanctum")).unwrap(), first);
    let expected = place.run("cast shop --output - --envelope").stdout;
    let bundled = place.run("cast shop.sanctum --output - --envelope").stdout;
    assert_eq!(without_times(&bundled), without_times(&expected));
    assert_eq!(place.run("test shop.sanctum").stdout, "ok    first\n1 passed, 0 failed\n");
    let mut damaged = first.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(place.path().join("bad.sanctum"), damaged).unwrap();
    let message =
        "error: cannot open the bundle `bad.sanctum`: its checksum is wrong: it was damaged or changed\n";
    let ran = place.run("cast bad.sanctum");
    assert_eq!((ran.code, ran.stderr.as_str()), (1, message));
    // An app whose cases fail, or that does not load, is not packed.
    place.write("shop/regression/first/stdout.assert", "other\n");
    let ran = place.run("bundle shop --output no.sanctum");
    assert!(ran.code == 1 && ran.stderr.contains("golden cases do not pass") && !place.has("no.sanctum"));
    place.write("shop/spells/large.lua", "return {");
    assert!(place.run("bundle shop --output no.sanctum").stderr.contains("--> spells/large.lua:1"));
    assert_eq!(place.run("bundle nothing").code, 1);
}

#[test]
fn checks() {
    let place = Place::new(&[
        ("double.lua", DOUBLE),
        (
            "by-user.lua",
            "return { topic = { \"doubled\", \"x.>\" }, filter = { n = { gt = 1 } }, lane = \"user.id\", lanes = 4,\n\
                         cast = function() return { [\"$topic\"] = \"x.\" .. 1 } end }",
        ),
        ("all.lua", "return { filter = function() return true end, cast = function() end }"),
        ("bad.lua", "return { cast = 1 }"),
        ("runeset.yaml", "spells:\n  - path: double.lua\n    name: twice\nseeds: [ none.ndjson ]\n"),
    ]);
    let good = "all.lua by-user.lua double.lua";
    let mut text = String::new();
    for arguments in [good, "--graph mermaid ", "--graph dot ", "", "double.lua bad.lua missing.lua"] {
        let paths = if arguments.starts_with("--") { good } else { "" };
        let ran = place.run(&format!("check {arguments}{paths}"));
        text.push_str(&format!("$ sanctum check {arguments}{paths}\n{}\n", ran.text()));
    }
    insta::assert_snapshot!(text);
}
