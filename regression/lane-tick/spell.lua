-- A tick of a spell with a lane has no key: its state is its own.
return {
  topic = "in",
  lane = "user.id",
  lanes = 3,
  every = "1s",
  prepare = function() print("prepare", state:count()) end,
  cast = function(event, envelope)
    state.sum = (state.sum or 0) + event.n
    print(envelope.time, event.user.id, state.sum)
  end,
  tick = function(now)
    state.ticks = (state.ticks or 0) + 1
    print("tick", now, state.ticks, state.sum)
  end,
  unprepare = function() print("unprepare", state.ticks, state.sum) end,
}
