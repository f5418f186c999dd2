-- What cast may not return: each is a fault, and nothing of that cast is kept.
return {
  topic = "in",
  fault = "skip",
  cast = function(event)
    emit{ ["$topic"] = "never" }
    local wrong = {
      text = function() return "text" end,
      number = function() return 42 end,
      boolean = function() return true end,
      ["function"] = function() return print end,
      ["list of text"] = function() return { "a", "b" } end,
      ["nested list"] = function() return { { { a = 1 } } } end,
      ["list with keys"] = function() return { { a = 1 }, b = 2 } end,
      ["list with a hole"] = function() return { { a = 1 }, nil, { c = 2 } } end,
      cycle = function() local a = {} a.a = a return a end,
      ["emit of nothing"] = function() emit() end,
      ["emit of text"] = function() emit("text") end,
      deep = function()
        local top = {}
        local at = top
        for _ = 1, 100 do at.x = {} at = at.x end
        return top
      end,
    }
    return wrong[event.kind]()
  end,
}
