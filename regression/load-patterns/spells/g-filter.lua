return {
  filter = {
    amount = { gtt = 5 },
    name = { ["in"] = "x" },
    any = 5,
    ["a..b"] = 1,
    price = { exists = "yes" },
  },
  cast = function() end,
}
