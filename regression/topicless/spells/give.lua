-- Energies without a topic reach the spells without one. Mind what such a spell returns: it comes back to it.
return {
  filter = { step = { lt = 3 } },
  cast = function(event, envelope)
    print("give", event.step, envelope.topic)
    event.step = event.step + 1
    return event
  end,
}
