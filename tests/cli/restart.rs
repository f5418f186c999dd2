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
