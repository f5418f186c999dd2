-- What comes too late for its window goes to a topic of its own, where a second spell could mend things.
local sums = window.tumbling{ size = "10s", late = "5s", fold = "sum", topic = "sum", late_topic = "sum.late" }

return {
  topic = "in",
  cast = function(event, envelope) return sums:add(event.key, envelope.time, event.n) end,
  unprepare = function() print("late", sums:late(), json.encode(sums:open())) end,
}
