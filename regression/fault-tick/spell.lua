return {
  every = "1s",
  fault = "skip",
  cast = function(event) print("cast", event.n) end,
  tick = function(now)
    print("tick", now)
    error("tick tock")
  end,
}
