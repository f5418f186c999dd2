-- Bursts of a key; what lies between two of them and is near enough to both makes them one.
local visits = window.session{
  gap = "30s",
  late = "1m",
  fold = function(pages, page) pages[#pages + 1] = page end,
  initial = array{},
  merge = function(a, b) return table.move(b, 1, #b, #a + 1, a) end,
}

return {
  topic = "in",
  cast = function(event, envelope)
    for _, w in ipairs(visits:add(event.user, envelope.time, event.page)) do
      print(w.key, w.start // 1000, w.stop // 1000, table.concat(w.value, " "))
    end
  end,
  unprepare = function()
    print("late", visits:late())
    for _, w in ipairs(visits:close()) do
      print("closed", w.key, w.start // 1000, w.stop // 1000, table.concat(w.value, " "))
    end
  end,
}
