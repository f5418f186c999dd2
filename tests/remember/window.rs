//! `window`.

use proptest::prelude::*;

use crate::harness::{Run, eval};

/// A spell with the window `w` that adds each energy's `v` under its `k`.
fn spell(window: &str) -> Run {
    Run::new(&format!(
        "local w = window.{window}
         local function show(list) local r = {{}} for i, x in ipairs(list) do
           r[i] = tostring(x.key) .. ' ' .. x.start .. '-' .. x.stop .. ' ' .. (type(x.value) == 'table' and table.concat(x.value, '+') or x.value) end
           return table.concat(r, ', ') end
         return {{ every = '1s',
           cast = function(e, envelope)
             local closed = w:add(e.k or 'k', envelope.time, e.v or 1)
             return {{ r = show(closed), open = e.open and show(w:open()), late = e.late and w:late(), closed = e.close and show(w:close()) }} end,
           tick = function(now) return {{ r = show(w:advance(now)) }} end }}"
    ))
}

fn results(run: &mut Run, energies: &[(i64, &str)]) -> Vec<String> {
    run.cast(energies)
        .into_iter()
        .map(|line| line.trim_start_matches("{\"r\":\"").trim_end_matches("\"}").to_owned())
        .collect()
}

#[test]
fn tumbling_windows_complete_with_time() {
    let mut run = spell("tumbling{ size = 10 }");
    assert_eq!(
        results(
            &mut run,
            &[
                (1, "{\"v\":1}"),
                (9, "{\"v\":2}"),
                (9, "{\"k\":7,\"v\":5}"),
                (10, "{\"v\":3}"),
                (35, "{\"v\":4}")
            ]
        ),
        ["", "", "", "7 0-10 5, k 0-10 1+2", "k 10-20 3"]
    );
    assert_eq!(run.cast(&[(3, "{\"late\":true}")]), ["{\"late\":1,\"r\":\"\"}"]);
    assert_eq!(run.tick(39), ["{\"r\":\"\"}"]);
    assert_eq!(run.tick(40), ["{\"r\":\"k 30-40 4\"}"]);
    assert_eq!(
        run.cast(&[(50, "{\"open\":true,\"close\":true}"), (55, "{\"open\":true}")]),
        [
            "{\"closed\":\"k 50-60 1\",\"open\":\"k 50-60 1\",\"r\":\"\"}",
            "{\"open\":\"k 50-60 1\",\"r\":\"\"}"
        ]
    );
}

#[test]
fn late_values_are_taken_or_counted() {
    let mut run = spell("tumbling{ size = 10, late = 5, fold = 'sum' }");
    assert_eq!(
        results(
            &mut run,
            &[(9, "{\"v\":1}"), (14, "{\"v\":1}"), (3, "{\"v\":5}"), (15, "{\"v\":1}"), (4, "{}")]
        ),
        ["", "", "", "k 0-10 6", ""]
    );
    assert_eq!(run.cast(&[(15, "{\"late\":true}")]), ["{\"late\":1,\"r\":\"\"}"]);
}

#[test]
fn times_before_the_epoch() {
    let mut run = spell("tumbling{ size = 10, fold = 'count' }");
    assert_eq!(results(&mut run, &[(-1, "{}"), (0, "{}"), (10, "{}")]), ["", "k -10-0 1", "k 0-10 1"]);
}

#[test]
fn hopping_windows_overlap() {
    let mut run = spell("hopping{ size = 10, every = 5, fold = 'count' }");
    assert_eq!(
        results(&mut run, &[(7, "{}"), (12, "{}"), (30, "{}")]),
        ["", "k 0-10 1", "k 5-15 2, k 10-20 1"]
    );
}

