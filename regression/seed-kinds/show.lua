return {
  cast = function(event, envelope)
    print(envelope.position, envelope.topic, envelope.stream, envelope.time, event.from, event.n, json.encode(envelope.tags))
  end,
}
