-- Whatever is thrown is reported: text, tables, nil, objects with `__tostring`.
local Oops = { __tostring = function(self) return "oops: " .. self.why end }

return {
  topic = "in",
  fault = "skip",
  cast = function(event)
    local kinds = {
      text = function() error("text") end,
      ["text without place"] = function() error("text", 0) end,
      caller = function() error("the caller's line", 2) end,
      lines = function() error("two\nlines") end,
      number = function() error(42) end,
      ["nil"] = function() error() end,
      boolean = function() error(false) end,
      table = function() error({ code = 7, list = { 1, 2 } }) end,
      object = function() error(setmetatable({ why = "because" }, Oops)) end,
      ["looping object"] = function() error(setmetatable({}, { __tostring = function() while true do end end })) end,
      bytes = function() error("bytes \xff\xfe") end,
      assert = function() assert(false, "assertion text") end,
      ["assert alone"] = function() assert(nil) end,
      call = function() local f = event.missing f() end,
      arithmetic = function() return event.kind + {} end,
      concat = function() return "a" .. {} end,
      compare = function() return 1 < "2" end,
      global = function() return undefined_function(1) end,
      argument = function() return ("x"):rep(1, 2, 3) .. string.rep() end,
      caught = function() print("caught", pcall(error, "inside")) error("after a caught one") end,
      xpcall = function() print(xpcall(error, function(m) return "handled " .. m end, "this")) error("and out") end,
      coroutine = function() local co = coroutine.wrap(function() error("in a coroutine") end) co() end,
      tail = function() return (function() return error("in a tail call") end)() end,
    }
    kinds[event.kind]()
  end,
}
