-- What a spell does not have, and what it cannot change.
return {
  topic = "in",
  prepare = function() leaked = "a global of this spell" end,
  cast = function(event)
    for _, name in ipairs{ "io", "debug", "package", "load", "loadfile", "dofile", "loadstring", "collectgarbage", "rawset",
        "rawget", "getmetatable", "setmetatable", "_G", "_VERSION", "_ENV", "utf8", "coroutine", "math", "string" } do
      print(name, type(_G and _G[name]))
    end
    print(leaked, pcall(setmetatable, {}, { __gc = function() end }))
    print(getmetatable("").__index == string, pcall(function() getmetatable("").__index = {} end))
    print(("x"):upper(), pcall(function() getmetatable("").__index = nil end), ("x"):upper())
    print(pcall(string.rep, "", 1e15), pcall(string.rep, "x", -1))
    print(select("#", table.unpack({}, 1, 3)), pcall(table.unpack, {}, 1, 1e8))
    print(pcall(table.concat, setmetatable({}, { __len = function() return 1e15 end })))
    -- The order of pairs is the same in every process.
    local keys = {}
    for key in pairs{ one = 1, two = 2, three = 3, four = 4, five = 5, six = 6 } do keys[#keys + 1] = key end
    print(table.concat(keys, " "))
  end,
}
