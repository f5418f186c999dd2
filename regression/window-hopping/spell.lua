-- Windows that overlap: what arrives counts in each that covers its time.
local counts = window.hopping{ size = "1m", every = "20s", fold = "count" }

return {
  topic = "in",
  cast = function(event, envelope)
    for _, w in ipairs(counts:add(event.key, envelope.time, 1)) do
      print(w.key, w.start // 1000, w.stop // 1000, w.value)
    end
  end,
  unprepare = function()
    for _, w in ipairs(counts:close()) do
      print("closed", w.key, w.start // 1000, w.stop // 1000, w.value)
    end
  end,
}
