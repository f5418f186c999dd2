return {
  topic = "in",
  fault = "skip",
  cast = function(event)
    if event.n == 2 then error("two is not welcome") end
    print("cast", event.n)
    return { ["$topic"] = "out", n = event.n }
  end,
}
