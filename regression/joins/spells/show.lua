return {
  topic = { "ship", "receipt" },
  cast = function(event, envelope) print(envelope.topic, event.order, event.parcel, envelope.hops) end,
}
