-- A spell's timers go by the energies that it draws on, though all the raw ones were there before.
return {
  topic = "clean",
  every = "1s",
  cast = function(event, envelope) print("cast", envelope.time) end,
  tick = function(now) print("tick", now) end,
}
