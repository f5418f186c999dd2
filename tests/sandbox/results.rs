//! Results, emits and error values that are made to hurt the host.

use super::harness::{all, attack, cast, hostile, plainly};

const OUTPUT: &[&str] = &["output"];
const ERROR: &[&str] = &["error"];

#[test]
fn results_that_are_no_energies() {
    plainly(&[
        ("a cycle", "local t = {} t.t = t return t", OUTPUT),
        ("a cycle in a list", "local t = {} t[1] = t return t", OUTPUT),
        ("10,000 deep", "local t = {} for i = 1, 10000 do t = { t = t } end return t", OUTPUT),
        ("10,000 deep lists", "local t = {} for i = 1, 10000 do t = { t } end return t", OUTPUT),
        (
            "a bush",
            "local t = { x = 1 } for i = 1, 60 do t = { a = t, b = t } end return t",
            &["output", "instructions"],
        ),
        (
            "a bush of nothing",
            "local t = {} for i = 1, 60 do t = { a = t, b = t } end return t",
            &["output", "instructions"],
        ),
        (
            "a bush of functions",
            "local t = { f = print } for i = 1, 60 do t = { a = t, b = t } end return t",
            &["output", "instructions"],
        ),
        (
            "a bush of lists with functions",
            "local t = { 1, print } for i = 1, 60 do t = { t, t, print } end return t",
            &["output", "instructions"],
        ),
        (
            "lists that end in a function",
            "local t = { 1, print } for i = 1, 60 do t = { t, print } end return t",
            &["output", "instructions"],
        ),
        ("a number", "return 1", OUTPUT),
        ("a function", "return print", OUTPUT),
        ("a thousand results", "return table.unpack(table.create(1000), 1, 1000), 1", OUTPUT),
        ("a NaN field", "return { ['$time'] = 0/0 }", OUTPUT),
        ("an unknown field", "return { ['$postion'] = 1 }", OUTPUT),
        ("a reserved topic", "return { ['$topic'] = 'sanctum.fault' }", OUTPUT),
        (
            "a looping topic",
            "return { ['$topic'] = setmetatable({}, { __tostring = function() while true do end end }) }",
            OUTPUT,
        ),
        ("a long topic", "return { ['$topic'] = ('a'):rep(100000) }", OUTPUT),
        ("a deep topic", "return { ['$topic'] = ('a.'):rep(100000) .. 'a' }", OUTPUT),
        (
            "many tags",
            "local t = {} for i = 1, 100000 do t['k' .. i] = 'v' end return { ['$tags'] = t }",
            &["output", "memory", "instructions"],
        ),
        ("an envelope", "return { e = 1, x = function() end, ['$tags'] = { a = {} } }", OUTPUT),
    ]);
}

#[test]
fn metatables_are_never_asked_about_results() {
    let source = r#"return { cast = function()
      local function never() error("asked") end
      local m = { __pairs = never, __index = never, __len = never, __tostring = never, __eq = never, __call = never }
      return setmetatable({ a = setmetatable({ 1, 2 }, m), b = setmetatable({}, m) }, m)
    end }"#;
    let record = cast(source, &["{}"]);
    assert_eq!(record.faults, []);
    assert_eq!(record.out, "{\"a\":[1,2],\"b\":{}}\n");
}

#[test]
fn an_emptied_table_is_not_walked_for_ever() {
    let limits = r#"{ time = "500ms", instructions = 100000000, memory = "64MiB" }"#;
    let kinds = &["time", "output", "instructions"];
    let empty =
        "local e = {} for i = 1, 1000000 do e[i] = i end for i = 1, 1000000 do e[i] = nil end local t = {}";
    all([
        ("in a list", "for i = 1, 100000 do t[i] = e end return { t = t }"),
        ("in a list of lists", "for i = 1, 100000 do t[i] = { e } end return { t = t }"),
        ("in a map", "for i = 1, 100000 do t['k' .. i] = e end return t"),
        ("as outputs", "for i = 1, 100000 do t[i] = e end return t"),
        ("as emits", "for i = 1, 100000 do emit(e) end"),
        ("in json", "for i = 1, 100000 do t[i] = e end json.encode(t)"),
        ("in state", "for i = 1, 100000 do t[i] = e end state.t = t"),
        ("in a log line", "for i = 1, 100000 do t[i] = e end log.info(t) while true do end"),
        ("as an error", "for i = 1, 100000 do t[i] = e end error(t)"),
    ]
    .map(|(name, body)| {
        let mut kinds = kinds.to_vec();
        kinds.extend(["outputs", "error", "print_bytes"]);
        attack(name, &hostile("", &format!("{empty} {body}"), "return attack(event)", limits), &kinds, &kinds)
    }));
}

