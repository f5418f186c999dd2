return {
  topic = "clean",
  batch = { size = 10, within = "1s" },
  cast = function(events, envelopes) print("batch of " .. #events, envelopes[1].time) end,
}
