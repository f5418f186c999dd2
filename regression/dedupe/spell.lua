-- What was taken keeps its like away for ten seconds, on both sides; duplicates do not prolong it.
local seen = sanctum.dedupe{ within = "10s" }
local strict = sanctum.dedupe{ within = "10s", late = 0, name = "strict" }

return {
  cast = function(event, envelope)
    print(envelope.time // 1000, event.id, seen:add(event.id, envelope.time), strict:add({ event.id, "x" }))
    if event.fail then error("undone") end
  end,
  fault = "skip",
  unprepare = function()
    print("late", seen:late(), strict:late())
    print("kept", sanctum.bucket("dedupe.10s"):count())
  end,
}
