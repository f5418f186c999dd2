return {
  topic = "pong",
  cast = function(event)
    return { ["$topic"] = "ping", n = event.n + 1 }
  end,
}
