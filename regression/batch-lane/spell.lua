-- With a lane, each key has its own batch.
return {
  topic = "in",
  lane = "user",
  lanes = 2,
  batch = { size = 2 },
  filter = { skip = { exists = false } },
  cast = function(events)
    state.batches = (state.batches or 0) + 1
    print(events[1].user, #events, "batch " .. state.batches)
  end,
}