#[test]
fn sessions_grow_and_join() {
    let mut run = spell("session{ gap = 10, fold = 'list', late = 20 }");
    assert_eq!(
        results(
            &mut run,
            &[
                (0, "{\"v\":1}"),
                (5, "{\"v\":2}"),
                (15, "{\"v\":3}"),
                (35, "{\"k\":\"x\"}"),
                (45, "{\"k\":\"x\"}")
            ]
        ),
        ["", "", "", "k 0-15 1+2", "k 15-25 3"],
        "a gap of exactly 10 is a gap"
    );
    let mut run = spell("session{ gap = 10, late = 100 }");
    assert_eq!(
        results(&mut run, &[(0, "{\"v\":1}"), (15, "{\"v\":2}"), (8, "{\"v\":3}"), (200, "{\"k\":\"x\"}")]),
        ["", "", "", "k 0-25 1+2+3"]
    );
    let mut run = spell(
        "session{ gap = 10, late = 100, fold = function(a, v) return (a or '') .. v end, merge = function(a, b) return a .. '|' .. b end }",
    );
    assert_eq!(
        results(
            &mut run,
            &[(15, "{\"v\":2}"), (0, "{\"v\":1}"), (8, "{\"v\":3}"), (200, "{\"k\":\"x\",\"v\":9}")]
        ),
        ["", "", "", "k 0-25 1|23"]
    );
    let mut run = spell("session{ gap = 10, fold = 'max' }");
    assert_eq!(
        results(
            &mut run,
            &[(20, "{\"v\":1}"), (12, "{\"v\":7}"), (5, "{\"v\":9}"), (2, "{}"), (40, "{\"k\":\"x\"}")]
        ),
        ["", "", "", "", "k 2-30 9"]
    );
}

#[test]
fn folds() {
    let fold = |options: &str| {
        let mut run = spell(&format!("tumbling{{ size = 10, {options} }}"));
        results(&mut run, &[(1, "{\"v\":5}"), (2, "{\"v\":3}"), (3, "{\"v\":4}"), (10, "{}")]).pop().unwrap()
    };
    assert_eq!(fold("fold = 'first'"), "k 0-10 5");
    assert_eq!(fold("fold = 'last'"), "k 0-10 4");
    assert_eq!(fold("fold = 'min'"), "k 0-10 3");
    assert_eq!(fold("fold = 'sum', initial = 0.5"), "k 0-10 12.5");
    assert_eq!(fold("initial = {1}, fold = function(a, v) a[#a + 1] = v end"), "k 0-10 1+5+3+4");
    assert_eq!(
        fold("initial = function() return 100 end, fold = function(a, v, k) return a - v end"),
        "k 0-10 88"
    );
    assert_eq!(
        fold("fold = function(a, v) end"),
        "! the window's fold returned nothing to keep; return the new accumulator, or state `initial`"
    );
    let mut run = Run::new(
        "local w = window.tumbling{ size = 10, initial = { n = 0 }, topic = 'out.x' }
         return { cast = function(e, env) return table.unpack(w:add({ 'a', 1 }, nil, function(acc) acc.n = acc.n + e.v end)) end }",
    );
    let line = r#"{"$topic":"out.x","key":["a",1],"start":0,"stop":10,"value":{"n":3}}"#;
    assert_eq!(run.cast(&[(1, "{\"v\":1}"), (2, "{\"v\":2}"), (13, "{\"v\":2}")]), [line]);
}

#[test]
fn faults_undo_and_caught_folds_keep_what_was_there() {
    let mut run = Run::new(
        "local w = window.session{ gap = 10, fold = function(a, v) if v < 0 then error('no') end return (a or 0) + v end }
         return { cast = function(e, env)
           pcall(w.add, w, 'k', env.time, e.v)
           if e.fail then error('fail') end
           local open = w:open()[1]
           return { value = open.value, stop = open.stop } end }",
    );
    assert_eq!(
        run.cast(&[(0, "{\"v\":1}"), (5, "{\"v\":-1}"), (6, "{\"v\":2,\"fail\":true}"), (7, "{\"v\":4}")]),
        ["{\"stop\":10,\"value\":1}", "{\"stop\":10,\"value\":1}", "! fail", "{\"stop\":17,\"value\":5}"]
    );
}

