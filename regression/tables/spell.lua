-- `table` and `string`: ours, with the results of stock Lua.
return {
  cast = function()
    local t = { 5, 2, 8, 1 }
    table.sort(t) print(table.concat(t, " "))
    table.sort(t, function(a, b) return a > b end) print(table.concat(t, ","))
    table.insert(t, 9) table.insert(t, 1, 0) print(table.concat(t, " "), table.remove(t), table.remove(t, 1), #t)
    print(table.concat(table.move({ 1, 2, 3 }, 2, 3, 1), " "), table.unpack({ 1, 2, nil, 4 }, 1, 4))
    print(table.pack(1, nil, 3).n, select("#", table.unpack({ n = 3 }, 1, 3)), select(-1, 1, 2, 3))
    local words = { "pear", "fig", "apple" } table.sort(words) print(table.concat(words, " "))
    print(pcall(table.sort, { 1, "x" }))
    print(pcall(table.sort, { 3, 1, 2, 5, 4 }, function() return true end))
    print(pcall(table.concat, { 1, {}, 3 }))
    print(pcall(table.insert, { 1 }, 5, 2))
    print(("hello world"):find("o w"), ("a.b"):find(".", 1, true), ("hello"):find("l+"), ("x"):find("y"))
    print(("key = value"):match("^(%w+)%s*=%s*(%w+)$"), ("2018-01-31"):match("(%d+)-(%d+)"))
    for word, at in ("one two"):gmatch("(%a+)()") do print(word, at) end
    print(("hello"):gsub("l", { l = "L" }), ("hello"):gsub("(h)(e)", "%2%1"), ("abc"):gsub("%w", function(c) return c:upper() .. "." end))
    print(("x"):rep(3, "-"), ("abc"):reverse(), ("abc"):byte(1, -1), ("AbC"):lower(), #("é"), utf8.len("é"), utf8.char(233, 128512))
    print(("abc"):sub(2), ("abc"):sub(-2, -2), ("%d%%"):format(5), ("[]"):rep(2), ("x"):len())
    print(pcall(string.find, "a", "[a"), pcall(string.gsub, "a", "(", ""))
    print(string.pack("<i4", 100):byte(1, -1), string.unpack("<i4", "\100\0\0\0"))
    print(math.floor(-3.5), math.ceil(3.2), math.abs(-5), math.max(1, 5.5, 3), math.ult(1, -1), math.fmod(-5, 3), math.pi)
    local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end)
    print(co(1), co(10))
    goto done
    print("skipped")
    ::done::
    local closed <close> = setmetatable({}, { __close = function() print("closed") end })
    print(rawequal(t, t), rawlen({ 1, 2 }), next({}), type(next), tostring(1e15), 0x7fffffffffffffff + 1 == math.mininteger)
  end,
}
