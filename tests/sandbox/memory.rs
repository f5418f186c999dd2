//! What grows for ever: tables, strings, prints, outputs, state, content.

use super::harness::{LIMITS, all, attack, cast, hostile, plainly};

const FULL: &[&str] = &["memory", "instructions"];

/// Attacks on the VM's memory.
pub const HOARDS: &[(&str, &str, &[&str])] = &[
    ("a table", "local t = {} while true do t[#t + 1] = {} end", FULL),
    ("a map", "local t, i = {}, 0 while true do i = i + 1 t['k' .. i] = i end", FULL),
    ("a global table", "hoard = {} while true do hoard[#hoard + 1] = ('x'):rep(1000) .. #hoard end", FULL),
    ("insert", "local t = {} while true do table.insert(t, t) end", FULL),
    ("concatenation", "local s = 'x' while true do s = s .. s end", FULL),
    (
        "concatenation, swallowed",
        "local s = ('x'):rep(1000000) while true do pcall(function() s = s .. s end) end",
        FULL,
    ),
    ("rep, swallowed", "while true do pcall(string.rep, 'x', 3900000) end", FULL),
    ("rep of more than there is, swallowed", "while true do pcall(string.rep, 'x', 1 << 30) end", FULL),
    ("gsub", "local s = ('x'):rep(1000) while true do s = s:gsub('x', 'xx') end", FULL),
    ("format", "local s = ('x'):rep(1000) while true do s = string.format('%s%s', s, s) end", FULL),
    ("table.concat", "local s = ('x'):rep(1000) while true do s = table.concat({ s, s, s }) end", FULL),
    ("table.create", "table.create(1000000000)", &["memory", "error"]),
    ("table.create, swallowed", "while true do pcall(table.create, 1000000000) end", FULL),
    ("table.create of fields", "table.create(0, 1000000000)", &["memory", "error"]),
    ("closures", "local t = {} while true do t[#t + 1] = function() return t end end", FULL),
    ("coroutines", "local t = {} while true do t[#t + 1] = coroutine.create(print) end", FULL),
    (
        "started coroutines",
        "local t = {} while true do local c = coroutine.wrap(coroutine.yield) c() t[#t + 1] = c end",
        FULL,
    ),
    (
        "near the limit",
        "local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) for i = 1, 10 do local x = {} end end",
        FULL,
    ),
    ("json.decode", "local s = '[' .. ('[],'):rep(200000) .. '[]]' while true do json.decode(s) end", FULL),
    (
        "msgpack.decode",
        "local s = '\\xdd\\0\\1\\0\\0' .. ('\\x90'):rep(65536) while true do msgpack.decode(s) end",
        FULL,
    ),
    (
        "string.pack",
        "local s = ('x'):rep(100000) local t = {} while true do t[#t + 1] = string.pack('s4', s .. #t) end",
        FULL,
    ),
];

#[test]
fn every_hoard_is_bounded() {
    plainly(HOARDS);
}

fn limited(name: &str, body: &str, limits: &str, kind: &str) -> Result<std::time::Duration, String> {
    attack(name, &hostile("", body, "return attack(event)", limits), &[kind], &[kind])
}

