-- Every member with a wrong type or value: all are listed.
return {
  name = 5,
  topic = { "a", 5 },
  filter = "x > 5",
  lane = {},
  lanes = 0,
  batch = { size = 0, within = "soon", weight = 1 },
  every = "10 fortnights",
  reads = "amount",
  start = "yesterday",
  fault = "ignore",
  limits = { memory = "lots", instructions = -1, bytes = 5 },
  nulls = "yes",
  prepare = "function",
  tick = 5,
  cast = {},
  unprepare = true,
}
