return {
  topic = "ping",
  cast = function(event)
    return { ["$topic"] = "pong", n = event.n + 1 }
  end,
}
