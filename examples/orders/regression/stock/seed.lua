local function order(name, count)
  return {
    ["$topic"] = "order.priced",
    ["$stream"] = "order-" .. name,
    order = name, country = "DE", total = 10.0,
    items = { { sku = "lamp", count = count } },
  }
end

return {
  order("a", 2),
  order("b", 2), -- one is left
  { ["$topic"] = "stock.delivered", sku = "lamp", count = 5 },
  order("c", 2),
  { ["$topic"] = "order.priced", order = "d", total = 0, items = array{} },
}
