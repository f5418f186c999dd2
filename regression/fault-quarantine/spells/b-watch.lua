-- Engine topics can be drawn on, as any other.
return {
  topic = "sanctum.fault",
  cast = function(event, envelope)
    print(event.spell, event.kind, event.error, event.line, event.topic, event.position, event.event.n)
    print(envelope.topic, envelope.causation == event.id, envelope.hops)
  end,
}