#[test]
fn outputs_of_every_kind_are_bounded() {
    all([
        limited("print", "while true do print('x') end", "{ print_bytes = '64KiB' }", "print_bytes"),
        limited(
            "print, swallowed",
            "while true do pcall(print, 'x') end",
            "{ print_bytes = '64KiB' }",
            "print_bytes",
        ),
        limited("print of much", "print(('x'):rep(1000000))", "{ print_bytes = '64KiB' }", "print_bytes"),
        limited("print of nothing", "while true do print() end", "{ print_bytes = '64KiB' }", "print_bytes"),
        limited("log", "while true do log.warn('x') end", "{ print_bytes = '64KiB' }", "print_bytes"),
        limited(
            "log of nothing",
            "while true do log.debug() end",
            "{ print_bytes = '64KiB' }",
            "print_bytes",
        ),
        limited(
            "log, swallowed",
            "while true do pcall(log.info, 'x') end",
            "{ print_bytes = '64KiB' }",
            "print_bytes",
        ),
        limited("emit", "while true do emit{ x = 1 } end", "{ outputs = 100 }", "outputs"),
        limited(
            "emit, swallowed",
            "while true do pcall(emit, { x = 1 }) end",
            "{ outputs = 100 }",
            "outputs",
        ),
        limited(
            "emit of a list",
            "local t = {} for i = 1, 200 do t[i] = { i = i } end emit(t)",
            "{ outputs = 100 }",
            "outputs",
        ),
        limited(
            "return of a list",
            "local t = {} for i = 1, 200 do t[i] = { i = i } end return t",
            "{ outputs = 100 }",
            "outputs",
        ),
        limited(
            "return of many",
            "local t = {} for i = 1, 200 do t[i] = { i = i } end return table.unpack(t)",
            "{ outputs = 100 }",
            "outputs",
        ),
        limited(
            "large outputs",
            "local s = ('x'):rep(1000000) for i = 1, 1000 do emit{ s = s } end",
            "{ instructions = 1000000 }",
            "instructions",
        ),
        limited(
            "large results",
            "local t, s = {}, ('x'):rep(1000000) for i = 1, 1000 do t[i] = { s = s } end return t",
            "{ instructions = 1000000 }",
            "instructions",
        ),
        limited("a large energy", "return { s = ('x'):rep(100000) }", "{ event_bytes = '64KiB' }", "output"),
        limited(
            "state",
            "local i = 0 while true do i = i + 1 state[i] = ('x'):rep(1000) end",
            "{ state_bytes = '256KiB' }",
            "state_bytes",
        ),
        limited(
            "state, swallowed",
            "local i = 0 while true do i = i + 1 pcall(function() state[i] = ('x'):rep(1000) end) end",
            "{ state_bytes = '256KiB' }",
            "state_bytes",
        ),
        limited(
            "buckets",
            "local i = 0 while true do i = i + 1 sanctum.bucket('b' .. i)[i] = ('x'):rep(1000) end",
            "{ state_bytes = '256KiB' }",
            "state_bytes",
        ),
        limited(
            "blob.put",
            "local i = 0 while true do i = i + 1 blob.put(('x'):rep(1000) .. i) end",
            "{ instructions = 1000000 }",
            "instructions",
        ),
    ]);
}

#[test]
fn content_is_bounded_over_casts() {
    let source = r#"return { topic = "x", fault = "skip", limits = { state_bytes = "1MiB" },
      cast = function(event) for i = 1, 100 do blob.put(("x"):rep(1000) .. event.n .. "." .. i) end return { n = event.n } end }"#;
    let seeds: Vec<String> = (0..40).map(|n| format!(r#"{{"$topic":"x","n":{n}}}"#)).collect();
    let record = cast(source, &seeds.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(record.kinds().iter().all(|kind| *kind == "state_bytes"), "{:?}", record.kinds());
    assert!((25..=35).contains(&record.kinds().len()), "{:?}", record.kinds().len());
}

/// Resident bytes of this process.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// Runs alone in a process of its own, so that what other tests hold does not count.
fn alone(test: &str, body: impl FnOnce()) {
    const NAME: &str = "SANCTUM_ALONE";
    if std::env::var_os(NAME).is_some() {
        return body();
    }
    let program = std::env::current_exe().expect("this program");
    let status = std::process::Command::new(program)
        .args(["--exact", test, "--nocapture"])
        .env(NAME, "1")
        .status()
        .expect("this program runs");
    assert!(status.success());
}

#[test]
fn freed_memory_of_one_size_serves_another() {
    alone("memory::freed_memory_of_one_size_serves_another", || {
        let body = "for size = 24, 3000, 24 do
          local s = ('x'):rep(size)
          pcall(function() local t = {} for i = 1, 200000 do t[i] = s .. i end end)
        end";
        let limits = r#"{ memory = "16MiB", instructions = 1000000000, time = "60s" }"#;
        let before = resident();
        let record = cast(&hostile("", body, "attack(event)", limits), &[r#"{"$topic":"evil"}"#]);
        let grown = resident() - before;
        // Without a bound on how far blocks spread it is 450 MiB.
        assert!(grown < 128 << 20 && record.faults.is_empty(), "{} MiB, {:?}", grown >> 20, record.faults);
    });
}

#[test]
fn library_results_count_as_memory() {
    alone("memory::library_results_count_as_memory", || {
        let body = "local s = ('x'):rep(200000) keep = keep or table.create(400000)
          for i = 1, 100000 do keep[#keep + 1] = string.match(s, '.+', -4000 - i % 90) .. i end";
        let limits = r#"{ memory = "16MiB", instructions = 1000000000, time = "60s" }"#;
        let before = resident();
        let record = cast(
            &hostile("", &body.replace(" .. i", ""), "attack(event)", limits),
            &[r#"{"$topic":"evil"}"#; 4],
        );
        let grown = resident() - before;
        assert_eq!(record.kinds(), ["memory"; 4], "{} MiB", grown >> 20);
        assert!(grown < 100 << 20, "{} MiB", grown >> 20);
    });
}

#[test]
fn the_default_limits_hold() {
    all(HOARDS.iter().take(8).map(|(name, body, expected)| {
        attack(name, &hostile("", body, "return attack(event)", "{}"), expected, expected)
    }));
    let _ = LIMITS;
}
