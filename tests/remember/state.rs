//! `state` and buckets.

use crate::harness::{Run, eval};

#[test]
fn reads_writes_and_deletes() {
    assert_eq!(eval("return state.a == nil, state:get('a', 7)"), "true,7");
    assert_eq!(eval("state.a = {x={1,2}}; return state.a.x, state:get('a', 7)"), "[1,2],{\"x\":[1,2]}");
    assert_eq!(eval("state.a = 1; state.a = nil; return state:count(), state.a == nil"), "0,true");
    assert_eq!(
        eval("state.a = 1; return state:delete('a'), state:delete('a'), state:count()"),
        "true,false,0"
    );
    assert_eq!(eval("state.a = false; return state.a, state:get('a', 1)"), "false,false");
    assert_eq!(eval("state.a = null; return state.a == null, state:count()"), "true,1");
    assert_eq!(eval("state.s = 'a\\0\\xff'; return #state.s, state.s == 'a\\0\\xff'"), "3,true");
    assert_eq!(
        eval("state.f = 2.0; state.i = 2; return state.f, state.i, math.type(state.f)"),
        "2.0,2,\"float\""
    );
}

#[test]
fn keys_are_what_lua_would_think() {
    assert_eq!(
        eval("state[1] = 'int'; return state[1.0], state['1'] == nil, state[{1}] == nil"),
        "\"int\",true,true"
    );
    assert_eq!(
        eval(
            "state[true] = 1; state[0.5] = 2; state[{'a', 1, false}] = 3; return state[true], state[0.5], state[{'a', 1.0, false}]"
        ),
        "1,2,3"
    );
    assert_eq!(
        eval("state[nil] = 1"),
        "! a key is a string, a number, a boolean or a list of those, not nil"
    );
    assert_eq!(eval("return state[0/0]"), "! NaN cannot be a key");
    assert_eq!(eval("return state[{}]"), "! an empty list cannot be a key");
    assert_eq!(
        eval("return state[{a=1}]"),
        "! a key is a string, a number, a boolean or a list of those, not a table with named fields"
    );
    assert_eq!(
        eval("return state[{1, {2}}]"),
        "! a list that is a key holds strings, numbers and booleans; element 2 is a list"
    );
    assert_eq!(eval("return state[('x'):rep(5000)]"), "! a key has at most 4096 bytes; this one has 5001");
    assert_eq!(
        eval("return state[print or pairs]"),
        "! a key is a string, a number, a boolean or a list of those, not a function"
    );
}

#[test]
fn method_names_are_no_keys() {
    assert_eq!(
        eval("state.get = 1"),
        "! `get` is a method of state; for a key of that name write state:set(\"get\", value) and state:get(\"get\")"
    );
    assert_eq!(
        eval("state:set('get', 1); state:set('count', 2); return state:get('get'), state:get('count')"),
        "1,2"
    );
    assert_eq!(
        eval("return state.get('a')"),
        "! bad argument #1 to 'get' (state expected, got string; write `state:get(...)`)"
    );
    assert_eq!(eval("return getmetatable(state)"), "\"state\"");
}

#[test]
fn values_are_what_energies_hold() {
    assert_eq!(eval("state.a = print or pairs"), "! the value cannot be kept: a function cannot be stored");
    assert_eq!(
        eval("local t = {}; t.t = t; state.a = t"),
        "! the value cannot be kept: it is nested deeper than 64 levels, or contains itself"
    );
    assert_eq!(
        eval("state.a = ('x'):rep(2 << 20)"),
        "! the value cannot be kept: it is larger than the 1048576 bytes that `limits.event_bytes` allows"
    );
}

