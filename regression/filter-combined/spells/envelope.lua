return {
  filter = { ["$topic"] = { prefix = "a." }, ["$tags.region"] = "eu" },
  cast = function(event, envelope) print("topic and tag", envelope.topic, envelope.tags.region) end,
}
