return {
  filter = { ["$time"] = { gt = 1500000000000 } },
  cast = function(event, envelope) print("time", envelope.time) end,
}
