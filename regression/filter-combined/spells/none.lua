return {
  filter = { none = { { n = 3 }, { m = 1 } } },
  cast = function(event) print("none", event.n, event.m) end,
}
