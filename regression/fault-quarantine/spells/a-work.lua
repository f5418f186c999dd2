return {
  topic = "in.>",
  fault = "quarantine",
  cast = function(event)
    if event.n % 2 == 0 then error("no even numbers") end
    return { ["$topic"] = "out", n = event.n }
  end,
}