#[test]
fn errors_of_every_kind() {
    plainly(&[
        ("nil", "error(nil)", ERROR),
        ("nothing", "error()", ERROR),
        ("a boolean", "error(false)", ERROR),
        ("a number", "error(1 << 60)", ERROR),
        ("a table", "error({ code = 7 })", ERROR),
        ("a cycle", "local t = {} t.t = t error(t)", ERROR),
        ("a bush", "local t = { x = 1 } for i = 1, 60 do t = { a = t, b = t } end error(t)", ERROR),
        (
            "a bush of functions",
            "local t = { f = print } for i = 1, 60 do t = { a = t, b = t } end error(t)",
            ERROR,
        ),
        ("a huge table", "local t = {} for i = 1, 100000 do t[i] = i end error(t)", ERROR),
        ("a function", "error(print)", ERROR),
        ("a coroutine", "error(coroutine.create(print))", ERROR),
        ("an object", "error(state)", ERROR),
        ("__tostring", "error(setmetatable({}, { __tostring = function() while true do end end }))", ERROR),
        (
            "__name",
            "error(setmetatable({}, { __name = 7, __index = function() while true do end end }))",
            ERROR,
        ),
        ("a long string", "error(('x'):rep(1000000))", ERROR),
        ("a string of bytes", "error(('\\255'):rep(1000000))", ERROR),
        ("many lines", "error(('x\\n'):rep(100000))", ERROR),
        ("escapes", "error('\\27[31m\\0\\r\\n')", ERROR),
        ("a level far off", "error('x', 1 << 40)", ERROR),
        ("thrown by a handler", "error(select(2, xpcall(error, function() error({}) end)))", ERROR),
        (
            "assert",
            "assert(false, setmetatable({}, { __tostring = function() while true do end end }))",
            ERROR,
        ),
    ]);
}

#[test]
fn a_caught_bad_emit_leaves_no_mark() {
    let source = r#"return { fault = "skip", cast = function(event)
      if event.n == 1 then pcall(emit, { x = { ["$topic"] = 1 }, ["$nope"] = 1 }) error("mine") end
      if event.n == 2 then pcall(emit, { ["$nope"] = 1 }) return { ok = 1 } end
      error("mine")
    end }"#;
    let record = cast(source, &[r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]);
    assert_eq!(record.kinds(), ["error", "error"], "{:?}", record.faults);
    assert_eq!(record.out, "{\"ok\":1}\n");
}

#[test]
fn a_filter_has_no_effects() {
    for call in
        ["emit{ x = 1 }", "blob.put('x')", "state.x = 1", "state:delete('x')", "sanctum.bucket('b').x = 1"]
    {
        for result in ["true", "false"] {
            let source = format!(
                "return {{ fault = 'skip', filter = function(event) {call} return {result} end, cast = function() return {{ ok = 1 }} end }}"
            );
            let record = cast(&source, &["{}", "{}"]);
            assert_eq!(record.kinds(), ["error", "error"], "{call} {result}");
            assert!(record.faults[0].1.contains("filter"), "{}", record.faults[0].1);
            assert_eq!(record.out, "");
        }
    }
    let source = "return { filter = function(event) pcall(emit, { x = 1 }) return event.n == 1 end, cast = function() emit{ e = 1 } return { ok = state.n or 0 } end }";
    let record = cast(source, &[r#"{"n":1}"#, r#"{"n":2}"#]);
    assert_eq!((record.out.as_str(), record.faults.len()), ("{\"e\":1}\n{\"ok\":0}\n", 0));
}

#[test]
fn a_filter_can_loop_no_more_than_a_cast() {
    let source = |body: &str| {
        format!(
            "return {{ fault = 'skip', limits = {{ instructions = 100000 }}, filter = function(event) {body} end, cast = function() return {{ ok = 1 }} end }}"
        )
    };
    for body in [
        "while true do end",
        "pcall(function() while true do end end) return true",
        "pcall(function() while true do end end) return false",
    ] {
        let record = cast(&source(body), &["{}", "{}"]);
        assert_eq!(record.kinds(), ["instructions"; 2], "{body}");
        assert_eq!(record.out, "");
    }
}

#[test]
fn an_error_in_a_callback_has_its_traceback() {
    let lines = |body: &str| {
        let source = format!(
            "local function inner()\n  error('deep')\nend\nlocal function middle()\n  inner()\nend\nreturn {{ fault = 'skip', cast = function()\n  {body}\nend }}"
        );
        cast(&source, &["{}"]).faults.into_iter().map(|(_, text)| text).collect::<String>()
    };
    for body in [
        "string.gsub('a', 'a', middle)",
        "table.sort({ 1, 2 }, middle)",
        "coroutine.wrap(middle)()",
        "print(setmetatable({}, { __tostring = middle }))",
    ] {
        let text = lines(body);
        for line in ["spell.lua:2", "spell.lua:5", "spell.lua:8"] {
            assert!(text.contains(line), "{body}: no {line} in\n{text}");
        }
    }
    let text = lines("pcall(string.gsub, 'a', 'a', middle) pcall(coroutine.wrap(middle)) error('other')");
    assert!(text.contains("other") && !text.contains("spell.lua:2"), "{text}");
}
