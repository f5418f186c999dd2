//! `string` and `table` as spells get them, against those of stock Lua: results and errors.

mod bombs;

use mlua::Lua;
use sanctum::engine::clock;
use sanctum::event::json;
use sanctum::runeset::Limits;
use sanctum::spell::{Clocks, Modules, OpenError, evaluate_seed};

/// Turns results into one text, without any function under test.
const PRELUDE: &str = r##"
local show
function show(...)
  local text = ""
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    if type(v) == "table" then
      text = text .. "{"
      local n = rawlen(v)
      for k = 1, n do text = text .. show(v[k]) end
      if v.n then text = text .. "n=" .. tostring(v.n) end
      text = text .. "}"
    elseif type(v) == "function" then
      text = text .. "function"
    else
      text = text .. type(v) .. ":" .. tostring(v)
    end
    text = text .. ","
  end
  return text
end
local results = {}
local function case(f)
  local ok, value = pcall(f)
  results[#results + 1] = tostring(ok) .. " " .. tostring(value)
end
local function counted(n) local t = {} for i = 1, n do t[i] = i end return t end
local proxy = setmetatable({}, {
  __index = function(_, k) if k <= 5 then return k * 10 end end, __newindex = function(t, k, v) rawset(t, k, v) end,
  __len = function() return 5 end,
})
"##;

fn script(cases: &[&str]) -> String {
    let mut text = PRELUDE.replace('\n', " ");
    for case in cases {
        text += &format!("\ncase(function() local s = show({case}) return s end)");
    }
    text + "\nreturn results"
}

fn run(source: &str, instructions: u64) -> Result<String, OpenError> {
    let limits = Limits { memory_bytes: 32 << 20, instructions, time_ms: 20_000, ..Limits::default() };
    let clocks = Clocks { steady_ms: clock::steady_ms, timer_ns: None, exact: false };
    let data = evaluate_seed("case", source.as_bytes(), Modules::default(), &limits, clocks, 64 << 20)?;
    let mut text = Vec::new();
    json::write_value(&data, &mut text);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn agree(cases: &[&str]) {
    let source = script(cases);
    let ours: Vec<serde_json::Value> = match run(&source, 10_000_000) {
        Ok(text) => serde_json::from_str(&text).expect("a list"),
        Err(error) => panic!("{error}"),
    };
    let lua = Lua::new();
    let stock: Vec<mlua::LuaString> = lua.load(&source).set_name("@case").eval().expect("stock Lua");
    assert_eq!(ours.len(), cases.len());
    let mut differences = Vec::new();
    for ((case, ours), stock) in cases.iter().zip(ours).zip(stock) {
        let stock = stock.to_string_lossy();
        let ours = ours.as_str().unwrap_or("bytes").replace("null expected", "nil expected");
        if ours != stock {
            differences.push(format!("{case}\n   ours: {ours}\n  stock: {stock}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn search_agrees() {
    agree(&[
        "string.find('hello world', 'wor')",
        "string.find('hello world', 'o', 6)",
        "string.find('hello', 'l+')",
        "string.find('hello', '(l)(l)()')",
        "string.find('a.b', '.', 2, true)",
        "string.find('abc', 'b', -1)",
        "string.find('abc', 'b', -2)",
        "string.find('abc', 'b', -100)",
        "string.find('abc', '', 4)",
        "string.find('abc', '', 5)",
        "string.find('abc', '', 10)",
        "string.find('', '')",
        "string.find('abc', '^b')",
        "string.find('abc', '^b', 2)",
        "string.find('abc', 'x')",
        "string.find(123, 2)",
        "string.find('a\\0b', '\\0')",
        "string.find('abc', 'b', math.mininteger)",
        "string.find('abc', 'b', math.maxinteger)",
        "string.find('abc', 'b', '2')",
        "string.find('abc', 'b', 2.0)",
        "string.find('abc', 'b', 2.5)",
        "string.find('abc', 'b', {})",
        "string.find()",
        "string.find('a')",
        "string.find(nil, 'a')",
        "('x'):find()",
        "('x'):find({})",
        "string.match('key = value', '(%w+)%s*=%s*(%w+)')",
        "string.match('2024-01-31', '(%d+)-(%d+)-(%d+)')",
        "string.match('abc', '()b()')",
        "string.match('abc', '.', 2)",
        "string.match('abc', '%')",
        "string.match('abc', '(a')",
        "string.match('abc', 'a)')",
        "string.match('abc', '[a')",
        "string.match('abc', '%f')",
        "string.match('abc', '%1')",
        "string.match('abc', ('(a)'):rep(33))",
        "string.match(('a'):rep(300), ('a?'):rep(300))",
        "string.match('  trim  ', '^%s*(.-)%s*$')",
    ]);
}

#[test]
fn gmatch_agrees() {
    let all = |args: &str| {
        format!(
            "(function() local t = {{}} for a, b in string.gmatch({args}) do t[#t + 1] = a t[#t + 1] = b or '-' end return t end)()"
        )
    };
    let cases: Vec<String> = [
        "'one two three', '%a+'",
        "'k=v, a=b', '(%w+)=(%w+)'",
        "'abc', ''",
        "'abc', 'x*'",
        "'abc', '()'",
        "'abc', '^a'",
        "'^a^a', '^a'",
        "'abcabc', 'b', 3",
        "'abcabc', 'b', -2",
        "'abc', '', 4",
        "'abc', '', 9",
        "'a,b,,c', '([^,]*)'",
        "'abc', '%'",
        "'abc', '(a'",
        "123321, 3",
    ]
    .into_iter()
    .map(all)
    .collect();
    let mut cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    cases.extend([
        "string.gmatch('a', 'a')",
        "string.gmatch('a')",
        "string.gmatch()",
        "string.gmatch('a', 'a')()",
    ]);
    cases.push("(function() local f = ('ab'):gmatch('.') return {f(), f(), f() or 'x', f() or 'y'} end)()");
    cases.push(
        "(function() local f, g = ('ab'):gmatch('.'), ('ab'):gmatch('.') return {f(), g(), f(), g()} end)()",
    );
    agree(&cases);
}

#[test]
fn gsub_agrees() {
    agree(&[
        "string.gsub('hello world', 'o', '0')",
        "string.gsub('hello world', 'o', '0', 1)",
        "string.gsub('hello world', 'o', '0', 0)",
        "string.gsub('hello world', 'o', '0', -1)",
        "string.gsub('hello', '', '-')",
        "string.gsub('hello', 'x*', '-')",
        "string.gsub('abc', '%w', '%0%0')",
        "string.gsub('abc', '(%w)(%w)', '%2%1')",
        "string.gsub('abc', '%w', '%1')",
        "string.gsub('abc', '%w', '%2')",
        "string.gsub('abc', '%w', '%%')",
        "string.gsub('abc', '%w', '%')",
        "string.gsub('abc', '%w', '%x')",
        "string.gsub('abc', '()', '%1')",
        "string.gsub('abc def', '^%w+', 'x')",
        "string.gsub('abc', '^x', 'y')",
        "string.gsub('$a $b $c', '%$(%w+)', {a = 'A', b = 2, c = false})",
        "string.gsub('abc', '%w', {a = {}})",
        "string.gsub('abc', '%w', function(c) return c:byte() end)",
        "string.gsub('abc', '%w', function(c) if c == 'b' then return 'x' end end)",
        "string.gsub('abc', '%w', function(c) return false end)",
        "string.gsub('abc', '%w', function(c) return string.len end)",
        "string.gsub('abc', '%w', function(c) return {} end)",
        "string.gsub('abc', '%w', function(c) error('no', 0) end)",
        "string.gsub('abc', '()%w', {10, 20, 30})",
        "string.gsub('abc', '%w', setmetatable({}, {__index = function(_, k) return k .. k end}))",
        "string.gsub('abc', '%w', setmetatable({}, {__index = {a = 'X'}}))",
        "string.gsub('abc', '%w', 1.5)",
        "string.gsub('abc', '%w', 7)",
        "string.gsub('abc', '%w')",
        "string.gsub('abc', '%w', nil)",
        "string.gsub('abc', '%w', true)",
        "string.gsub('abc', '%w', 'x', 'y')",
        "string.gsub('abc', '%w', 'x', {})",
        "string.gsub(12.0, '%.', ',')",
        "string.gsub('abc', '(', 'x')",
        "string.gsub('a b c', ' ', '%%20')",
        "string.gsub('abc', 'b', '')",
        "string.gsub('', '^', 'x')",
        "string.gsub('x', '$', 'y')",
        "string.gsub('hello world', '%w+', '%0 %0', 1)",
        "string.gsub('nested (a (b) c)', '%b()', '')",
        "string.gsub('THE (quick) fox', '%f[%a]%a+', string.lower)",
        "string.gsub('ab', '.', function(c) return (string.gsub('xy', '.', function(d) return c .. d end)) end)",
    ]);
}

#[test]
fn rep_and_format_agree() {
    agree(&[
        "string.rep('ab', 3)",
        "string.rep('ab', 3, ',')",
        "string.rep('', 10)",
        "string.rep('', 10, ',')",
        "string.rep('x', 0)",
        "string.rep('x', -1)",
        "string.rep('x', 1, 'yy')",
        "string.rep('x', 2, 'yy')",
        "string.rep('', 1e15)",
        "string.rep('abc', 7, '--')",
        "string.rep('x', math.maxinteger, 'y')",
        "string.rep('x')",
        "string.rep()",
        "string.rep('x', 1.5)",
        "string.rep('x', 'y')",
        "('x'):rep({})",
        "#string.rep('abcdefghij', 100000)",
        "string.rep(1, 3, 2)",
        "string.format('%d %i %5d|%-5d|%05d|%+d', 1, 2, 3, 4, 5, 6)",
        "string.format('%d', 3.0)",
        "string.format('%d', 3.5)",
        "string.format('%d', '10')",
        "string.format('%d', 'x')",
        "string.format('%d')",
        "string.format('%d', nil)",
        "string.format('%x %X %o', 255, 255, 8)",
        "string.format('%c%c', 65, 0)",
        "string.format('%c', 'x')",
        "string.format('%e %g %f', 1.5, 1e20, 2)",
        "string.format('%.3f', 1 / 3)",
        "string.format('%5.1f|', 2.25)",
        "string.format('%a', 1)",
        "string.format('%s %s %s', 1, 1.0, 1e100)",
        "string.format('%s', nil)",
        "string.format('%s', true)",
        "string.format('%s')",
        "string.format('%10s|%-10s|%.2s', 'abc', 'abc', 'abc')",
        "string.format('%5s', 'a\\0b')",
        "string.format('%s', 'a\\0b')",
        "string.format('%.3s', ('x'):rep(200))",
        "string.format('%10s', ('x'):rep(200))",
        "string.format('%q', 'a\\n\\0001\"')",
        "string.format('%q', 1.5)",
        "string.format('%q', math.mininteger)",
        "string.format('%q', {})",
        "string.format('%q', string.len)",
        "string.format('%q', nil)",
        "string.format('%5q', 'x')",
        "string.format('%y', 1)",
        "string.format('%', 1)",
        "string.format('%F', 1)",
        "string.format('%123d', 1)",
        "string.format('%#d', 1)",
        "string.format('%-+ #0-+ #0-+ #0-+ #0-+ #0d', 1)",
        "string.format('100%%')",
        "string.format('%%%d%%', 5)",
        "string.format('%p', nil)",
        "string.format('%p', 1)",
        "string.format('%5p', 1)",
        "string.format('%.3p', {})",
        "string.format()",
        "string.format(1)",
        "string.format({})",
        "string.format('%s', setmetatable({}, {__tostring = function() return 'me' end}))",
        "string.format('%s', setmetatable({}, {__tostring = function() return 5 end}))",
        "string.format('%d %s', 1)",
        "('%d'):format('x')",
        "('%d %d'):format(1)",
        "string.format('%s %s', 'a', 'b', 'c')",
        "string.format(('%s'):rep(100, ' '), table.unpack(counted(100)))",
        "string.format('%.20s|%.0s|', 'abc', 'abc')",
        "string.format('%i', math.mininteger)",
        "string.format('%u', -1)",
        "string.format('%5.3d|', 7)",
        "string.format('%.0f %.0f', 0.5, 1.5)",
        "string.format('%s', 0.1)",
        "string.format('%s', -0.0)",
        "string.format('%s', 1e15)",
        "string.format('%s', 2^53)",
        "string.format('%s', 2^63)",
        "string.format('%s', 1/0)",
        "string.format('%.14g', 3.14159265358979)",
    ]);
}

#[test]
fn tables_agree() {
    let insert = |args: &str| {
        format!("(function() local t = counted(4) local r = show(table.insert({args})) return t, r end)()")
    };
    let remove = |args: &str| {
        format!("(function() local t = counted(4) local r = table.remove({args}) return t, r end)()")
    };
    let shift = |args: &str| {
        format!(
            "(function() local t, u = counted(6), counted(2) local r = table.move({args}) return t, u, r end)()"
        )
    };
    let mut cases: Vec<String> = Vec::new();
    cases.extend(
        [
            "t, 9",
            "t, 1, 9",
            "t, 3, 9",
            "t, 5, 9",
            "t, 6, 9",
            "t, 0, 9",
            "t, -1, 9",
            "t",
            "t, 1, 2, 3",
            "nil, 1",
            "t, 'x', 1",
            "t, 1.5, 1",
            "5, 1",
            "'abc', 1",
            "t, 2, nil",
            "t, math.maxinteger, 1",
        ]
        .map(insert),
    );
    cases.extend(
        [
            "t",
            "t, 1",
            "t, 3",
            "t, 4",
            "t, 5",
            "t, 6",
            "t, 0",
            "t, -1",
            "{}",
            "{}, 0",
            "{}, 1",
            "{}, 2",
            "{[0] = 'z'}",
            "{[0] = 'z'}, 0",
            "nil",
            "t, 'x'",
            "t, {}",
            "'abc'",
        ]
        .map(remove),
    );
    cases.extend(
        [
            "t, 1, 3, 2",
            "t, 2, 4, 1",
            "t, 1, 6, 4",
            "t, 1, 3, 1, u",
            "t, 1, 0, 5",
            "t, 1, 3, 2, t",
            "t, math.mininteger, -1, 5",
            "t, -1, math.maxinteger, 5",
            "t, 1, 3, math.maxinteger",
            "t, 1, 2",
            "t",
            "nil, 1, 2, 3",
            "t, 1, 2, 3, 5",
            "t, 1, 2, 3, nil",
            "'abc', 1, 2, 3",
            "t, 'a', 2, 3",
            "proxy, 1, 5, 1, u",
            "t, 0, 0, 1",
            "t, 3, 2, 1, {}",
        ]
        .map(shift),
    );
    cases.extend(
        [
            "table.concat({})", "table.concat({1, 2.5, 'x'})", "table.concat({1, 2, 3}, ', ')", "table.concat({1, 2, 3}, ', ', 2)", "table.concat({1, 2, 3}, ', ', 2, 3)", "table.concat({1, 2, 3}, '', 3, 2)",
            "table.concat({1, {}, 3})", "table.concat({1, 2}, ',', 1, 3)", "table.concat({1, true}, ',')", "table.concat({}, 'x', 1, 1e15)", "table.concat({}, 'x', math.maxinteger, math.maxinteger)",
            "table.concat({[math.maxinteger] = 'z'}, 'x', math.maxinteger, math.maxinteger)", "table.concat(nil)", "table.concat('abc')", "table.concat({}, {})", "table.concat({1}, 5)", "table.concat(proxy, ';')", "table.concat(5)",
            "table.concat({1,2}, 3)", "table.concat({'a', 'b'}, '\\0')", "#table.concat(counted(5000), ', ')",
            "table.pack()", "table.pack(1, nil, 3)", "table.pack(nil)", "table.unpack({1, 2, 3})", "table.unpack({1, 2, 3}, 2)", "table.unpack({1, 2, 3}, 2, 3)", "table.unpack({1, 2, 3}, 0, 4)", "table.unpack({}, 1, 3)",
            "table.unpack({1, 2}, 3)", "table.unpack({}, 1, 1e8)", "table.unpack({}, math.mininteger, math.maxinteger)", "table.unpack({}, 0, math.maxinteger)", "table.unpack({}, math.maxinteger, math.maxinteger)", "table.unpack(proxy)",
            "table.unpack(nil)", "table.unpack('abc')", "table.unpack({1}, 'x')", "select('#', table.unpack(counted(5000)))", "table.unpack()", "table.insert()", "table.remove()", "table.concat()", "table.move()",
            "(function() local t = setmetatable({}, {__len = function() return 3 end}) table.insert(t, 'x') return rawget(t, 4) end)()",
            "(function() local t = setmetatable({}, {__len = function() return 'x' end}) table.insert(t, 'x') end)()",
            "(function() local t = setmetatable({}, {__index = {}}) table.insert(t, 'x') table.insert(t, 'y') return t end)()",
            "(function() local t = setmetatable({1, 2, 3}, {__index = error}) return table.remove(t, 1), t end)()",
            "table.insert(setmetatable({}, {__newindex = function() error('frozen', 0) end}), 1)",
        ]
        .map(str::to_owned),
    );
    agree(&cases.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn sort_agrees() {
    let sorted = |list: &str, order: &str| {
        format!("(function() local t = {list} table.sort(t{order}) return t end)()")
    };
    let mut cases: Vec<String> = Vec::new();
    let scrambled = |n: u32, of: &str| {
        format!(
            "(function() local t, x = {{}}, 7 for i = 1, {n} do x = (x * 1103515245 + 12345) % 2147483648 local v = x // 65536 % 50 t[i] = {of} end return t end)()"
        )
    };
    for list in [
        "{}",
        "{1}",
        "{2, 1}",
        "{3, 1, 2}",
        "{3, 1.5, 2}",
        "{'b', 'a', 'c', 'a\\0', 'a', ''}",
        "{0.0, -0.0, 1.5, -3.5}",
        "{1, 'a'}",
        "{true, false}",
        "{{}, {}}",
        "{1, 2, nil, 3}",
    ] {
        for order in ["", ", function(a, b) return a > b end", ", nil"] {
            cases.push(sorted(list, order));
        }
    }
    for n in [3, 4, 10, 99, 100, 101, 250, 1000] {
        for of in ["v", "v + 0.5", "'k' .. v", "v % 2 == 0 and v or v + 0.0", "v % 7 * 1.0"] {
            cases.push(sorted(&scrambled(n, of), ""));
            cases.push(sorted(&scrambled(n, of), ", function(a, b) return a > b end"));
        }
        // Elements that compare equal but are not.
        cases
            .push(sorted(&scrambled(n, "v * 1000 + i"), ", function(a, b) return a // 1000 < b // 1000 end"));
        for liar in ["true", "false", "a <= b", "a ~= b", "nil", "(a * 7919) % 13 < (b * 104729) % 17"] {
            cases.push(sorted(&scrambled(n.min(90), "v"), &format!(", function(a, b) return {liar} end")));
        }
    }
    cases.extend(
        [
            "table.sort()", "table.sort(nil)", "table.sort({1, 2}, 5)", "table.sort({1, 2}, {})", "table.sort({1}, 5)", "table.sort({2, 1}, function() error('no', 0) end)",
            "table.sort(setmetatable({}, {__len = function() return 1 << 31 end}))", "table.sort(setmetatable({}, {__len = function() return math.maxinteger end}))", "table.sort('abc')", "table.sort({1, 2, 'x'}, string.len)",
            "(function() local t = setmetatable({}, {__index = function(_, k) return -k end, __newindex = rawset, __len = function() return 5 end}) table.sort(t) return {rawget(t, 1), rawget(t, 3), rawget(t, 5)} end)()",
            "(function() local m = {} m.__lt = function(a, b) return a.v < b.v end local t = {} for i = 1, 20 do t[i] = setmetatable({v = i * 7 % 20}, m) end table.sort(t) local r = {} for i = 1, 20 do r[i] = t[i].v end return r end)()",
        ]
        .map(str::to_owned),
    );
    agree(&cases.iter().map(String::as_str).collect::<Vec<_>>());
}
