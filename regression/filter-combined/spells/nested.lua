return {
  filter = {
    n = { lt = 3 },
    any = { { all = { { n = 1 }, { m = 2 } } }, { none = { n = 1 }, m = 1 } },
  },
  cast = function(event) print("nested", event.n, event.m) end,
}
