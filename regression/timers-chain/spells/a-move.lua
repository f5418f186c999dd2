return {
  topic = "raw",
  cast = function(event) event["$topic"] = "clean" return event end,
}
