-- Every limit on a cast; each fault says which rune raises it.
return {
  topic = "in",
  fault = "skip",
  limits = { memory = "1MiB", instructions = 100000, outputs = 3, event_bytes = 2000, print_bytes = 100 },
  cast = function(event)
    local kinds = {
      instructions = function() while true do end end,
      ["a pcall around"] = function() while true do pcall(function() while true do end end) end end,
      ["a coroutine"] = function() coroutine.wrap(function() while true do end end)() end,
      pattern = function() return (("a"):rep(40):find((".-"):rep(20) .. "b")) end,
      memory = function() local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(100000) .. i end end,
      string = function() return ("x"):rep(1 << 40) end,
      depth = function() local function f() return 1 + f() end return f() end,
      outputs = function() for i = 1, 4 do emit{ ["$topic"] = "out", i = i } end end,
      event = function() emit{ ["$topic"] = "out", text = ("x"):rep(3000) } end,
      print = function() for i = 1, 100 do print(("x"):rep(10)) end end,
    }
    kinds[event.kind]()
  end,
}
