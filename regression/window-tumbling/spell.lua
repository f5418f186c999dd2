-- Windows side by side, cut at multiples of their size.
local sums = window.tumbling{ size = "1m", fold = "sum", topic = "minute" }
local lists = window.tumbling{ size = 60000, name = "lists" }

return {
  topic = "in",
  cast = function(event, envelope)
    local done = sums:add(event.key, envelope.time, event.n)
    print("add", event.key, time.format(envelope.time, "%T"), "complete: " .. #done)
    for _, w in ipairs(lists:add("all", nil, event.n)) do
      print("list", w.key, w.start, w.stop, table.concat(w.value, " "))
    end
    if #done > 0 then return done end
  end,
  unprepare = function()
    print("late", sums:late())
    for _, w in ipairs(sums:open()) do print("open", w.key, w.start, w.stop, w.value) end
    for _, w in ipairs(sums:close()) do print("closed", w.key, w.start, w.stop, w.value) end
    print("left", #sums:open())
  end,
}
