-- A cast whose second output breaks a condition leaves nothing behind: no first output, no state, no print lost.
return {
  topic = "in",
  fault = "skip",
  cast = function(event)
    state.casts = (state.casts or 0) + 1
    print("cast", event.n, "state", state.casts)
    return
      { ["$topic"] = "first", n = event.n },
      { ["$topic"] = "second", ["$stream"] = "s", ["$expect"] = "none", n = event.n },
      { ["$topic"] = "third", n = event.n }
  end,
}
