-- Only nil and false reject. The filter sees the envelope, too.
return {
  filter = function(event, envelope) return envelope.position >= 2 and event.word end,
  cast = function(event) print("word", event.word) end,
}
