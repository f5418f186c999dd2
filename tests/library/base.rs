//! print, tostring, emit, array, log, runes.

use sanctum::event::msgpack::{write_int, write_map_len, write_str};
use sanctum::spell::Modules;

use super::harness::*;

#[test]
fn print_is_as_in_lua() {
    assert_eq!(prints("print() print(1, 2.0, 'x', nil, true, null)"), "\n1\t2.0\tx\tnil\ttrue\tnull\n");
    assert_eq!(prints("print(setmetatable({}, { __tostring = function() return 'mine' end }))"), "mine\n");
    assert_eq!(fault("print(setmetatable({}, { __tostring = function() error('no') end }))"), "no");
    assert_eq!(
        fault("print(setmetatable({}, { __tostring = function() return {} end }))"),
        "'__tostring' must return a string"
    );
}

#[test]
fn prints_of_a_fault_are_kept_and_bounded() {
    let run = cast("print('before') error('later')");
    assert_eq!(run.prints, "before\n");
    let message = fault("local line = ('x'):rep(100000) for i = 1, 20 do pcall(print, line) end");
    assert_eq!(message, "printed more than its limit allows");
    let message = fault("local line = ('x'):rep(100000) for i = 1, 20 do pcall(log.info, line) end");
    assert_eq!(message, "printed more than its limit allows");
}

#[test]
fn tostring_repeats() {
    assert_eq!(prints("print(tostring(12), tostring('a'), tostring(print))"), "12\ta\tfunction: builtin\n");
    assert_eq!(fault("tostring()"), "bad argument #1 to 'tostring' (value expected)");
    let body = "print({}, function() end, coroutine.create(print), env)";
    assert_eq!(prints(body), prints(body));
    assert!(prints(body).starts_with("table: 0x"), "{}", prints(body));
}

#[test]
fn emit_takes_energies_and_lists() {
    let run = cast("emit{a=1} emit{{b=1},{b=2}} emit({c=1}, {c=2}) return {d=1}");
    assert_eq!(run.faults, [None]);
    assert_eq!(
        run.outputs,
        [r#"{"a":1}"#, r#"{"b":1}"#, r#"{"b":2}"#, r#"{"c":1}"#, r#"{"c":2}"#, r#"{"d":1}"#]
    );
    assert_eq!(fault("emit()"), "bad argument #1 to 'emit' (table expected, got no value)");
    assert_eq!(fault("emit(1)"), "bad argument #1 to 'emit' (table expected, got number)");
    assert!(fault("emit{['$oops'] = 1}").contains("$oops"));
    assert!(cast("emit{a=1} error('x')").outputs.is_empty());
}

#[test]
fn emit_is_for_casts() {
    let text = refusal("emit{} return { cast = function() end }", Modules::default());
    assert!(text.contains("emit works only inside cast or tick"), "{text}");
}

#[test]
fn arrays_stay_arrays_when_empty() {
    let run = cast("return { a = {}, b = array{}, c = array(), d = array{1} }");
    assert_eq!(run.outputs, [r#"{"a":{},"b":[],"c":[],"d":[1]}"#]);
    assert_eq!(prints("local t = array{} print(array(t) == t, #t)"), "true\t0\n");
    assert_eq!(fault("array(1)"), "bad argument #1 to 'array' (table expected, got number)");
    assert!(fault("array(setmetatable({}, {}))").contains("metatable of its own"));
}

#[test]
fn log_lines_name_level_and_spell() {
    let run = cast("log.info('hello', {b=1,a={1,2}}, 3, nil) log.debug('d') log.warn('w') log.error('e')");
    assert_eq!(
        run.notes,
        "info spell: hello {\"a\":[1,2],\"b\":1} 3 nil\ndebug spell: d\nwarn spell: w\nerror spell: e\n"
    );
    let run = cast("local t = {} t.t = t log.info(t)");
    assert!(run.notes.starts_with("info spell: table: 0x"), "{}", run.notes);
}

#[test]
fn runes_are_a_table() {
    let mut spell = spell(
        "return { prepare = function(r) print(r == runes, r.threshold) end, cast = function() print(runes.threshold) end }",
        Modules::default(),
    );
    spell.runes = Vec::new();
    write_map_len(&mut spell.runes, 1);
    write_str(&mut spell.runes, "threshold");
    write_int(&mut spell.runes, 50);
    let run = run_lane(&mut open(&spell), &events(&["{}"]));
    assert_eq!(run.prints, "true\t50\n50\n");
    assert_eq!(prints("print(type(runes), next(runes))"), "table\tnil\n");
}

#[test]
fn natives_work_in_coroutines() {
    let run = cast(
        "local co = coroutine.wrap(function() emit{a=1} print(1) coroutine.yield(random()) emit{b=env.position} end)
        co() co() log.info(json.encode(json.decode('[1]'))) print(blob.get(blob.put('x')))",
    );
    assert_eq!(run.faults, [None]);
    assert_eq!(run.outputs, [r#"{"a":1}"#, r#"{"b":0}"#]);
    assert_eq!(run.prints, "1\nx\n");
}

#[test]
fn a_refused_emit_can_be_caught() {
    let run =
        cast("print(pcall(emit, {['$position'] = 1})) print(pcall(emit, {{a=1},{['$x']=1}})) return {b=1}");
    assert_eq!(run.faults, [None]);
    assert_eq!(run.outputs, [r#"{"a":1}"#, r#"{"b":1}"#]);
    assert!(run.prints.contains("$position") && run.prints.contains("$x"), "{}", run.prints);
}

#[test]
fn the_cost_of_a_cast_repeats() {
    let body =
        "local t = {} for i = 1, 100 do t[i] = { id = uuid(), r = random(100), at = time.format(i) } end
        local s = json.encode(t) print(#s, hash.blake3(s), #msgpack.encode(json.decode(s))) return { s = s }";
    let (one, two) = (cast(body), cast(body));
    assert_eq!(one.instructions, two.instructions);
    assert_eq!((one.prints, one.outputs), (two.prints, two.outputs));
}

#[test]
fn only_what_is_meant_is_global() {
    let out = prints(
        "local names = {} for name in pairs(_G) do names[#names + 1] = name end table.sort(names) print(table.concat(names, ' '))",
    );
    for absent in ["io", "debug", "package", "load", "dofile", "loadfile", "collectgarbage", "warn"] {
        assert!(!out.split_whitespace().any(|name| name == absent), "{absent}");
    }
    for present in [
        "array", "base64", "blob", "emit", "hash", "json", "log", "msgpack", "null", "os", "print", "random",
        "require", "runes", "time", "tostring", "uuid",
    ] {
        assert!(out.split_whitespace().any(|name| name == present), "{present}");
    }
}
