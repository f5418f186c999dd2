//! `sanctum.table`, `sanctum.dedupe` and `sanctum.top`, each against a model that keeps everything.

use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::harness::Run;

/// How far out of order energies come at most, and how long the spells wait.
const LATE: i64 = 20;

/// Times that go on by steps, each energy up to [`LATE`] behind the highest.
fn in_time(steps: &[(i64, i64)]) -> Vec<i64> {
    let mut now = 0;
    let mut times = Vec::new();
    for (step, behind) in steps {
        now += step;
        times.push(now - behind);
        now = now.max(now - behind);
    }
    times
}

fn steps() -> impl Strategy<Value = Vec<(i64, i64)>> {
    vec((0_i64..8, 0..=LATE), 1..80)
}

fn cast(run: &mut Run, energies: &[(i64, String)]) -> Vec<String> {
    let energies: Vec<(i64, &str)> = energies.iter().map(|(time, text)| (*time, text.as_str())).collect();
    run.cast(&energies)
}

#[test]
fn a_join_that_no_time_settles_waits_for_close() {
    let mut run = Run::new(
        "local t = sanctum.table{ name = 't', late = 10 }
         return { cast = function(e)
           return { r = #t:join('k', nil, e), all = e.close and t:close(), again = e.close and #t:close() } end }",
    );
    let found = run.cast(&[(5, "{\"n\":1}"), (14, "{\"close\":true}")]);
    assert_eq!(found[0], "{\"r\":0}");
    assert!(found[1].starts_with("{\"again\":0,\"all\":[{\"key\":\"k\",\"time\":5,"), "{}", found[1]);
}

#[test]
fn a_fault_undoes_rows_and_marks() {
    let mut run = Run::new(
        "local t, d, b = sanctum.table{ name = 't' }, sanctum.dedupe{ within = 10 }, sanctum.top{ n = 1 }
         return { cast = function(e)
           local r = { row = t:get('k'), new = d:add('k'), changed = b:add('k', e.n) }
           t:set('k', nil, e.n)
           if e.fail then error('undone', 0) end
           return r end }",
    );
    let found = run.cast(&[(0, "{\"n\":1,\"fail\":true}"), (0, "{\"n\":1}"), (1, "{\"n\":1}")]);
    let expected =
        ["! undone", "{\"changed\":true,\"new\":true}", "{\"changed\":false,\"new\":false,\"row\":1}"];
    assert_eq!(found, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the order of arrival within `late`, each value gets the row of its time.
    #[test]
    fn a_join_finds_the_row_of_its_time(steps in steps(), kinds in vec((0_u8..4, 0_u8..3), 80)) {
        let mut run = Run::new(&format!(
            "local t = sanctum.table{{ name = 't', late = {LATE} }}
             local function show(list) local r = {{}}
               for i, x in ipairs(list) do r[i] = x.value .. '=' .. tostring(x.row) .. (x.late and '!' or '') end
               return table.concat(r, ' ') end
             return {{ cast = function(e)
               if e.done then return {{ r = show(t:close()), late = t:late() }} end
               if e.join then return {{ r = show(t:join(e.key, nil, e.n)) }} end
               return {{ r = show(t:set(e.key, nil, e.n)) }} end }}"
        ));
        let (mut energies, mut joins) = (Vec::new(), Vec::new());
        let mut rows: BTreeMap<(u8, i64), Option<usize>> = BTreeMap::new();
        for (n, (time, (kind, key))) in in_time(&steps).into_iter().zip(&kinds).enumerate() {
            let mut text = format!("{{\"key\":{key},\"join\":{}", *kind < 2);
            if *kind < 3 {
                write!(text, ",\"n\":{n}").expect("a string");
            }
            energies.push((time, text + "}"));
            if *kind < 2 {
                joins.push((time, n, *key));
            } else {
                rows.insert((*key, time), (*kind == 2).then_some(n));
            }
        }
        energies.push((0, "{\"done\":true}".to_owned()));
        let found = cast(&mut run, &energies);
        prop_assert!(found.last().is_some_and(|line| line.starts_with("{\"late\":0,")), "{:?}", found.last());
        joins.sort_unstable();
        let expected: Vec<String> = joins.iter().map(|(time, n, key)| {
            let row = rows.range((*key, i64::MIN)..=(*key, *time)).next_back().and_then(|(_, row)| *row);
            format!("{n}={}", row.map_or("nil".to_owned(), |row| row.to_string()))
        }).collect();
        let found: Vec<&str> = found.iter()
            .filter_map(|line| line.split_once("\"r\":\"")?.1.strip_suffix("\"}"))
            .flat_map(str::split_whitespace).collect();
        prop_assert_eq!(found, expected);
    }

    /// What is forgotten was no longer needed.
    #[test]
    fn a_duplicate_is_found_whatever_the_order(steps in steps(), keys in vec(0_u8..4, 80), within in 1_i64..40) {
        let mut run = Run::new(&format!(
            "local d = sanctum.dedupe{{ within = {within}, late = {LATE} }}
             return {{ cast = function(e) return {{ r = d:add(e.key), late = d:late() }} end }}"
        ));
        let times = in_time(&steps);
        let energies: Vec<(i64, String)> =
            times.iter().zip(&keys).map(|(time, key)| (*time, format!("{{\"key\":{key}}}"))).collect();
        let mut taken: Vec<(u8, i64)> = Vec::new();
        let expected: Vec<String> = times.iter().zip(&keys).map(|(time, key)| {
            let is_new = !taken.iter().any(|(other, at)| other == key && (time - at).abs() < within);
            if is_new {
                taken.push((*key, *time));
            }
            format!("{{\"late\":0,\"r\":{is_new}}}")
        }).collect();
        prop_assert_eq!(cast(&mut run, &energies), expected);
    }

    /// Scores that only grow are ranked exactly, though no more than `n` keys are kept.
    #[test]
    fn the_best_are_the_best(adds in vec((0_u8..9, 1_i64..5), 1..60), n in 1_usize..6) {
        let mut run = Run::new(&format!(
            "local b = sanctum.top{{ n = {n} }}
             return {{ cast = function(e)
               local r = {{}}
               local changed = b:add(e.key, e.score)
               for i, x in ipairs(b:list()) do r[i] = x.key .. ':' .. x.score end
               return {{ r = table.concat(r, ' '), changed = changed }} end }}"
        ));
        let (mut energies, mut expected) = (Vec::new(), Vec::new());
        let mut scores: BTreeMap<u8, i64> = BTreeMap::new();
        let mut before = String::new();
        for (key, more) in adds {
            let score = scores.entry(key).or_default();
            *score += more;
            energies.push((0, format!("{{\"key\":{key},\"score\":{score}}}")));
            let mut list: Vec<(i64, u8)> = scores.iter().map(|(key, score)| (-score, *key)).collect();
            list.sort_unstable();
            let list: Vec<String> = list.iter().take(n).map(|(score, key)| format!("{key}:{}", -score)).collect();
            let list = list.join(" ");
            expected.push(format!("{{\"changed\":{},\"r\":\"{list}\"}}", list != before));
            before = list;
        }
        prop_assert_eq!(cast(&mut run, &energies), expected);
    }
}
