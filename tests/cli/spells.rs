//! Spells on a durable log from outside: where they stand, what they keep, what is in quarantine.

use crate::Place;

const COUNT: &str = r#"return {
  topic = "orders.>", fault = "quarantine", start = "oldest",
  cast = function(event)
    local users = sanctum.bucket("users")
    state.total = (state.total or 0) + event.amount
    users[{ event.user, 1 }] = event.amount
    return { ["$topic"] = "total", total = state.total }
  end,
}
"#;

const ORDERS: &str = r#"{"$id":"00000000-0000-4000-8000-000000000001","$time":1,"$topic":"orders.eu","amount":1,"user":"a"}
{"$id":"00000000-0000-4000-8000-000000000002","$time":2,"$topic":"orders.eu","user":"a"}
{"$id":"00000000-0000-4000-8000-000000000003","$time":3,"$topic":"orders.us","amount":5,"user":"b"}
"#;

/// A log on which `count` has run, and failed on the second order.
fn counted() -> Place {
    let place = Place::new(&[("count.lua", COUNT), ("orders.ndjson", ORDERS)]);
    assert_eq!(place.run("cast count.lua --data log --seed orders.ndjson").code, 0);
    place
}

fn said(place: &Place, commands: &[&str]) -> String {
    commands.iter().map(|command| format!("$ sanctum {command}\n{}\n", place.run(command).text())).collect()
}

#[test]
fn what_a_spell_keeps_is_read_and_written() {
    let place = counted();
    insta::assert_snapshot!(said(
        &place,
        &[
            "state export count --data log",
            "state get count total --data log",
            "state get count/users [\"a\",1] --data log",
            "state range count/users --prefix [\"b\"] --data log",
            "state range count/users --reverse --limit 1 --data log",
            "state get count nothing --data log",
            "state get nobody total --data log",
            "state set count total 100 --data log",
            "state set count total {] --force --data log",
            "state set count total 100 --force --data log",
            "state delete count/users [\"a\",1] --force --data log",
            "state delete count/users [\"a\",1] --force --data log",
            "state export count --data log",
        ]
    ));
    let more = r#"{"$topic":"orders.us","amount":7,"user":"b"}"#;
    let ran = place.run_with("cast count.lua --data log --seed - --output -", more);
    assert_eq!(ran.stdout, "{\"$topic\":\"total\",\"total\":107}\n");
}

#[test]
fn what_is_released_is_cast_again_and_what_is_rewound_makes_new_energies() {
    let place = counted();
    let mut text = said(&place, &["spells --data log", "faults --data log", "faults show 4 --data log"]);
    text += &said(
        &place,
        &["faults release 3 --data log", "faults release 4 --data log", "faults --data log --all"],
    );
    place.write("count.lua", &COUNT.replace("+ event.amount", "+ (event.amount or 7)"));
    text += &said(&place, &["cast count.lua --data log --output -"]);
    place.write("count.lua", &COUNT.replace("event.amount", "(event.amount or 7)"));
    text += &said(
        &place,
        &[
            "faults release --all --data log",
            "cast count.lua --data log --output -",
            "faults --data log",
            "spells rewind count --to 99 --data log",
            "spells rewind count --to 1 --fresh --data log",
            "cast count.lua --data log --output -",
            "spells --data log",
        ],
    );
    insta::assert_snapshot!(text);
}

#[test]
fn a_renamed_spell_goes_on_where_it_stood() {
    let place = counted();
    place.write("counter.lua", &COUNT.replace("return {\n", "return {\n  was = \"count\",\n"));
    let more = r#"{"$topic":"orders.us","amount":7,"user":"b"}"#;
    let ran = place.run_with("cast counter.lua --data log --seed - --output -", more);
    assert_eq!(ran.stdout, "{\"$topic\":\"total\",\"total\":13}\n");
    let spells = place.run("spells --data log").stdout;
    assert!(spells.starts_with("{\"spell\":\"counter\",") && spells.lines().count() == 1, "{spells}");
}
