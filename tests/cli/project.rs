//! `sanctum project`.

use std::io::{BufRead, BufReader};

use crate::Place;

const STOCK: &str = r#"
return {
  topic = "stock.*",
  by = "article",
  seed = { count = 0 },
  fold = function(state, event)
    state.count = state.count + event.count
    return state
  end,
}
"#;

fn grown() -> Place {
    let place = Place::new(&[("projections/stock.lua", STOCK)]);
    let lines = r#"{"$time":1000,"article":"apple","count":10}
{"$time":2000,"article":"pear","count":4}
{"$time":3000,"article":"apple","count":-3}
{"$time":4000,"article":7,"count":1}
"#;
    assert_eq!(place.run_with("append stock.in -", lines).code, 0);
    place
}

#[test]
fn states_now_and_then() {
    let place = grown();
    let mut text = String::new();
    for arguments in [
        "project stock",
        "project projections/stock.lua apple",
        "project stock 7",
        "project stock \"7\"",
        "project stock --format json",
        "project stock apple --format json",
        "project stock --at 1",
        "project stock apple --at 1970-01-01T00:00:02Z",
        "project stock --at 1970-01-01",
        "project stock plum",
        "project stock pear --at 0",
        "project stock --at 9",
        "project stock --at yesterday",
        "project stock --cached --at 1",
        "project stock --follow --format json",
        "project stok",
        "project other/stock.lua",
        "project stock --data elsewhere",
    ] {
        text.push_str(&format!("$ sanctum {arguments}\n{}\n", place.run(arguments).text()));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn prints_go_to_standard_error_once() {
    let place = grown();
    place.write(
        "projections/stock.lua",
        &STOCK.replace("return state\n", "print(event.count) return state\n"),
    );
    let ran = place.run("project stock pear");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("{\"count\":4}\n", "10\n4\n-3\n1\n"));
    assert_eq!(place.run("project stock pear").stderr, "");
    assert_eq!(place.run("project stock pear --at 2").stderr, "");
}

#[test]
fn a_follower_hears_of_every_change() {
    let place = grown();
    let mut child = place.command("project stock apple --follow").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "{\"count\":7}");
    place.run_with(
        "append stock.in -",
        "{\"article\":\"pear\",\"count\":1}\n{\"article\":\"apple\",\"count\":5}\n",
    );
    assert_eq!(next(), "{\"count\":12}");
    // Others can ask meanwhile.
    assert_eq!(place.run("project stock pear").stdout, "{\"count\":5}\n");
    child.kill().unwrap();
    child.wait().unwrap();
}
