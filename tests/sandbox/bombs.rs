//! One call that would take for ever in stock Lua.

use super::harness::plainly;

const WORK: &[&str] = &["instructions"];
const ERROR: &[&str] = &["error"];
const FULL: &[&str] = &["memory", "instructions"];
const ANY: &[&str] = &["error", "memory", "instructions"];

/// Bombs.
pub const BOMBS: &[(&str, &str, &[&str])] = &[
    ("pattern .-", "('a'):rep(40):find(('.-'):rep(20) .. 'b')", WORK),
    ("pattern .*", "('a'):rep(100):find(('.*'):rep(20) .. 'b')", WORK),
    ("pattern a-", "string.match(('a'):rep(30), ('a?'):rep(30) .. ('a'):rep(30) .. 'b')", ANY),
    ("pattern balance", "while true do (('('):rep(100000)):find('%b()') end", WORK),
    ("pattern back reference", "(('a'):rep(2000)):find('(.-)(.-)%1%2b')", WORK),
    ("pattern frontier", "while true do (('a'):rep(100000)):gsub('%f[%w]%w-%f[%W]', '') end", WORK),
    ("gsub anchors", "while true do (('a'):rep(1000)):gsub('a*$', '') end", WORK),
    (
        "plain find n*m",
        "local s = ('a'):rep(100000) while true do s:find(('a'):rep(50000) .. 'b', 1, true) end",
        WORK,
    ),
    ("deep captures", "('x'):find(('('):rep(1000) .. 'x')", ERROR),
    ("malformed", "('x'):find('[' .. ('a'):rep(100000))", ERROR),
    ("table.move", "table.move({}, 1, math.maxinteger - 1, 2)", WORK),
    ("table.move down", "table.move({}, 1, 1 << 60, -(1 << 60))", WORK),
    (
        "concat by __len",
        "table.concat(setmetatable({}, { __len = function() return 1 << 60 end, __index = function() return '' end }))",
        WORK,
    ),
    ("concat to the last integer", "table.concat({}, '', math.maxinteger, math.maxinteger)", ERROR),
    ("unpack of much", "table.unpack({}, 1, 1 << 60)", ERROR),
    ("unpack of the range", "table.unpack({}, math.mininteger, math.maxinteger)", ERROR),
    ("unpack of a million", "while true do pcall(table.unpack, {}, 1, 900000) end", WORK),
    ("rep of nothing", "string.rep('', 1 << 60) while true do string.rep('', 1 << 60) end", WORK),
    ("rep of much", "string.rep('x', 1 << 60)", &["memory", "error"]),
    ("rep that overflows", "string.rep('xx', math.maxinteger)", ERROR),
    ("rep with separator", "string.rep('', 1 << 40, 'x')", &["memory", "error"]),
    (
        "insert by __len",
        "table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 'x')",
        ANY,
    ),
    (
        "insert at the front by __len",
        "table.insert(setmetatable({}, { __len = function() return 1 << 60 end, __index = function() return 1 end, __newindex = function() end }), 1, 'x')",
        FULL,
    ),
    ("remove by __len", "table.remove(setmetatable({}, { __len = function() return 1 << 60 end }), 1)", WORK),
    ("sort by __len", "table.sort(setmetatable({}, { __len = function() return (1 << 31) - 2 end }))", ANY),
    ("sort of too much", "table.sort(setmetatable({}, { __len = function() return 1 << 60 end }))", ERROR),
    (
        "__len that is no number",
        "table.insert(setmetatable({}, { __len = function() return {} end }), 1)",
        ERROR,
    ),
    ("format width", "string.format('%1000000000d', 1)", ERROR),
    ("format precision", "string.format('%.1000000000f', 1)", ERROR),
    ("format of the longest float", "while true do string.format('%99.99f', 1e308) end", WORK),
    ("format %q", "string.format('%q', setmetatable({}, { __tostring = function() return 'x' end }))", ERROR),
    ("format of many", "string.format(('%s'):rep(100000), 1)", ERROR),
    ("string.byte", "while true do pcall(string.byte, ('x'):rep(1000000), 1, -1) end", WORK),
    (
        "string.char",
        "while true do pcall(string.char, table.unpack(table.create(100000), 1, 100000)) end",
        FULL,
    ),
    ("string.pack", "string.pack('!16' .. ('i16'):rep(100000))", ERROR),
    ("string.pack padding", "string.pack('c1000000000', '')", &["memory", "error"]),
    ("string.unpack", "while true do pcall(string.unpack, 's8', ('\\255'):rep(1000)) end", WORK),
    ("string.packsize", "while true do pcall(string.packsize, ('c2147483647'):rep(1000)) end", WORK),
    ("string.upper", "local s = ('x'):rep(1000000) while true do s:upper() end", FULL),
    ("string.reverse", "local s = ('x'):rep(1000000) while true do s:reverse() end", FULL),
    ("utf8.len", "local s = ('x'):rep(1000000) while true do utf8.len(s) end", WORK),
    ("utf8.codepoint", "while true do pcall(utf8.codepoint, ('x'):rep(500000), 1, -1) end", WORK),
    ("utf8.offset", "local s = ('\\u{7ff}'):rep(500000) while true do utf8.offset(s, 499999) end", WORK),
    (
        "utf8.char",
        "local t = table.create(1000) for i = 1, 1000 do t[i] = 65 end while true do utf8.char(table.unpack(t)) end",
        WORK,
    ),
    (
        "tonumber",
        "local s = (' '):rep(1000000) .. '1' while true do tonumber(s) tonumber(s, 36) end",
        &["instructions", "time"],
    ),
    (
        "strings with zeros compared",
        "local a = ('\\0'):rep(1000000) local b = a .. '' .. ('x'):rep(0) b = ('\\0'):rep(999999) .. '\\0' while true do local _ = a < b end",
        &["instructions", "time"],
    ),
    (
        "an emptied table, again and again",
        "local t = {} for i = 1, 100000 do t[i] = i end for i = 1, 100000 do t[i] = nil end while true do next(t) end",
        &["instructions", "time"],
    ),
    ("json.decode of nesting", "json.decode(('['):rep(1000000))", ERROR),
    ("json.encode of nesting", "local t = {} for i = 1, 10000 do t = { t } end json.encode(t)", ERROR),
    ("json.encode of a cycle", "local t = {} t[1] = t json.encode(t)", ERROR),
    ("json.encode of a bush", "local t = { 1 } for i = 1, 60 do t = { t, t } end json.encode(t)", FULL),
    ("msgpack.decode of a lie", "msgpack.decode('\\xdd\\xff\\xff\\xff\\xff')", ERROR),
    ("msgpack.decode of nesting", "msgpack.decode(('\\x91'):rep(1000000))", ERROR),
    ("base64 of junk", "while true do pcall(base64.decode, ('?'):rep(100000)) end", WORK),
    ("time.parse of junk", "while true do pcall(time.parse, ('9'):rep(100000)) end", WORK),
    ("os.date of a long format", "while true do pcall(os.date, ('%c'):rep(10000)) end", FULL),
    (
        "os.time far away",
        "while true do pcall(os.time, { year = 1 << 60, month = 1 << 60, day = 1 << 60 }) end",
        WORK,
    ),
    ("log of a bush", "local t = { 1 } for i = 1, 60 do t = { t, t } end log.info(t)", ANY),
    (
        "window of huge size",
        "while true do pcall(window.tumbling, { size = math.maxinteger }) end",
        &["instructions", "error"],
    ),
    ("require of nothing", "while true do pcall(require, 'none') end", WORK),
];

