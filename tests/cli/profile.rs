//! Where a spell's instructions go, and what it is said to have done.

use crate::Place;

const SPELL: &str = r#"
local function burn(n)
  local sum = 0
  for i = 1, n do sum = sum + i end
  return sum
end

return {
  topic = "numbers", every = "1s", fault = "quarantine",
  filter = function(event) return event.n > 1 end,
  cast = function(event)
    if event.n == 3 then error("three") end
    local list = {}
    for i = 1, 20 do list[i] = i * 7919 % 31 end
    table.sort(list, function(left, right) return left < right end)
    local walk = coroutine.wrap(function() for i = 1, 300 do if i == 300 then coroutine.yield(i) end end end)
    state:set(event.n, walk())
    return { n = burn(1000 * event.n) }
  end,
  tick = function(now) burn(10) end,
}
"#;

const SEEDS: &str = r#"{"$topic":"numbers","$time":1000,"n":1}
{"$topic":"numbers","$time":2000,"n":2}
{"$topic":"numbers","$time":3000,"n":3}
{"$topic":"numbers","$time":4000,"n":4}
"#;

fn place() -> Place {
    Place::new(&[("burn.lua", SPELL), ("seed.ndjson", SEEDS)])
}

/// Instructions by stack.
fn stacks(text: &str) -> Vec<(String, f64)> {
    let pair = |line: &str| {
        let (stack, count) = line.rsplit_once(' ').unwrap();
        (stack.to_owned(), count.parse().unwrap())
    };
    text.lines().map(pair).collect()
}

#[test]
fn every_instruction_is_counted_in_its_function() {
    let place = place();
    let ran = place.run("profile burn.lua --seed seed.ndjson --every 1 --format folded");
    insta::assert_snapshot!(ran.stdout);
    assert_eq!(ran.code, 0);
    assert!(ran.stderr.starts_with("warning: spell `burn` faulted in `cast`: three"), "{}", ran.stderr);
}

#[test]
fn samples_are_near_what_is_counted() {
    let place = place();
    let all = |every: u32| {
        stacks(
            &place
                .run(&format!("profile burn.lua --seed seed.ndjson --every {every} --format folded"))
                .stdout,
        )
    };
    let (counted, sampled) = (all(1), all(50));
    for (stack, count) in counted.iter().filter(|(_, count)| *count > 2_000.0) {
        let near = sampled.iter().find(|(other, _)| other == stack).unwrap().1;
        assert!((near - count).abs() < 0.1 * count, "{stack}: {count}, sampled {near}");
    }
}

#[test]
fn recorded_history_is_profiled_and_drawn() {
    let place = place();
    assert_eq!(place.run("cast burn.lua --seed seed.ndjson --data log").code, 0);
    let ran = place.run("profile burn.lua --data log --output burn.svg");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    let picture = place.read("burn.svg");
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert!(picture.contains("<title>burn (burn.lua:2): "), "{picture}");
    assert_eq!(place.run("replay burn.lua --diff --data log").code, 0);
}

#[test]
fn what_a_spell_did_is_traced_and_told() {
    let place = place();
    let mut command = place.command("cast burn.lua --seed seed.ndjson --data log --summary");
    let output = command.env("SANCTUM_LOG", "sanctum::spell=info").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let traced = text.lines().find(|line| line.contains("sanctum::spell")).unwrap();
    // Two energies and three ticks are cast, and one faults, three times more.
    for field in [
        "spell=\"burn\"",
        "casts=6",
        "energies_in=3",
        "energies_out=2",
        "filtered=1",
        "faults=1",
        "retries=3",
    ] {
        assert!(traced.contains(field), "{field}: {traced}");
    }
    for field in ["cast_ns_p50=", "cast_ns_max=", "memory_peak_bytes=", "lag=0"] {
        assert!(traced.contains(field) && !traced.contains("cast_ns_max=0"), "{field}: {traced}");
    }
    let row = text.lines().find(|line| line.starts_with("burn ")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[1..7], ["6", "3", "2", "1", "1", "3"], "{text}");
    assert_eq!(cells[12..], ["1KiB", "0"], "{text}");
}

#[test]
fn what_cannot_be_profiled_is_said() {
    let place = place();
    place.write("stop.lua", "return { cast = function(event) error('no') end }");
    let mut text = String::new();
    for command in [
        "profile burn.lua",
        "profile none.lua --seed seed.ndjson",
        "profile burn.lua --seed none.ndjson",
        "profile stop.lua --seed seed.ndjson",
        "profile burn.lua --seed seed.ndjson --every 0",
        "profile burn.lua --seed seed.ndjson --output no/where.svg",
    ] {
        text += &format!("$ sanctum {command}\n{}\n", place.run(command).text());
    }
    insta::assert_snapshot!(text);
}
