-- What a faulting cast wrote is undone, and what it emitted is not appended; what it printed stays.
local bucket = sanctum.bucket("other")

return {
  topic = "in",
  fault = "skip",
  cast = function(event)
    state.count_ = (state.count_ or 0) + 1
    bucket[event.n] = true
    if event.n == 1 then state.gone = "?" end
    print("cast", event.n, state.count_, bucket:count(), state.gone)
    emit{ ["$topic"] = "out", n = event.n }
    if event.n == 2 then
      state.gone = nil
      for key in pairs(state) do state[key] = nil end
      error("no")
    end
  end,
}
