-- `limits.state_bytes` bounds keys and values of all buckets together.
return {
  limits = { state_bytes = 1000 },
  fault = "skip",
  cast = function(event)
    state[event.n] = ("x"):rep(400)
    print("kept", event.n, state:count())
    state:delete(event.delete or "nothing")
  end,
}
