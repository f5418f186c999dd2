return {
  fault = "skip",
  filter = function(event) return event.n.x end,
  cast = function(event) print("never") end,
}
