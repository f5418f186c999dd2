-- The same id with the same content is stored once; with other content it is a conflict.
return {
  topic = "in",
  fault = "skip",
  cast = function(event)
    return { ["$topic"] = "out", ["$id"] = "22222222-2222-4222-8222-222222222222", n = event.n }
  end,
}
