-- What it prints and produces is dropped, and its fault stops nobody.
return {
  name = "new",
  shadow = "tally",
  topic = "in",
  fault = "stop",
  cast = function(e)
    print("new")
    if e.n == 3 then error("three") end
    state.sum = state:get("sum", 0) + e.n
    return { ["$topic"] = "sum", n = state.sum }
  end,
}
