-- Every member that is data, each with a value of its type, and all four hooks.
local log_of = {}

return {
  name = "everything",
  topic = { "orders.>", "refunds.*" },
  filter = { amount = { gt = 10 } },
  lane = "user.id",
  lanes = 2,
  every = "1m",
  reads = { "amount", "user" },
  start = "oldest",
  fault = "stop",
  limits = {
    memory = "16MiB", instructions = 1000000, time = "2s", outputs = 10, event_bytes = "64KiB",
    hops = 5, print_bytes = "16KiB", state_bytes = "1MiB", queue = 100,
  },
  nulls = false,

  prepare = function(runes)
    print("prepare", type(runes), next(runes))
  end,
  cast = function(event, envelope)
    state.seen = (state.seen or 0) + 1
    print("cast", envelope.topic, event.user.id, event.amount, "of this user: " .. state.seen)
  end,
  tick = function(now)
    print("tick", time.format(now, "%H:%M:%S"))
  end,
  unprepare = function()
    print("unprepare")
  end,
}
