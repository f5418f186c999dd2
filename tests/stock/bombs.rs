//! What would keep stock Lua busy for ever, or fill its memory.

use sanctum::engine::clock;

use super::run;

/// Each must end soon, in an error, without much memory, whatever catches it.
#[test]
fn bombs_are_stopped() {
    for bomb in [
        "string.find(('a'):rep(50000), ('a*'):rep(20) .. 'b')",
        "string.find(('a'):rep(50000), '.-.-.-.-b')",
        "string.match(('('):rep(30000), ('%b()'):rep(3))  while true do end",
        "local s = ('a'):rep(1e6) while true do string.find(s, ('a'):rep(1000) .. 'b', 1, true) end",
        "while true do string.rep('', 1e15) end",
        "while true do string.rep('x', 1e6) end",
        "string.rep('x', 1e9)",
        "string.rep('x', 1e18)",
        "string.rep('abc', 1e7, 'defg')",
        "local t = {} for i = 1, 250 do t[i] = ('x'):rep(1e6) end",
        "string.gsub(('x'):rep(1e6), '.', ('y'):rep(1000))",
        "string.gsub(('x'):rep(1e6), '', '%0%0')  while true do end",
        "local t = {} for i = 1, 9e4 do t[i] = -1.7e308 end while true do string.format(('%99.99f'):rep(9e4), table.unpack(t)) end",
        "string.format(('%s'):rep(200), table.unpack(setmetatable({}, {__index = function() return ('x'):rep(1e6) end}), 1, 200))",
        "table.move({}, 1, 1e15, 2)",
        "table.move({1}, 1, 1e15, 2, {})",
        "table.insert(setmetatable({}, {__len = function() return 1e15 // 1 | 0 end}), 1, 1)",
        "table.remove(setmetatable({}, {__len = function() return 1e15 // 1 | 0 end}), 1)",
        "table.concat(setmetatable({}, {__index = function() return '' end}), '', 1, 1e15)",
        "table.concat(setmetatable({}, {__index = function() return ('x'):rep(1e5) end}), '', 1, 1e15)",
        "while true do table.unpack({}, 1, 900000) end",
        "table.sort(setmetatable({}, {__len = function() return 2e9 // 1 | 0 end, __index = function() return 1 end, __newindex = function() end}), function() return false end)",
        "local t = {} for i = 1, 1e5 do t[i] = i % 2 end while true do table.sort(t, function(a, b) return a < b end) end",
        "local s = ('x'):rep(2e6) local t = {} for i = 1, 1e5 do t[i] = s end while true do table.sort(t) table.concat(t) end",
        "local t = {} while true do table.insert(t, 1) end",
        "local t = {} while true do table.insert(t, 1, 1) end",
        "local function f() return ('x'):gsub('x', f) end f()",
        "local t = {} t[1] = 1 while true do table.move(t, 1, #t, #t + 1) end",
        "local s = 'x' while true do s = s:gsub('x', 'xx') end",
        "local s = ('x'):rep(1e6) while true do for a in s:gmatch('.*') do end end",
        "while true do pcall(string.rep, 'x', 3e7) end",
    ] {
        let start = clock::steady_ms();
        let sources = [
            format!("{bomb}\nreturn {{}}"),
            format!("while true do pcall(function() {bomb} end) end"),
            format!(
                "coroutine.wrap(function() while true do pcall(function() {bomb} end) end end)() while true do end"
            ),
        ];
        for source in sources {
            match run(&source, 2_000_000) {
                Ok(text) => panic!("{source}\nended with {text}"),
                Err(error) => {
                    let text = error.to_string();
                    let expected =
                        ["more instructions", "memory", "stack overflow", "longer than", "C stack"];
                    assert!(expected.iter().any(|part| text.contains(part)), "{source}\n{text}");
                }
            }
        }
        let took = clock::steady_ms() - start;
        assert!(took < 10_000, "{took} ms: {bomb}");
    }
}
