return {
  filter = function(event) return event.n % 2 == 0 end,
  cast = function(event) print("even", event.n) end,
}
