//! Coroutines that outlive a limit, or a cast.

use super::harness::{LIMITS, all, attack, cast, hostile, plainly};

const FULL: &[&str] = &["instructions", "memory"];

#[test]
fn coroutines_multiply_no_work() {
    plainly(&[
        ("a tree of coroutines", "local function f() while true do coroutine.resume(coroutine.create(f)) end end f()", FULL),
        ("a tree of wraps", "local function f() while true do pcall(coroutine.wrap(f)) end end f()", FULL),
        ("short ones", "while true do coroutine.wrap(function() for i = 1, 100 do end end)() end", FULL),
        (
            "many prepared ones, resumed after the limit",
            "local cs = {} for i = 1, 1000 do cs[i] = coroutine.create(function() while true do for j = 1, 50 do end coroutine.yield() end end) end
             while true do for i = 1, 1000 do coroutine.resume(cs[i]) end end",
            FULL,
        ),
        (
            "each resumes the next",
            "local cs = {} for i = 1, 150 do cs[i] = coroutine.create(function() while true do if cs[i + 1] then coroutine.resume(cs[i + 1]) end coroutine.yield() end end) end
             while true do coroutine.resume(cs[1]) end",
            FULL,
        ),
        ("wrap as iterator", "for i in coroutine.wrap(function() while true do coroutine.yield(1) end end) do end", FULL),
        ("close for ever", "while true do coroutine.close(coroutine.create(print)) end", FULL),
        ("yield outside", "coroutine.yield()", &["error"]),
        ("yield in a callback", "coroutine.wrap(function() string.gsub('a', 'a', coroutine.yield) end)()", &["error"]),
        ("close of itself", "coroutine.wrap(function() coroutine.close(coroutine.running()) end)()", &["error"]),
        ("close of the main one", "local main = coroutine.running() coroutine.wrap(function() coroutine.close(main) end)()", &["error"]),
        ("resume of itself", "local ok, e = coroutine.resume(coroutine.running()) error(e)", &["error"]),
    ]);
}

/// Each killed by a limit in another way, each with handlers pending.
const KILLED: &[(&str, &str)] = &[
    ("the count", "while true do end"),
    ("a function of the library", "local s = ('x'):rep(100000) while true do hash.sha256(s) end"),
    ("a pattern", "('a'):rep(40):find(('.-'):rep(20) .. 'b')"),
    ("a callback", "string.gsub('a', 'a', function() while true do end end)"),
    ("prints", "while true do print(('x'):rep(10000)) end"),
    ("memory", "local s = 'x' while true do s = s .. s end"),
    ("an error", "error('plain')"),
];

#[test]
fn a_killed_coroutine_closes_nothing_for_ever() {
    let closes = [
        ("now", "coroutine.resume(c, event) for i = 1, 3 do coroutine.close(c) end while true do end"),
        ("by wrap", "local w = coroutine.wrap(body) pcall(w) pcall(w) while true do end"),
        ("in a pcall", "coroutine.resume(c) while true do pcall(coroutine.close, c) end"),
        ("by a coroutine", "coroutine.resume(c) coroutine.wrap(coroutine.close)(c) while true do end"),
        ("in a later cast", "last = last or c if c ~= last then coroutine.close(last) end coroutine.resume(c) while true do end"),
        ("suspended, in a later cast", "if last then coroutine.close(last) end last = coroutine.create(function()
            local a <close> = setmetatable({}, { __close = function() while true do end end }) coroutine.yield() end)
          coroutine.resume(last) coroutine.resume(c) while true do end"),
    ];
    let mut results = Vec::new();
    for (killer, kill) in KILLED {
        for (when, close) in closes {
            let body = format!(
                "local function body()
                   local a <close> = setmetatable({{}}, {{ __close = function() while true do end end }})
                   local b <close> = setmetatable({{}}, {{ __close = function() for i = 1, 1000 do print(i) end end }})
                   {kill}
                 end
                 local c = coroutine.create(body)
                 {close}"
            );
            let kinds = &["instructions", "print_bytes", "memory"];
            let source = hostile("", &body, "return attack(event)", LIMITS);
            results.push(attack(&format!("killed by {killer}, closed {when}"), &source, kinds, kinds));
        }
    }
    all(results);
}

#[test]
fn a_coroutine_lives_over_casts_and_faults() {
    let source = r#"
      local co = coroutine.wrap(function() local n = 0 while true do n = n + 1 coroutine.yield(n) end end)
      return { topic = "x", fault = "skip", limits = { instructions = 10000 }, cast = function(event)
        local n = co()
        if event.bad then while true do end end
        return { n = n }
      end }"#;
    let record = cast(source, &[r#"{"$topic":"x"}"#, r#"{"$topic":"x","bad":1}"#, r#"{"$topic":"x"}"#]);
    assert_eq!(record.kinds(), ["instructions"]);
    assert_eq!(record.out, "{\"n\":1}\n{\"n\":3}\n");
}

#[test]
fn pcall_and_coroutines_are_those_of_lua() {
    let source = r##"return { cast = function()
      local seen = array{}
      local function see(...) seen[#seen + 1] = table.concat({ ... }, " ") end
      local co = coroutine.wrap(function(a)
        local ok, b = pcall(function() local x = coroutine.yield(a + 1) error("e" .. x, 0) end)
        see(tostring(ok), b)
        see(tostring(xpcall(function() return coroutine.yield("in") end, print)))
        return "end"
      end)
      see(co(1)) see(co(2)) see(co(true))
      see(tostring(pcall(co)))
      see(select("#", pcall(function() return nil, nil end)))
      see(tostring(select(2, pcall(error))))
      see(select(2, pcall(pcall)))
      local c = coroutine.create(function(...) see(...) see(coroutine.yield(1, 2)) error({}) end)
      see(tostring(coroutine.resume(c, "a", "b"))) see(coroutine.status(c))
      see(tostring(coroutine.resume(c, "c"))) see(coroutine.status(c)) see(tostring(coroutine.resume(c)))
      see(select(2, coroutine.resume(c)))
      see(select(2, pcall(coroutine.resume, 1)))
      return { seen = seen }
    end }"##;
    let record = cast(source, &["{}"]);
    assert_eq!(record.faults, []);
    let expected = r#"{"seen":["2","false e2","in","true","end","false","3","<no error object>","bad argument #1 to 'pcall' (value expected)","a b","true","suspended","c","false","dead","false","cannot resume dead coroutine","bad argument #1 to 'coroutine.resume' (coroutine expected, got number)"]}"#;
    assert_eq!(record.out.trim(), expected);
}
