//! Loops without end, wherever Lua calls a function.

use super::harness::plainly;

const WORK: &[&str] = &["instructions"];

/// A loop in each place from which Lua calls back.
pub const LOOPS: &[(&str, &str, &[&str])] = &[
    ("while", "while true do end", WORK),
    ("repeat", "repeat until false", WORK),
    ("goto", "::again:: goto again", WORK),
    ("numeric for", "for i = 1, math.huge do end", WORK),
    ("for by zero-ish steps", "for i = math.mininteger, math.maxinteger do end", WORK),
    ("pcall", "pcall(function() while true do end end)", WORK),
    ("pcall in a loop", "while true do pcall(function() while true do end end) end", WORK),
    ("pcall recursion", "local function f() pcall(f) pcall(f) end f()", WORK),
    ("xpcall", "xpcall(function() while true do end end, print)", WORK),
    ("xpcall handler", "xpcall(error, function() while true do end end)", WORK),
    ("xpcall handler after a limit", "while true do xpcall(function() while true do end end, function() while true do end end) end", WORK),
    ("__index", "local t = setmetatable({}, { __index = function() while true do end end }) return t.x", WORK),
    ("__newindex", "local t = setmetatable({}, { __newindex = function() while true do end end }) t.x = 1", WORK),
    ("__add", "local t = setmetatable({}, { __add = function() while true do end end }) return t + 1", WORK),
    ("__eq", "local m = { __eq = function() while true do end end } return setmetatable({}, m) == setmetatable({}, m)", WORK),
    ("__lt", "local m = { __lt = function() while true do end end } return setmetatable({}, m) < setmetatable({}, m)", WORK),
    ("__le", "local m = { __le = function() while true do end end } return setmetatable({}, m) <= setmetatable({}, m)", WORK),
    ("__concat", "local t = setmetatable({}, { __concat = function() while true do end end }) return t .. 'x'", WORK),
    ("__call", "local t = setmetatable({}, { __call = function() while true do end end }) return t()", WORK),
    ("__len", "local t = setmetatable({}, { __len = function() while true do end end }) return #t", WORK),
    ("__unm", "local t = setmetatable({}, { __unm = function() while true do end end }) return -t", WORK),
    ("__close", "local x <close> = setmetatable({}, { __close = function() while true do end end })", WORK),
    ("__close after an error", "local x <close> = setmetatable({}, { __close = function() while true do end end }) error('x')", WORK),
    ("__close after a limit", "local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end", WORK),
    (
        "many __close",
        "local m = { __close = function() while true do end end }
         local function f(n) local a <close>, b = setmetatable({}, m) if n > 0 then f(n - 1) end while true do end end f(5000)",
        WORK,
    ),
    ("__close in a pcall", "while true do pcall(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) error('x') end) end", WORK),
    ("__close of a for", "for _ in next, {}, nil, setmetatable({}, { __close = function() while true do end end }) do end", WORK),
    ("__pairs", "for _ in pairs(setmetatable({}, { __pairs = function() while true do end end })) do end", WORK),
    ("an iterator without end", "for _ in function() return 1 end do end", WORK),
    ("__tostring by tostring", "tostring(setmetatable({}, { __tostring = function() while true do end end }))", WORK),
    ("__tostring by print", "print(setmetatable({}, { __tostring = function() while true do end end }))", WORK),
    ("__tostring by log", "log.info(setmetatable({}, { __tostring = function() while true do end end }))", WORK),
    ("__tostring by format", "string.format('%s', setmetatable({}, { __tostring = function() while true do end end }))", WORK),
    ("__name", "error(setmetatable({}, { __name = ('x'):rep(1000) }))", &["error"]),
    ("__gc", "setmetatable({}, { __gc = function() while true do end end })", &["error"]),
    ("sort comparator", "table.sort({ 3, 1, 2 }, function() while true do end end)", WORK),
    ("sort comparator that lies", "local t = {} for i = 1, 1000 do t[i] = i end while true do pcall(table.sort, t, function() return true end) end", WORK),
    ("sort with __lt", "local m = { __lt = function() while true do end end } table.sort{ setmetatable({}, m), setmetatable({}, m) }", WORK),
    ("gsub callback", "string.gsub('abc', '.', function() while true do end end)", WORK),
    ("gsub table", "string.gsub('abc', '.', setmetatable({}, { __index = function() while true do end end }))", WORK),
    ("gmatch", "while true do for w in string.gmatch('a b c', '%a') do end end", WORK),
    ("gmatch of empty matches", "for w in string.gmatch(('a'):rep(1000000), '') do end", WORK),
    ("concat with __index", "table.concat(setmetatable({}, { __len = function() return 9 end, __index = function() while true do end end }))", WORK),
    ("insert with __newindex", "table.insert(setmetatable({}, { __newindex = function() while true do end end }), 1)", WORK),
    ("unpack with __index", "table.unpack(setmetatable({}, { __index = function() while true do end end }), 1, 2)", WORK),
    ("tail recursion", "local function f() return f() end return f()", WORK),
    ("mutual tail recursion", "local f, g function f() return g() end function g() return f() end return f()", WORK),
    ("state.range", "for i = 1, 9 do state[i] = i end while true do for k, v in state:range{} do end end", WORK),
    ("json", "local t = {} for i = 1, 1000 do t[i] = i end while true do json.decode(json.encode(t)) end", WORK),
    ("random", "while true do random() end", WORK),
    ("uuid", "while true do uuid() end", WORK),
    ("hash", "local s = ('x'):rep(100000) while true do hash.sha256(s) end", WORK),
    ("select", "local function f(...) while true do select('#', ...) f(1, ...) end end f()", &["instructions", "error", "memory"]),
];

#[test]
fn every_loop_ends() {
    plainly(LOOPS);
}

#[test]
fn a_swallowed_limit_is_a_fault() {
    plainly(&[
        ("pcall", "pcall(function() while true do end end) return nil", WORK),
        (
            "resume",
            "coroutine.resume(coroutine.create(function() while true do end end)) return { ok = 1 }",
            WORK,
        ),
        ("prints", "pcall(print, ('x'):rep(2000000)) return { ok = 1 }", &["print_bytes"]),
        ("hash", "local s = ('x'):rep(1000000) for i = 1, 1000 do pcall(hash.sha256, s) end", WORK),
    ]);
}
