return {
  filter = { all = { { n = { ge = 1 } }, { m = { ge = 2 } } } },
  cast = function(event) print("all", event.n, event.m) end,
}
