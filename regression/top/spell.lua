-- The three best, of scores that grow and of some that do not.
local best = sanctum.top{ n = 3 }

return {
  topic = "in",
  cast = function(event)
    if best:add(event.who, event.score, event.note) then return { ["$topic"] = "leaders", best = best:list() } end
    print("no change", event.who, event.score)
  end,
  unprepare = function()
    for rank, x in ipairs(best:list()) do print(rank, x.key, x.score, x.value) end
  end,
}
