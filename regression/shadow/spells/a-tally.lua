return {
  name = "tally",
  topic = "in",
  cast = function(e)
    state.sum = state:get("sum", 0) + e.n
    print("tally", state.sum)
    return { ["$topic"] = "sum", n = state.sum }
  end,
}
