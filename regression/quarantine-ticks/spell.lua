-- Two ticks that fault on the same energy are two records, and neither harms the cast that follows.
return {
  topic = "in",
  fault = "quarantine",
  every = "1s",
  tick = function(now) error("tick " .. now) end,
  cast = function(event)
    return { ["$topic"] = "out", ["$stream"] = "s-" .. event.n, ["$expect"] = "none", n = event.n }
  end,
}
