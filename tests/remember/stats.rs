//! `stats`.

use crate::harness::{Run, eval};

#[test]
fn lists() {
    assert_eq!(eval("return stats.sum{1, 2, 3}, stats.sum{1, 2.5}, stats.sum{}"), "6,3.5,0");
    assert_eq!(
        eval("return stats.sum{math.maxinteger, 1, -1}, stats.sum{math.maxinteger, 1}"),
        "9223372036854775807,9.223372036854776e18"
    );
    assert_eq!(eval("return stats.sum{1e16, 1.0, -1e16}"), "1.0");
    assert_eq!(
        eval("return stats.mean{1, 2, 3, 4}, stats.variance{1, 2, 3, 4}, stats.stddev{2, 4}"),
        "2.5,1.25,1.0"
    );
    assert_eq!(
        eval("return stats.min{3, 1.5, 2}, stats.max{3, 1.5, 2}, stats.median{3, 1, 2, 10}"),
        "1.5,3,2.5"
    );
    assert_eq!(
        eval(
            "return stats.mean{} == nil, stats.min{} == nil, stats.percentile({}, 5) == nil, #stats.percentile({}, {5})"
        ),
        "true,true,true,0"
    );
    assert_eq!(
        eval("return stats.mean{1, 'x'}"),
        "! bad argument #1 to 'mean' (element 2 is not a number but string)"
    );
    assert_eq!(eval("return stats.mean(3)"), "! bad argument #1 to 'mean' (table expected, got number)");
}

#[test]
fn percentiles_and_histograms() {
    assert_eq!(
        eval("return stats.percentile({15, 20, 35, 40, 50}, 40), stats.percentile({50, 15}, {0, 50, 100})"),
        "29.0,[15.0,32.5,50.0]"
    );
    assert_eq!(
        eval("return stats.percentile({1}, 101)"),
        "! bad argument #2 to 'percentile' (a percentile lies between 0 and 100, not at 101)"
    );
    assert_eq!(eval("return stats.histogram({1, 10, 11, 20, 99, 0/0}, {10, 20})"), "[2,2,2]");
    assert_eq!(
        eval("return stats.histogram({}, {10}), stats.bucket({10, 20}, 10), stats.bucket({10, 20}, 21)"),
        "[0,0],1,3"
    );
    assert_eq!(
        eval("return stats.histogram({}, {2, 1})"),
        "! bad argument #2 to 'histogram' (bounds must ascend)"
    );
}

#[test]
fn one_by_one() {
    assert_eq!(eval("local a = stats.ewma(nil, 10, 0.5) return a, stats.ewma(a, 20, 0.5)"), "10.0,15.0");
    assert_eq!(
        eval("return stats.ewma(1, 2, 0)"),
        "! bad argument #3 to 'ewma' (the weight of the new value lies above 0 and up to 1, not at 0)"
    );
    assert_eq!(
        eval(
            "local kept, means = nil, {} for i = 1, 5 do kept, means[i] = stats.moving(kept, i, 3) end return kept, means"
        ),
        "[3,4,5],[1.0,1.5,2.0,3.0,4.0]"
    );
    assert_eq!(eval("return (stats.moving({1, 2, 3, 4, 5}, 6, 2))"), "[5,6]");
    assert_eq!(
        eval(
            "local a for _, v in ipairs{2, 4, 4, 4, 5, 5, 7, 9} do a = stats.welford(a, v) end return stats.summary(a)"
        ),
        r#"{"count":8,"max":9.0,"mean":5.0,"min":2.0,"stddev":2.0,"variance":4.0}"#
    );
    assert_eq!(
        eval("local a, b for i = 1, 8 do if i < 4 then a = stats.welford(a, i) else b = stats.welford(b, i) end end
              local m = stats.summary(stats.merge(a, b)) return m.count, m.mean, m.variance, m.min, m.max, stats.merge(a, nil).count"),
        "8,4.5,5.25,1.0,8.0,3"
    );
    assert_eq!(eval("return stats.summary(nil)"), r#"{"count":0}"#);
    assert_eq!(
        eval("return stats.welford({mean='x'}, 1)"),
        "! `mean` of what is kept is a string, not a number: it was not made by `stats`"
    );
}

#[test]
fn what_is_kept_fits_into_state() {
    let mut run = Run::new(
        "return { cast = function(e)
            state.acc = stats.welford(state.acc, e.v)
            local kept, mean = stats.moving(state.last, e.v, 2)
            state.last = kept
            return { mean = mean, count = state.acc.count } end }",
    );
    assert_eq!(
        run.cast(&[(0, "{\"v\":1}"), (0, "{\"v\":2}"), (0, "{\"v\":4}")]),
        [r#"{"count":1,"mean":1.0}"#, r#"{"count":2,"mean":1.5}"#, r#"{"count":3,"mean":3.0}"#]
    );
}

#[test]
fn work_is_counted() {
    let mut run = Run::new(
        "local list = {} for i = 1, 1000 do list[i] = i end
         return { limits = { instructions = 100000 }, cast = function() while true do pcall(stats.median, list) end end }",
    );
    assert_eq!(run.cast(&[(0, "{}")]), ["! ran more instructions than its limit allows"]);
}
