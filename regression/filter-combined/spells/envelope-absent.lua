return {
  filter = { ["$topic"] = { exists = false } },
  cast = function(event, envelope) print("no topic", event.n) end,
}
