//! What windows, tables and the like remember from one run over a log to the next.

use crate::Place;

/// Everything that is kept, in one spell; it prints what each energy brings.
const SPELL: &str = r#"
local tumbling = window.tumbling{ size = "10s", late = "3s", fold = "count", top = 2, late_topic = "late" }
local hopping = window.hopping{ size = "10s", every = "5s", fold = "sum" }
local bursts = window.session{ gap = "2s", late = "4s" }
local rows = sanctum.table{ name = "rows", late = "4s" }
local seen = sanctum.dedupe{ within = "5s" }
local best = sanctum.top{ n = 3 }

return {
  fault = "skip",
  cast = function(event, envelope)
    local key, n = event.key, event.n
    print(json.encode{
      n = n,
      tumbling = tumbling:add(key), hopping = hopping:add(key, nil, n), bursts = bursts:add(key, nil, n),
      rows = n % 3 == 0 and rows:set(key, nil, n % 9 > 0 and n or nil) or rows:join(key, nil, n),
      new = seen:add(n % 20), changed = best:add(key, n % 50), best = best:list(),
      late = { tumbling:late(), rows:late(), seen:late() },
    })
    if n % 7 == 0 then error("undone") end
  end,
}
"#;

/// Energies whose times go forth and, now and then, back.
fn seed(from: u64, to: u64) -> String {
    let line = |n: u64| {
        let time = n * 400 + (n * 7919 % 13) * 500;
        format!(
            "{{\"$time\":{time},\"key\":\"{}\",\"n\":{n}}}\n",
            ["a", "b", "c", "d", "e"][(n * n % 5) as usize]
        )
    };
    (from..to).map(line).collect()
}

#[test]
fn a_restart_changes_nothing() {
    const END: u64 = 200;
    let whole = Place::new(&[("spell.lua", SPELL), ("seed.ndjson", &seed(0, END))]);
    let whole = whole.run("cast spell.lua --data log --seed seed.ndjson");
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    for word in ["\"rows\":[{", "\"bursts\":[{", "\"late\":true", "\"$topic\":\"late\"", "\"new\":false"] {
        assert!(whole.stdout.contains(word), "the energies bring no {word}");
    }
    for cuts in [vec![1], vec![50], vec![77, 78, 140], vec![199]] {
        let place = Place::new(&[("spell.lua", SPELL)]);
        let mut stdout = String::new();
        for cut in cuts.iter().copied().chain([END]) {
            // A seed file that grew goes on where the run before it ended.
            place.write("seed.ndjson", &seed(0, cut));
            let part = place.run("cast spell.lua --data log --seed seed.ndjson");
            assert_eq!(part.code, 0, "{}", part.stderr);
            stdout += &part.stdout;
        }
        assert_eq!(stdout, whole.stdout, "cut before {cuts:?}");
    }
}

const A: &str = r#"return { topic = "n", start = "oldest", cast = function(e) return { ["$topic"] = "a", n = e.n } end }"#;

#[test]
fn a_run_puts_out_what_it_produced_itself() {
    let place =
        Place::new(&[("a.lua", A), ("b.lua", &A.replace("= \"a\"", "= \"b\"")), ("n.ndjson", "{\"n\":1}\n")]);
    let mut outputs = Vec::new();
    for spell in ["a.lua", "b.lua", "b.lua a.lua"] {
        let ran = place.run(&format!("cast {spell} --data log --seed n.ndjson --topic n --output -"));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        outputs.push(ran.stdout);
    }
    // The second spell goes through what the first run left, and what that produced is not its own.
    assert_eq!(outputs, ["{\"$topic\":\"a\",\"n\":1}\n", "{\"$topic\":\"b\",\"n\":1}\n", ""]);
    assert_eq!(place.run("spells rewind a --to 0 --data log").code, 0);
    let dumped = place.run("cast a.lua --data log --output - --dump-events");
    assert_eq!(dumped.stdout, "{\"$topic\":\"a\",\"n\":1}\n");
    assert_eq!(
        dumped.stderr.lines().count(),
        2,
        "an energy that it draws on, one that it produced: {}",
        dumped.stderr
    );
}

#[test]
fn what_a_spell_failed_on_goes_along_when_it_is_renamed() {
    let frail = r#"return { name = "old", topic = "n", start = "oldest", fault = "quarantine",
  cast = function(e) if e.n == 2 then error("two") end print(e.n) end }"#;
    let place = Place::new(&[("s.lua", frail), ("n.ndjson", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n")]);
    assert_eq!(place.run("cast s.lua --data log --seed n.ndjson --topic n").stdout, "1\n3\n");
    let renamed =
        frail.replace("name = \"old\"", "name = \"new\", was = \"old\"").replace("e.n == 2", "false");
    place.write("s.lua", &renamed);
    assert_eq!(place.run("cast s.lua --data log").stdout, "");
    assert_eq!(place.run("faults release --all --data log").code, 0);
    assert_eq!(place.run("cast s.lua --data log").stdout, "2\n");
    assert!(place.run("faults --all --data log").stdout.contains("\"status\":\"released\""));
    assert_eq!(place.run("cast s.lua --data log").stdout, "");
}

/// Counts words; looks for the words around each, in order, and forgets some. Now and then it faults.
const WORDS: &str = r#"
return {
  fault = "skip", lane = "lane", lanes = 2,
  limits = { state_cache_bytes = "CACHE" },
  cast = function(event)
    local words, n = sanctum.bucket("words"), event.n
    state[n % 97] = (state[n % 97] or 0) + 1
    words[{ n % 31, n % 7 }] = ("word %d "):format(n):rep(3)
    if n % 5 == 0 then words:delete{ (n + 11) % 31, n % 7 } end
    local near = array{}
    for key, word in words:range{ from = { n % 31 }, limit = 3, reverse = n % 2 == 0 } do near[#near + 1] = { key, word } end
    if n % 13 == 0 then error("undone") end
    print(json.encode{ n = n, seen = state[n % 97], words = words:count(), keys = state:count(), near = near })
  end,
}
"#;

#[test]
fn a_state_larger_than_its_cache_is_the_same_state() {
    const END: u64 = 400;
    let seed =
        |to: u64| (0..to).map(|n| format!("{{\"lane\":\"{}\",\"n\":{n}}}\n", n % 3)).collect::<String>();
    let run = |cache: &str, cuts: &[u64]| {
        let place = Place::new(&[("words.lua", &WORDS.replace("CACHE", cache))]);
        let mut stdout = String::new();
        for to in cuts {
            place.write("seed.ndjson", &seed(*to));
            let ran = place.run("cast words.lua --data log --seed seed.ndjson");
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            stdout += &ran.stdout;
        }
        let kept = place.run("state export words --data log");
        assert_eq!(kept.code, 0, "{}", kept.stderr);
        stdout + &kept.stdout
    };
    let whole = run("64MiB", &[END]);
    assert!(whole.lines().count() > 700);
    for (cache, cuts) in [("0B", &[END][..]), ("0B", &[33, 34, 390, END]), ("4KiB", &[200, END])] {
        assert_eq!(run(cache, cuts), whole, "{cache}, {cuts:?}");
    }
}
