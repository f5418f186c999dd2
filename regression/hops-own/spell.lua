-- A spell's own word on hops holds for what it produces.
return {
  topic = "echo",
  limits = { hops = 3 },
  cast = function(event, envelope)
    print("hop", envelope.hops)
    return event
  end,
}
