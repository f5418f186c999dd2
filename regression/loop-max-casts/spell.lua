return {
  name = "rabbits",
  topic = "rabbit",
  cast = function(event)
    return event, event
  end,
}
