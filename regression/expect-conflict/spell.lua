-- An append condition that does not hold is a fault of the cast.
return {
  topic = "in",
  fault = "skip",
  cast = function(event)
    return { ["$topic"] = "account", ["$stream"] = event.stream, ["$expect"] = event.expect, n = event.n }
  end,
}