#[test]
fn ranges_are_ordered_and_bounded() {
    let fill = "for i = 1, 9 do state[i] = i * 10 end; for _, s in ipairs{'b', 'ab', 'a', 'abc'} do state[s] = #s end;
        state[{1, 'x'}] = 'p'; state[{1, 'y'}] = 'q'; state[{2, 'x'}] = 'r'; state[true] = 0
        local function keys(options) local r = {} for k in state:range(options) do r[#r + 1] = k end return r end ";
    let keys = |options: &str| eval(&format!("{fill} return keys({options})"));
    assert_eq!(keys(""), "[true,1,2,3,4,5,6,7,8,9,\"a\",\"ab\",\"abc\",\"b\",[1,\"x\"],[1,\"y\"],[2,\"x\"]]");
    assert_eq!(keys("{from=3, to=6}"), "[3,4,5]");
    assert_eq!(keys("{from=2.5, to=4.5, reverse=true}"), "[4,3]");
    assert_eq!(keys("{prefix='ab'}"), "[\"ab\",\"abc\"]");
    assert_eq!(keys("{prefix=''}"), "[\"a\",\"ab\",\"abc\",\"b\"]");
    assert_eq!(keys("{prefix='ab', from='abb'}"), "[\"abc\"]");
    assert_eq!(keys("{from={1}, to={2}}"), "[[1,\"x\"],[1,\"y\"]]");
    assert_eq!(keys("{prefix={1}, reverse=true, limit=1}"), "[[1,\"y\"]]");
    assert_eq!(keys("{prefix={}, limit=2}"), "[[1,\"x\"],[1,\"y\"]]");
    assert_eq!(keys("{from=6, to=3}"), "{}");
    assert_eq!(keys("{limit=0}"), "{}");
    assert_eq!(keys("{from='b', limit=1.0}"), "[\"b\"]");
    assert_eq!(eval(&format!("{fill} return state:range{{from=3, limit=1}}()")), "3,30");
    assert_eq!(
        keys("{form=3}"),
        "! bad argument #1 to 'range' (unknown option `form`; did you mean `from`? (known: from, to, prefix, limit, reverse))"
    );
    assert_eq!(keys("{limit=-1}"), "! bad argument #1 to 'range' (`limit` is a whole number of 0 or more)");
    assert_eq!(
        keys("{prefix=1}"),
        "! bad argument #1 to 'range' (`prefix` is a string or a list, not a number)"
    );
}

#[test]
fn a_range_survives_changes() {
    assert_eq!(
        eval("for i = 1, 5 do state[i] = i end; local r = {}
              for k, v in pairs(state) do r[#r + 1] = k; state[k] = nil; if k == 2 then state[3] = nil; state[2.5] = 0; state[1.5] = 0 end end
              return r, state:count()"),
        "[1,2,2.5,4,5],1"
    );
    assert_eq!(
        eval(
            "for i = 1, 3 do state[i] = i end; local it = pairs(state); it() it() it() return it() == nil, it() == nil"
        ),
        "true,true"
    );
    let mut run = Run::new(
        "local it return { cast = function(e) it = it or pairs(state); state.a = 1; return { k = it() } end }",
    );
    assert_eq!(
        run.cast(&[(0, "{}"), (0, "{}")]),
        ["{\"k\":\"a\"}", "! this iterator belongs to an earlier cast; call range or pairs again"]
    );
}

#[test]
fn buckets_are_apart() {
    assert_eq!(
        eval(
            "local b = sanctum.bucket('b'); b.x = 1; state.x = 2; sanctum.bucket('c').x = 3
              return b.x, state.x, sanctum.bucket('b').x, sanctum.bucket('c').x, b:count()"
        ),
        "1,2,1,3,1"
    );
    assert_eq!(
        eval("sanctum.bucket('')"),
        "! bad argument #1 to 'bucket' (a bucket's name has 1 to 255 bytes)"
    );
}

#[test]
fn a_fault_undoes_the_cast() {
    let mut run = Run::new(
        "return { cast = function(e) state.n = (state.n or 0) + 1; state[{'k', state.n}] = e
            if e.fail then error('no') end return { n = state.n, count = state:count() } end }",
    );
    assert_eq!(
        run.cast(&[(0, "{}"), (0, "{\"fail\":true}"), (0, "{}")]),
        ["{\"count\":2,\"n\":1}", "! no", "{\"count\":3,\"n\":2}"]
    );
}

#[test]
fn prepare_may_write_and_loading_may_not() {
    let mut run = Run::new(
        "return { prepare = function() state.a = 1 end, cast = function() return { a = state.a } end }",
    );
    assert_eq!(run.cast(&[(0, "{}")]), ["{\"a\":1}"]);
    let error = Run::open("state.a = 1 return { cast = function() end }").err().unwrap();
    assert!(error.contains("there is no state while a file is loaded"), "{error}");
}

#[test]
fn the_state_is_bounded() {
    let mut run = Run::new(
        "return { limits = { state_bytes = '64KiB' }, cast = function(e)
            local ok = pcall(function() for i = 1, e.n do state[i] = ('x'):rep(100) end end)
            return { ok = ok, count = state:count() } end }",
    );
    assert_eq!(
        run.cast(&[(0, "{\"n\":100}"), (0, "{\"n\":10000}"), (0, "{\"n\":1}")]),
        [
            "{\"count\":100,\"ok\":true}",
            "! keeps more state than its limit allows",
            "{\"count\":100,\"ok\":true}"
        ]
    );
}

#[test]
fn a_lane_sees_its_own_state() {
    let mut run = Run::new(
        "return { lane = 'user', cast = function(e) state.n = (state.n or 0) + 1 return { user = e.user, n = state.n } end }",
    );
    let energies: Vec<(i64, &str)> =
        ["{\"user\":1}", "{\"user\":2}", "{\"user\":1}", "{}", "{\"user\":2}", "{}"]
            .iter()
            .map(|data| (0, *data))
            .collect();
    let n: Vec<String> = run.cast(&energies).iter().map(|line| line[5..6].to_owned()).collect();
    assert_eq!(n, ["1", "1", "2", "1", "2", "2"]);
}
