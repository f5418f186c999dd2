//! A spell over recorded history: the same, changed, and stopped before a cast.

use crate::Place;

/// Lanes with state, random numbers, a fault in quarantine.
const COUNT: &str = r#"
return { topic = "orders", lane = "user", lanes = 3, fault = "quarantine",
  cast = function(event, envelope)
    if event.bad and not state:get("good") then error("bad order " .. event.n) end
    local n = (state:get("n") or 0) + event.n
    state:set("n", n)
    if event.good then state:set("good", true) end
    return { ["$topic"] = "totals", user = event.user, n = n, dice = random(1, 1000), id = uuid(), at = time.now(),
      place = envelope.position }
  end }
"#;

/// Batches and ticks.
const SUM: &str = r#"
return { topic = "orders", batch = { size = 3, within = "10s" }, every = "5s",
  cast = function(events)
    local n = 0
    for _, event in ipairs(events) do n = n + event.n end
    state:set("batches", (state:get("batches") or 0) + 1)
    return { ["$topic"] = "sums", n = n, count = #events }
  end,
  tick = function(now)
    sanctum.bucket("ticks"):set(now, true)
    return { ["$topic"] = "ticks", now = now }
  end }
"#;

/// What feeds itself.
const LOOP: &str = r#"
return { topic = "sums", cast = function(event)
  if event.n > 3 then return { ["$topic"] = "sums", n = event.n // 2 }, { ["$topic"] = "ends", ["$id"] = uuid() } end
end }
"#;

/// Three runs over a log, each of which ends with open batches; the third has what was in quarantine cast again.
fn recorded() -> Place {
    let place = Place::new(&[("count.lua", COUNT), ("sum.lua", SUM), ("loop.lua", LOOP)]);
    let seeds = |numbers: std::ops::Range<u64>| -> String {
        let user = |n: u64| if n == 12 { "u3".to_owned() } else { format!("u{}", n % 4) };
        let more = |n| match n {
            7 => r#","bad":true"#,
            12 => r#","good":true"#,
            _ => "",
        };
        let line = |n| {
            let (user, more) = (user(n), more(n));
            format!("{{\"$topic\":\"orders\",\"$time\":{},\"user\":\"{user}\",\"n\":{n}{more}}}\n", 1_700 * n)
        };
        numbers.map(line).collect()
    };
    for (file, numbers) in [("a.ndjson", 1..12), ("b.ndjson", 12..14), ("c.ndjson", 14..21)] {
        place.write(file, &seeds(numbers));
        if file == "c.ndjson" {
            assert_eq!(place.run("faults release --all --data log").code, 0);
        }
        let ran = place.run(&format!("cast count.lua sum.lua loop.lua --seed {file} --data log"));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    place
}

/// The place with a changed spell, and what the difference is.
fn changed(place: &Place, spell: &str, from: &str, to: &str) -> String {
    let text = place.read(&format!("{spell}.lua"));
    assert!(text.contains(from));
    place.write(&format!("{spell}-new.lua"), &text.replace(from, to));
    place.run(&format!("replay {spell}-new.lua --as {spell} --diff --limit 2 --data log")).text()
}

#[test]
fn what_did_not_change_gives_the_same() {
    let place = recorded();
    let before = place.run("verify --data log").stdout;
    let mut text = String::new();
    for spell in ["count", "sum", "loop"] {
        let ran = place.run(&format!("replay {spell}.lua --diff --data log"));
        assert_eq!(ran.code, 0, "{}", ran.text());
        text += &ran.text();
    }
    insta::assert_snapshot!(text);
    assert_eq!(place.run("verify --data log").stdout, before);
}

#[test]
fn what_changed_is_shown_first_difference_first() {
    let place = recorded();
    let mut text = changed(&place, "count", "+ event.n\n", "+ event.n * (event.n == 9 and 2 or 1)\n");
    text += &changed(&place, "count", "error(\"bad order \"", "error(\"no order \"");
    text += &changed(&place, "count", "if event.bad and", "if event.n == 8 and");
    text += &changed(&place, "count", "topic = \"orders\"", "topic = \"none\"");
    text += &changed(&place, "count", "fault = \"quarantine\"", "fault = \"stop\"");
    text += &changed(&place, "sum", "size = 3", "size = 4");
    text += &changed(&place, "sum", "return { [\"$topic\"] = \"ticks\", now = now }", "");
    text += &changed(&place, "loop", "event.n > 3", "event.n > 30");
    insta::assert_snapshot!(text);
}

#[test]
fn a_rewound_spell_is_replayed_from_where_it_was_rewound_to() {
    let place = recorded();
    assert_eq!(place.run("spells rewind sum --to 3 --fresh --data log").code, 0);
    assert_eq!(place.run("cast count.lua sum.lua loop.lua --data log").code, 0);
    let ran = place.run("replay sum.lua --diff --after 2 --data log");
    assert_eq!(ran.code, 0, "{}", ran.text());
    let sums: Vec<&str> = ran.stdout.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(sums, ["topic", "sums", "6", "0", "0", "0"]);
}

#[test]
fn outputs_are_printed() {
    let place = recorded();
    let recorded = place.run("cat --topic totals --data log").stdout;
    let replayed = place.run("replay count.lua --data log");
    assert_eq!(replayed.code, 0);
    let data = |line: &str| -> serde_json::Value { serde_json::from_str(line).unwrap() };
    for line in replayed.stdout.lines() {
        let mut value = data(line);
        value.as_object_mut().unwrap().remove("$topic");
        assert!(recorded.lines().any(|line| data(line)["data"] == value), "{value}");
    }
    assert_eq!(replayed.stdout.lines().count(), recorded.lines().count());
    let some = place.run("replay count.lua --after 2 --until 5 --format json --data log");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&some.stdout).unwrap().as_array().unwrap().len(), 2);
}

#[test]
fn a_spell_that_the_log_does_not_know_is_given_all_of_it() {
    let place = recorded();
    place.write(
        "new.lua",
        "return { topic = \"orders\", batch = { size = 100 }, cast = function(events) return { n = #events } end }",
    );
    assert_eq!(place.run("replay new.lua --data log").stdout, "{\"n\":20}\n");
}

#[test]
fn a_prompt_stands_before_a_cast() {
    let place = recorded();
    let lines = r#"event
envelope.position, envelope.time, envelope.topic
state:get("n")
cast(event, envelope)
cast(event, envelope).n
for number = 1, 2 do
  print(number)
end
emit({ x = 1 })
state:get("n")
state:set("n", 1000) error("undone")
state:get("n")
1 +
event.none.field
while true do end
pcall(cast, {})
nil, true, 1.5, "text", null, array{}
"#;
    let mut text = place.run_with("replay count.lua --until 4 --repl --data log", lines).text();
    text += &place
        .run_with("replay sum.lua --until 5 --repl --data log", "#event, event[1].n, envelope[3].position\n")
        .text();
    text += &place.run_with("replay sum.lua --until 4 --repl --data log", "event\n").text();
    insta::assert_snapshot!(text);
}

#[test]
fn wrong_command_lines() {
    let place = recorded();
    place.write("broken.lua", "return { cast = 1 }");
    place.write("run.yaml", "spells:\n  - path: count.lua\n  - path: sum.lua\n");
    place.write("other.lua", COUNT);
    let mut text = String::new();
    for command in [
        "replay count.lua --diff --data none",
        "replay other.lua --diff --data log",
        "replay broken.lua --data log",
        "replay . --data log",
        "replay nothing --runeset run.yaml --data log",
        "replay count.lua --repl --data log",
        "replay count.lua --until 4000 --data log",
        "replay count.lua --after 4000 --data log",
        "replay count.lua --diff --format json --data log",
    ] {
        text += &format!("$ sanctum {command}\n{}\n", place.run(command).text());
    }
    insta::assert_snapshot!(text);
    assert_eq!(place.run("replay sum --runeset run.yaml --diff --data log").code, 0);
}

#[test]
fn recorded_energies_become_a_golden_case() {
    let place = recorded();
    let freeze = "freeze --from-log --topic orders --last 3 --spell count.lua regression/orders --data log";
    let mut text = place.run(freeze).text();
    text += &place.read("regression/orders/seed.ndjson");
    text += &place.run("test").text().replace(|char: char| char.is_ascii_digit(), "N");
    text += &place.run(freeze).text();
    text += &place.run("freeze --from-log --last 2 regression/other --data log").text();
    text +=
        &place.run("freeze --from-log --topic nothing --last 2 --spell count.lua other --data log").text();
    text += &place.run("freeze --from-log --last 2 --data log").text();
    insta::assert_snapshot!(text);
    // The same energy, cast by a spell of the same name: what is derived from both is the same.
    let dice = |text: &str| {
        let line = text.lines().rfind(|line| line.contains("\"totals\"")).unwrap().to_owned();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        (value["id"].clone(), value["data"]["dice"].clone())
    };
    let recorded = place.run("cat --topic totals --data log").stdout;
    assert_eq!(dice(&place.read("regression/orders/events.assert")), dice(&recorded));
}