#[test]
fn mistakes_are_named() {
    let at_load = |window: &str| {
        Run::open(&format!("local w = window.{window} return {{ cast = function() end }}"))
            .err()
            .unwrap_or_default()
    };
    let has = |window: &str, text: &str| {
        let error = at_load(window);
        assert!(error.contains(text), "{error}");
    };
    has("tumbling{}", "`size` must be stated, such as size = \"1h\"");
    has("tumbling{ size = 0 }", "`size` must be longer than zero");
    has("tumbling{ size = '1x' }", "`size`: unknown unit `x`");
    has("tumbling{ size = {} }", "`size` is a duration: milliseconds, or text such as \"10s\"");
    has("tumbling{ sise = '1s' }", "unknown option `sise`; did you mean `size`?");
    has("hopping{ size = '1s' }", "`every` must be stated");
    has("hopping{ size = '1s', every = '2s' }", "`every` is longer than `size`");
    has("hopping{ size = '1w', every = '1s' }", "more than 1000 windows cover one moment");
    has("session{ gap = '1s', late = '1s', fold = function() end }", "needs `merge`");
    has("tumbling{ size = '1s', fold = 'summ' }", "did you mean \"sum\"?");
    has(
        "tumbling{ size = '1s', name = 'a' } window.tumbling{ size = '2s', name = 'a' }",
        "there is a window named `a` already",
    );
    has("tumbling{ size = '1s' }:add('k', 1, 1)", "there is no state while a file is loaded");
    assert_eq!(
        eval("window.tumbling{ size = 1 }"),
        "! window.tumbling belongs at the top of the file or in prepare: a window lives as long as the spell"
    );
    let mut run =
        Run::new("local w = window.tumbling{ size = 1 } return { cast = function() w.add('k') end }");
    assert_eq!(
        run.cast(&[(0, "{}")]),
        ["! bad argument #1 to 'add' (window expected, got string; write `w:add(...)`)"]
    );
    let mut run = Run::new(
        "local w = window.tumbling{ size = 1, fold = 'sum' } return { cast = function() w:add('k', 1, 'x') end }",
    );
    assert_eq!(run.cast(&[(0, "{}")]), ["! the window's fold takes numbers, not string"]);
}

/// Sessions of the times of one key, each sorted by time: its start and stop, and how many values it has.
fn model(mut times: Vec<i64>, gap: i64) -> Vec<(i64, i64, usize)> {
    times.sort_unstable();
    let mut sessions: Vec<(i64, i64, usize)> = Vec::new();
    for time in times {
        match sessions.last_mut() {
            Some((_, stop, count)) if time < *stop => {
                *stop = time + gap;
                *count += 1;
            }
            _ => sessions.push((time, time + gap, 1)),
        }
    }
    sessions
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// With lateness enough, the order of arrival does not matter.
    #[test]
    fn sessions_are_those_of_the_sorted_times(times in proptest::collection::vec(0_i64..200, 1..30), gap in 1_i64..20) {
        let mut run = spell(&format!("session{{ gap = {gap}, late = 1000, fold = 'count' }}"));
        let mut energies: Vec<(i64, &str)> = times.iter().map(|time| (*time, "{}")).collect();
        energies.push((5000, "{\"k\":\"end\"}"));
        let expected: Vec<String> =
            model(times, gap).iter().map(|(start, stop, count)| format!("k {start}-{stop} {count}")).collect();
        prop_assert_eq!(results(&mut run, &energies).pop().unwrap(), expected.join(", "));
    }

    /// Every value is in exactly `size / every` windows, whatever the order, but the late ones.
    #[test]
    fn nothing_is_lost(times in proptest::collection::vec(0_i64..100, 1..30), every in 1_i64..5, overlap in 1_i64..4) {
        let size = every * overlap;
        let mut run = spell(&format!("hopping{{ size = {size}, every = {every}, late = 200, fold = 'count' }}"));
        let mut energies: Vec<(i64, &str)> = times.iter().map(|time| (*time, "{}")).collect();
        energies.push((5000, "{\"k\":\"end\"}"));
        let last = results(&mut run, &energies).pop().unwrap();
        let mut total = 0;
        for record in last.split(", ") {
            let (span, count) = record.trim_start_matches("k ").rsplit_once(' ').unwrap();
            let (start, stop) = span.rsplit_once('-').unwrap();
            let (start, stop): (i64, i64) = (start.parse().unwrap(), stop.parse().unwrap());
            prop_assert_eq!(stop - start, size);
            let count: usize = count.parse().unwrap();
            prop_assert_eq!(count, times.iter().filter(|time| (start..stop).contains(*time)).count());
            total += count;
        }
        prop_assert_eq!(total, times.len() * overlap as usize);
    }
}