#[test]
fn every_bomb_is_defused() {
    plainly(BOMBS);
}

#[test]
fn recursion_ends() {
    plainly(&[
        ("deep", "local function f() return 1 + f() end return f()", ANY),
        ("deep, swallowed", "local function f() return 1 + f() end while true do pcall(f) end", WORK),
        ("error in overflow", "local function f() local ok, e = pcall(f) error(e) end return f()", ANY),
        ("pcall of pcall", "local function f() return pcall(f) end while true do f() end", WORK),
        ("pcall(pcall(...))", "while true do pcall(pcall, pcall, pcall, pcall, error) end", WORK),
        ("gsub in gsub", "local function f() return (string.gsub('a', 'a', f)) end return f()", ERROR),
        (
            "gsub in gsub, swallowed",
            "local function f() return (string.gsub('a', 'a', function() pcall(f) pcall(f) end)) end f()",
            WORK,
        ),
        ("sort in sort", "local function f() table.sort({ 1, 2, 3 }, f) end f()", ERROR),
        (
            "sort in sort, swallowed",
            "local function f() pcall(table.sort, { 1, 2, 3 }, f) return false end f()",
            WORK,
        ),
        (
            "__tostring in format",
            "local m = {} local t = setmetatable({}, m) m.__tostring = function() return string.format('%s', t) end print(t)",
            ERROR,
        ),
        (
            "__tostring in tostring",
            "local m = {} local t = setmetatable({}, m) m.__tostring = tostring tostring(t)",
            ERROR,
        ),
        (
            "__index in __index",
            "local m = {} m.__index = function(t, k) return t[k] end return setmetatable({}, m).x",
            ERROR,
        ),
        (
            "__index chain",
            "local t = {} for i = 1, 10000 do t = setmetatable({}, { __index = t }) end return t.x",
            ERROR,
        ),
        (
            "__concat in __concat",
            "local m = {} m.__concat = function(a, b) return a .. b end return setmetatable({}, m) .. 'x'",
            ERROR,
        ),
        (
            "__close in __close",
            "local m = {} function m.__close() local x <close> = setmetatable({}, m) end m.__close()",
            ERROR,
        ),
        ("wrap in wrap", "local function f() return coroutine.wrap(f)() end f()", ANY),
        (
            "wrap in wrap, swallowed",
            "local function f() pcall(coroutine.wrap(f)) pcall(coroutine.wrap(f)) end f()",
            FULL,
        ),
        (
            "resume in resume",
            "local function f() while true do coroutine.resume(coroutine.create(f)) end end f()",
            FULL,
        ),
        (
            "resume in pcall in resume",
            "local function f() while true do pcall(coroutine.resume, coroutine.create(f)) end end f()",
            FULL,
        ),
        (
            "xpcall handler that fails",
            "local function h() error('again') end while true do xpcall(error, h) end",
            WORK,
        ),
        (
            "xpcall as its handler",
            "local function h() xpcall(error, h) end while true do xpcall(error, h) end",
            WORK,
        ),
        ("require in a circle", "require('self')", ERROR),
    ]);
}
