return {
  filter = { any = { { n = 3 }, { m = 1 } } },
  cast = function(event) print("any", event.n, event.m) end,
}
