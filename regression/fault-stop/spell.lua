-- The default: the first fault ends the run. What came before it stays.
local function inner(event)
  local total = event.items.count
  return total
end

local function outer(event)
  return inner(event) + 1
end

return {
  topic = "in",
  cast = function(event)
    print("cast", event.n)
    emit{ ["$topic"] = "out", n = event.n, total = outer(event) }
  end,
  unprepare = function() print("unprepare") end,
}
