return {
  filter = { ["$stream"] = "user-1", ["$version"] = { ge = 1 }, ["$position"] = { lt = 10 }, ["$hops"] = 0 },
  cast = function(event, envelope) print("stream and version", envelope.stream, envelope.version) end,
}
