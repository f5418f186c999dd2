-- An append condition that does not hold is a fault of the cast: what it wrote to the state is undone.
return {
  topic = "in",
  fault = "skip",
  cast = function(event)
    state.taken = (state.taken or 0) + 1
    return { ["$topic"] = "account", taken = state.taken, ["$stream"] = event.stream, ["$expect"] = event.expect, n = event.n }
  end,
}
