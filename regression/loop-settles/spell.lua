-- A spell that feeds itself, until there is nothing left to do.
return {
  topic = "countdown",
  cast = function(event, envelope)
    print(event.n, "hops " .. envelope.hops, "seed " .. envelope.position)
    if event.n > 0 then
      event.n = event.n - 1
      return event
    end
    return { ["$topic"] = "done", hops = envelope.hops }
  end,
}
